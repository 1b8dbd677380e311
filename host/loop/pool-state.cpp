// SPDX-License-Identifier: Apache-2.0
// Queues, shares, and jobs that hang. The threads are in pool-threads.cpp.
#include "host/loop/pool-state.hpp"

#include "host/base/text.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>

namespace outport::loop {
namespace {

constexpr std::size_t index(JobClass c) {
    return static_cast<std::size_t>(c);
}

} // namespace

BlockingJob* PoolState::job_of(const ListHook* hook) {
    return owner_of(const_cast<ListHook*>(hook), &BlockingJob::hook);
}

PoolState::PoolState(const BlockingPool::Limits& l)
    : limits(l), classes{{{}, 0, l.data_threads, l.data_share}, {{}, 0, l.control_threads, l.control_share}} {
}

// ---- queues

Result<> PoolState::admit(const BlockingOwner& owner, JobClass job_class) const {
    if (closing)
        return fail("The process is shutting down");
    if (job_class == JobClass::Control && hopeless(owner, now_ns())) {
        return fail(cat("Too many operations hang: ", first_hanging(owner)),
                    "the file, device or server that it waits for does not answer");
    }
    return {};
}

void PoolState::enqueue(BlockingOwner& owner, JobClass job_class, BlockingJob& job) {
    BlockingOwner::Share& share = owner.shares_[index(job_class)];
    job.owner = &owner;
    job.job_class = job_class;
    job.stage = Stage::Queued;
    job.hook.insert_before(share.waiting);
    if (!share.hook.linked())
        share.hook.insert_before(classes[index(job_class)].owners);
    ++share.waiting_count;
    ++owner.jobs_;
    ++queued;
}

void PoolState::dequeue(BlockingJob& job) {
    BlockingOwner::Share& share = job.owner->shares_[index(job.job_class)];
    job.hook.unlink();
    --share.waiting_count;
    if (!share.waiting.linked())
        share.hook.unlink();
    --queued;
}

bool PoolState::may_run(const Class& c, const BlockingOwner::Share& share) const {
    return share.running < c.share && allowance(*job_of(share.waiting.next)->owner) > 0;
}

// How many more jobs of this owner may begin, so that no more than its limit can ever hang.
std::uint32_t PoolState::allowance(const BlockingOwner& owner) const {
    std::uint32_t used = owner.stuck_ + owner.shares_[0].running + owner.shares_[1].running;
    return used < limits.max_stuck_per_owner ? limits.max_stuck_per_owner - used : 0;
}

// How many of the waiting jobs could run now, given a thread each.
std::uint32_t PoolState::runnable() const {
    std::uint32_t total = 0;
    for (const Class& c : classes) {
        std::uint32_t of_class = 0;
        for (ListHook* h = c.owners.next; h != &c.owners; h = h->next) {
            const auto* share = owner_of(h, &BlockingOwner::Share::hook);
            if (!may_run(c, *share))
                continue;
            std::uint32_t most =
                std::min(c.share - share->running, allowance(*job_of(share->waiting.next)->owner));
            of_class += std::min(share->waiting_count, most);
        }
        total += std::min(of_class, c.threads - c.running);
    }
    return total;
}

// Data before control, since a request waits for it; neither can take the other's threads. Within a class the
// owners have their turns one after the other.
BlockingJob* PoolState::pick() {
    for (Class& c : classes) {
        if (c.running >= c.threads)
            continue;
        for (ListHook* h = c.owners.next; h != &c.owners; h = h->next) {
            auto* share = owner_of(h, &BlockingOwner::Share::hook);
            if (!may_run(c, *share))
                continue;
            BlockingJob* job = job_of(share->waiting.next);
            dequeue(*job);
            if (share->hook.linked()) {
                share->hook.unlink();
                share->hook.insert_before(c.owners);
            }
            ++share->running;
            ++c.running;
            job->stage = Stage::Running;
            job->started_ns = now_ns();
            job->hook.insert_before(running);
            return job;
        }
    }
    return nullptr;
}

void PoolState::account_end(BlockingJob& job) {
    BlockingOwner& owner = *job.owner;
    if (job.stage == Stage::Running) {
        --owner.shares_[index(job.job_class)].running;
        --classes[index(job.job_class)].running;
    } else if (job.stage == Stage::Stuck) {
        --owner.stuck_;
        --stuck_count;
    }
    job.hook.unlink();
    job.stage = Stage::Idle;
    --owner.jobs_;
}

void PoolState::hand_back(BlockingJob& job, std::int32_t status) {
    Loop* loop = job.loop;
    job.status = status;
    loop->post(job.posted);
    loop->release(); // the job is gone, but the loop was held until here
}

// ---- jobs that hang

bool PoolState::overdue(const BlockingJob& job, std::uint64_t now) const {
    return now - job.started_ns >= limits.stuck_after_ns;
}

void PoolState::count_out_stuck(std::uint64_t now, std::vector<std::string>& lines) {
    while (running.linked() && stuck_count < limits.max_stuck) {
        BlockingJob& job = *job_of(running.next);
        if (!overdue(job, now))
            return;
        job.hook.unlink();
        job.hook.insert_before(stuck);
        job.stage = Stage::Stuck;
        --job.owner->shares_[index(job.job_class)].running;
        --classes[index(job.job_class)].running;
        ++job.owner->stuck_;
        ++stuck_count;
        lines.push_back(cat(job.what, " (", job.owner->name(), ") hangs; another thread takes over"));
    }
}

// Whether a new control job of this owner would just hang or wait behind what hangs.
bool PoolState::hopeless(const BlockingOwner& owner, std::uint64_t now) const {
    if (owner.stuck_ >= limits.max_stuck_per_owner)
        return true;
    return stuck_count >= limits.max_stuck && (owner.stuck_ || control_hangs(now));
}

// Whether all control threads run jobs that hang, with none left to replace them.
bool PoolState::control_hangs(std::uint64_t now) const {
    std::uint32_t hanging = 0;
    for (const ListHook* h = running.next; h != &running; h = h->next) {
        const BlockingJob& job = *job_of(h);
        if (job.job_class == JobClass::Control && overdue(job, now))
            ++hanging;
    }
    return hanging >= limits.control_threads;
}

// Control jobs that were accepted, and wait for what will not come.
void PoolState::take_hopeless(ListHook& refused, std::uint64_t now) {
    ListHook& owners = classes[index(JobClass::Control)].owners;
    for (ListHook* h = owners.next; h != &owners;) {
        auto* share = owner_of(h, &BlockingOwner::Share::hook);
        h = h->next;
        if (!hopeless(*job_of(share->waiting.next)->owner, now))
            continue;
        while (share->waiting.linked()) {
            BlockingJob& job = *job_of(share->waiting.next);
            dequeue(job);
            account_end(job);
            job.hook.insert_before(refused);
        }
    }
}

std::string PoolState::first_hanging(const BlockingOwner& owner) const {
    const BlockingJob* found = nullptr;
    for (const ListHook* list : {&stuck, &running}) {
        for (const ListHook* h = list->next; h != list; h = h->next) {
            const BlockingJob* job = job_of(h);
            if (!found || (found->owner != &owner && job->owner == &owner))
                found = job;
        }
    }
    return found ? cat(found->what, " (", found->owner->name(), ")") : std::string{"something"};
}

std::vector<std::string> PoolState::describe(bool running_too) const {
    std::vector<std::string> names;
    for (const ListHook* list : {&stuck, &running}) {
        if (list == &running && !running_too)
            break;
        for (const ListHook* h = list->next; h != list; h = h->next) {
            const BlockingJob* job = job_of(h);
            names.push_back(cat(job->what, " (", job->owner->name(), ")"));
        }
    }
    return names;
}

} // namespace outport::loop
