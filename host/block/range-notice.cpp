// SPDX-License-Identifier: Apache-2.0
#include "host/block/range-notice.hpp"

#include "host/block/driver.hpp"
#include "host/block/graph.hpp"
#include "host/block/queue.hpp"
#include "host/block/root.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>

namespace outport::block {

using loop::owner_of;

namespace {

// Where a node's data begins in the lowest one.
struct Bottom {
    const Node* node;
    std::uint64_t offset;
};

Bottom bottom_of(const Node& node) noexcept {
    Bottom bottom{&node, 0};
    while (const Node* child = bottom.node->child()) {
        bottom.offset += bottom.node->driver().child_offset();
        bottom.node = child;
    }
    return bottom;
}

} // namespace

void RangeNotice::start(Graph& graph, loop::Loop& home, Node& node, const Root* by, std::uint64_t offset,
                        std::uint64_t length, Done done) noexcept {
    change_ = {};
    graph_ = &graph;
    home_ = &home;
    node_ = &node;
    by_ = by;
    at_ = nullptr;
    offset_ = offset;
    length_ = length;
    done_ = done;
    hop_.fn = [](loop::Posted* p) { owner_of(p, &RangeNotice::hop_)->on_main(); };
    graph.main().post(hop_);
}

void RangeNotice::start(Root& by, loop::Loop& home, std::uint64_t offset, std::uint64_t length,
                        Done done) noexcept {
    start(by.graph(), home, by.node(), &by, offset, length, done);
}

// From here on the main loop's, until it goes home.
void RangeNotice::on_main() noexcept {
    if (by_)
        node_ = &by_->node(); // a filter may have come between
    if (at_)
        at_->let_go();
    next();
}

void RangeNotice::next() noexcept {
    at_ = graph_->next_keeper(at_, [this](const Root& root) { return concerns(root); });
    if (at_) {
        at_->hold_on();
        hop_.fn = [](loop::Posted* p) { owner_of(p, &RangeNotice::hop_)->on_keeper(); };
        return at_->options().loops.front()->post(hop_);
    }
    hop_.fn = [](loop::Posted* p) {
        RangeNotice& notice = *owner_of(p, &RangeNotice::hop_);
        notice.done_(notice);
    };
    home_->post(hop_);
}

// Whether the range is one of its node's too; then change_ says which.
bool RangeNotice::concerns(const Root& root) noexcept {
    if (&root == by_ || !root.options().keeps)
        return false;
    const Bottom changed = bottom_of(*node_), kept = bottom_of(root.node());
    if (changed.node != kept.node)
        return false;
    const std::uint64_t begin = changed.offset + offset_;
    const std::uint64_t end = length_ > UINT64_MAX - begin ? UINT64_MAX : begin + length_;
    if (end <= kept.offset)
        return false;
    change_.offset = std::max(begin, kept.offset) - kept.offset;
    change_.length = end == UINT64_MAX ? UINT64_MAX - change_.offset : end - kept.offset - change_.offset;
    return true;
}

// [loop of the export that keeps]
void RangeNotice::on_keeper() noexcept {
    queue_ = at_->keeper();
    if (queue_)
        queue_->tell_range_changed(change_);
    else
        answered(&change_); // it serves nobody yet, or no more
}

void RangeNotice::answered(outport_range_change* change) noexcept {
    auto* const notice = owner_of(change, &RangeNotice::change_);
    notice->hop_.fn = [](loop::Posted* p) { owner_of(p, &RangeNotice::hop_)->on_main(); };
    notice->graph_->main().post(notice->hop_);
}

} // namespace outport::block
