// SPDX-License-Identifier: Apache-2.0
// Tells the exports that keep what they have read of a node (the page cache of a FUSE mount) that a range was
// changed by another user, and waits until each has said that it has let go of it. Only then is the change
// answered to whoever made it.
//
//   home loop ─► main loop ─► loop of the first such export ─► main loop ─► … ─► home loop
//
// It holds back no change of the graph: the request counts as done below, so what the invalidation itself
// waits for can go on. Nothing is allocated; it stands in the request that it is about. Nodes without such an
// export never come here (Stage::keepers).
#pragma once

#include "host/loop/completion.hpp"

#include <outport/block.h>

#include <cstdint>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Graph;
class Node;
class Queue;
class Root;

class RangeNotice {
  public:
    using Done = void (*)(RangeNotice& notice);

    RangeNotice() noexcept {} // costs nothing: most are never started
    RangeNotice(const RangeNotice&) = delete;
    RangeNotice& operator=(const RangeNotice&) = delete;

    // `node` as seen by the user that changed it, `by`; null when that is no export. `done` comes later, on
    // `home`, from which this is called. `node` and `by` stay until then.
    void start(Graph& graph, loop::Loop& home, Node& node, const Root* by, std::uint64_t offset,
               std::uint64_t length, Done done) noexcept;
    // The same for a queue's request, whose node is the root's as of when the main loop comes to it.
    void start(Root& by, loop::Loop& home, std::uint64_t offset, std::uint64_t length, Done done) noexcept;

    // [loop of the queue] The plugin has let go.
    static void answered(outport_range_change* change) noexcept;

  private:
    void on_main() noexcept;
    void next() noexcept;
    bool concerns(const Root& root) noexcept;
    void on_keeper() noexcept;

    outport_range_change change_;
    Graph* graph_;
    loop::Loop* home_;
    Node* node_;
    const Root* by_;
    Root* at_;     // whom it is with
    Queue* queue_; // likewise
    std::uint64_t offset_, length_;
    Done done_;
    loop::Posted hop_;
};

} // namespace outport::block
