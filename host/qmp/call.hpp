// SPDX-License-Identifier: Apache-2.0
// One invocation of a command: validated arguments in, exactly one answer out, then or later.
// Not thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace outport::qmp {

inline constexpr std::uint64_t kNoMonitor = 0; // the caller is the command line or the host itself

class Call {
  public:
    using Completion = std::move_only_function<void(Result<boost::json::value>)>;

    Call(std::string command, boost::json::object arguments, std::uint64_t monitor, Completion done);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    // A call that is dropped without an answer is answered with an error that says so.
    ~Call();

    const std::string& command() const noexcept { return command_; }
    const boost::json::object& arguments() const noexcept { return arguments_; }
    boost::json::object& arguments() noexcept { return arguments_; }
    std::uint64_t monitor() const noexcept { return monitor_; }

    // The monitor has gone. The answer is still due; nobody will read it.
    bool cancelled() const noexcept { return cancelled_; }
    // `notify` runs once, on the main loop, when the call is cancelled; never after the answer.
    void on_cancel(std::move_only_function<void()> notify) { on_cancel_ = std::move(notify); }
    void cancel();

    // Exactly one of these, once. They may destroy neither the call nor the monitor under the caller's feet.
    void succeed();                          // {"return": {}}
    void succeed(boost::json::value result); // {"return": result}
    void fail(Error error);
    void answer(Result<boost::json::value> result);
    void answer(Result<> result);

    bool answered() const noexcept { return answered_; }

  private:
    std::string command_;
    boost::json::object arguments_;
    std::uint64_t monitor_;
    Completion done_;
    std::move_only_function<void()> on_cancel_;
    bool cancelled_ = false, answered_ = false;
};

// The handler keeps the call until it has answered. Shared, because the monitor cancels it through its own
// reference.
using CallPtr = std::shared_ptr<Call>;
using Handler = std::move_only_function<void(CallPtr)>;

} // namespace outport::qmp
