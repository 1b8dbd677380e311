// SPDX-License-Identifier: Apache-2.0
// Who may do what: from the users of a component down to its images, checked before it is applied.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/graph.hpp"

#include <utility>

namespace outport::block {

namespace {

// What other processes may do meanwhile. An exported image must keep its size, whatever its users here let
// each other do: a foreign resize would go unseen.
Perm shared_outside(const Node& node) {
    return node.exported() ? node.shared() & ~kPermResize : node.shared();
}

Result<> check_users(const Node& node) {
    for (const Edge* owner : node.parents())
        for (const Edge* other : node.parents()) {
            Perm clash = other->perm & ~owner->shared;
            if (owner != other && clash)
                return fail(cat("Permission conflict on node '", node.name(), "': permissions '",
                                to_string(clash), "' are both required by ", other->describe(),
                                " and unshared by ", owner->describe(), "."));
        }
    return {};
}

Result<> check_node(const Node& node) {
    Perm needed = node.needed();
    if ((needed & (kPermWrite | kPermWriteUnchanged)) && node.read_only())
        return fail("Block node is read-only");
    // The end of a misaligned image can be written only by writing past it.
    if ((needed & kPermWrite) && !(needed & kPermResize) && node.size() % node.limits().request_alignment)
        return fail("Cannot get 'write' permission without 'resize': Image size is not a multiple of request "
                    "alignment");
    return {};
}

} // namespace

void Graph::propagate(const std::vector<Node*>& component) {
    for (Node* node : component)
        for (auto& edge : node->children_)
            node->driver().child_permissions(node->needed(), node->shared(), edge->perm, edge->shared);
}

Result<> Graph::check_permissions(const std::vector<Node*>& component) {
    propagate(component);
    for (const Node* node : component) {
        if (auto ok = check_users(*node); !ok)
            return ok;
        if (auto ok = check_node(*node); !ok)
            return ok;
    }
    return {};
}

struct Graph::PermissionSteps {
    struct Step {
        Node* node;
        Perm perm, shared, old_perm, old_shared;
    };
    std::vector<Step> steps;
    std::size_t next = 0;
    Done done;
};

void Graph::apply_permissions(const std::vector<Node*>& component, Done done) {
    auto steps = std::make_shared<PermissionSteps>();
    steps->done = std::move(done);
    for (Node* node : component) {
        Perm perm = node->needed(), shared = shared_outside(*node);
        if (perm != node->applied_perm_ || shared != node->applied_shared_)
            steps->steps.push_back({node, perm, shared, node->applied_perm_, node->applied_shared_});
    }
    next_step(std::move(steps));
}

void Graph::next_step(std::shared_ptr<PermissionSteps> steps) {
    if (steps->next == steps->steps.size())
        return steps->done({});
    auto step = steps->steps[steps->next];
    step.node->driver().set_permissions(*step.node, step.perm, step.shared, [steps, step](Result<> result) {
        if (!result)
            return undo_steps(steps, std::move(result.error()));
        step.node->applied_perm_ = step.perm;
        step.node->applied_shared_ = step.shared;
        ++steps->next;
        next_step(steps);
    });
}

// Gives back what was taken before one was refused. Giving back asks for less than was had, so it is not
// refused.
void Graph::undo_steps(std::shared_ptr<PermissionSteps> steps, Error error) {
    if (steps->next == 0)
        return steps->done(fail(std::move(error)));
    auto step = steps->steps[--steps->next];
    step.node->driver().set_permissions(
        *step.node, step.old_perm, step.old_shared,
        [steps, step, error = std::move(error)](Result<> result) mutable {
            if (!result)
                log::error("block", cat("node '", step.node->name(), "': ", result.error().message));
            step.node->applied_perm_ = step.old_perm;
            step.node->applied_shared_ = step.old_shared;
            undo_steps(steps, std::move(error));
        });
}

} // namespace outport::block
