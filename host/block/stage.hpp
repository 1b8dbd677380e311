// SPDX-License-Identifier: Apache-2.0
// A view: how a node's chain looks to one loop. Immutable once built, so the request path takes no lock; a
// change of the graph builds a new one and swaps it while nothing is in flight (quiesce.hpp).
#pragma once

#include "host/block/driver.hpp"
#include "host/block/io.hpp"
#include "host/block/limits.hpp"
#include "host/block/options.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace outport::block {

class Node;
class NodeContext;
class RangeLock;

// One node in a view.
struct Stage {
    Driver* driver = nullptr;
    NodeContext* context = nullptr;
    const Stage* child = nullptr; // of a filter or a format
    RangeLock* ranges = nullptr;  // for nodes that need read-modify-write
    Limits limits;
    std::uint64_t size = 0;
    const std::atomic<std::uint32_t>* keepers = nullptr; // of the lowest node: exports told of every change
    std::uint32_t prepared_ops = 0; // operations that prepare() has to look at before the driver does
    bool unmap = false;
    DetectZeroes detect_zeroes = DetectZeroes::Off;
    std::shared_ptr<NodeContext> context_owner;
};

// Hands `io` to a stage. It is completed later.
void prepare(const Stage& stage, Io& io);
inline void begin(const Stage& stage, Io& io) {
    if (io.is(stage.prepared_ops))
        prepare(stage, io);
    else
        stage.driver->start(stage, io);
}

struct View {
    std::vector<std::unique_ptr<Stage>> stages; // the root's node first
    const Stage& top() const noexcept { return *stages.front(); }
};

// [main]
std::shared_ptr<const View> build_view(Node& node, loop::Loop& loop);

} // namespace outport::block
