// SPDX-License-Identifier: Apache-2.0
// The inside of a blocking pool: queues, shares, and which job runs next. Everything here is under `mutex`,
// unless it says otherwise. Kept by the pool and by each of its threads, which may outlive it.
#pragma once

#include "host/base/condition.hpp"
#include "host/loop/blocking-pool.hpp"

#include <atomic>
#include <mutex>

namespace outport::loop {

struct PoolState : std::enable_shared_from_this<PoolState> {
    using Stage = BlockingJob::Stage;

    struct Class {
        ListHook owners; // that have waiting jobs of this class; the one whose turn is next comes first
        std::uint32_t running = 0;
        std::uint32_t threads;
        std::uint32_t share;
    };

    static BlockingJob* job_of(const ListHook* hook);

    explicit PoolState(const BlockingPool::Limits& limits);

    // ---- queues
    Result<> admit(const BlockingOwner& owner, JobClass job_class) const;
    void enqueue(BlockingOwner& owner, JobClass job_class, BlockingJob& job);
    void dequeue(BlockingJob& job); // a job that waits
    std::uint32_t allowance(const BlockingOwner& owner) const;
    bool may_run(const Class& c, const BlockingOwner::Share& share) const;
    std::uint32_t runnable() const;
    BlockingJob* pick(); // the next job that may run, marked as running; null if there is none
    // What a job held is free again; it may be handed back.
    void account_end(BlockingJob& job);
    // Hands it back to its loop. Called without the mutex: it may cost a system call.
    static void hand_back(BlockingJob& job, std::int32_t status);

    // ---- jobs that hang
    bool overdue(const BlockingJob& job, std::uint64_t now) const;
    void count_out_stuck(std::uint64_t now, std::vector<std::string>& lines);
    bool hopeless(const BlockingOwner& owner, std::uint64_t now) const;
    bool control_hangs(std::uint64_t now) const;
    void take_hopeless(ListHook& refused, std::uint64_t now);
    std::string first_hanging(const BlockingOwner& owner) const;
    std::vector<std::string> describe(bool running_too) const;

    // ---- threads
    std::uint32_t free_threads() const;
    Result<>
    ensure_threads(); // one for each job that could run, within the limits; fails if there is none at all
    Result<> start_thread(void (PoolState::*body)(), const char* name);
    void work(); // a worker's life
    bool look_after_hanging(std::unique_lock<std::mutex>& lock, std::uint64_t now);
    void watch(); // the watcher's: looks for jobs that hang, while any run
    void run_job(BlockingJob& job, std::unique_lock<std::mutex>& lock, bool& flusher_set);

    mutable std::mutex mutex;
    const BlockingPool::Limits limits;
    Class classes[2];
    ListHook running; // jobs, oldest first
    ListHook stuck;   // jobs, oldest first
    std::uint32_t queued = 0;
    std::uint32_t stuck_count = 0;
    std::uint32_t threads = 0; // workers
    std::uint32_t idle = 0;    // of these
    bool watching = false;
    bool closing = false;
    bool abandoned = false; // the process is about to end: nothing may be handed back any more
    std::atomic<bool> want_flusher{false};
    Condition work_there; // for workers
    Condition look_again; // for the watcher
    Condition all_gone;   // for shutdown()
};

} // namespace outport::loop
