// SPDX-License-Identifier: Apache-2.0
// outport.blocking/1: a plugin's job carries one of the pool's.
#include "host/loop/blocking-pool.hpp"
#include "host/loop/loop.hpp"
#include "host/loop/sdk-tables.hpp"

#include <outport/plugin.h>

#include <memory>
#include <new>

namespace outport::loop {
namespace {

// What is in outport_blocking_job.host.
struct Inner {
    BlockingJob job;
    std::atomic<std::uint32_t>* count; // the plugin stays loaded while it has jobs; null: nobody counts
};
static_assert(sizeof(Inner) <= sizeof(outport_blocking_job::host) && alignof(Inner) <= 8);

outport_blocking_job* plugin_job(BlockingJob* job) {
    return reinterpret_cast<outport_blocking_job*>(reinterpret_cast<char*>(owner_of(job, &Inner::job)) -
                                                   offsetof(outport_blocking_job, host));
}

std::int32_t give_error(const outport_host* host, outport_error* error, std::int32_t kind, const Error& why) {
    if (error) {
        host->set_error(error, why.message.data(), why.message.size(),
                        why.hint.empty() ? nullptr : why.hint.data(), why.hint.size());
    }
    return kind;
}

std::int32_t submit(const outport_host* host, outport_loop* loop, std::uint32_t job_class,
                    outport_blocking_job* job, outport_error* error) noexcept {
    if (job_class != OUTPORT_BLOCKING_DATA && job_class != OUTPORT_BLOCKING_CONTROL)
        return give_error(host, error, OUTPORT_INVALID, Error{"Unknown class of a blocking job"});
    if (!from_abi(loop).on_thread())
        return give_error(host, error, OUTPORT_INVALID,
                          Error{"A blocking job was submitted to another thread's loop"});
    const SdkServices& services = sdk_services();
    auto* inner = new (job->host) Inner{{}, services.jobs_of ? services.jobs_of(host) : nullptr};
    inner->job.what = job->what ? job->what : "a job";
    inner->job.run = [](BlockingJob* j) { plugin_job(j)->run(plugin_job(j)); };
    inner->job.done = [](BlockingJob* j) {
        outport_blocking_job* outer = plugin_job(j);
        Inner* self = owner_of(j, &Inner::job);
        std::atomic<std::uint32_t>* count = self->count;
        outer->status = j->status;
        std::destroy_at(self);
        outer->done(outer);
        if (count)
            count->fetch_sub(1, std::memory_order_release);
    };
    JobClass c = job_class == OUTPORT_BLOCKING_DATA ? JobClass::Data : JobClass::Control;
    auto queued = services.pool->submit(services.owner_of(host), c, inner->job);
    if (queued) {
        if (inner->count) // before `done`, which comes in a later turn
            inner->count->fetch_add(1, std::memory_order_relaxed);
        return OUTPORT_OK;
    }
    std::destroy_at(inner);
    return give_error(host, error, OUTPORT_BUSY, queued.error());
}

void cancel(outport_blocking_job* job) noexcept {
    sdk_services().pool->cancel(reinterpret_cast<Inner*>(job->host)->job);
}

} // namespace

const outport_blocking_api kBlockingTable = {sizeof(outport_blocking_api), 0, submit, cancel};

} // namespace outport::loop
