// SPDX-License-Identifier: Apache-2.0
// A thread that runs a loop of its own: what an `iothread` object is made of. The object belongs to the main
// loop's thread; loop(), run_on() and thread_id() may be used from any thread while it runs.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/loop.hpp"

#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace outport::loop {

class IoThread {
  public:
    // Starts the thread and returns when its loop is there (some microseconds; nothing of it waits for a
    // device). The thread's name, as /proc/PID/task/TID/comm shows it, is "IO NAME", cut to 15 bytes.
    static Result<std::unique_ptr<IoThread>> start(std::string name, const LoopOptions& options = {});
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;
    ~IoThread(); // stop and join

    Loop& loop() const noexcept { return *loop_; }
    const std::string& name() const noexcept { return name_; }
    int thread_id() const noexcept { return thread_id_; }

    // Runs `fn` on the thread, in order with other posts. Allocates: for control, not for I/O.
    void run_on(std::move_only_function<void()> fn);

    // Asks it to stop and posts `stopped` to `home` when its loop has ended, so that the caller need not wait
    // in join(). Whoever used the loop has ended before: at the object's end nothing may use it.
    void request_stop(Loop& home, Posted& stopped);
    // Waits for the thread. How many operations did not come back: 0 in a sound program.
    std::size_t join();

  private:
    explicit IoThread(std::string name) : name_(std::move(name)) {}
    struct Startup;
    void main(Startup& startup);

    std::string name_;
    std::thread thread_;
    Loop* loop_ = nullptr; // lives on the thread's stack, until the thread is joined
    int thread_id_ = 0;
    std::size_t left_over_ = 0;
    Loop* stop_home_ = nullptr; // whom to tell that the loop has ended
    Posted* stopped_ = nullptr;
    bool stopping_ = false; // the loop may be gone
};

// Calls `fn` on `loop`'s thread, from any thread. Allocates: for control, not for I/O.
void run_on(Loop& loop, std::move_only_function<void()> fn);

} // namespace outport::loop
