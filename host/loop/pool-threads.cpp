// SPDX-License-Identifier: Apache-2.0
// The threads of a blocking pool: workers and the watcher.
#include "host/loop/pool-state.hpp"

#include "host/base/log.hpp"
#include "host/loop/io-flusher.hpp"
#include "host/loop/loop.hpp"

#include <cerrno>
#include <sys/prctl.h>
#include <system_error>
#include <thread>

namespace outport::loop {
namespace {

thread_local bool t_on_pool = false;

} // namespace

bool BlockingPool::on_pool_thread() noexcept {
    return t_on_pool;
}

// Threads are detached: one that hangs must not hold up the end of the process.
Result<> PoolState::start_thread(void (PoolState::*body)(), const char* name) {
    try {
        std::thread([self = shared_from_this(), body, name] {
            prctl(PR_SET_NAME, name);
            ((*self).*body)();
        }).detach();
    } catch (const std::system_error& e) {
        return fail_errno(e.code().value(), "Could not start a thread for blocking operations");
    }
    return {};
}

// Threads that neither run a job nor hang: idle, just started, or about to look for the next job.
std::uint32_t PoolState::free_threads() const {
    return threads - stuck_count - classes[0].running - classes[1].running;
}

Result<> PoolState::ensure_threads() {
    std::uint32_t most = limits.data_threads + limits.control_threads;
    std::uint32_t wanted = runnable();
    while (wanted > free_threads() && threads - stuck_count < most) {
        auto started = start_thread(&PoolState::work, "blocking");
        if (!started) {
            if (threads > stuck_count)
                break; // it takes longer
            return started;
        }
        ++threads;
    }
    for (std::uint32_t i = 0; i < wanted && i < idle; ++i)
        work_there.notify_one();
    if (!watching && queued)
        watching = start_thread(&PoolState::watch, "blocking-watch").has_value();
    return {};
}

void PoolState::run_job(BlockingJob& job, std::unique_lock<std::mutex>& lock, bool& flusher_set) {
    lock.unlock();
    if (!flusher_set && want_flusher.load(std::memory_order_relaxed)) {
        set_io_flusher();
        flusher_set = true;
    }
    job.run(&job);
    lock.lock();
    account_end(job);
    if (abandoned)
        return;
    lock.unlock();
    hand_back(job, 0);
    lock.lock();
}

void PoolState::work() {
    t_on_pool = true;
    bool flusher_set = false;
    std::unique_lock lock(mutex);
    for (;;) {
        if (BlockingJob* job = pick()) {
            run_job(*job, lock, flusher_set);
            continue;
        }
        // More than may be: a job that hung came back, and its thread has been replaced.
        if (closing || threads - stuck_count > limits.data_threads + limits.control_threads)
            break;
        ++idle;
        bool in_time = work_there.wait_until(lock, now_ns() + limits.idle_ns);
        --idle;
        if (!in_time && !queued)
            break;
    }
    if (--threads == 0)
        all_gone.notify_all();
}

// Wakes when the oldest job becomes overdue, and at least once in stuck_after_ns, so that jobs need not tell
// it when they begin or end; ends when nothing ran for a while.
void PoolState::watch() {
    std::unique_lock lock(mutex);
    std::uint64_t last_busy = now_ns();
    while (!closing) {
        std::uint64_t now = now_ns();
        if (running.linked() || queued)
            last_busy = now;
        else if (now - last_busy >= limits.idle_ns)
            break;
        if (look_after_hanging(lock, now))
            continue; // the lock was released meanwhile
        std::uint64_t next = now + limits.stuck_after_ns;
        if (running.linked()) {
            const BlockingJob* oldest = job_of(running.next);
            if (!overdue(*oldest, now))
                next = oldest->started_ns + limits.stuck_after_ns;
        }
        look_again.wait_until(lock, next);
    }
    watching = false;
    all_gone.notify_all();
}

// True if there was anything to do.
bool PoolState::look_after_hanging(std::unique_lock<std::mutex>& lock, std::uint64_t now) {
    std::vector<std::string> lines;
    ListHook refused;
    count_out_stuck(now, lines);
    take_hopeless(refused, now);
    if (auto started = ensure_threads(); !started)
        lines.push_back(started.error().message);
    if (lines.empty() && !refused.linked())
        return false;
    lock.unlock(); // writing a log line may wait
    for (const std::string& line : lines)
        log::warning("loop", line);
    while (refused.linked()) {
        BlockingJob* job = job_of(refused.next);
        job->hook.unlink();
        hand_back(*job, -EBUSY);
    }
    lock.lock();
    return true;
}

} // namespace outport::loop
