// SPDX-License-Identifier: Apache-2.0
// Where the lines of the log go: standard error or a file, and the thread that writes them there.
// Thread-safe, but for what is marked [start-up], which comes before the first other thread.
#pragma once

#include "host/base/condition.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include <sys/types.h>

namespace spdlog {
class formatter;
}

namespace outport::log {

inline constexpr std::size_t kMaxQueued = 1024; // lines that wait to be written

struct Line {
    std::string text; // without its end
    std::chrono::system_clock::time_point time;
    pid_t thread;
    bool verbatim;            // goes to standard error as it is, whether or not there is a file
    std::uint64_t number = 0; // the writer's
};

// Lives as long as the process: its thread may hang in a write when that ends.
class Writer {
  public:
    Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer();

    void use_file(int fd);  // [start-up] takes it over
    void start() noexcept { // [start-up] from now on put() never waits
        behind_ = true;
    }
    // Writes the line; after start(): queues it, and drops the oldest one when too many wait.
    void put(Line line);
    // False if `timeout_ns` went by and what was put before is not out yet.
    bool flush(std::uint64_t timeout_ns);

  private:
    void run();
    void start_thread();
    void write(const Line& line);

    std::mutex mutex_; // over all that follows, but for the formatter, which is the thread's
    Condition there_;  // a line
    Condition out_;    // all lines
    std::deque<Line> queue_;
    std::uint64_t put_ = 0;     // lines so far, each with its number
    std::uint64_t written_ = 0; // the number of the last one that is out; older ones are out or were dropped
    std::uint64_t dropped_ = 0; // lines that stood before the first one of the queue
    int file_ = -1;
    bool behind_ = false, running_ = false;
    std::unique_ptr<spdlog::formatter> formatter_; // of lines in a file
};

} // namespace outport::log
