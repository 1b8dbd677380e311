// SPDX-License-Identifier: Apache-2.0
#include "host/loop/blocking-pool.hpp"

#include "host/loop/loop.hpp"
#include "host/loop/pool-state.hpp"

#include <cassert>
#include <cerrno>

namespace outport::loop {

BlockingOwner::~BlockingOwner() {
    assert(!jobs_ && "blocking jobs outlive their owner");
}

BlockingPool::BlockingPool() : BlockingPool(Limits{}) {}

BlockingPool::BlockingPool(const Limits& limits) : state_(std::make_shared<PoolState>(limits)) {}

BlockingPool::~BlockingPool() {
    shutdown(0);
}

Result<> BlockingPool::submit(BlockingOwner& owner, JobClass job_class, BlockingJob& job) {
    Loop* loop = Loop::current();
    assert(loop && job.run && job.done && job.stage == BlockingJob::Stage::Idle);
    std::lock_guard lock(state_->mutex);
    if (auto admitted = state_->admit(owner, job_class); !admitted)
        return admitted;
    job.loop = loop;
    job.status = 0;
    job.posted.fn = [](Posted* posted) {
        BlockingJob* self = owner_of(posted, &BlockingJob::posted);
        self->done(self);
    };
    state_->enqueue(owner, job_class, job);
    if (auto started = state_->ensure_threads(); !started) {
        state_->dequeue(job);
        state_->account_end(job);
        return started;
    }
    loop->hold();
    return {};
}

bool BlockingPool::cancel(BlockingJob& job) {
    std::unique_lock lock(state_->mutex);
    if (job.stage != BlockingJob::Stage::Queued)
        return false;
    state_->dequeue(job);
    state_->account_end(job);
    lock.unlock();
    PoolState::hand_back(job, -ECANCELED);
    return true;
}

std::vector<std::string> BlockingPool::stuck() const {
    std::lock_guard lock(state_->mutex);
    return state_->describe(false);
}

std::uint32_t BlockingPool::threads() const {
    std::lock_guard lock(state_->mutex);
    return state_->threads;
}

void BlockingPool::set_io_flusher() {
    state_->want_flusher.store(true, std::memory_order_relaxed);
}

std::vector<std::string> BlockingPool::shutdown(std::uint64_t deadline_ns) {
    std::uint64_t end = now_ns() + deadline_ns;
    std::unique_lock lock(state_->mutex);
    state_->closing = true;
    ListHook cancelled;
    for (PoolState::Class& c : state_->classes) {
        while (c.owners.linked()) {
            auto* share = owner_of(c.owners.next, &BlockingOwner::Share::hook);
            BlockingJob* job = PoolState::job_of(share->waiting.next);
            state_->dequeue(*job);
            state_->account_end(*job);
            job->hook.insert_before(cancelled);
        }
    }
    state_->work_there.notify_all();
    state_->look_again.notify_all();
    if (cancelled.linked()) {
        lock.unlock();
        while (cancelled.linked()) {
            BlockingJob* job = PoolState::job_of(cancelled.next);
            job->hook.unlink();
            PoolState::hand_back(*job, -ECANCELED);
        }
        lock.lock();
    }
    while (state_->threads || state_->watching) {
        if (!state_->all_gone.wait_until(lock, end))
            break;
    }
    std::vector<std::string> left = state_->describe(true);
    state_->abandoned = !left.empty();
    return left;
}

} // namespace outport::loop
