// SPDX-License-Identifier: Apache-2.0
// Replies that go out together: many heads and payloads as one list of pieces for one system call.
// Not thread-safe: belongs to one connection.
#pragma once

#include "in-flight.hpp"

#include <span>
#include <sys/socket.h>

namespace outport::nbd {

class Output {
  public:
    explicit Output(BufferPool& pool) noexcept : pool_(pool) {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    bool empty() const noexcept { return first_ == count_; }

    // Puts the reply in, or returns false when it does not fit any more. The buffers of the request become
    // the output's; the request itself is not needed any longer.
    bool add(InFlight& request, bool structured) noexcept;

    // What is still to be sent, up to `most` bytes of it: whole pieces, or a part of a single one. Valid
    // until sent() or clear().
    struct Step {
        std::span<outport_iovec> pieces;
        std::uint64_t length; // of the piece, if it is one
    };
    Step next(std::uint64_t most) noexcept;
    std::uint64_t bytes() const noexcept { return bytes_; }

    // So much of it went out. When all did, the buffers go back to the pool.
    void sent(std::uint64_t bytes) noexcept;
    void clear() noexcept;

  private:
    static constexpr std::uint32_t kMostPieces = 256;
    static constexpr std::size_t kHeads = 8192;
    static constexpr std::size_t kMostText = 512;

    void put(const std::byte* at, std::size_t length) noexcept;
    bool add_head_only(const InFlight& request, bool structured) noexcept;
    void add_data(InFlight& request, bool structured) noexcept;

    BufferPool& pool_;
    std::uint32_t first_ = 0, count_ = 0;
    std::size_t heads_used_ = 0;
    std::uint64_t bytes_ = 0;
    Buffer* buffers_ = nullptr; // linked by `next`
    outport_iovec pieces_[kMostPieces];
    std::byte heads_[kHeads]; // of replies without data
};

} // namespace outport::nbd
