// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/call.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <cassert>

namespace outport::qmp {

Call::Call(std::string command, boost::json::object arguments, std::uint64_t monitor, Completion done)
    : command_(std::move(command)), arguments_(std::move(arguments)), monitor_(monitor),
      done_(std::move(done)) {}

Call::~Call() {
    if (!answered_)
        fail(Error(cat("Command '", command_, "' ended without an answer")));
}

void Call::cancel() {
    if (answered_ || cancelled_)
        return;
    cancelled_ = true;
    if (auto notify = std::exchange(on_cancel_, nullptr))
        notify();
}

void Call::answer(Result<boost::json::value> result) {
    assert(!answered_ && "a call is answered once");
    if (answered_)
        return;
    answered_ = true;
    on_cancel_ = nullptr;
    if (auto done = std::exchange(done_, nullptr))
        done(std::move(result));
}

void Call::answer(Result<> result) {
    if (result)
        succeed();
    else
        fail(std::move(result.error()));
}

void Call::succeed() {
    answer(boost::json::value(boost::json::object()));
}
void Call::succeed(boost::json::value result) {
    answer(Result<boost::json::value>(std::move(result)));
}
void Call::fail(Error error) {
    answer(Result<boost::json::value>(std::unexpected(std::move(error))));
}

} // namespace outport::qmp
