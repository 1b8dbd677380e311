// SPDX-License-Identifier: Apache-2.0
// What a kind of node has to do. One Driver object belongs to one node. Its control functions are called on
// the main loop; start() on any loop, on several at once. What both touch, the driver makes safe itself.
#pragma once

#include "host/base/error.hpp"
#include "host/block/io.hpp"
#include "host/block/limits.hpp"
#include "host/block/node-context.hpp"
#include "host/block/permissions.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Node;
class RangeLock;

class Driver {
  public:
    using Done = std::move_only_function<void(Result<>)>;
    using Sized = std::move_only_function<void(Result<std::uint64_t>)>; // -1 is "unknown"

    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    virtual ~Driver() = default;

    virtual const char* name() const noexcept = 0; // as in BlockdevDriver

    // ---- [loop]
    // Takes `io`, which fits the limits unless they say nothing of it, and completes it later, never inside.
    // Honours kFua. `stage` outlives the io.
    virtual void start(const Stage& stage, Io& io) = 0;

    // ---- [any] constant once it is open
    // Whether it passes data on as it comes, so that only the nodes below have limits.
    virtual bool takes_any_data() const noexcept { return false; }
    // Whether WRITE_ZEROES may complete with -EOPNOTSUPP and is then done by writing.
    virtual bool wants_zero_writer() const noexcept { return false; }

    // Where the node's data begins in its child.
    virtual std::uint64_t child_offset() const noexcept { return 0; }

    // ---- [main]; a Done may be called at once
    // What this node keeps for one loop.
    virtual std::unique_ptr<NodeContext> make_context(Node& node, loop::Loop& loop);
    // Opens what it is made of; the children are open. Once, before anything else.
    virtual void open(Node& node, Done done) { (void)node, done({}); }
    // The opposite. Nothing is in flight.
    virtual void close(Node& node, Done done) { (void)node, done({}); }
    // What the users need (`perm`) and let others do (`shared`), from now on; towards other processes.
    virtual void set_permissions(Node& node, Perm perm, Perm shared, Done done) {
        (void)node, (void)perm, (void)shared, done({});
    }
    // The same for the edge to a child, out of what this node's users need and share.
    virtual void child_permissions(Perm perm, Perm shared, Perm& child_perm, Perm& child_shared) const {
        child_perm = perm, child_shared = shared;
    }
    virtual std::uint64_t size(const Node& node) const = 0;
    virtual Limits limits(const Node& node) const = 0;
    // Nothing is in flight when it shrinks.
    virtual void resize(Node& node, std::uint64_t size, Done done);
    // Bytes of storage in use.
    virtual void allocated_size(Node& node, Sized done) { (void)node, done(UINT64_MAX); }
    // For query-named-block-nodes.
    virtual std::string filename(const Node& node) const = 0;
    virtual bool has_dirty_flag() const { return true; }
    virtual void format_specific(boost::json::object& out) const { (void)out; }

  protected:
    Driver() = default;
};

// Driver::resize, refused for a read-only node.
void resize_node(Node& node, std::uint64_t size, Driver::Done done);

} // namespace outport::block
