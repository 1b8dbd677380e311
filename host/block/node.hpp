// SPDX-License-Identifier: Apache-2.0
// A node of the graph: a driver with a name, its options, its children and its users. Main loop only, except
// where it says [any]. The loops see nodes only through the stages of a view (stage.hpp).
#pragma once

#include "host/block/limits.hpp"
#include "host/block/options.hpp"
#include "host/block/permissions.hpp"
#include "host/loop/blocking-pool.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Driver;
class Node;
class NodeContext;
class RangeLock;
class Root;

// Who uses `child`: a root (an export) or a parent node, as its `name`.
struct Edge {
    Node* child = nullptr;
    Node* parent = nullptr; // null: a root
    Root* root = nullptr;   // null: a node
    std::string name;       // "file", "root"
    Perm perm = 0;          // what it needs
    Perm shared = kPermAll; // what it lets others do

    std::string describe() const; // "node 'q0' (uses node 'f0' as 'file' child)"
};

class Node {
  public:
    Node(loop::BlockingPool& pool, std::string name, bool implicit, const NodeOptions& options,
         std::unique_ptr<Driver> driver);
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node();

    const std::string& name() const noexcept { return name_; }
    bool implicit() const noexcept { return implicit_; } // made for a parent; goes with it
    const NodeOptions& options() const noexcept { return options_; }
    Driver& driver() const noexcept { return *driver_; }
    bool read_only() const noexcept { return options_.read_only; }
    std::uint64_t size() const noexcept { return size_; }
    const Limits& limits() const noexcept { return limits_; }
    const std::vector<std::unique_ptr<Edge>>& children() const noexcept { return children_; }
    const std::vector<Edge*>& parents() const noexcept { return parents_; }
    Node* child() const noexcept { return children_.empty() ? nullptr : children_.front()->child; }
    RangeLock* range_lock() const noexcept { return ranges_.get(); } // null: every write can go as it is
    loop::BlockingPool& pool() const noexcept { return pool_; }
    loop::BlockingOwner& owner() noexcept { return owner_; } // whose share of the blocking threads it uses
    bool has_root() const noexcept;                          // an export sits right on it
    bool exported() const noexcept;                          // an export sits on it or on a user of it

    // How many exports keep what they read of it; of a node without children only. Counted by the main loop.
    std::atomic<std::uint32_t>& keepers() noexcept { return keepers_; } // [any]

    // What all users together need, and what all of them let others do.
    Perm needed() const noexcept;
    Perm shared() const noexcept;

    // The state that this node keeps for `loop`, made when it is first asked for.
    std::shared_ptr<NodeContext> context(loop::Loop& loop);

    // Takes size and limits from the driver and the children.
    void refresh();

  private:
    friend class AddJob;
    friend class FilterJob;
    friend class Graph;
    loop::BlockingPool& pool_;
    std::string name_;
    bool implicit_;
    NodeOptions options_;
    std::unique_ptr<Driver> driver_;
    std::vector<std::unique_ptr<Edge>> children_;
    std::vector<Edge*> parents_;
    std::atomic<std::uint32_t> keepers_{0};
    std::uint64_t size_ = 0;
    Limits limits_;
    loop::BlockingOwner owner_;
    std::unique_ptr<RangeLock> ranges_;
    std::unordered_map<loop::Loop*, std::weak_ptr<NodeContext>> contexts_;
    Perm applied_perm_ = 0, applied_shared_ = kPermAll; // what the driver was told
    bool busy_ = false;                                 // part of a change
};

} // namespace outport::block
