// SPDX-License-Identifier: Apache-2.0
// blockdev-add: a node and the children that are given inline, opened from the bottom up.
#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/drivers.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/graph.hpp"

#include <boost/json/object.hpp>

#include <memory>
#include <optional>

namespace outport::block {

// One node that is being added; owns itself until `done`.
class AddJob {
  public:
    using Added = std::move_only_function<void(Result<Node*>)>;

    // `parent`: the options of the node that this is an inline child of; null for others.
    static void start(Graph& graph, boost::json::object options, const NodeOptions* parent, Added done) {
        auto* job = new AddJob(graph, std::move(options), std::move(done));
        job->check_ = job->prepare(parent);
        job->open_child();
    }

  private:
    AddJob(Graph& graph, boost::json::object options, Added done)
        : graph_(graph), options_(std::move(options)), done_(std::move(done)) {}

    Result<> prepare(const NodeOptions* parent);
    Result<> take_name();
    void open_child();
    void childless();
    void have_child(std::string child_name, bool inline_child);
    void make_node();
    void open();
    void opened(Result<> result);
    void insert();
    void undo(Error error);
    void drop_child(Error error);
    void finish(Result<Node*> result) {
        std::unique_ptr<AddJob> own(this);
        if (!name_.empty())
            graph_.reserved_.erase(name_);
        hold_.reset();
        node_.reset();
        done_(std::move(result));
    }

    Graph& graph_;
    boost::json::object options_;
    Added done_;
    std::string name_; // reserved; empty: not yet, or no longer
    Result<> check_;
    NodeOptions node_options_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<Driver> driver_;
    Graph::HoldPtr hold_; // of the child's component
    Node* inline_child_ = nullptr;
    bool implicit_ = false;
};

Result<> AddJob::prepare(const NodeOptions* parent) {
    implicit_ = parent != nullptr;
    auto options = node_options(options_, parent);
    if (options)
        node_options_ = *options; // the children inherit from it, whatever else is wrong
    if (auto ok = take_name(); !ok)
        return ok;
    if (!options)
        return fail(std::move(options.error()));
    auto driver = make_driver(options_, node_options_);
    if (!driver)
        return fail(std::move(driver.error()));
    driver_ = std::move(*driver);
    return {};
}

Result<> AddJob::take_name() {
    const auto* name = options_.if_contains("node-name");
    if (!name) {
        name_ = graph_.implicit_name();
        return {};
    }
    std::string wanted(name->as_string());
    if (auto ok = graph_.reserve_name(wanted); !ok)
        return ok;
    name_ = std::move(wanted);
    return {};
}

// What is wrong with a child is reported before what is wrong with its parent, as in qemu-storage-daemon.
void AddJob::open_child() {
    const auto* child = options_.if_contains("file");
    if (!child)
        return childless();
    if (child->is_string())
        return have_child(std::string(child->as_string()), false);
    AddJob::start(graph_, child->as_object(), &node_options_, [this](Result<Node*> added) {
        if (!added)
            return finish(fail(std::move(added.error())));
        have_child((*added)->name(), true);
    });
}

void AddJob::childless() {
    if (!check_)
        return finish(fail(std::move(check_.error())));
    make_node();
    open();
}

// No node has an empty name, so that it is one that can't be found.
void AddJob::have_child(std::string child_name, bool inline_child) {
    if (check_)
        make_node();
    graph_.when_free(child_name, [this, child_name, inline_child](Node* child, Graph::HoldPtr hold) {
        if (!child)
            return finish(
                fail(cat("Cannot find device='", child_name, "' nor node-name='", child_name, "'")));
        hold_ = std::move(hold);
        inline_child_ = inline_child ? child : nullptr;
        if (!check_)
            return drop_child(std::move(check_.error()));
        node_->children_.push_back(std::make_unique<Edge>());
        Edge& edge = *node_->children_.back();
        edge.parent = node_.get();
        edge.name = "file";
        Graph::link(edge, *child);
        open();
    });
}

void AddJob::make_node() {
    node_ = std::make_unique<Node>(graph_.pool(), name_, implicit_, node_options_, std::move(driver_));
}

void AddJob::open() {
    node_->driver().open(*node_, [this](Result<> result) { opened(std::move(result)); });
}

void AddJob::opened(Result<> result) {
    if (!result)
        return undo(std::move(result.error()));
    node_->refresh();
    if (!hold_)
        return insert();
    std::vector<Node*> component = graph_.component_of(*node_);
    if (auto ok = Graph::check_permissions(component); !ok)
        return undo(std::move(ok.error()));
    graph_.apply_permissions(component, [this](Result<> applied) {
        if (applied)
            insert();
        else
            undo(std::move(applied.error()));
    });
}

void AddJob::insert() {
    Node* node = node_.get();
    graph_.insert(std::move(node_));
    name_.clear();
    finish(node);
}

// The driver has nothing open where its open() failed; where that succeeded, it is closed again.
void AddJob::undo(Error error) {
    for (auto& edge : node_->children_)
        Graph::unlink(*edge);
    node_->children_.clear();
    if (hold_)
        Graph::propagate(hold_->nodes());
    node_->driver().close(
        *node_, [this, error = std::move(error)](Result<>) mutable { drop_child(std::move(error)); });
}

void AddJob::drop_child(Error error) {
    if (!inline_child_)
        return finish(fail(std::move(error)));
    graph_.remove(*inline_child_, hold_.get(),
                  [this, error = std::move(error)](Result<>) mutable { finish(fail(std::move(error))); });
}

void Graph::add(boost::json::object options, Done done) {
    later([this, options = std::move(options), done = std::move(done)]() mutable {
        if (!options.contains("node-name"))
            return done(fail("'node-name' must be specified for the root node"));
        AddJob::start(*this, std::move(options), nullptr,
                      [done = std::move(done)](Result<Node*> added) mutable {
                          if (added)
                              done({});
                          else
                              done(fail(std::move(added.error())));
                      });
    });
}

} // namespace outport::block
