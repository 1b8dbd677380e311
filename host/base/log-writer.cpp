// SPDX-License-Identifier: Apache-2.0
#include "host/base/log-writer.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace outport::log {

namespace {

constexpr const char* kFilePattern = "%Y-%m-%dT%H:%M:%S.%f%z %t %v";

std::uint64_t monotonic_ns() noexcept {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ts.tv_nsec);
}

// Errors end it: a full disk is no reason to end the process, or to write elsewhere.
void write_all(int fd, const char* data, std::size_t length) noexcept {
    while (length > 0) {
        ssize_t n = ::write(fd, data, length);
        if (n < 0 && errno == EAGAIN) { // somebody who shares it has made it so
            pollfd wait{fd, POLLOUT, 0};
            ::poll(&wait, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return;
        } else if (n > 0) {
            data += n;
            length -= static_cast<std::size_t>(n);
        }
    }
}

} // namespace

Writer::Writer() = default;
Writer::~Writer() = default;

void Writer::use_file(int fd) {
    std::lock_guard lock(mutex_);
    if (file_ >= 0)
        ::close(file_);
    file_ = fd;
    formatter_ = std::make_unique<spdlog::pattern_formatter>(kFilePattern);
}

void Writer::put(Line line) {
    std::lock_guard lock(mutex_);
    if (!behind_) {
        write(line);
        return;
    }
    if (queue_.size() == kMaxQueued) {
        queue_.pop_front();
        ++dropped_;
    }
    line.number = ++put_;
    queue_.push_back(std::move(line));
    start_thread();
    there_.notify_one();
}

bool Writer::flush(std::uint64_t timeout_ns) {
    std::unique_lock lock(mutex_);
    const std::uint64_t deadline = monotonic_ns() + timeout_ns, last = put_;
    while (written_ < last)
        if (!out_.wait_until(lock, deadline))
            return written_ >= last;
    return true;
}

// Begins with the first line, so that a process that says nothing has no thread for it.
void Writer::start_thread() {
    if (running_)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread([this] {
            prctl(PR_SET_NAME, "log");
            run();
        }).detach();
        running_ = true;
    } catch (const std::system_error&) {
        // The next line tries again.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Writer::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        while (queue_.empty())
            there_.wait(lock);
        Line line = std::move(queue_.front());
        queue_.pop_front();
        std::uint64_t dropped = std::exchange(dropped_, 0);
        lock.unlock();
        try {
            if (dropped > 0)
                write(
                    {cat(program(), ": warning: ", dropped,
                         " line(s) of the log are missing here: they came faster than they could be written"),
                     line.time, line.thread, false});
            write(line);
        } catch (...) {
            // No memory for a line: it is lost.
        }
        const std::uint64_t number = line.number;
        line = {};
        lock.lock();
        written_ = number;
        out_.notify_all();
    }
}

// With the mutex held before start(), by the thread alone after it.
void Writer::write(const Line& line) {
    if (line.verbatim) {
        write_all(STDERR_FILENO, line.text.data(), line.text.size());
        return;
    }
    if (!formatter_) {
        std::string text = cat(line.text, '\n');
        write_all(STDERR_FILENO, text.data(), text.size());
        return;
    }
    spdlog::details::log_msg message(line.time, spdlog::source_loc{}, spdlog::string_view_t{},
                                     spdlog::level::info,
                                     spdlog::string_view_t(line.text.data(), line.text.size()));
    message.thread_id = static_cast<std::size_t>(line.thread);
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    write_all(file_, text.data(), text.size());
}

} // namespace outport::log
