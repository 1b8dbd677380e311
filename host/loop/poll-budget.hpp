// SPDX-License-Identifier: Apache-2.0
// How long a loop polls before it sleeps: it grows while events come soon after the loop ran out of work, and
// shrinks when they don't, so that a loaded loop saves the sleep and an idle one never polls. Not
// thread-safe.
#pragma once

#include <cstdint>

namespace outport::loop {

// As the members of an iothread object: poll-max-ns, poll-grow, poll-shrink.
struct PollLimits {
    std::uint64_t max_ns = 0; // 0: never polls
    std::uint64_t grow = 0;   // factor; 0 means 2
    std::uint64_t shrink = 0; // divisor; 0 means straight to 0
};

inline constexpr std::uint64_t kPollFirstNs = 4000;

class PollBudget {
  public:
    explicit PollBudget(const PollLimits& limits) noexcept : limits_(limits) {}

    const PollLimits& limits() const noexcept { return limits_; }
    void set_limits(const PollLimits& limits) noexcept {
        limits_ = limits;
        if (now_ns_ > limits.max_ns)
            now_ns_ = limits.max_ns;
    }

    std::uint64_t current_ns() const noexcept { return now_ns_; }

    // After a wait: `waited_ns` went by, polling and sleeping, until there was something to do.
    void waited(std::uint64_t waited_ns) noexcept {
        if (waited_ns <= now_ns_)
            return; // polling caught it
        if (waited_ns > limits_.max_ns) {
            now_ns_ = limits_.shrink ? now_ns_ / limits_.shrink : 0;
            return;
        }
        std::uint64_t grow = limits_.grow ? limits_.grow : 2;
        std::uint64_t longer = now_ns_ ? now_ns_ * grow : kPollFirstNs;
        now_ns_ = longer < now_ns_ || longer > limits_.max_ns ? limits_.max_ns : longer;
    }

  private:
    PollLimits limits_;
    std::uint64_t now_ns_ = 0;
};

} // namespace outport::loop
