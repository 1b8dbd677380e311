// SPDX-License-Identifier: Apache-2.0
// The event loop: a reactor on one io_uring, one for each thread that does I/O. Only post(), stop(), hold(),
// release() and the queries marked so may be called from other threads; all else on the loop's own thread.
//
// One turn of a loop:
//   1. completions are taken off the ring into a local batch, then called back (never while they are being
//   read);
//   2. timers that are due;
//   3. what other threads posted;
//   4. ready tasks, each once, in the order in which they became ready; what becomes ready meanwhile waits;
//   5. deferred tasks;
//   6. one io_uring_enter carries all entries made in 1 to 5, and sleeps if there is nothing left to do.
// No callback runs inside the call that asks for it. A callback must not run the loop.
#pragma once

#include "host/base/error.hpp"
#include "host/base/loop-handle.hpp"
#include "host/loop/completion.hpp"
#include "host/loop/poll-budget.hpp"
#include "host/loop/post-queue.hpp"
#include "host/loop/ring.hpp"
#include "host/loop/timer-queue.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct io_uring_sqe;
struct iovec;
struct msghdr;
struct sockaddr;

namespace outport::loop {

std::uint64_t now_ns() noexcept; // CLOCK_MONOTONIC

struct LoopOptions {
    RingOptions ring;
    PollLimits poll; // max_ns = 0: never polls
};

class Loop {
  public:
    // Makes the loop of the calling thread, which must be the one that runs it (the kernel takes entries from
    // no other: IORING_SETUP_SINGLE_ISSUER). The error says why the kernel gives no ring, and which knob to
    // turn.
    static Result<std::unique_ptr<Loop>> create(const LoopOptions& options = {});
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop(); // on its own thread, after run(); nothing may be in flight

    static Loop* current() noexcept; // [any] the loop of the calling thread, or null
    bool on_thread() const noexcept { return current() == this; } // [any]
    // [any] This loop as somebody who is no plugin sees it through the tables of the SDK.
    outport_loop* handle() noexcept { return &handle_; }

    // Runs until stop(), then takes back what is still in flight (it is cancelled, and its callbacks come),
    // waits for the holders, and returns how many of both did not come back within `drain_ns`. In a sound
    // program that is 0; otherwise the loop must not be destroyed: the kernel or a thread still uses it.
    std::size_t run(std::uint64_t drain_ns = 5'000'000'000);
    // Turns until `done()`, which is asked before each turn and before each sleep.
    template <class Done> void run_until(Done done) {
        while (!done()) {
            begin_turn();
            end_turn(done() ? Sleep::Never : Sleep::IfNothingIsLeft);
        }
    }
    // One turn, which sleeps at its end only if `may_sleep` and it called nothing back. For tests and
    // start-up.
    void run_once(bool may_sleep);
    void stop() noexcept; // [any] also before run()

    std::uint64_t turn() const noexcept { return turn_; } // turns so far
    // now_ns() as of the first call in this turn: saves the reading where microseconds don't matter.
    std::uint64_t turn_time_ns() noexcept { return turn_time_ns_ ? turn_time_ns_ : turn_time_ns_ = now_ns(); }
    std::size_t in_flight() const noexcept { return in_flight_; }

    // [any] While held, run() does not return: somebody else's thread will still post to this loop.
    void hold() noexcept { holders_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept { holders_.fetch_sub(1, std::memory_order_release); }

    // ---- operations: one entry each; `c` is called once, in a later turn. `offset` -1 means the file's
    // position.
    void read(Completion& c, int fd, void* data, std::uint32_t length, std::uint64_t offset);
    void write(Completion& c, int fd, const void* data, std::uint32_t length, std::uint64_t offset);
    // The array must live until the completion. `rw_flags`: RWF_DSYNC, RWF_NOWAIT…
    void readv(Completion& c, int fd, const iovec* iov, std::uint32_t count, std::uint64_t offset,
               int rw_flags = 0);
    void writev(Completion& c, int fd, const iovec* iov, std::uint32_t count, std::uint64_t offset,
                int rw_flags = 0);
    void fsync(Completion& c, int fd, bool data_only);
    void fallocate(Completion& c, int fd, int mode, std::uint64_t offset, std::uint64_t length);
    void recv(Completion& c, int fd, void* data, std::uint32_t length, int flags = 0);
    void send(Completion& c, int fd, const void* data, std::uint32_t length, int flags = 0); // never SIGPIPE
    void recvmsg(Completion& c, int fd, msghdr* message, int flags = 0);
    void sendmsg(Completion& c, int fd, const msghdr* message, int flags = 0); // never SIGPIPE
    // The result is a new descriptor, close-on-exec.
    void accept(Completion& c, int fd);
    void accept_multishot(Completion& c, int fd);
    // `address` must live until the completion.
    void connect(Completion& c, int fd, const sockaddr* address, std::uint32_t length);
    void shutdown(Completion& c, int fd, int how);
    void poll(Completion& c, int fd, std::uint32_t events); // POLLIN…; the result is what is ready
    void poll_multishot(Completion& c, int fd, std::uint32_t events);
    void nop(Completion& c);
    void close(int fd) noexcept; // by the kernel, with this turn's entries; what is in flight on it goes on

    // Asks the kernel to give up what was asked with `c`, whether it is with the kernel yet or not. Best
    // effort: the completion still comes, with -ECANCELED if it was in time. Nothing if `c` is not in flight.
    void cancel(Completion& c) noexcept;

    // The operation that `c` is in flight for is one of storage, whose latency is worth less than a wake-up
    // for each: when many of them are in flight, the loop lets several complete, for some microseconds,
    // before it wakes up.
    void gather(Completion& c) noexcept {
        gathering_ += !c.gathered;
        c.gathered = 1;
    }

    // ---- raw entries
    // A zeroed entry that will call `c`; fill it in before the next call to this loop. IOSQE_CQE_SKIP_SUCCESS
    // and IOSQE_IO_DRAIN are not for use; user_data is the loop's. Never null: when the queue is full, what
    // is in it goes to the kernel first.
    io_uring_sqe* entry(Completion& c);
    // The next `count` entries go to the kernel together: call it before the first entry of a linked chain.
    // `count` must not exceed max_chain().
    void make_room(std::uint32_t count);
    // The same, but false if the kernel takes nothing just now.
    bool try_room(std::uint32_t count) noexcept;
    std::uint32_t max_chain() const noexcept { return ring_.entries(); }
    const Ring& ring() const noexcept { return ring_; }

    // ---- timers
    void arm(Timer& timer, std::uint64_t deadline_ns) noexcept { timers_.arm(timer, deadline_ns); }
    void arm_after(Timer& timer, std::uint64_t delay_ns) noexcept { timers_.arm(timer, now_ns() + delay_ns); }
    void disarm(Timer& timer) noexcept { timers_.disarm(timer); }

    // ---- things to do
    // Calls `task` once, in step 4 of this turn, or of the next if that has begun. Nothing if it is queued
    // already. The loop does not sleep while a task is ready. For whoever serves in quanta: serve one, make
    // ready again.
    void make_ready(Task& task) noexcept;
    // Calls `task` in step 4 of the next turn, behind all that is ready then.
    void yield(Task& task) noexcept;
    // Calls `task` in step 5 of this turn (of the next, if this turn called it already): after the callbacks
    // that may add to what it sends, before the entries go to the kernel. Nothing if it is queued already.
    void defer(Task& task) noexcept;
    // [any] Calls `posted` in step 3. Posts of one thread come in order. Wakes the loop if it sleeps. What
    // the poster wrote before is seen by the callback. The loop must outlive the call: see hold().
    void post(Posted& posted) noexcept;

    // ---- adaptive polling
    void set_poll_limits(const PollLimits& limits) noexcept { poll_.set_limits(limits); }
    const PollLimits& poll_limits() const noexcept { return poll_.limits(); }

    struct Stats {
        std::uint64_t enters = 0;  // io_uring_enter calls
        std::uint64_t sleeps = 0;  // of these, the ones that could sleep
        std::uint64_t wakes = 0;   // times that another thread had to wake it
        std::uint64_t polls = 0;   // times that it polled before sleeping
        std::uint64_t polled = 0;  // of these, the ones that found something
        std::uint64_t flushes = 0; // entries sent early for want of room
    };
    const Stats& stats() const noexcept { return stats_; }

  private:
    explicit Loop(const LoopOptions& options) : poll_(options.poll) {}

    enum class Sleep : std::uint8_t { Never, IfNothingWasDone, IfNothingIsLeft };
    void turn_once(Sleep sleep);
    void begin_turn();
    void end_turn(Sleep sleep);
    void run_completions();
    void run_timers();
    void run_posted();
    void run_ready();
    void run_deferred();
    bool has_work() const noexcept;
    bool gathers() const noexcept;
    void submit_and_wait(Sleep sleep);
    void wait_for_work();
    bool poll_for_work(std::uint64_t until_ns) noexcept;
    void sleep() noexcept;
    void enter(std::uint32_t min_complete, std::uint64_t timeout_ns, std::uint32_t gather_us = 0) noexcept;
    void dispatch(const Reaped& reaped);
    void arm_wake() noexcept;
    void wake() noexcept;
    std::size_t drain(std::uint64_t drain_ns);
    void cancel_everything() noexcept;
    io_uring_sqe* next_entry() noexcept;
    void flush_entries() noexcept;

    outport_loop handle_{this};
    Ring ring_;
    TimerQueue timers_;
    PollBudget poll_;
    ListHook ready_;
    ListHook yielded_;
    ListHook deferred_;
    std::vector<Reaped> backlog_; // completions that had to be taken off the ring in the middle of a turn
    std::uint64_t turn_ = 0;
    std::uint64_t turn_time_ns_ = 0;
    std::uint64_t called_back_ = 0; // callbacks so far
    std::size_t in_flight_ = 0;
    std::uint32_t gathering_ = 0; // of these, the gathered ones
    Stats stats_;
    int wake_fd_ = -1;
    bool wake_armed_ = false;
    bool in_turn_ = false;
    bool draining_ = false;

    // Touched by other threads.
    alignas(64) PostQueue posted_;
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> stop_{false};
    std::atomic<std::uint32_t> holders_{0};
};

} // namespace outport::loop

namespace outport::sdk {

inline outport_loop* to_handle(loop::Loop* loop) noexcept {
    return loop->handle();
}

} // namespace outport::sdk
