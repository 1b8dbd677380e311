// SPDX-License-Identifier: Apache-2.0
// One io_uring: its creation with an explanation when that fails, the two queues, and the one system call.
// Loop is the only user. Not thread-safe: the kernel lets only the thread that made it enter it.
#pragma once

#include "host/base/error.hpp"

#include <array>
#include <cstdint>
#include <liburing.h>
#include <span>

namespace outport::loop {

struct RingOptions {
    std::uint32_t entries = 256;     // submission entries; a power of two; also the longest linked chain
    std::uint32_t cq_entries = 4096; // completions that fit before the kernel has to keep them aside
    bool wide_entries = true;        // 128 bytes each, as FUSE and ublk commands need
};

// A completion entry, copied off the ring.
struct Reaped {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
};

class Ring {
  public:
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring();

    Result<> open(const RingOptions& options);

    // The next free entry, zeroed, counted as committed; null when the queue is full.
    io_uring_sqe* take() noexcept;
    std::uint32_t room() const noexcept;
    std::uint32_t unsubmitted() const noexcept; // taken, not yet accepted by the kernel

    // Copies up to out.size() completions and gives their slots back to the kernel; how many.
    std::uint32_t reap(std::span<Reaped> out) noexcept;
    bool has_completions() const noexcept;
    // Whether entering would bring completions that are not in the queue yet.
    bool needs_enter() const noexcept;

    // Hands over all entries and, with `get_events`, lets the kernel post what is done, waiting for
    // `min_complete` of them for at most `timeout_ns` (UINT64_MAX: for ever). After `gather_us` microseconds
    // one completion is enough, where the kernel knows that (6.12 and later); 0: as many as were asked for.
    // The number of entries taken, or a negative errno; -ETIME and -EINTR are ordinary ends of a wait.
    int enter(std::uint32_t min_complete, std::uint64_t timeout_ns, bool get_events,
              std::uint32_t gather_us = 0) noexcept;
    bool can_gather() const noexcept { return features_ & kFeatureMinTimeout; }

    std::uint32_t entries() const noexcept { return entries_; }
    std::uint32_t entry_size() const noexcept { return entry_size_; }
    std::uint32_t setup_flags() const noexcept { return setup_flags_; }
    std::uint32_t features() const noexcept { return features_; }
    const std::array<std::uint64_t, 4>& opcodes() const noexcept {
        return opcodes_;
    } // bit N: opcode N is known
    bool knows(std::uint8_t opcode) const noexcept { return opcodes_[opcode / 64] >> (opcode % 64) & 1; }

  private:
    static constexpr std::uint32_t kFeatureMinTimeout =
        1u << 15; // IORING_FEAT_MIN_TIMEOUT, newer than the headers

    Result<> probe();

    io_uring ring_{};
    bool open_ = false;
    std::uint32_t tail_ = 0; // of the submission queue; the kernel sees it when we enter
    std::uint32_t mask_ = 0;
    std::uint32_t entries_ = 0;
    std::uint32_t entry_size_ = 0;
    std::uint32_t setup_flags_ = 0;
    std::uint32_t features_ = 0;
    std::array<std::uint64_t, 4> opcodes_{};
};

// What to tell the operator when io_uring_setup failed with `number` (positive).
Error explain_setup_failure(int number);

} // namespace outport::loop
