// SPDX-License-Identifier: Apache-2.0
// How exports come to a node and leave it.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/graph.hpp"
#include "host/block/seat.hpp"

#include <algorithm>
#include <cassert>

namespace outport::block {

namespace {
Node& lowest(Node& node) noexcept {
    return node.child() ? lowest(*node.child()) : node;
}
} // namespace

Root* Graph::next_keeper(const Root* after, const std::function<bool(const Root&)>& concerned) const {
    auto at = roots_.begin();
    if (after)
        at = std::next(std::ranges::find(roots_, after, [](auto& root) { return root.get(); }));
    at = std::find_if(at, roots_.end(), [&](auto& root) { return concerned(*root); });
    return at == roots_.end() ? nullptr : at->get();
}

void Graph::attach(Node& wanted, RootOptions options, Attached done) {
    later([this, name = wanted.name(), options = std::move(options), done = std::move(done)]() mutable {
        when_free(name, [this, name, options = std::move(options),
                         done = std::move(done)](Node* node, HoldPtr hold) mutable {
            if (auto found = find_for_export(name, options.writable); !found)
                return done(fail(std::move(found.error())));
            std::unique_ptr<Root> root(new Root(*this, *node, std::move(options)));
            link(root->edge_, *node);
            auto refuse = [](Root& r, const HoldPtr& h) {
                unlink(r.edge_);
                propagate(h->nodes());
            };
            if (auto ok = check_permissions(hold->nodes()); !ok) {
                refuse(*root, hold);
                return done(fail(std::move(ok.error())));
            }
            auto& nodes = hold->nodes();
            apply_permissions(nodes, [this, hold, refuse, root = std::move(root),
                                      done = std::move(done)](Result<> result) mutable {
                if (!result) {
                    refuse(*root, hold);
                    return done(fail(std::move(result.error())));
                }
                root->make_seats();
                if (root->options().keeps)
                    ++lowest(root->node()).keepers();
                Root* made = root.get();
                roots_.push_front(std::move(root));
                hold.reset();
                done(made);
            });
        });
    });
}

void Graph::detach(Root& root, Done done) {
    later([this, &root, done = std::move(done)]() mutable {
        std::string name = root.node().name();
        when_free(name, [this, &root, done = std::move(done)](Node*, HoldPtr hold) mutable {
            assert(root.open_queues() == 0);
            if (root.notices_ > 0) {
                root.unheld_ = [this, &root, done = std::move(done)]() mutable {
                    detach(root, std::move(done));
                };
                return;
            }
            // A filter may have been put in or out while this waited, and the root moved to another node.
            if (!hold ||
                std::find(hold->nodes().begin(), hold->nodes().end(), &root.node()) == hold->nodes().end())
                return detach(root, std::move(done));
            if (root.options().keeps)
                --lowest(root.node()).keepers();
            unlink(root.edge_);
            std::erase_if(roots_, [&](auto& r) { return r.get() == &root; });
            propagate(hold->nodes());
            auto& nodes = hold->nodes();
            apply_permissions(nodes, [hold, done = std::move(done)](Result<> result) mutable {
                if (!result)
                    log::error("block", cat("giving back permissions: ", result.error().message));
                hold.reset();
                done({});
            });
        });
    });
}

} // namespace outport::block
