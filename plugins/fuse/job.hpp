// SPDX-License-Identifier: Apache-2.0
// A call that waits, made on the host's pool, and what follows it on the main loop. Not thread-safe: main
// loop only, but for `work`.
#pragma once

#include "services.hpp"

#include <functional>
#include <memory>
#include <string>

namespace outport::fuse {

class Job : private outport_blocking_job {
  public:
    using Work = std::move_only_function<void()>; // [pool] may throw sdk::Failure
    // [main] Null when `work` did its work, else why not.
    using Done = std::move_only_function<void(const sdk::Failure* failure)>;

    // `what`: for the log and errors, "mount of '/x'". `done` is called once, inside this call when the pool
    // refuses the job, else later.
    static void run(const Services& services, std::string what, Work work, Done done) {
        std::unique_ptr<Job> job(new Job(std::move(what), std::move(work), std::move(done)));
        const std::int32_t status = services.blocking->submit(services.host, services.main.raw(),
                                                              OUTPORT_BLOCKING_CONTROL, job.get(), nullptr);
        if (status == OUTPORT_OK) {
            job.release(); // on_done has it
            return;
        }
        const sdk::Failure refused{status, sdk::cat("Too many calls hang to begin the ", job->text_)};
        job->done_(&refused);
    }

  private:
    Job(std::string text, Work work, Done done)
        : outport_blocking_job{}, text_(std::move(text)), work_(std::move(work)), done_(std::move(done)) {
        this->outport_blocking_job::run = &on_run;
        this->outport_blocking_job::done = &on_done;
        this->outport_blocking_job::what = text_.c_str();
    }

    static void on_run(outport_blocking_job* raw) noexcept {
        auto* job = static_cast<Job*>(raw);
        try {
            job->work_();
        } catch (sdk::Failure& failure) {
            job->failure_ = std::make_unique<sdk::Failure>(std::move(failure));
        } catch (const std::exception& other) {
            job->failure_ = std::make_unique<sdk::Failure>(sdk::Failure{OUTPORT_FAILED, other.what()});
        }
    }

    static void on_done(outport_blocking_job* raw) noexcept {
        std::unique_ptr<Job> job(static_cast<Job*>(raw));
        if (job->status != 0 && !job->failure_)
            job->failure_ = std::make_unique<sdk::Failure>(sdk::Failure{
                job->status == -ECANCELED ? OUTPORT_CANCELLED : OUTPORT_FAILED,
                sdk::cat("The ", job->text_, " was not begun: ",
                         job->status == -ECANCELED ? "the process ends" : "too many calls hang")});
        job->done_(job->failure_.get());
    }

    std::string text_;
    Work work_;
    Done done_;
    std::unique_ptr<sdk::Failure> failure_;
};

} // namespace outport::fuse
