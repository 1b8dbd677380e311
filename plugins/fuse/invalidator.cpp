// SPDX-License-Identifier: Apache-2.0
#include "invalidator.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace outport::fuse {

Invalidator::Invalidator(const Services& services, outport_loop* loop, sdk::BlockQueue& queue,
                         InvalidatorOwner& owner, int fd) noexcept
    : services_(services), loop_(services.loop, loop), queue_(queue), owner_(owner), fd_(fd) {
    for (Job& job : jobs_) {
        job.run = &on_run;
        job.done = &on_done;
        job.what = "invalidation of a FUSE mount's page cache";
        job.owner = this;
    }
}

void Invalidator::add(outport_range_change& change) noexcept {
    change.plugin[0] = nullptr;
    if (first_)
        last_->plugin[0] = &change;
    else
        first_ = &change;
    last_ = &change;
    work();
}

void Invalidator::cut() noexcept {
    cut_ = true;
    loop_.cancel(retry_);
    work();
    tell_idle();
}

void Invalidator::work() noexcept {
    while (outport_range_change* const change = first_) {
        if (!cut_) {
            Job* const job = std::ranges::find(jobs_, nullptr, &Job::change);
            if (job == jobs_.end())
                return;
            if (!begin(*job, *change)) {
                // All threads hang. The change must not be answered while the kernel still shows old data.
                if (running_ == 0 && !retry_.running())
                    loop_.timer(retry_, kRetry);
                return;
            }
        }
        first_ = static_cast<outport_range_change*>(change->plugin[0]);
        if (cut_)
            queue_.range_done(*change);
    }
}

bool Invalidator::begin(Job& job, outport_range_change& change) noexcept {
    job.message.header = {sizeof job.message, FUSE_NOTIFY_INVAL_INODE, 0};
    job.message.range.ino = FUSE_ROOT_ID;
    job.message.range.off = std::int64_t(change.offset);
    // 0 is "to the end".
    job.message.range.len = change.length > INT64_MAX ? 0 : std::int64_t(change.length);
    if (services_.blocking->submit(services_.host, loop_.raw(), OUTPORT_BLOCKING_DATA, &job, nullptr) !=
        OUTPORT_OK)
        return false;
    job.change = &change;
    ++running_;
    return true;
}

void Invalidator::on_run(outport_blocking_job* raw) noexcept {
    Job& job = *static_cast<Job*>(raw);
    job.error = ::write(job.owner->fd_, &job.message, sizeof job.message) < 0 ? errno : 0;
}

void Invalidator::on_done(outport_blocking_job* raw) noexcept {
    Job& job = *static_cast<Job*>(raw);
    Invalidator& self = *job.owner;
    outport_range_change& change = *std::exchange(job.change, nullptr);
    --self.running_;
    if (job.status == -EBUSY && !self.cut_) { // it was not made: once more
        change.plugin[0] = self.first_;
        self.last_ = self.first_ ? self.last_ : &change;
        self.first_ = &change;
    } else {
        // ENOENT: the kernel keeps nothing of the file. Others: the mount has gone.
        if (job.status == 0 && job.error && job.error != ENOENT && job.error != ENOTCONN &&
            job.error != ENODEV)
            self.services_.log.warning("fuse: the kernel refused an invalidation: errno ", job.error);
        self.queue_.range_done(change);
    }
    self.work();
    self.tell_idle();
}

void Invalidator::on_retry(std::int32_t) {
    work();
    tell_idle();
}

void Invalidator::tell_idle() noexcept {
    if (cut_ && idle() && !std::exchange(idle_told_, true))
        owner_.on_invalidator_idle();
}

} // namespace outport::fuse
