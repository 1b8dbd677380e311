// SPDX-License-Identifier: Apache-2.0
// How nodes leave the graph.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/graph.hpp"

#include <algorithm>
#include <cassert>

namespace outport::block {

// In qemu-storage-daemon's order.
Result<> Graph::may_delete(const Node& node) const {
    if (node.has_root())
        return fail(cat("Node ", node.name(), " is in use"));
    if (node.implicit())
        return fail(cat("Node ", node.name(), " is not owned by the monitor"));
    if (!node.parents().empty())
        return fail(cat("Block device ", node.name(), " is in use"));
    return {};
}

void Graph::del(std::string name, Done done) {
    later([this, name = std::move(name), done = std::move(done)]() mutable {
        when_free(name, [this, name, done = std::move(done)](Node* node, HoldPtr hold) mutable {
            if (!node)
                return done(fail(cat("Failed to find node with node-name='", name, "'")));
            if (auto ok = may_delete(*node); !ok)
                return done(std::move(ok));
            remove(*node, hold.get(), [this, hold, done = std::move(done)](Result<>) mutable {
                propagate(hold->nodes());
                auto& nodes = hold->nodes();
                apply_permissions(nodes, [hold, done = std::move(done)](Result<> result) mutable {
                    hold.reset();
                    done(std::move(result));
                });
            });
        });
    });
}

namespace {

struct Closing {
    std::size_t left = 1;
    Graph::Done done;
    void one_less() {
        if (--left == 0)
            done({});
    }
};

} // namespace

void Graph::remove(Node& node, Hold* hold, Done done) {
    auto closing = std::make_shared<Closing>();
    closing->done = std::move(done);
    std::vector<Node*> going{&node};
    for (std::size_t i = 0; i < going.size(); ++i) {
        Node& next = *going[i];
        for (auto& edge : next.children_) {
            Node* child = edge->child;
            unlink(*edge);
            if (child && child->implicit() && child->parents().empty())
                going.push_back(child);
        }
        next.children_.clear();
        if (hold)
            hold->forget(next);
        // The name stays taken until the image is closed.
        reserved_.insert(next.name());
        auto place = std::find_if(nodes_.begin(), nodes_.end(), [&](auto& n) { return n.get() == &next; });
        assert(place != nodes_.end());
        std::shared_ptr<Node> own = std::move(*place);
        nodes_.erase(place);
        ++closing_;
        ++closing->left;
        Node& closed = *own;
        closed.driver().close(closed, [this, own = std::move(own), closing](Result<> result) mutable {
            if (!result)
                log::warning("block", cat("closing node '", own->name(), "': ", result.error().message));
            reserved_.erase(own->name());
            --closing_;
            later(
                [own = std::move(own), closing] { closing->one_less(); }); // the driver is still on the stack
        });
    }
    closing->one_less();
}

void Graph::close_all(Done done) {
    later([this, done = std::move(done)]() mutable {
        auto closing = std::make_shared<Closing>();
        closing->done = std::move(done);
        for (;;) {
            auto free =
                std::find_if(nodes_.begin(), nodes_.end(), [](auto& n) { return n->parents().empty(); });
            if (free == nodes_.end())
                break;
            ++closing->left;
            remove(**free, nullptr, [closing](Result<>) { closing->one_less(); });
        }
        closing->one_less();
    });
}

} // namespace outport::block
