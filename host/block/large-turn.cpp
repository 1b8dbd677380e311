// SPDX-License-Identifier: Apache-2.0
#include "host/block/large-turn.hpp"

#include "host/block/queue.hpp"
#include "host/loop/loop.hpp"

namespace outport::block {

using loop::owner_of;
using loop::task_fn;

LargeTurn::LargeTurn() : task_(task_fn<&LargeTurn::task_, &LargeTurn::serve>) {}

LargeTurn& LargeTurn::of(loop::Loop& loop) noexcept {
    thread_local LargeTurn turn;
    turn.loop_ = &loop;
    turn.begin_turn();
    return turn;
}

void LargeTurn::begin_turn() noexcept {
    if (turn_ != loop_->turn()) {
        turn_ = loop_->turn();
        spent_ = 0;
    }
}

bool LargeTurn::admit(Queue& queue, std::uint64_t bytes) noexcept {
    bool first = called_ == &queue || !waiting_.linked();
    if (first && spent_ < kTurnBytes) {
        spent_ += bytes;
        called_ = nullptr; // one for each call
        return true;
    }
    if (!queue.large_hook_.linked())
        queue.large_hook_.insert_before(waiting_);
    if (!task_.queued())
        loop_->yield(task_);
    return false;
}

// Each queue starts one and goes behind the others if it wants more.
void LargeTurn::serve() {
    begin_turn();
    while (waiting_.linked() && spent_ < kTurnBytes) {
        Queue* queue = owner_of(waiting_.next, &Queue::large_hook_);
        queue->large_hook_.unlink();
        called_ = queue;
        queue->serve();
        called_ = nullptr;
    }
    if (waiting_.linked() && !task_.queued())
        loop_->yield(task_);
}

} // namespace outport::block
