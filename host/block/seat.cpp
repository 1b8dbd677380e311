// SPDX-License-Identifier: Apache-2.0
#include "host/block/seat.hpp"

#include "host/block/graph.hpp"
#include "host/block/queue.hpp"
#include "host/block/quiesce.hpp"
#include "host/block/root.hpp"
#include "host/loop/loop.hpp"

#include <cassert>
#include <utility>

namespace outport::block {

using loop::owner_of;
using loop::task_fn;

Seat::Seat(Root& root, loop::Loop& loop, std::shared_ptr<const View> view)
    : root_(root), loop_(loop), writable_(root.options().writable),
      writethrough_(root.options().writethrough), keeps_(root.options().keeps), view_(std::move(view)) {
    park_post_.fn = task_fn<&Seat::park_post_, &Seat::park>;
    resume_post_.fn = task_fn<&Seat::resume_post_, &Seat::resume>;
    drained_post_.fn = [](loop::Posted* p) {
        Seat* seat = owner_of(p, &Seat::drained_post_);
        if (seat->quiesce_)
            seat->quiesce_->seat_drained(*seat);
    };
    resumed_post_.fn = [](loop::Posted* p) {
        Seat* seat = owner_of(p, &Seat::resumed_post_);
        std::exchange(seat->quiesce_, nullptr)->seat_resumed(*seat);
    };
}

Seat::~Seat() {
    assert(!queues_.linked() && in_flight_ == 0);
}

void Seat::opened(Queue& queue) {
    queue.hook_.insert_before(queues_);
    open_.fetch_add(1, std::memory_order_relaxed);
}

void Seat::closed(Queue& queue) {
    queue.hook_.unlink();
    open_.fetch_sub(1, std::memory_order_relaxed);
}

void Seat::park() {
    parked_ = true;
    told_ = false;
    waiting_for_.store(in_flight_, std::memory_order_relaxed);
    if (in_flight_ == 0)
        drained();
}

void Seat::drained() {
    if (std::exchange(told_, true))
        return;
    waiting_for_.store(0, std::memory_order_relaxed);
    root_.graph().main().post(drained_post_);
}

void Seat::resume() {
    if (next_view_)
        view_ = std::move(next_view_);
    parked_ = false;
    // A callback may close any queue, so take them one by one off a list of their own.
    ListHook batch;
    if (queues_.linked()) {
        batch.insert_before(queues_);
        queues_.unlink();
    }
    while (batch.linked()) {
        Queue& queue = *owner_of(batch.next, &Queue::hook_);
        queue.hook_.unlink();
        queue.hook_.insert_before(queues_);
        queue.resumed();
        if (changed_ && queue.notices_.changed)
            queue.notices_.changed(queue.data_);
    }
    root_.graph().main().post(resumed_post_);
}

} // namespace outport::block
