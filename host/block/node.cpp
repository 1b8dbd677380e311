// SPDX-License-Identifier: Apache-2.0
#include "host/block/node.hpp"

#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/range-lock.hpp"
#include "host/block/root.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>
#include <cassert>

namespace outport::block {

std::string Edge::describe() const {
    std::string user = parent ? cat("node '", parent->name(), "'") : std::string("an unnamed block device");
    return cat(user, " (uses node '", child->name(), "' as '", name, "' child)");
}

Node::Node(loop::BlockingPool& pool, std::string name, bool implicit, const NodeOptions& options,
           std::unique_ptr<Driver> driver)
    : pool_(pool), name_(std::move(name)), implicit_(implicit), options_(options), driver_(std::move(driver)),
      owner_(cat("node '", name_, "'")) {}

Node::~Node() {
    assert(parents_.empty());
}

bool Node::has_root() const noexcept {
    return std::any_of(parents_.begin(), parents_.end(), [](const Edge* e) { return e->root != nullptr; });
}

bool Node::exported() const noexcept {
    return std::any_of(parents_.begin(), parents_.end(),
                       [](const Edge* e) { return e->root || (e->parent && e->parent->exported()); });
}

Perm Node::needed() const noexcept {
    Perm perm = 0;
    for (const Edge* edge : parents_)
        perm |= edge->perm;
    return perm;
}

Perm Node::shared() const noexcept {
    Perm perm = kPermAll;
    for (const Edge* edge : parents_)
        perm &= edge->shared;
    return perm;
}

std::shared_ptr<NodeContext> Node::context(loop::Loop& loop) {
    std::weak_ptr<NodeContext>& kept = contexts_[&loop];
    std::shared_ptr<NodeContext> context = kept.lock();
    if (!context) {
        context = driver_->make_context(*this, loop);
        kept = context;
    }
    return context;
}

void Node::refresh() {
    size_ = driver_->size(*this);
    limits_ = driver_->limits(*this);
    if (limits_.request_alignment > 1 && !driver_->takes_any_data() && !ranges_)
        ranges_ = std::make_unique<RangeLock>();
}

} // namespace outport::block
