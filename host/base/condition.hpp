// SPDX-License-Identifier: Apache-2.0
// A condition variable on CLOCK_MONOTONIC by way of pthread_cond_timedwait: std::condition_variable waits by
// pthread_cond_clockwait, which the thread sanitizer of older compilers does not know. Thread-safe.
#pragma once

#include <cerrno>
#include <cstdint>
#include <mutex>
#include <pthread.h>
#include <time.h>

namespace outport {

class Condition {
  public:
    Condition() noexcept {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&condition_, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    Condition(const Condition&) = delete;
    Condition& operator=(const Condition&) = delete;
    ~Condition() { pthread_cond_destroy(&condition_); }

    void notify_one() noexcept { pthread_cond_signal(&condition_); }
    void notify_all() noexcept { pthread_cond_broadcast(&condition_); }

    void wait(std::unique_lock<std::mutex>& lock) noexcept {
        pthread_cond_wait(&condition_, lock.mutex()->native_handle());
    }
    // False when `deadline_ns` (absolute) has passed.
    bool wait_until(std::unique_lock<std::mutex>& lock, std::uint64_t deadline_ns) noexcept {
        timespec ts{static_cast<time_t>(deadline_ns / 1'000'000'000),
                    static_cast<long>(deadline_ns % 1'000'000'000)};
        return pthread_cond_timedwait(&condition_, lock.mutex()->native_handle(), &ts) != ETIMEDOUT;
    }

  private:
    pthread_cond_t condition_;
};

} // namespace outport
