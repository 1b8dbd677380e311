// SPDX-License-Identifier: Apache-2.0
// An export's hold on a node: which node, with which permissions, and from which loops. Made by Graph::attach
// and ended by Graph::detach. Belongs to the main loop; info() may be called from any thread, and the queues
// that are opened on it live on their loops (see queue.hpp).
#pragma once

#include "host/block/node.hpp"
#include "host/block/permissions.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct outport_block_info;

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Seat;
class Graph;
class Queue;

struct RootOptions {
    std::string user; // for logs: "export 'e0'"
    bool writable = false;
    bool writethrough = false;      // a write completes only when it is stable
    bool resizable = false;         // takes the permission to resize, as FUSE does
    bool keeps = false;             // its clients keep what they read, so it is told of what others change
    std::vector<loop::Loop*> loops; // those on which queues will be opened; each outlives the root
};

class Root {
  public:
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    ~Root();

    Node& node() const noexcept { return *edge_.child; }
    const RootOptions& options() const noexcept { return options_; }
    Graph& graph() const noexcept { return graph_; }

    // [any] What a plugin is told of the node. Only as much as info.struct_size covers is written.
    void info(outport_block_info& info) const noexcept;
    // [any] The seat of `loop`; null if it is none of the options' loops.
    Seat* seat(const loop::Loop& loop) const noexcept;
    // Queues that are open now on all loops; exact only when no loop is just opening or closing one. [any]
    std::size_t open_queues() const noexcept;

    // Notices that are on their way to it; the graph keeps it until they are back.
    void hold_on() noexcept { ++notices_; }
    void let_go() noexcept;
    // [first loop] The queue that is told; null when there is none.
    Queue* keeper() const noexcept { return keeper_; }
    void set_keeper(Queue* queue) noexcept { keeper_ = queue; }

  private:
    friend class Graph;
    friend class Quiesce;
    Root(Graph& graph, Node& node, RootOptions options);
    void make_seats();
    bool publish_info(); // whether it is not what it was

    Graph& graph_;
    RootOptions options_;
    Edge edge_; // its child is the node; the parent is this root
    std::vector<std::unique_ptr<Seat>> seats_;
    Queue* keeper_ = nullptr;
    std::uint32_t notices_ = 0;
    std::move_only_function<void()> unheld_; // a detach that waits for them

    struct Info {
        std::uint64_t size = 0;
        std::uint32_t flags = 0, request_alignment = 1, memory_alignment = 1;
        std::uint64_t optimal_transfer = 0, max_transfer = UINT64_MAX;
        bool operator==(const Info&) const = default;
    };
    mutable std::mutex info_mutex_;
    Info info_;
};

} // namespace outport::block
