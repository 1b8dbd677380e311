// SPDX-License-Identifier: Apache-2.0
// Bounded threads for what the kernel or a library offers only as a call that waits: looking for holes,
// opening a path, locks, mounts, name look-ups. submit() and cancel() may be called from any loop's thread,
// each for jobs of that loop; the queries from any thread.
//
// Threads start on demand and end when idle. A job that runs for longer than Limits::stuck_after_ns is
// *stuck*: it no longer counts, neither for its class nor for its owner, and another thread takes over, until
// Limits::max_stuck jobs are stuck (of one owner: Limits::max_stuck_per_owner). From then on new control jobs
// of that owner are refused, naming what hangs. Data jobs are never refused; they wait.
#pragma once

#include "host/base/error.hpp"
#include "host/base/intrusive-list.hpp"
#include "host/loop/completion.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace outport::loop {

class Loop;
class BlockingOwner;
struct PoolState;

enum class JobClass : std::uint8_t {
    Data,    // short look-ups that a request waits for (lseek)
    Control, // all else
};

// The job object is embedded in the caller's own; nothing is allocated for it. It is the pool's from submit()
// until `done` is called.
struct BlockingJob {
    // On a thread of the pool. Must not touch loops.
    void (*run)(BlockingJob*) = nullptr;
    // On the loop that submitted it; sees what `run` wrote. `status` is 0 if `run` was called, -ECANCELED if
    // it was cancelled before, -EBUSY if it waited for threads that all hang. The job is the caller's again.
    void (*done)(BlockingJob*) = nullptr;
    const char* what = "a job"; // for errors and logs: "open of /x"; valid until `done`
    std::int32_t status = 0;

  private:
    friend class BlockingPool;
    friend struct PoolState;
    enum class Stage : std::uint8_t { Idle, Queued, Running, Stuck };
    ListHook hook; // in its owner's queue, then in the pool's list of running or of stuck jobs
    Posted posted;
    Loop* loop = nullptr;
    BlockingOwner* owner = nullptr;
    std::uint64_t started_ns = 0;
    JobClass job_class = JobClass::Control;
    Stage stage = Stage::Idle;
};

// Whose share of the threads a job counts for: a node, a plugin, the host itself. Must outlive its jobs.
class BlockingOwner {
  public:
    explicit BlockingOwner(std::string name) : name_(std::move(name)) {}
    BlockingOwner(const BlockingOwner&) = delete;
    BlockingOwner& operator=(const BlockingOwner&) = delete;
    ~BlockingOwner();
    const std::string& name() const noexcept { return name_; }

  private:
    friend class BlockingPool;
    friend struct PoolState;
    struct Share {
        ListHook waiting; // jobs, oldest first
        ListHook hook;    // in the class's round of owners that have something waiting
        std::uint32_t waiting_count = 0;
        std::uint32_t running = 0;
    };
    std::string name_;
    std::array<Share, 2> shares_;
    std::uint32_t stuck_ = 0;
    std::uint32_t jobs_ = 0;
};

class BlockingPool {
  public:
    struct Limits {
        std::uint32_t data_threads = 8; // that run jobs of the class at once, stuck ones apart
        std::uint32_t control_threads = 8;
        std::uint32_t data_share = 4; // of one owner
        std::uint32_t control_share = 4;
        std::uint32_t max_stuck = 48;
        std::uint32_t max_stuck_per_owner = 12;
        std::uint64_t stuck_after_ns = 1'000'000'000;
        std::uint64_t idle_ns = 2'000'000'000; // after which a thread ends
    };

    BlockingPool();
    explicit BlockingPool(const Limits& limits);
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool(); // stuck threads are left behind; call shutdown() before

    // Queues `job` for the calling thread's loop. Fails only for control jobs, as said above, and after
    // shutdown(); then `done` is not called.
    Result<> submit(BlockingOwner& owner, JobClass job_class, BlockingJob& job);
    // Takes back a job that has not begun: `done` comes with -ECANCELED. False if it has begun, or is done.
    bool cancel(BlockingJob& job);

    // What hangs now, each as "WHAT (OWNER)".
    std::vector<std::string> stuck() const;
    std::uint32_t threads() const;         // threads there are now, stuck ones among them
    static bool on_pool_thread() noexcept; // whether the caller is one

    // Refuses new jobs, cancels those that wait, and waits up to `deadline_ns` (a duration) for those that
    // run. Returns what still runs, each as "WHAT (OWNER)": if anything, the process must end by _exit, since
    // those threads use their callers' memory. To be called when the loops have ended, or from a thread that
    // is none.
    std::vector<std::string> shutdown(std::uint64_t deadline_ns);

    // Sets PR_SET_IO_FLUSHER on all threads of the pool, now and later, each before its next job.
    void set_io_flusher();

  private:
    std::shared_ptr<PoolState> state_; // shared with the threads, which may outlive the pool
};

} // namespace outport::loop
