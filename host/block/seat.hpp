// SPDX-License-Identifier: Apache-2.0
// A root's place on one loop: the view that its queues use there, and the loop's side of parking. Made and
// ended by the main loop; in between it belongs to its loop, but for what is marked.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/block/stage.hpp"
#include "host/loop/completion.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Queue;
class Quiesce;
class Root;

class Seat {
  public:
    Seat(Root& root, loop::Loop& loop, std::shared_ptr<const View> view);
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat();

    Root& root() const noexcept { return root_; }       // [any]
    loop::Loop& loop() const noexcept { return loop_; } // [any]
    const Stage& top() const noexcept { return view_->top(); }
    // Whether others than this root's own clients keep what they read of the node.
    bool kept_by_others() const noexcept {
        return top().keepers->load(std::memory_order_acquire) > (keeps_ ? 1u : 0u);
    }
    bool parked() const noexcept { return parked_; }
    bool writable() const noexcept { return writable_; }                                       // [any]
    bool writethrough() const noexcept { return writethrough_; }                               // [any]
    std::size_t open_queues() const noexcept { return open_.load(std::memory_order_relaxed); } // [any]

    void opened(Queue& queue);
    void closed(Queue& queue);
    void started() noexcept { ++in_flight_; }
    void completed() {
        if (--in_flight_ == 0 && parked_)
            drained();
    }

  private:
    friend class Quiesce;
    void park();
    void resume();
    void drained();

    Root& root_;
    loop::Loop& loop_;
    bool writable_, writethrough_, keeps_;
    std::shared_ptr<const View> view_;
    ListHook queues_;
    std::uint32_t in_flight_ = 0; // below this seat
    bool parked_ = false;
    bool told_ = false; // that it is drained
    std::atomic<std::size_t> open_{0};

    // Between the loops; each message goes at most once for one Quiesce.
    Quiesce* quiesce_ = nullptr;                // [main]
    std::shared_ptr<const View> next_view_;     // written by the main loop before resume
    bool changed_ = false;                      // likewise: size or limits are not what they were
    std::atomic<std::uint32_t> waiting_for_{0}; // requests in flight while parked, for the log
    loop::Posted park_post_, resume_post_, drained_post_, resumed_post_;
};

} // namespace outport::block
