// SPDX-License-Identifier: Apache-2.0
// query-named-block-nodes.
#include "host/block/driver.hpp"
#include "host/block/graph.hpp"
#include "host/loop/loop.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <memory>

namespace outport::block {

namespace {

const char* word(DetectZeroes value) {
    return value == DetectZeroes::On ? "on" : value == DetectZeroes::Unmap ? "unmap" : "off";
}

boost::json::object image_of(const Node& node) {
    const Driver& driver = node.driver();
    boost::json::object image{
        {"filename", driver.filename(node)}, {"format", driver.name()}, {"virtual-size", node.size()}};
    if (driver.has_dirty_flag())
        image["dirty-flag"] = false;
    driver.format_specific(image);
    return image;
}

boost::json::object describe(const Node& node) {
    const NodeOptions& options = node.options();
    boost::json::object out{{"node-name", node.name()},
                            {"drv", node.driver().name()},
                            {"file", node.driver().filename(node)},
                            {"ro", options.read_only},
                            {"active", true},
                            {"encrypted", false},
                            {"backing_file_depth", 0},
                            {"detect_zeroes", word(options.detect_zeroes)},
                            {"write_threshold", 0}};
    for (const char* limit : {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"})
        out[limit] = 0;
    out["cache"] = {
        {"writeback", true}, {"direct", options.cache_direct}, {"no-flush", options.cache_no_flush}};
    out["image"] = image_of(node);
    return out;
}

} // namespace

// How much storage an image uses only its file system knows, which may be slow or hang: then that member is
// left out.
class DescribeJob {
  public:
    static void start(Graph& graph, const std::list<std::shared_ptr<Node>>& nodes, Graph::Described done) {
        auto job = std::make_shared<DescribeJob>();
        job->done_ = std::move(done);
        job->graph_ = &graph;
        job->timer_.fn = [](loop::Timer* t) { loop::owner_of(t, &DescribeJob::timer_)->answer(); };
        job->missing_ = nodes.size() + 1;
        job->self_ = job;
        graph.main().arm_after(job->timer_, graph.options().describe_deadline_ns);
        for (auto& node : nodes) {
            std::size_t i = job->result_.size();
            job->result_.push_back(describe(*node));
            node->driver().allocated_size(*node, [job, node, i](Result<std::uint64_t> bytes) {
                if (bytes && *bytes != UINT64_MAX && job->done_)
                    job->result_[i].as_object()["image"].as_object()["actual-size"] = *bytes;
                job->one_less();
            });
        }
        job->one_less();
    }

    void one_less() {
        if (--missing_ == 0)
            answer();
    }

    void answer() {
        graph_->main().disarm(timer_);
        auto own = std::move(self_);
        if (auto done = std::exchange(done_, nullptr))
            done(std::move(result_));
    }

    Graph* graph_ = nullptr;
    Graph::Described done_;
    boost::json::array result_;
    std::size_t missing_ = 0;
    loop::Timer timer_;
    std::shared_ptr<DescribeJob> self_; // until it has answered
};

void Graph::describe_nodes(bool, Described done) {
    later([this, done = std::move(done)]() mutable { DescribeJob::start(*this, nodes_, std::move(done)); });
}

} // namespace outport::block
