// SPDX-License-Identifier: Apache-2.0
// What a node keeps for one loop: pools, so that nothing is allocated for a request. Made on the main loop;
// after that it belongs to its loop, as long as requests are in flight.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/block/align-op.hpp"
#include "host/block/bounce-pool.hpp"
#include "host/block/io.hpp"
#include "host/block/slab.hpp"
#include "host/block/zero-writer.hpp"
#include "host/loop/completion.hpp"

#include <memory>

namespace outport::loop {
class Loop;
class BlockingPool;
class BlockingOwner;
} // namespace outport::loop

namespace outport::block {

class NodeContext : public std::enable_shared_from_this<NodeContext> {
  public:
    struct Services {
        loop::Loop& loop;
        loop::BlockingPool& pool;
        loop::BlockingOwner& owner;
    };
    NodeContext(const Services& services, std::size_t buffer_alignment);
    NodeContext(const NodeContext&) = delete;
    NodeContext& operator=(const NodeContext&) = delete;
    virtual ~NodeContext();

    loop::Loop& loop() const noexcept { return services_.loop; }
    loop::BlockingPool& pool() const noexcept { return services_.pool; }
    loop::BlockingOwner& owner() const noexcept { return services_.owner; }

    // Completes `io` in this turn or the next, after the caller has returned.
    void complete_soon(Io& io, std::int32_t result);

    Slab<AlignOp> align_ops;
    Slab<ZeroWriter> zero_writers;
    BouncePool bounce;

  private:
    void complete_all();

    Services services_;
    ListHook finished_;
    loop::Task task_;
};

} // namespace outport::block
