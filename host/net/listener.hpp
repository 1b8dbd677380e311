// SPDX-License-Identifier: Apache-2.0
// Listening on an address and taking clients in, one at a time and only when wanted. Nothing here waits:
// look-ups, paths and the removal of files happen on the blocking pool. Not thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/loop.hpp"
#include "host/net/sockets.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace outport::net {

class Listener;
struct SocketJob;

// What all listeners of the process share.
class Net {
  public:
    Net(loop::Loop& loop, loop::BlockingPool& pool) : loop_(loop), pool_(pool) {}
    Net(const Net&) = delete;
    Net& operator=(const Net&) = delete;
    ~Net(); // no listener and no job of theirs is left

    // During start-up clients wait in the backlog, and addresses may name descriptors. Ends that.
    void end_startup();
    bool starting_up() const noexcept { return starting_up_; }

    loop::Loop& loop() const noexcept { return loop_; }
    // Listeners, and jobs of listeners that were given up, that are not back yet.
    std::size_t alive() const noexcept { return listeners_.size() + orphans_; }

  private:
    friend class Listener;
    friend struct SocketJob;
    loop::Loop& loop_;
    loop::BlockingPool& pool_;
    loop::BlockingOwner owner_{"net"};
    std::vector<Listener*> listeners_;
    std::size_t orphans_ = 0;
    bool starting_up_ = true;
};

// Owns itself: it ends when a failed `listening`, or the `done` of close, has been called.
class Listener {
  public:
    using Done = std::move_only_function<void(Result<>)>;
    // A connected socket: non-blocking, close-on-exec, TCP_NODELAY set. The callee closes it.
    using Accepted = std::move_only_function<void(int fd)>;

    // `listening` is called once, later.
    static Listener* open(Net& net, Address address, int backlog, Accepted accepted, Done listening);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // While paused, clients wait in the backlog.
    void pause(bool paused);
    // No `accepted` from now on. `done` is called later, when sockets and files are gone. If it does not
    // listen yet, `listening` is called before that, with kCancelled as errno_value.
    void close(Done done);

    static constexpr int kCancelled = 125; // ECANCELED

  private:
    friend class Net;
    friend struct SocketJob;
    struct Acceptor;
    enum class State { Opening, Open, Closing, Removing };

    Listener(Net& net, Accepted accepted, Done listening);
    ~Listener();
    void opened(Result<std::vector<ListeningSocket>> sockets);
    void accept_more();
    void deliver(int fd, bool tcp);
    void remove_when_idle();
    bool wants_clients() const noexcept;
    void finish();
    void run_task();

    Net& net_;
    Accepted accepted_;
    Done listening_, closed_;
    State state_ = State::Opening;
    bool paused_ = false;
    std::shared_ptr<SocketJob> job_; // while opening, and while removing
    std::vector<ListeningSocket> sockets_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_; // one for each socket
    Result<> outcome_;                                 // of opening, for the task
    loop::Task task_;
};

} // namespace outport::net
