// SPDX-License-Identifier: Apache-2.0
#include "host/block/graph.hpp"

#include "host/base/text.hpp"
#include "host/block/driver.hpp"
#include "host/block/graph-hold.hpp"
#include "host/block/seat.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>
#include <cassert>
#include <random>

namespace outport::block {

namespace {

constexpr std::size_t kMaxName = 31;

bool well_formed(std::string_view name) noexcept {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    auto follows = [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    return !name.empty() && letter(name.front()) && std::all_of(name.begin(), name.end(), follows);
}

} // namespace

Graph::Hold::Hold(Graph& graph, std::vector<Node*> nodes) : graph_(graph), nodes_(std::move(nodes)) {
    for (Node* node : nodes_)
        node->busy_ = true;
}

Graph::Hold::~Hold() {
    for (Node* node : nodes_)
        node->busy_ = false;
    if (!graph_.waiting_.empty())
        graph_.later([&graph = graph_] { graph.start_waiting(); });
}

Graph::Graph(loop::Loop& main, loop::BlockingPool& pool, const GraphOptions& options)
    : main_(main), pool_(pool), options_(options) {}

Graph::~Graph() {
    assert(roots_.empty() && waiting_.empty() && closing_ == 0);
    // Users go before what they use.
    while (!nodes_.empty()) {
        auto free =
            std::find_if(nodes_.begin(), nodes_.end(), [](auto& node) { return node->parents_.empty(); });
        assert(free != nodes_.end());
        for (auto& edge : (*free)->children_)
            unlink(*edge);
        nodes_.erase(free);
    }
}

void Graph::later(std::move_only_function<void()> fn) {
    loop::run_on(main_, std::move(fn));
}

Node* Graph::find(std::string_view name) const noexcept {
    for (auto& node : nodes_)
        if (node->name() == name)
            return node.get();
    return nullptr;
}

Result<Node*> Graph::find_for_export(std::string_view name, bool writable) const {
    Node* node = find(name);
    if (!node)
        return fail(cat("Cannot find device='' nor node-name='", name, "'"));
    if (writable && node->read_only())
        return fail("Cannot export read-only node as writable");
    return node;
}

void Graph::when_free(std::string name, Held start) {
    Node* node = find(name);
    if (!node)
        return start(nullptr, nullptr);
    auto component = component_of(*node);
    if (std::any_of(component.begin(), component.end(), [](Node* n) { return n->busy_; })) {
        waiting_.push_back({std::move(name), std::move(start)});
        return;
    }
    start(node, std::make_shared<Hold>(*this, std::move(component)));
}

void Graph::start_waiting() {
    // What still can't start queues up again, in the same order.
    std::list<Ticket> tickets;
    tickets.swap(waiting_);
    for (Ticket& ticket : tickets)
        when_free(std::move(ticket.node), std::move(ticket.start));
}

std::vector<Node*> Graph::component_of(Node& node) const {
    std::vector<Node*> found{&node};
    auto add = [&](Node* n) {
        if (n && std::find(found.begin(), found.end(), n) == found.end())
            found.push_back(n);
    };
    for (std::size_t i = 0; i < found.size(); ++i) {
        Node* current = found[i];
        for (const Edge* edge : current->parents_)
            add(edge->parent);
        for (auto& edge : current->children_)
            add(edge->child);
    }
    // A user comes before what it uses: take, again and again, a node whose users are all taken.
    std::vector<Node*> sorted;
    auto taken = [&](const Node* n) { return std::find(sorted.begin(), sorted.end(), n) != sorted.end(); };
    while (sorted.size() < found.size())
        for (Node* n : found) {
            auto ready = [&](const Edge* e) { return !e->parent || taken(e->parent); };
            if (!taken(n) && std::all_of(n->parents_.begin(), n->parents_.end(), ready))
                sorted.push_back(n);
        }
    return sorted;
}

std::vector<Root*> Graph::roots_of(const std::vector<Node*>& nodes) const {
    std::vector<Root*> roots;
    for (auto& root : roots_)
        if (std::find(nodes.begin(), nodes.end(), &root->node()) != nodes.end())
            roots.push_back(root.get());
    return roots;
}

void Graph::refresh(const std::vector<Node*>& component) {
    for (auto node = component.rbegin(); node != component.rend(); ++node)
        (*node)->refresh();
}

Result<> Graph::reserve_name(const std::string& name) {
    if (!well_formed(name))
        return fail(cat("Invalid node-name: '", name, "'"));
    if (find(name) || reserved_.contains(name))
        return fail(cat("Duplicate nodes with node-name='", name, "'"));
    if (name.size() > kMaxName)
        return fail("Node name too long");
    reserved_.insert(name);
    return {};
}

// A counter and two random digits, so that nobody relies on the names.
std::string Graph::implicit_name() {
    static std::minstd_rand random{std::random_device{}()};
    for (;;) {
        unsigned tail = random() % 100;
        std::string name = cat("#block", next_implicit_++, tail < 10 ? "0" : "", tail);
        if (!find(name) && reserved_.insert(name).second)
            return name;
    }
}

void Graph::insert(std::unique_ptr<Node> node) {
    reserved_.erase(node->name());
    nodes_.push_front(std::move(node));
}

void Graph::link(Edge& edge, Node& child) {
    edge.child = &child;
    child.parents_.push_back(&edge);
}

void Graph::unlink(Edge& edge) {
    if (edge.child)
        std::erase(edge.child->parents_, &edge);
    edge.child = nullptr;
}

} // namespace outport::block
