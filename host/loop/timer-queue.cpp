// SPDX-License-Identifier: Apache-2.0
#include "host/loop/timer-queue.hpp"

#include "host/loop/completion.hpp"

#include <utility>

namespace outport::loop {

// Both are roots; the earlier one becomes the parent of the other.
Timer* TimerQueue::merge(Timer* a, Timer* b) noexcept {
    if (!a)
        return b;
    if (!b)
        return a;
    bool b_first =
        b->deadline_ns < a->deadline_ns || (b->deadline_ns == a->deadline_ns && b->order_ < a->order_);
    if (b_first)
        std::swap(a, b);
    b->back_ = a;
    b->sibling_ = a->child_;
    if (a->child_)
        a->child_->back_ = b;
    a->child_ = b;
    return a;
}

// The two passes of a pairing heap over the children of a removed node, without recursion: depth is
// unbounded.
Timer* TimerQueue::merge_pairs(Timer* first) noexcept {
    Timer* pairs = nullptr; // merged pairs, linked by sibling_, last one first
    while (first) {
        Timer* second = first->sibling_;
        Timer* rest = second ? second->sibling_ : nullptr;
        first->sibling_ = first->back_ = nullptr;
        if (second)
            second->sibling_ = second->back_ = nullptr;
        Timer* pair = merge(first, second);
        pair->sibling_ = pairs;
        pairs = pair;
        first = rest;
    }
    Timer* root = nullptr;
    while (pairs) {
        Timer* rest = pairs->sibling_;
        pairs->sibling_ = nullptr;
        root = merge(root, pairs);
        pairs = rest;
    }
    return root;
}

void TimerQueue::remove(Timer& timer) noexcept {
    Timer* children = merge_pairs(timer.child_);
    timer.child_ = nullptr;
    if (&timer == root_) {
        root_ = children;
        return;
    }
    if (timer.back_->child_ == &timer)
        timer.back_->child_ = timer.sibling_;
    else
        timer.back_->sibling_ = timer.sibling_;
    if (timer.sibling_)
        timer.sibling_->back_ = timer.back_;
    timer.sibling_ = timer.back_ = nullptr;
    root_ = merge(root_, children);
}

void TimerQueue::arm(Timer& timer, std::uint64_t deadline_ns) noexcept {
    disarm(timer);
    timer.deadline_ns = deadline_ns;
    timer.order_ = next_order_++;
    timer.armed_ = true;
    root_ = merge(root_, &timer);
}

void TimerQueue::disarm(Timer& timer) noexcept {
    if (!timer.armed_)
        return;
    if (timer.due_.linked())
        timer.due_.unlink();
    else
        remove(timer);
    timer.armed_ = false;
}

void TimerQueue::collect_due(std::uint64_t now_ns) noexcept {
    while (root_ && root_->deadline_ns <= now_ns) {
        Timer* timer = root_;
        remove(*timer);
        timer->due_.insert_before(due_);
    }
}

Timer* TimerQueue::pop_collected() noexcept {
    if (!due_.linked())
        return nullptr;
    Timer* timer = owner_of(due_.next, &Timer::due_);
    timer->due_.unlink();
    timer->armed_ = false;
    return timer;
}

} // namespace outport::loop
