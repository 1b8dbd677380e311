// SPDX-License-Identifier: Apache-2.0
#include "host/loop/iothread.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"

#include <condition_variable>
#include <mutex>
#include <sys/prctl.h>
#include <system_error>
#include <unistd.h>

namespace outport::loop {

// On the starter's stack: the thread leaves its answer here.
struct IoThread::Startup {
    const LoopOptions& options;
    std::mutex mutex;
    std::condition_variable answered;
    bool done = false;
    Result<> result{};

    void answer(Result<> r) {
        std::lock_guard lock(mutex);
        result = std::move(r);
        done = true;
        answered.notify_one(); // under the lock: the starter's stack goes when it has seen `done`
    }
};

Result<std::unique_ptr<IoThread>> IoThread::start(std::string name, const LoopOptions& options) {
    std::unique_ptr<IoThread> self{new IoThread(std::move(name))};
    Startup startup{options, {}, {}, false, {}};
    try {
        self->thread_ = std::thread([&self = *self, &startup] { self.main(startup); });
    } catch (const std::system_error& e) {
        return fail_errno(e.code().value(), cat("Could not start a thread for iothread '", self->name_, "'"));
    }
    std::unique_lock lock(startup.mutex);
    startup.answered.wait(lock, [&] { return startup.done; });
    if (!startup.result) {
        Error error = std::move(startup.result.error());
        lock.unlock();
        self->thread_.join();
        return fail(std::move(error));
    }
    return self;
}

void IoThread::main(Startup& startup) {
    prctl(PR_SET_NAME, cat("IO ", name_).substr(0, 15).c_str());
    auto loop = Loop::create(startup.options);
    if (!loop) {
        startup.answer(fail(std::move(loop.error())));
        return;
    }
    loop_ = loop->get();
    thread_id_ = gettid();
    startup.answer({});
    left_over_ = loop_->run();
    if (left_over_) {
        // The kernel may still write to what they name, or a thread post to it: it must stay.
        log::error("loop", cat(left_over_, " operations of iothread '", name_, "' did not come back"));
        static_cast<void>(loop->release());
    }
    if (stopped_) {
        Loop* home = stop_home_;
        home->post(*stopped_);
        home->release();
    }
}

void IoThread::request_stop(Loop& home, Posted& stopped) {
    home.hold();
    stop_home_ = &home;
    stopped_ = &stopped;
    stopping_ = true;
    loop_->stop();
}

std::size_t IoThread::join() {
    if (thread_.joinable()) {
        if (!stopping_)
            loop_->stop();
        stopping_ = true;
        thread_.join();
        loop_ = nullptr;
    }
    return left_over_;
}

IoThread::~IoThread() {
    join();
}

void IoThread::run_on(std::move_only_function<void()> fn) {
    loop::run_on(*loop_, std::move(fn));
}

void run_on(Loop& loop, std::move_only_function<void()> fn) {
    struct Call : Posted {
        std::move_only_function<void()> fn;
    };
    auto* call = new Call;
    call->fn = std::move(fn);
    call->Posted::fn = [](Posted* posted) {
        std::unique_ptr<Call> self{static_cast<Call*>(posted)};
        self->fn();
    };
    loop.post(*call);
}

} // namespace outport::loop
