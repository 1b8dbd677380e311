// SPDX-License-Identifier: Apache-2.0
// How a loop enters the kernel: submitting, polling, sleeping, making room, cancelling.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/loop/loop.hpp"
#include "host/loop/user-data.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <sched.h>

namespace outport::loop {
namespace {

// Where the kernel gives an operation to its workers (buffered writes to most file systems), completions
// come one by one, microseconds apart. From so many in flight on they may gather, for no longer than that
// many take there.
constexpr std::uint32_t kGatherFrom = 4;
constexpr std::uint32_t kGatherMost = 16;
constexpr std::uint32_t kGatherMicroseconds = 100;

void cpu_pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

} // namespace

bool Loop::has_work() const noexcept {
    return ready_.linked() || yielded_.linked() || deferred_.linked() || !backlog_.empty() ||
           ring_.has_completions() || !posted_.empty();
}

bool Loop::gathers() const noexcept {
    return gathering_ >= kGatherFrom && ring_.can_gather();
}

void Loop::submit_and_wait(Sleep sleep) {
    if (sleep != Sleep::Never && !has_work()) {
        wait_for_work();
    } else if (ring_.unsubmitted() || ring_.needs_enter()) {
        enter(0, 0);
    }
}

void Loop::wait_for_work() {
    if (!poll_.limits().max_ns || gathers()) {
        sleep();
        return;
    }
    std::uint64_t start = now_ns();
    std::uint64_t budget = poll_.current_ns();
    if (!budget || !poll_for_work(start + budget))
        sleep();
    poll_.waited(now_ns() - start);
}

// Looks, without a system call, whether something is there; the kernel says by a flag that completions wait
// for us to enter (IORING_SETUP_TASKRUN_FLAG).
bool Loop::poll_for_work(std::uint64_t until_ns) noexcept {
    if (ring_.unsubmitted() || ring_.needs_enter())
        enter(0, 0);
    std::uint64_t deadline = timers_.next_deadline_ns();
    ++stats_.polls;
    for (;;) {
        if (ring_.needs_enter())
            enter(0, 0);
        if (ring_.has_completions() || !posted_.empty() || stop_.load(std::memory_order_relaxed)) {
            ++stats_.polled;
            return true;
        }
        std::uint64_t now = now_ns();
        if (now >= deadline)
            return true;
        if (now >= until_ns)
            return false;
        cpu_pause();
    }
}

// Announces the sleep before it looks a last time, while posters push before they look for a sleeper: one of
// the two sees the other.
void Loop::sleep() noexcept {
    if (!wake_armed_)
        arm_wake();
    std::uint64_t timeout = UINT64_MAX;
    if (!timers_.empty()) {
        std::uint64_t now = now_ns();
        std::uint64_t deadline = timers_.next_deadline_ns();
        timeout = deadline > now ? deadline - now : 0;
    }
    sleeping_.store(true, std::memory_order_seq_cst);
    bool stopping = stop_.load(std::memory_order_seq_cst) && !draining_;
    if (timeout == 0 || stopping || !posted_.empty()) {
        sleeping_.store(false, std::memory_order_relaxed);
        enter(0, 0);
        return;
    }
    ++stats_.sleeps;
    if (gathers())
        enter(std::min(gathering_, kGatherMost), timeout, kGatherMicroseconds);
    else
        enter(1, timeout);
    sleeping_.store(false, std::memory_order_relaxed);
}

void Loop::enter(std::uint32_t min_complete, std::uint64_t timeout_ns, std::uint32_t gather_us) noexcept {
    ++stats_.enters;
    int rc = ring_.enter(min_complete, timeout_ns, true, gather_us);
    if (rc >= 0)
        return;
    switch (-rc) {
    case ETIME:  // the wait's timeout
    case EINTR:  // a signal
    case EBUSY:  // too many completions wait for us to take them: the next turn does
    case EAGAIN: // the kernel has no memory for requests: what completes frees some
    case ENOMEM:
        return;
    default:
        // EBADF, EEXIST (another thread's ring), EFAULT…: nothing that goes on could be trusted.
        log::error("loop", cat("io_uring_enter failed with errno ", -rc, "; giving up"));
        log::flush();
        std::abort();
    }
}

// Makes room. Where the kernel takes nothing as long as completions wait, those are set aside: calling them
// back from here would run callbacks inside the call that asked for an entry.
void Loop::flush_entries() noexcept {
    ++stats_.flushes;
    ++stats_.enters;
    if (ring_.enter(0, 0, false) > 0)
        return;
    ++stats_.enters;
    if (ring_.enter(0, 0, true) > 0)
        return;
    std::array<Reaped, 64> batch;
    std::uint32_t count = ring_.reap(batch);
    backlog_.insert(backlog_.end(), batch.begin(), batch.begin() + count);
    if (!count)
        sched_yield();
}

io_uring_sqe* Loop::next_entry() noexcept {
    assert(on_thread());
    for (;;) {
        if (io_uring_sqe* sqe = ring_.take())
            return sqe;
        flush_entries();
    }
}

io_uring_sqe* Loop::entry(Completion& c) {
    assert(c.fn && !c.pending && "one entry at a time for a completion");
    io_uring_sqe* sqe = next_entry();
    sqe->user_data = reinterpret_cast<std::uint64_t>(&c);
    c.pending = 1;
    ++in_flight_;
    return sqe;
}

void Loop::make_room(std::uint32_t count) {
    assert(count <= max_chain());
    while (ring_.room() < count)
        flush_entries();
}

bool Loop::try_room(std::uint32_t count) noexcept {
    if (ring_.room() < count)
        flush_entries();
    return ring_.room() >= count;
}

// ---- cancelling

void Loop::cancel(Completion& c) noexcept {
    if (!c.pending)
        return;
    io_uring_sqe* sqe = next_entry();
    io_uring_prep_cancel64(sqe, reinterpret_cast<std::uint64_t>(&c), 0);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = kNobody;
}

void Loop::cancel_everything() noexcept {
    io_uring_sqe* sqe = next_entry();
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = kNobody;
}

void Loop::close(int fd) noexcept {
    io_uring_sqe* sqe = next_entry();
    io_uring_prep_close(sqe, fd);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = kNobody;
}

} // namespace outport::loop
