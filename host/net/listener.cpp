// SPDX-License-Identifier: Apache-2.0
#include "host/net/listener.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cstring>
#include <optional>

namespace outport::net {

namespace {

constexpr std::uint64_t kRetryNs = 100'000'000; // after a failed accept: no descriptors, no memory

log::Source& logger() {
    static log::Source& the = log::source("net");
    return the;
}

} // namespace

// Work on the blocking pool. It may hang there for ever, so it owns all that it touches; the listener can go.
struct SocketJob {
    enum class Kind { Open, Remove };

    SocketJob(Net& n, Kind k) : net(n), kind(k) {
        job.run = [](loop::BlockingJob* j) { loop::owner_of(j, &SocketJob::job)->run(); };
        job.done = [](loop::BlockingJob* j) { loop::owner_of(j, &SocketJob::job)->done(); };
    }

    Net& net;
    Kind kind;
    Listener* listener = nullptr; // null: given up
    Address address;
    OpenOptions options;
    std::string what;
    std::atomic<bool> cancelled{false};
    Result<std::vector<ListeningSocket>> sockets;
    loop::BlockingJob job;
    std::shared_ptr<SocketJob> self; // while the pool has it

    Result<> submit(std::shared_ptr<SocketJob> me) {
        what = cat(kind == Kind::Open ? "listening on " : "closing ", to_string(address));
        job.what = what.c_str();
        auto result = net.pool_.submit(net.owner_, loop::JobClass::Control, job);
        if (result)
            self = std::move(me);
        return result;
    }

    void run() {
        if (kind == Kind::Open)
            sockets = open_sockets(address, options, cancelled);
        else
            close_sockets(*sockets);
    }

    void done() {
        auto keep = std::move(self);
        if (kind == Kind::Open && job.status != 0)
            sockets = fail_errno(-job.status, cat("Failed to listen on ", to_string(address)));
        if (listener) {
            Listener* l = std::exchange(listener, nullptr);
            kind == Kind::Open ? l->opened(std::move(sockets)) : l->finish();
            return;
        }
        // It did listen, after nobody wanted it any more.
        if (kind == Kind::Open && sockets && !sockets->empty()) {
            kind = Kind::Remove;
            if (submit(keep))
                return;
            for (auto& s : *sockets)
                ::close(s.fd);
        }
        --net.orphans_;
    }
};

struct Listener::Acceptor {
    Acceptor(Listener& l, const ListeningSocket& s) : listener(l), fd(s.fd), tcp(s.tcp) {}

    Listener& listener;
    int fd;
    bool tcp;
    bool failing = false;
    int parked = -1; // a client that came while the pause was on its way to the kernel
    loop::Completion accept{loop::completion_fn<&Acceptor::accept, &Acceptor::on_accept>};
    loop::Timer retry{loop::task_fn<&Acceptor::retry, &Acceptor::go_on>};

    bool idle() const noexcept { return !accept.in_flight() && !retry.armed(); }

    void go_on() {
        if (!idle())
            return;
        if (parked >= 0)
            listener.deliver(std::exchange(parked, -1), tcp);
        if (!listener.wants_clients())
            return;
        io_uring_prep_accept(listener.net_.loop_.entry(accept), fd, nullptr, nullptr,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
    }

    void on_accept(std::int32_t result, std::uint32_t) {
        if (result >= 0) {
            failing = false;
            if (listener.wants_clients())
                listener.deliver(result, tcp);
            else if (listener.state_ == State::Open)
                parked = result;
            else
                ::close(result);
        } else if (result != -ECANCELED && result != -ECONNABORTED && result != -EINTR && result != -EAGAIN) {
            if (!failing)
                logger().warning(cat("Failed to accept a client: ", strerror(-result)));
            failing = true;
            if (listener.state_ == State::Open)
                listener.net_.loop_.arm_after(retry, kRetryNs);
        }
        if (listener.state_ == State::Closing)
            listener.remove_when_idle();
        else if (listener.wants_clients())
            go_on();
    }

    void stop() {
        listener.net_.loop_.disarm(retry);
        listener.net_.loop_.cancel(accept);
        if (parked >= 0)
            ::close(std::exchange(parked, -1));
    }
};

Net::~Net() {
    assert(listeners_.empty());
}

void Net::end_startup() {
    starting_up_ = false;
    for (Listener* l : listeners_)
        loop_.make_ready(l->task_);
}

Listener::Listener(Net& net, Accepted accepted, Done listening)
    : net_(net), accepted_(std::move(accepted)), listening_(std::move(listening)),
      task_(loop::task_fn<&Listener::task_, &Listener::run_task>) {
    net_.listeners_.push_back(this);
}

Listener::~Listener() {
    std::erase(net_.listeners_, this);
}

Listener* Listener::open(Net& net, Address address, int backlog, Accepted accepted, Done listening) {
    auto* listener = new Listener(net, std::move(accepted), std::move(listening));
    auto job = std::make_shared<SocketJob>(net, SocketJob::Kind::Open);
    job->listener = listener;
    job->address = std::move(address);
    job->options = {.backlog = backlog, .may_use_fds = net.starting_up()};
    auto submitted = job->submit(job);
    if (submitted) {
        listener->job_ = std::move(job);
    } else {
        listener->outcome_ = std::move(submitted);
        net.loop_.make_ready(listener->task_);
    }
    return listener;
}

bool Listener::wants_clients() const noexcept {
    return state_ == State::Open && !paused_ && !net_.starting_up_;
}

void Listener::opened(Result<std::vector<ListeningSocket>> sockets) {
    auto listening = std::move(listening_);
    job_.reset();
    if (!sockets) {
        Error error = std::move(sockets.error());
        delete this;
        return listening(fail(std::move(error)));
    }
    sockets_ = std::move(*sockets);
    for (const ListeningSocket& s : sockets_)
        acceptors_.push_back(std::make_unique<Acceptor>(*this, s));
    state_ = State::Open;
    net_.loop_.make_ready(task_); // first the word that it listens, then the clients
    listening({});
}

void Listener::deliver(int fd, bool tcp) {
    if (tcp) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    accepted_(fd);
}

void Listener::pause(bool paused) {
    if (paused == paused_)
        return;
    paused_ = paused;
    if (state_ != State::Open)
        return;
    if (!paused) {
        net_.loop_.make_ready(task_);
        return;
    }
    for (auto& acceptor : acceptors_)
        net_.loop_.cancel(acceptor->accept);
}

void Listener::close(Done done) {
    closed_ = std::move(done);
    if (state_ == State::Open) {
        state_ = State::Closing;
        for (auto& acceptor : acceptors_)
            acceptor->stop();
    } else if (state_ == State::Opening) {
        if (job_) { // else the pool took none, which nobody has been told yet
            // The look-up may never come back; its end cleans up after itself.
            job_->listener = nullptr;
            job_->cancelled.store(true, std::memory_order_relaxed);
            ++net_.orphans_;
            net_.pool_.cancel(job_->job);
            job_.reset();
        }
        state_ = State::Removing;
        outcome_ = fail_errno(kCancelled, "Listening was given up");
    }
    net_.loop_.make_ready(task_);
}

void Listener::remove_when_idle() {
    for (auto& acceptor : acceptors_)
        if (!acceptor->idle())
            return;
    state_ = State::Removing;
    auto job = std::make_shared<SocketJob>(net_, SocketJob::Kind::Remove);
    job->sockets = std::move(sockets_);
    job->listener = this;
    if (!job->sockets->empty() && !job->sockets->front().path.empty())
        job->address = UnixAddress{job->sockets->front().path};
    auto submitted = job->submit(job);
    if (submitted)
        return;
    // No thread for it: better a file that stays than a close that never ends.
    logger().warning(submitted.error().message);
    for (auto& s : *job->sockets)
        ::close(s.fd);
    finish();
}

void Listener::finish() {
    auto closed = std::move(closed_);
    delete this;
    closed({});
}

void Listener::run_task() {
    switch (state_) {
    case State::Opening: // the pool took no job
        return opened(fail(std::move(outcome_.error())));
    case State::Open:
        // By index: a callback may close us, which keeps the acceptors, never add any.
        for (std::size_t i = 0; i < acceptors_.size() && wants_clients(); ++i)
            acceptors_[i]->go_on();
        return;
    case State::Closing:
        return remove_when_idle();
    case State::Removing:
        if (listening_) {
            auto listening = std::move(listening_);
            listening(fail(std::move(outcome_.error())));
            finish();
        }
    }
}

} // namespace outport::net
