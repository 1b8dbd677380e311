// SPDX-License-Identifier: Apache-2.0
// Timers of one loop: an intrusive pairing heap, ordered by deadline. Arming and disarming allocate nothing;
// the kernel is told only the earliest deadline, when the loop sleeps. Not thread-safe: a timer belongs to
// one loop.
#pragma once

#include "host/base/intrusive-list.hpp"

#include <cassert>
#include <cstdint>

namespace outport::loop {

// One shot. It leaves the queue before `fn` is called, so `fn` may arm it again or destroy it. It must be
// disarmed before it dies or moves.
struct Timer {
    using Fn = void (*)(Timer*);

    Fn fn = nullptr;
    std::uint64_t deadline_ns = 0; // CLOCK_MONOTONIC

    Timer() = default;
    explicit Timer(Fn function) : fn(function) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { assert(!armed()); }

    bool armed() const noexcept { return armed_; }

  private:
    friend class TimerQueue;
    Timer* child_ = nullptr;   // first child
    Timer* sibling_ = nullptr; // next child of the same parent
    Timer* back_ = nullptr;    // parent for a first child, otherwise the sibling before; null for the root
    std::uint64_t order_ = 0;  // equal deadlines fire in the order in which they were armed
    ListHook due_;             // in the list of those that are due
    bool armed_ = false;
};

class TimerQueue {
  public:
    TimerQueue() = default;
    TimerQueue(const TimerQueue&) = delete;
    TimerQueue& operator=(const TimerQueue&) = delete;

    bool empty() const noexcept { return root_ == nullptr; }
    std::uint64_t next_deadline_ns() const noexcept { return root_ ? root_->deadline_ns : UINT64_MAX; }

    void arm(Timer& timer, std::uint64_t deadline_ns) noexcept; // moves it if it is armed already
    void disarm(Timer& timer) noexcept;                         // nothing if it is not armed

    // Moves all timers that are due to a list of their own, from which pop_collected() takes them in order.
    // What is armed after this is not in it, so that a timer that arms itself for now cannot hold the loop.
    // One that is disarmed or armed anew before its turn comes is taken out.
    void collect_due(std::uint64_t now_ns) noexcept;
    Timer* pop_collected() noexcept; // null when the list is empty

  private:
    static Timer* merge(Timer* a, Timer* b) noexcept;
    static Timer* merge_pairs(Timer* first) noexcept;

    void remove(Timer& timer) noexcept;

    Timer* root_ = nullptr;
    ListHook due_;
    std::uint64_t next_order_ = 0;
};

} // namespace outport::loop
