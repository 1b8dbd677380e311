// SPDX-License-Identifier: Apache-2.0
// The nodes of the process: their names, who uses which and how, and every change to them. Main loop only.
// What can wait for a disk or a file system runs on the blocking pool, so each change answers later; the main
// loop never waits.
//
// Changes of nodes that hang together are made one after the other; those of others don't wait for them.
#pragma once

#include "host/base/error.hpp"
#include "host/block/node.hpp"
#include "host/block/root.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace outport::loop {
class Loop;
class BlockingPool;
} // namespace outport::loop

namespace outport::block {

struct GraphOptions {
    // How long a change may wait for the requests in flight before it is given up and rolled back.
    std::uint64_t change_deadline_ns = 30'000'000'000;
    std::uint64_t complain_after_ns = 1'000'000'000;    // parked for longer than this is logged
    std::uint64_t describe_deadline_ns = 1'000'000'000; // for what only a slow file system knows
};

enum class ResizeTo : std::uint8_t { Exactly, AtLeast };

class Graph {
  public:
    using Done = std::move_only_function<void(Result<>)>;
    using Attached = std::move_only_function<void(Result<Root*>)>;
    using Described = std::move_only_function<void(boost::json::array)>;

    Graph(loop::Loop& main, loop::BlockingPool& pool, const GraphOptions& options = {});
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph(); // no root is left and nothing is pending

    // Every callback comes later, on the main loop, never inside the call.

    // blockdev-add: `options` is a validated BlockdevOptions. Its name is taken from now on.
    void add(boost::json::object options, Done done);
    // blockdev-del. `done` comes when the image is closed and the name is free.
    void del(std::string name, Done done);
    // block_resize; `by` is the export that asks, if it is one.
    void resize(std::string name, std::uint64_t size, ResizeTo to, const Root* by, Done done);
    // Puts the filter `filter`, whose child is `node`, between `node` and all its other users; or takes it
    // out again.
    void insert_filter(std::string node, std::string filter, Done done);
    void remove_filter(std::string filter, Done done);
    // query-named-block-nodes.
    void describe_nodes(bool flat, Described done);

    // The first checks of block-export-add: that the node exists, and may be written if `writable`.
    Result<Node*> find_for_export(std::string_view name, bool writable) const;
    // Takes the permissions (and image locks) and makes the root.
    void attach(Node& node, RootOptions options, Attached done);
    // Gives them back. No queue may be open. The root ends before `done` is called.
    void detach(Root& root, Done done);

    // Of the exports that keep what they read, the first behind `after` (null: of all) that `concerned` says
    // yes to.
    Root* next_keeper(const Root* after, const std::function<bool(const Root&)>& concerned) const;

    Node* find(std::string_view name) const noexcept; // null: no such node
    // At the end of the process: closes all nodes, when no root is left and nothing is pending.
    void close_all(Done done);

    loop::Loop& main() const noexcept { return main_; }
    loop::BlockingPool& pool() const noexcept { return pool_; }
    const GraphOptions& options() const noexcept { return options_; }

  private:
    friend class AddJob;
    friend class ResizeJob;
    friend class FilterJob;
    class Hold; // while it lives, the nodes of a component belong to one change
    using HoldPtr = std::shared_ptr<Hold>;
    using Held = std::move_only_function<void(Node*, HoldPtr)>;
    struct Ticket {
        std::string node;
        Held start;
    };

    // graph.cpp
    // Calls `start` when no other change has the component of that node; with null if there is no such node.
    void when_free(std::string node, Held start);
    void start_waiting();
    std::vector<Node*> component_of(Node& node) const; // users before what they use
    std::vector<Root*> roots_of(const std::vector<Node*>& nodes) const;
    void later(std::move_only_function<void()> fn);
    static void refresh(const std::vector<Node*>& component);
    Result<> reserve_name(const std::string& name);
    std::string implicit_name();
    void insert(std::unique_ptr<Node> node);
    static void link(Edge& edge, Node& child);
    static void unlink(Edge& edge);

    // graph-remove.cpp
    // Takes `node` out of the graph, and the children that were made for it, and closes them.
    void remove(Node& node, Hold* hold, Done closed);
    Result<> may_delete(const Node& node) const;

    // graph-permissions.cpp
    static void propagate(const std::vector<Node*>& component);
    static Result<> check_permissions(const std::vector<Node*>& component);
    struct PermissionSteps;
    void apply_permissions(const std::vector<Node*>& component, Done done);
    static void next_step(std::shared_ptr<PermissionSteps> steps);
    static void undo_steps(std::shared_ptr<PermissionSteps> steps, Error error);

    loop::Loop& main_;
    loop::BlockingPool& pool_;
    GraphOptions options_;
    std::list<std::shared_ptr<Node>> nodes_; // newest first; shared only with jobs that still look at one
    std::set<std::string, std::less<>> reserved_; // names of nodes that are being added
    std::list<std::unique_ptr<Root>> roots_;
    std::list<Ticket> waiting_;
    std::size_t closing_ = 0; // nodes that are out of the graph but not closed yet
    std::uint64_t next_implicit_ = 0;
};

} // namespace outport::block
