// SPDX-License-Identifier: Apache-2.0
// The channels of the process that monitors sit on: listening sockets (unix, TCP), connected sockets,
// standard input and output. One client at a time for each; the next waits in the kernel's backlog. Not
// thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"
#include "host/qmp/chardev.hpp"

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace outport::loop {
class Loop;
}

namespace outport::qmp {

class Dispatcher;
class Channel;

struct ServerConfig {
    mode_t socket_mode = 0600;
    std::string socket_group;                         // empty: the process's own
    std::string version;                              // Outport's own
    std::size_t output_limit = std::size_t{64} << 20; // bytes that a peer may leave unread before it is cut
    bool daemonized = false;                          // standard input is not there
    bool starting_up = false;                         // clients wait in the backlog until start()
};

class Server {
  public:
    Server(loop::Loop& loop, Dispatcher& dispatcher, ServerConfig config);
    ~Server(); // closes all and unlinks the sockets it made

    // Binds, or opens, at once; with wait=on blocks until a client is there (start-up only).
    Result<> add_chardev(const ChardevOptions& options);
    bool has_chardev(std::string_view id) const noexcept;
    // Puts a monitor on a channel that exists. `id` may be empty.
    Result<> add_monitor(std::string_view chardev, std::string_view id, bool pretty);

    // Start-up is over: lets clients in, where the configuration said that they wait. Idempotent.
    void start();

    // No new clients; what is pending for those that are there is sent as far as they take it at once, then
    // all is closed and unlinked. Idempotent. Unlinking also happens in the destructor.
    void close();
    // True while a reply is still on its way to some client (quit waits for that, for a bounded time).
    bool flushing() const noexcept;

  private:
    friend class Channel;
    loop::Loop& loop_;
    Dispatcher& dispatcher_;
    ServerConfig config_;
    std::vector<std::unique_ptr<Channel>> channels_;
};

} // namespace outport::qmp
