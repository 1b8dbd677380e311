// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/channel.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace outport::qmp {
namespace {

constexpr std::uint64_t kRetryNs = 100'000'000; // when descriptors or memory ran out

} // namespace

Channel::Channel(Server& server, ChardevOptions options)
    : server_(server), options_(std::move(options)),
      retry_(loop::task_fn<&Channel::retry_, &Channel::retry_accept>),
      receive_(loop::completion_fn<&Channel::receive_, &Channel::on_input>),
      send_(loop::completion_fn<&Channel::send_, &Channel::on_sent>),
      hangup_(loop::completion_fn<&Channel::hangup_, &Channel::on_hangup>),
      pump_task_(loop::task_fn<&Channel::pump_task_, &Channel::pump>),
      teardown_task_(loop::task_fn<&Channel::teardown_task_, &Channel::teardown>) {}

Channel::~Channel() {
    assert(idle());
    net::close_sockets(sockets_);
    for (int fd : waiting_)
        ::close(fd);
    restore_terminal();
}

bool Channel::idle() const noexcept {
    return !monitor_ && !receive_.in_flight() && !send_.in_flight() && !hangup_.in_flight() &&
           !retry_.armed() && std::none_of(acceptors_.begin(), acceptors_.end(), [](const auto& a) {
               return a->completion.in_flight();
           });
}

void Channel::restore_terminal() {
    if (terminal_)
        tcsetattr(STDIN_FILENO, TCSANOW, &*terminal_);
    terminal_.reset();
}

Result<> Channel::open() {
    if (options_.backend == ChardevOptions::Backend::Stdio) {
        if (server_.config_.daemonized)
            return fail("cannot use stdio with -daemonize");
        termios settings;
        if (!options_.signal && tcgetattr(STDIN_FILENO, &settings) == 0) {
            terminal_ = settings;
            settings.c_lflag &= ~static_cast<tcflag_t>(ISIG);
            tcsetattr(STDIN_FILENO, TCSANOW, &settings);
        }
        return {};
    }
    if (!is_socket())
        return {};
    if (!options_.server) {
        auto fd = connect_socket(options_);
        if (!fd)
            return fail(std::move(fd.error()));
        waiting_.push_back(*fd);
        return {};
    }
    auto sockets = listen_sockets(options_, server_.config_);
    if (!sockets)
        return fail(std::move(sockets.error()));
    sockets_ = std::move(*sockets);
    for (const net::ListeningSocket& s : sockets_) {
        auto a = std::make_unique<Acceptor>();
        a->channel = this;
        a->fd = s.fd;
        a->completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
            Acceptor* acceptor = loop::owner_of(c, &Acceptor::completion);
            acceptor->channel->on_accept(*acceptor, result);
        };
        acceptors_.push_back(std::move(a));
    }
    if (options_.wait) {
        auto fd = wait_for_client(sockets_, options_);
        if (!fd)
            return fail(std::move(fd.error()));
        waiting_.push_back(*fd);
    }
    return {};
}

Result<> Channel::attach(bool pretty) {
    if (attached_)
        return fail(cat("chardev '", options_.id, "' is already in use"));
    attached_ = true;
    pretty_ = pretty;
    begin();
    return {};
}

void Channel::begin() {
    if (!attached_ || server_.config_.starting_up)
        return;
    if (options_.backend == ChardevOptions::Backend::Stdio)
        begin_session(STDIN_FILENO, STDOUT_FILENO);
    else
        accept_more();
}

// The next client, if none is being served.
void Channel::accept_more() {
    if (closed_ || !attached_ || monitor_)
        return;
    if (!waiting_.empty()) {
        int fd = waiting_.front();
        waiting_.pop_front();
        return begin_session(fd, fd);
    }
    for (auto& a : acceptors_)
        if (!a->completion.in_flight())
            server_.loop_.accept(a->completion, a->fd);
}

void Channel::retry_accept() {
    accept_more();
}

void Channel::on_accept(Acceptor& acceptor, std::int32_t result) {
    if (result >= 0) {
        if (closed_) {
            ::close(result);
            return;
        }
        waiting_.push_back(result);
    } else if (result == -ECANCELED || closed_) {
        return;
    } else if (result != -EINTR && result != -ECONNABORTED) {
        log::warning("qmp",
                     cat("chardev '", options_.id, "': ", Error::from_errno(-result, "accept").message));
        if (!retry_.armed())
            server_.loop_.arm_after(retry_, kRetryNs);
        return;
    }
    (void)acceptor;
    accept_more();
}

void Channel::begin_session(int in, int out) {
    in_ = in;
    out_ = out;
    input_at_ = input_end_ = output_at_ = output_bytes_ = 0;
    ended_ = mute_ = hung_up_ = closing_ = false;
    for (auto& a : acceptors_)
        server_.loop_.cancel(a->completion);
    if (is_socket()) {
        int on = 1; // fails on other sockets than TCP, where there is nothing to turn off
        (void)setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        server_.loop_.poll(hangup_, in, 0); // hang-up and error are always reported
    }
    monitor_ = std::make_unique<Monitor>(server_.dispatcher_,
                                         MonitorOptions{pretty_, server_.config_.version}, *this);
    monitor_->open();
    read_more();
}

void Channel::read_more() {
    if (!monitor_ || closing_ || ended_ || closed_ || receive_.in_flight() || input_at_ != input_end_ ||
        !monitor_->ready())
        return;
    const auto length = static_cast<std::uint32_t>(input_.size());
    if (is_socket())
        server_.loop_.recv(receive_, in_, input_.data(), length);
    else
        server_.loop_.read(receive_, in_, input_.data(), length, static_cast<std::uint64_t>(-1));
}

void Channel::on_input(std::int32_t result, std::uint32_t) {
    if (closing_)
        return server_.loop_.make_ready(teardown_task_);
    if (result == -EINTR || result == -EAGAIN)
        return read_more();
    if (result <= 0) {
        ended_ = true;
        return end_when_sent();
    }
    input_at_ = 0;
    input_end_ = static_cast<std::size_t>(result);
    pump();
}

// Feeds what was read, as far as the session takes it, and reads on when it took all.
void Channel::pump() {
    if (!monitor_ || closing_)
        return;
    if (input_at_ != input_end_)
        input_at_ += monitor_->feed(std::string_view(input_.data() + input_at_, input_end_ - input_at_));
    if (hung_up_ && !monitor_->idle())
        monitor_->cancel_running();
    read_more();
}

void Channel::write(std::string text) {
    if (closing_ || mute_)
        return;
    output_bytes_ += text.size();
    output_.push_back(std::move(text));
    if (output_bytes_ > server_.config_.output_limit) {
        log::warning("qmp", cat("chardev '", options_.id, "': cut a client that left ", output_bytes_,
                                " bytes unread"));
        return end_session();
    }
    send_more();
}

void Channel::send_more() {
    if (send_.in_flight() || output_.empty() || closing_)
        return;
    const std::string& first = output_.front();
    const auto length =
        static_cast<std::uint32_t>(std::min<std::size_t>(first.size() - output_at_, 1u << 30));
    if (is_socket())
        server_.loop_.send(send_, out_, first.data() + output_at_, length);
    else
        server_.loop_.write(send_, out_, first.data() + output_at_, length, static_cast<std::uint64_t>(-1));
}

void Channel::on_sent(std::int32_t result, std::uint32_t) {
    if (closing_)
        return server_.loop_.make_ready(teardown_task_);
    if (result > 0) {
        const auto sent = static_cast<std::size_t>(result);
        output_at_ += sent;
        output_bytes_ -= sent;
        if (output_at_ == output_.front().size()) {
            output_.pop_front();
            output_at_ = 0;
        }
    } else if (result != -EINTR && result != -EAGAIN) {
        mute_ = true; // what it has sent is still carried out, up to the end of its input
        output_.clear();
        output_at_ = output_bytes_ = 0;
    }
    send_more();
    end_when_sent();
    if (!closing_ && !congested())
        server_.loop_.make_ready(pump_task_);
}

// A peer that has closed one direction only still reads our answers. A ring's poll can't tell that from a
// hang-up without returning at once for ever; an epoll instance that asks for nothing can.
void Channel::watch_half_closed() {
    epoll_event nothing{};
    watch_ = epoll_create1(EPOLL_CLOEXEC);
    if (watch_ >= 0 && epoll_ctl(watch_, EPOLL_CTL_ADD, in_, &nothing) == 0)
        server_.loop_.poll(hangup_, watch_, POLLIN);
}

void Channel::on_hangup(std::int32_t result, std::uint32_t) {
    if (closing_)
        return server_.loop_.make_ready(teardown_task_);
    if (result < 0)
        return;
    if (watch_ < 0 && !(result & (POLLHUP | POLLERR)))
        return watch_half_closed();
    hung_up_ = true;
    monitor_->cancel_running();
}

void Channel::end_when_sent() {
    if (monitor_ && (ended_ || closed_) && output_.empty())
        end_session();
}

// Not at once: the session may be what is calling us.
void Channel::end_session() {
    if (!monitor_ || closing_)
        return;
    closing_ = true;
    server_.loop_.cancel(receive_);
    server_.loop_.cancel(send_);
    server_.loop_.cancel(hangup_);
    server_.loop_.make_ready(teardown_task_);
}

void Channel::teardown() {
    if (!monitor_ || !closing_ || receive_.in_flight() || send_.in_flight() || hangup_.in_flight())
        return; // the last of them comes back here
    auto gone = std::exchange(monitor_, nullptr);
    gone.reset();
    pump_task_.dequeue();
    output_.clear();
    output_at_ = output_bytes_ = 0;
    if (is_socket())
        server_.loop_.close(in_);
    if (watch_ >= 0)
        ::close(watch_);
    in_ = out_ = watch_ = -1;
    accept_more();
}

void Channel::close() {
    if (std::exchange(closed_, true))
        return;
    server_.loop_.disarm(retry_);
    for (auto& a : acceptors_)
        server_.loop_.cancel(a->completion);
    net::close_sockets(sockets_);
    if (monitor_ && !closing_)
        server_.loop_.cancel(receive_);
    end_when_sent();
}

void Channel::abandon() {
    close();
    end_session();
}

} // namespace outport::qmp
