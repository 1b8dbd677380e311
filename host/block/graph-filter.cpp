// SPDX-License-Identifier: Apache-2.0
// A filter put into the graph, or taken out, while requests come in.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/graph.hpp"
#include "host/block/quiesce.hpp"

#include <memory>

namespace outport::block {

// Moves the users of one node to another. The two are a filter and its child, so permissions below stay as
// they are.
class FilterJob {
  public:
    static void start(Graph& graph, Node& from, Node& to, Graph::HoldPtr hold, std::string cause,
                      Graph::Done done) {
        auto* job = new FilterJob{graph, from, to, std::move(hold), std::move(done), nullptr, {}};
        job->quiesce_ =
            std::make_unique<Quiesce>(graph, graph.roots_of(job->hold_->nodes()), std::move(cause));
        job->quiesce_->park([job](Result<> parked) {
            job->result_ = std::move(parked);
            job->result_ ? job->swap() : job->end();
        });
    }

    void swap() {
        move_users(from_, to_);
        result_ = Graph::check_permissions(graph_.component_of(to_));
        if (!result_)
            move_back();
        auto component = graph_.component_of(to_);
        graph_.apply_permissions(component, [this](Result<> applied) {
            if (!applied) {
                result_ = std::move(applied);
                move_back();
            }
            Graph::refresh(graph_.component_of(to_));
            quiesce_->resume(true, [this] { end(); });
        });
    }

    void end() {
        graph_.later([this] {
            std::unique_ptr<FilterJob> own(this);
            quiesce_.reset();
            hold_.reset();
            done_(std::move(result_));
        });
    }

    // Every user of `from`, but `to` itself.
    void move_users(Node& from, Node& to) {
        std::vector<Edge*> users = from.parents_;
        for (Edge* edge : users)
            if (edge->parent != &to) {
                Graph::unlink(*edge);
                Graph::link(*edge, to);
                moved_.push_back(edge);
            }
    }

    void move_back() {
        for (Edge* edge : moved_) {
            Graph::unlink(*edge);
            Graph::link(*edge, from_);
        }
        moved_.clear();
        Graph::propagate(graph_.component_of(from_));
    }

    Graph& graph_;
    Node& from_;
    Node& to_;
    Graph::HoldPtr hold_;
    Graph::Done done_;
    std::unique_ptr<Quiesce> quiesce_;
    Result<> result_;
    std::vector<Edge*> moved_ = {};
};

void Graph::insert_filter(std::string node_name, std::string filter_name, Done done) {
    later([this, node_name = std::move(node_name), filter_name = std::move(filter_name),
           done = std::move(done)]() mutable {
        when_free(filter_name, [this, node_name, filter_name, done = std::move(done)](Node* filter,
                                                                                      HoldPtr hold) mutable {
            if (!filter)
                return done(fail(cat("Failed to find node with node-name='", filter_name, "'")));
            Node* node = find(node_name);
            if (!node)
                return done(fail(cat("Failed to find node with node-name='", node_name, "'")));
            if (filter->child() != node || !filter->parents().empty())
                return done(
                    fail(cat("Node '", filter_name, "' is not an unused filter on node '", node_name, "'")));
            FilterJob::start(*this, *node, *filter, std::move(hold),
                             cat("putting in filter '", filter_name, "'"), std::move(done));
        });
    });
}

void Graph::remove_filter(std::string filter_name, Done done) {
    later([this, filter_name = std::move(filter_name), done = std::move(done)]() mutable {
        when_free(
            filter_name, [this, filter_name, done = std::move(done)](Node* filter, HoldPtr hold) mutable {
                if (!filter || !filter->child())
                    return done(fail(cat("Failed to find a filter with node-name='", filter_name, "'")));
                FilterJob::start(*this, *filter, *filter->child(), std::move(hold),
                                 cat("taking out filter '", filter_name, "'"), std::move(done));
            });
    });
}

} // namespace outport::block
