// SPDX-License-Identifier: Apache-2.0
// Signals as events of the main loop. block_signals() comes first in main(), before any thread; the rest
// belongs to the main loop's thread.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/completion.hpp"

#include <functional>
#include <memory>

namespace outport::loop {

class Loop;

// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those that it starts, and ignores SIGPIPE.
void block_signals();
// In a child before exec, and in tests: the opposite.
void unblock_signals();

// Reads those signals through the loop while it lives.
class SignalRouter {
  public:
    using Handler = std::move_only_function<void(int signal)>;

    static Result<std::unique_ptr<SignalRouter>> start(Loop& loop, Handler handler);
    SignalRouter(const SignalRouter&) = delete;
    SignalRouter& operator=(const SignalRouter&) = delete;
    ~SignalRouter(); // close() has completed, or the loop has ended

    // Takes the poll back; it completes within the loop's next turns. Loop::run does the same at its end.
    void close();

  private:
    SignalRouter(Loop& loop, int fd, Handler handler) : loop_(loop), fd_(fd), handler_(std::move(handler)) {}
    void wait();
    void on_readable(std::int32_t result, std::uint32_t flags);

    Loop& loop_;
    int fd_;
    Handler handler_;
    bool closing_ = false;
    Completion poll_{completion_fn<&SignalRouter::poll_, &SignalRouter::on_readable>};
};

} // namespace outport::loop
