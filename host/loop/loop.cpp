// SPDX-License-Identifier: Apache-2.0
#include "host/loop/loop.hpp"

#include "host/loop/user-data.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

namespace outport::loop {
namespace {

constexpr std::size_t kBatch = 256;               // completions called back in one turn
constexpr std::uint64_t kDrainTickNs = 1'000'000; // while draining: how often to look again

thread_local Loop* t_current = nullptr;

void append(ListHook& from, ListHook& to) noexcept {
    if (!from.linked())
        return;
    from.next->prev = to.prev;
    to.prev->next = from.next;
    from.prev->next = &to;
    to.prev = from.prev;
    from.prev = from.next = &from;
}

Task* pop(ListHook& list) noexcept {
    Task* task = owner_of(list.next, &Task::hook);
    task->hook.unlink();
    return task;
}

} // namespace

std::uint64_t now_ns() noexcept {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ts.tv_nsec);
}

Loop* Loop::current() noexcept {
    return t_current;
}

Result<std::unique_ptr<Loop>> Loop::create(const LoopOptions& options) {
    assert(!t_current && "one loop for each thread");
    std::unique_ptr<Loop> loop{new Loop(options)};
    if (auto opened = loop->ring_.open(options.ring); !opened)
        return fail(std::move(opened.error()));
    loop->wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd_ < 0)
        return fail_errno(errno, "Could not create an eventfd");
    t_current = loop.get();
    return loop;
}

Loop::~Loop() {
    if (wake_fd_ >= 0)
        ::close(wake_fd_);
    if (t_current == this)
        t_current = nullptr;
    assert(!in_flight_ && "operations outlive their loop");
    assert(!holders_.load(std::memory_order_acquire) && "somebody is still about to post to this loop");
}

// ---- running

std::size_t Loop::run(std::uint64_t drain_ns) {
    while (!stop_.load(std::memory_order_acquire))
        turn_once(Sleep::IfNothingIsLeft);
    std::size_t left_over = drain(drain_ns);
    stop_.store(false, std::memory_order_relaxed);
    return left_over;
}

void Loop::run_once(bool may_sleep) {
    turn_once(may_sleep ? Sleep::IfNothingWasDone : Sleep::Never);
}

void Loop::stop() noexcept {
    hold(); // the loop may see `stop_` and end while we are still about to wake it
    stop_.store(true, std::memory_order_seq_cst);
    wake();
    release();
}

// Cancels all there is, again and again since callbacks may start something new, until nothing is left.
std::size_t Loop::drain(std::uint64_t drain_ns) {
    draining_ = true;
    std::uint64_t end = now_ns() + drain_ns;
    Timer tick{[](Timer*) {}};
    while (in_flight_ || holders_.load(std::memory_order_acquire) || !posted_.empty()) {
        if (now_ns() >= end)
            break;
        cancel_everything();
        arm_after(tick, kDrainTickNs);
        turn_once(Sleep::IfNothingWasDone);
    }
    disarm(tick);
    turn_once(Sleep::Never); // what nobody waits for, such as close(), goes out
    draining_ = false;
    return in_flight_ + holders_.load(std::memory_order_acquire);
}

void Loop::turn_once(Sleep sleep) {
    std::uint64_t before = called_back_;
    begin_turn();
    if (sleep == Sleep::IfNothingWasDone && called_back_ != before)
        sleep = Sleep::Never;
    end_turn(sleep);
}

void Loop::begin_turn() {
    assert(on_thread() && !in_turn_);
    in_turn_ = true;
    ++turn_;
    turn_time_ns_ = 0;
    append(yielded_, ready_);
    run_completions();
    run_timers();
    run_posted();
    run_ready();
    run_deferred();
}

void Loop::end_turn(Sleep sleep) {
    submit_and_wait(sleep);
    in_turn_ = false;
}

// Reaping comes first and calling back after: a callback that makes entries may have to flush them, and must
// not find the queue half read. The batch is bounded, so that timers and posts get their turn under any load.
void Loop::run_completions() {
    if (!backlog_.empty()) {
        std::vector<Reaped> batch;
        batch.swap(backlog_);
        for (const Reaped& reaped : batch)
            dispatch(reaped);
        return;
    }
    std::array<Reaped, kBatch> batch;
    std::uint32_t count = ring_.reap(batch);
    for (std::uint32_t i = 0; i < count; ++i)
        dispatch(batch[i]);
}

void Loop::dispatch(const Reaped& reaped) {
    bool last = !(reaped.flags & IORING_CQE_F_MORE);
    if (reaped.user_data <= kWake) {
        if (reaped.user_data == kWake) {
            ++stats_.wakes;
            wake_armed_ = !last;
        }
        return;
    }
    auto* c = reinterpret_cast<Completion*>(reaped.user_data);
    assert(c->pending);
    if (last) {
        c->pending = 0;
        --in_flight_;
        gathering_ -= c->gathered;
        c->gathered = 0;
    }
    ++called_back_;
    c->fn(c, reaped.result, reaped.flags);
}

void Loop::run_timers() {
    if (timers_.empty())
        return;
    timers_.collect_due(now_ns());
    while (Timer* timer = timers_.pop_collected()) {
        ++called_back_;
        timer->fn(timer);
    }
}

void Loop::run_posted() {
    Posted* posted = posted_.take_all();
    while (posted) {
        Posted* next = posted->next;
        ++called_back_;
        posted->fn(posted);
        posted = next;
    }
}

void Loop::run_ready() {
    ListHook batch;
    append(ready_, batch);
    while (batch.linked()) {
        Task* task = pop(batch);
        ++called_back_;
        task->fn(task);
    }
}

// Deferred tasks may defer others, which still belong to this turn; but each runs once in it.
void Loop::run_deferred() {
    ListHook again;
    while (deferred_.linked()) {
        Task* task = pop(deferred_);
        if (task->last_turn == turn_) {
            task->hook.insert_before(again);
            continue;
        }
        task->last_turn = turn_;
        ++called_back_;
        task->fn(task);
    }
    append(again, deferred_);
}

void Loop::make_ready(Task& task) noexcept {
    assert(on_thread());
    if (!task.queued())
        task.hook.insert_before(ready_);
}

void Loop::yield(Task& task) noexcept {
    assert(on_thread());
    if (!task.queued())
        task.hook.insert_before(yielded_);
}

void Loop::defer(Task& task) noexcept {
    assert(on_thread());
    if (!task.queued())
        task.hook.insert_before(deferred_);
}

// ---- other threads

void Loop::post(Posted& posted) noexcept {
    posted_.push(posted);
    wake();
}

// Of all that want to wake a sleeping loop, one pays for the system call.
void Loop::wake() noexcept {
    if (!sleeping_.load(std::memory_order_seq_cst) || !sleeping_.exchange(false, std::memory_order_seq_cst))
        return;
    std::uint64_t one = 1;
    [[maybe_unused]] ssize_t rc = ::write(wake_fd_, &one, sizeof one);
}

// The eventfd is never read: a multishot poll reports each write to it, whatever its count.
void Loop::arm_wake() noexcept {
    io_uring_sqe* sqe = next_entry();
    io_uring_prep_poll_multishot(sqe, wake_fd_, POLLIN);
    sqe->user_data = kWake;
    wake_armed_ = true;
}

} // namespace outport::loop
