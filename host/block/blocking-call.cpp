// SPDX-License-Identifier: Apache-2.0
#include "host/block/blocking-call.hpp"

#include "host/base/text.hpp"

#include <cerrno>
#include <memory>

namespace outport::block {

namespace {

struct Call {
    loop::BlockingJob job;
    std::string what;
    std::move_only_function<void()> run;
    std::move_only_function<void(Result<>)> done;
};

} // namespace

void call_blocking(loop::BlockingPool& pool, loop::BlockingOwner& owner, std::string what,
                   std::move_only_function<void()> run, std::move_only_function<void(Result<>)> done) {
    auto* call = new Call{{}, std::move(what), std::move(run), std::move(done)};
    call->job.what = call->what.c_str();
    call->job.run = [](loop::BlockingJob* job) { loop::owner_of(job, &Call::job)->run(); };
    call->job.done = [](loop::BlockingJob* job) {
        std::unique_ptr<Call> own(loop::owner_of(job, &Call::job));
        Result<> result;
        if (job->status == -EBUSY) // it waited for a thread, and the pool gave up
            result = fail(cat(own->what, ": too many operations hang, and none would begin this one"));
        else if (job->status)
            result = fail_errno(-job->status, own->what);
        own->done(std::move(result));
    };
    if (auto taken = pool.submit(owner, loop::JobClass::Control, call->job); !taken) {
        std::unique_ptr<Call> own(call);
        own->done(std::move(taken));
    }
}

} // namespace outport::block
