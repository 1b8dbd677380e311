// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/monitor.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::qmp {
namespace {

namespace bj = boost::json;

bool out_of_band(const json::Message& message) {
    if (!message || !message->is_object())
        return false;
    const bj::object& o = message->get_object();
    return o.contains("exec-oob") && !o.contains("execute");
}

} // namespace

Monitor::Monitor(Dispatcher& dispatcher, MonitorOptions options, Output& output)
    : dispatcher_(dispatcher), options_(std::move(options)), output_(output),
      id_(dispatcher.next_monitor_id()), self_(std::make_shared<Monitor*>(this)) {
    dispatcher_.attach(this);
}

Monitor::~Monitor() {
    *self_ = nullptr;
    dispatcher_.detach(this);
    cancel_running();
}

void Monitor::cancel_running() {
    if (CallPtr call = call_.lock())
        call->cancel();
    auto oob_calls = std::move(oob_calls_); // a call that is told may answer at once
    for (const auto& oob : oob_calls)
        if (CallPtr call = oob.lock())
            call->cancel();
}

void Monitor::open() {
    bj::object greeting;
    greeting["QMP"] = {{"version", version_info(options_.version)}, {"capabilities", {"oob"}}};
    send(greeting);
}

// QEMU ends its lines with both characters, also inside a pretty message.
void Monitor::send(const bj::value& message) {
    std::string text = json::to_string(message, options_.pretty);
    if (options_.pretty) {
        std::string wire;
        for (char c : text) {
            if (c == '\n')
                wire.push_back('\r');
            wire.push_back(c);
        }
        text = std::move(wire);
    }
    text += "\r\n";
    output_.write(std::move(text));
}

void Monitor::send_event(const bj::value& event) {
    if (!negotiating_)
        send(event);
}

// With out-of-band the queue is what may wait; without, one request is all there is at a time.
bool Monitor::full() const noexcept {
    if (output_.congested())
        return true;
    if (!oob_)
        return running_ || !queue_.empty();
    return queue_.size() >= kQueueLimit;
}

std::size_t Monitor::feed(std::string_view bytes) {
    const std::size_t given = bytes.size();
    auto alive = self_; // a command may close this very session
    while (*alive && !full()) {
        auto message = parser_.next(bytes);
        if (!message)
            break;
        take(std::move(*message));
    }
    if (*alive)
        starved_ = full();
    return given - bytes.size();
}

void Monitor::take(json::Message message) {
    if (out_of_band(message)) {
        Dispatcher::Session session{id_, negotiating_, oob_, {}};
        auto alive = self_;
        CallPtr call = dispatcher_.dispatch(session, std::move(*message), [this, alive](bj::value reply) {
            if (*alive && !reply.is_null())
                send(reply);
        });
        if (*alive && call && !call->answered()) {
            std::erase_if(oob_calls_, [](const auto& c) { return c.expired(); });
            oob_calls_.push_back(call);
        }
        return;
    }
    queue_.push_back(std::move(message));
    run_next();
}

// A loop, not recursion: an answer that comes at once brings us back here by way of finished().
void Monitor::run_next() {
    if (in_run_)
        return;
    auto alive = self_;
    in_run_ = true;
    while (*alive && !running_ && !queue_.empty()) {
        json::Message message = std::move(queue_.front());
        queue_.pop_front();
        if (!message) {
            bj::object reply;
            reply.emplace("error", error_reply(message.error()));
            send(reply);
            continue;
        }
        running_ = true;
        Dispatcher::Session session{id_, negotiating_, oob_, [this](const std::vector<std::string>& enable) {
                                        negotiating_ = false;
                                        oob_ = std::find(enable.begin(), enable.end(), "oob") != enable.end();
                                        return Result<>();
                                    }};
        CallPtr call = dispatcher_.dispatch(session, std::move(*message), [alive](bj::value reply) {
            if (Monitor* self = *alive)
                self->finished(std::move(reply));
        });
        if (*alive && running_)
            call_ = call;
    }
    if (*alive)
        in_run_ = false;
}

void Monitor::finished(bj::value reply) {
    auto alive = self_;
    call_.reset();
    running_ = false;
    if (!reply.is_null())
        send(reply);
    if (!*alive)
        return;
    run_next();
    if (*alive && starved_ && !full()) {
        starved_ = false;
        output_.want_input();
    }
}

} // namespace outport::qmp
