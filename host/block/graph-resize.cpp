// SPDX-License-Identifier: Apache-2.0
// block_resize: permission and lock, requests parked, the image cut or grown, everyone's view made new.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/graph.hpp"
#include "host/block/quiesce.hpp"
#include "host/block/range-notice.hpp"

#include <algorithm>
#include <memory>

namespace outport::block {

class ResizeJob {
  public:
    static void start(Graph& graph, Node& node, Graph::HoldPtr hold, std::uint64_t size, const Root* by,
                      Graph::Done done) {
        auto* job = new ResizeJob(graph, node, std::move(hold), size, by, std::move(done));
        job->take_permission();
    }

  private:
    ResizeJob(Graph& graph, Node& node, Graph::HoldPtr hold, std::uint64_t size, const Root* by,
              Graph::Done done)
        : graph_(graph), node_(node), hold_(std::move(hold)), size_(size), by_(by), done_(std::move(done)) {
        user_.name = "root";
        user_.perm = kPermResize;
    }

    void take_permission() {
        Graph::link(user_, node_);
        if (auto ok = Graph::check_permissions(hold_->nodes()); !ok) {
            result_ = std::move(ok);
            return give_back();
        }
        graph_.apply_permissions(hold_->nodes(), [this](Result<> result) {
            result_ = std::move(result);
            result_ ? park() : give_back();
        });
    }

    void park() {
        quiesce_ = std::make_unique<Quiesce>(graph_, graph_.roots_of(hold_->nodes()),
                                             cat("resize of node '", node_.name(), "'"));
        quiesce_->park([this](Result<> parked) {
            if (!parked) {
                result_ = std::move(parked);
                return give_back();
            }
            before_ = node_.size();
            resize_node(node_, size_, [this](Result<> result) {
                result_ = std::move(result);
                // Also after a failure: how far it came is for the drivers to say.
                Graph::refresh(hold_->nodes());
                quiesce_->resume(true, [this] { tell(); });
            });
        });
    }

    // Those that keep what they have read: from the smaller end on all is different.
    void tell() {
        const std::uint64_t from = std::min(before_, node_.size());
        notice_.start(graph_, graph_.main(), node_, by_, from, UINT64_MAX,
                      [](RangeNotice& notice) { loop::owner_of(&notice, &ResizeJob::notice_)->give_back(); });
    }

    void give_back() {
        Graph::unlink(user_);
        Graph::propagate(hold_->nodes());
        graph_.apply_permissions(hold_->nodes(), [this](Result<> result) {
            if (!result)
                log::error("block", cat("giving back permissions: ", result.error().message));
            graph_.later([this] { finish(); }); // whoever called us is still on the stack
        });
    }

    void finish() {
        std::unique_ptr<ResizeJob> own(this);
        quiesce_.reset();
        hold_.reset();
        done_(std::move(result_));
    }

    Graph& graph_;
    Node& node_;
    Graph::HoldPtr hold_;
    std::uint64_t size_;
    const Root* by_;
    Graph::Done done_;
    std::uint64_t before_ = 0;
    RangeNotice notice_;
    Edge user_;
    std::unique_ptr<Quiesce> quiesce_;
    Result<> result_;
};

void Graph::resize(std::string name, std::uint64_t size, ResizeTo to, const Root* by, Done done) {
    later([this, name = std::move(name), size, to, by, done = std::move(done)]() mutable {
        when_free(name, [this, name, size, to, by, done = std::move(done)](Node* node, HoldPtr hold) mutable {
            if (!node)
                return done(fail(cat("Cannot find device='' nor node-name='", name, "'")));
            if (to == ResizeTo::AtLeast && node->size() >= size)
                return done({});
            ResizeJob::start(*this, *node, std::move(hold), size, by, std::move(done));
        });
    });
}

} // namespace outport::block
