// SPDX-License-Identifier: Apache-2.0
// One channel of the server: where its clients come from, and the session with the one that is there; inner
// part of server.hpp. Not thread-safe: main loop only.
#pragma once

#include "host/loop/loop.hpp"
#include "host/net/sockets.hpp"
#include "host/qmp/chardev.hpp"
#include "host/qmp/monitor.hpp"
#include "host/qmp/server.hpp"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <termios.h> // not in another header: its macros are short words

namespace outport::qmp {

// A connected socket, made while starting up: it waits for the peer.
Result<int> connect_socket(const ChardevOptions& options);
// Listening sockets of the options, their files' mode and group as configured.
Result<std::vector<net::ListeningSocket>> listen_sockets(const ChardevOptions& options,
                                                         const ServerConfig& config);
// Waits for the first client; a signal that is to end the process ends this too.
Result<int> wait_for_client(const std::vector<net::ListeningSocket>& sockets, const ChardevOptions& options);

class Channel final : public Output {
  public:
    Channel(Server& server, ChardevOptions options);
    ~Channel() override; // idle() holds
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    const ChardevOptions& options() const noexcept { return options_; }
    Result<> open();
    Result<> attach(bool pretty);
    // Takes clients in, if there is a monitor for them and the server has started.
    void begin();

    // No new client, no more input; the session ends when its output is sent.
    void close();
    // Ends the session whatever is left to send.
    void abandon();
    bool flushing() const noexcept { return monitor_ && !output_.empty(); }
    bool idle() const noexcept;

    void write(std::string text) override;
    bool congested() const noexcept override { return output_bytes_ > kFlowLimit; }
    void want_input() override { server_.loop_.make_ready(pump_task_); }

  private:
    // Beyond this much unsent output no more input is taken, so that a client that asks and never reads stops
    // itself.
    static constexpr std::size_t kFlowLimit = std::size_t{1} << 20;

    struct Acceptor {
        loop::Completion completion;
        Channel* channel = nullptr;
        int fd = -1;
    };

    bool is_socket() const noexcept { return options_.backend == ChardevOptions::Backend::Socket; }
    void accept_more();
    void on_accept(Acceptor& acceptor, std::int32_t result);
    void retry_accept();
    void begin_session(int in, int out);
    void read_more();
    void on_input(std::int32_t result, std::uint32_t flags);
    void pump();
    void send_more();
    void on_sent(std::int32_t result, std::uint32_t flags);
    void watch_half_closed();
    void on_hangup(std::int32_t result, std::uint32_t flags);
    void end_session();
    void end_when_sent();
    void teardown();
    void restore_terminal();

    Server& server_;
    const ChardevOptions options_;
    std::vector<net::ListeningSocket> sockets_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::deque<int> waiting_; // clients that came in the moment when another did
    loop::Timer retry_;
    bool attached_ = false, pretty_ = false, closed_ = false;
    std::optional<termios> terminal_; // as it was

    // The session.
    int in_ = -1, out_ = -1;
    int watch_ = -1; // an epoll instance, once the peer has closed its side
    std::unique_ptr<Monitor> monitor_;
    loop::Completion receive_, send_, hangup_;
    loop::Task pump_task_, teardown_task_;
    std::array<char, 16384> input_;
    std::size_t input_at_ = 0, input_end_ = 0;
    std::deque<std::string> output_;
    std::size_t output_at_ = 0, output_bytes_ = 0; // sent of the first; unsent in all
    bool ended_ = false;                           // no more input comes
    bool mute_ = false;                            // nobody reads the output
    bool hung_up_ = false, closing_ = false;
};

} // namespace outport::qmp
