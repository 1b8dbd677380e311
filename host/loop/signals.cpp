// SPDX-License-Identifier: Apache-2.0
#include "host/loop/signals.hpp"

#include "host/loop/loop.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace outport::loop {
namespace {

sigset_t routed_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, signal);
    return set;
}

} // namespace

void block_signals() {
    sigset_t set = routed_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

void unblock_signals() {
    sigset_t set = routed_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
}

Result<std::unique_ptr<SignalRouter>> SignalRouter::start(Loop& loop, Handler handler) {
    sigset_t set = routed_signals();
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return fail_errno(errno, "Could not create a signalfd");
    std::unique_ptr<SignalRouter> self{new SignalRouter(loop, fd, std::move(handler))};
    self->wait();
    return self;
}

SignalRouter::~SignalRouter() {
    ::close(fd_);
}

// A poll and then an ordinary read that cannot wait: a read through the ring may be done by a kernel worker,
// which does not see signals that are directed at this thread.
void SignalRouter::wait() {
    loop_.poll(poll_, fd_, POLLIN);
}

void SignalRouter::on_readable(std::int32_t result, std::uint32_t) {
    if (result < 0 || closing_)
        return;
    signalfd_siginfo info;
    while (::read(fd_, &info, sizeof info) == sizeof info)
        handler_(static_cast<int>(info.ssi_signo));
    wait();
}

void SignalRouter::close() {
    closing_ = true;
    loop_.cancel(poll_);
}

} // namespace outport::loop
