// SPDX-License-Identifier: Apache-2.0
// One QMP session over a channel of bytes: greeting, negotiation, requests in order, out-of-band ones ahead
// of the queue, answers and events. Knows nothing of sockets. Not thread-safe: main loop only.
#pragma once

#include "host/qmp/dispatcher.hpp"
#include "host/schema/json.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace outport::qmp {

// The channel's side of a session.
class Output {
  public:
    virtual ~Output() = default;
    // One whole message with its newline. The channel keeps the order, and cuts a peer that does not read.
    virtual void write(std::string text) = 0;
    // So much is unsent that no more input should be taken. When that is over the channel feeds again by
    // itself.
    virtual bool congested() const noexcept = 0;
    // The session has room again: read and feed.
    virtual void want_input() = 0;
};

struct MonitorOptions {
    bool pretty = false;
    std::string version; // Outport's own, for the greeting
};

class Monitor {
  public:
    static constexpr std::size_t kQueueLimit = 8; // requests in band, with out-of-band enabled

    Monitor(Dispatcher& dispatcher, MonitorOptions options, Output& output);
    ~Monitor(); // cancels what is running; answers that come later go nowhere
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    // A peer has come: greet it. Once for each session.
    void open();
    // Takes bytes until the session has as many requests as it may hold; returns how many it took. The rest
    // is fed again after want_input().
    std::size_t feed(std::string_view bytes);
    bool ready() const noexcept { return !full(); }

    std::uint64_t id() const noexcept { return id_; }
    bool negotiated() const noexcept { return !negotiating_; }
    // Nothing is running or queued.
    bool idle() const noexcept { return queue_.empty() && !running_; }

    // The peer will read no answer any more: tells what is running. What it has sent is still carried out.
    void cancel_running();

    void send_event(const boost::json::value& event);

  private:
    bool full() const noexcept;
    void take(json::Message message);
    void run_next();
    void send(const boost::json::value& message);
    void finished(boost::json::value reply);

    Dispatcher& dispatcher_;
    MonitorOptions options_;
    Output& output_;
    std::uint64_t id_;
    json::StreamParser parser_;
    std::deque<json::Message> queue_;
    std::weak_ptr<Call> call_; // what is running, where it is a command; the handler owns it
    std::vector<std::weak_ptr<Call>> oob_calls_;
    bool running_ = false, negotiating_ = true, oob_ = false, in_run_ = false, starved_ = false;
    std::shared_ptr<Monitor*> self_; // answers hold it; null inside once we are gone
};

} // namespace outport::qmp
