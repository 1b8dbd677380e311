// SPDX-License-Identifier: Apache-2.0
// Where received bytes go, so that requests come in many at once and payload is never moved: it stays where
// the kernel put it until it is written. Not thread-safe: belongs to one connection.
//
// Bytes arrive in a slab. A write's payload is used in the slab, which the request keeps alive by a
// reference. Payload that does not fit the rest of the slab goes on in the next slab, or, when it is long, in
// a buffer of its own. Only the head of a request that a slab's end cuts in two is moved.
#pragma once

#include "buffers.hpp"
#include "wire.hpp"

#include <outport/abi.h>

#include <span>

namespace outport::nbd {

// Where the payload of one write is: up to two pieces.
struct Payload {
    outport_iovec pieces[2];
    std::uint32_t count = 0;
    Buffer* buffers[2] = {};
};

class Receiver {
  public:
    explicit Receiver(BufferPool& pool) noexcept : pool_(pool) {}
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    ~Receiver() { release(); }

    // The bytes that came in and were not used yet. Empty while a payload is incomplete.
    std::span<const std::byte> ready() const noexcept {
        return begin_ < end_ ? std::span(slab_->data() + begin_, end_ - begin_)
                             : std::span<const std::byte>{};
    }
    void consume(std::size_t bytes) noexcept { begin_ += bytes; }

    // The next `length` bytes of the stream are a payload, whether they are there yet or not. False, and
    // nothing changed, when there is no memory.
    bool take_payload(std::size_t length, Payload& payload) noexcept;
    // The next `length` bytes are a payload of no interest.
    void discard(std::size_t length) noexcept;

    // Whether all of the last payload is here, or was dropped.
    bool payload_complete() const noexcept { return direct_.empty() && begin_ <= end_ && discard_ == 0; }

    // Where the next bytes shall go; empty when there is no memory. Less than a request's head is unread
    // then.
    std::span<std::byte> space() noexcept;
    // Whether all of space() belongs to one payload, so that nothing is gained by returning early.
    bool wants_all() const noexcept { return !direct_.empty(); }
    void filled(std::size_t bytes) noexcept;

    // Gives back what it holds, but for what requests refer to.
    void release() noexcept;

  private:
    static constexpr std::size_t kSmallSlab = 16u << 10;
    static constexpr std::size_t kLargeSlab = 256u << 10;

    static constexpr std::size_t kAlignedPayload = 16u << 10;

    bool take_payload_aligned(std::size_t length, Payload& payload) noexcept;
    bool take_payload_beyond(std::size_t length, Payload& payload) noexcept;
    void add_piece(Payload& payload, Buffer* buffer, std::byte* at, std::size_t length) noexcept;
    bool new_slab() noexcept;
    void drop_discarded() noexcept;
    void learn(std::size_t bytes, std::size_t room) noexcept;

    BufferPool& pool_;
    Buffer* slab_ = nullptr;
    std::size_t begin_ = 0;       // first unused byte; beyond end_ while a payload in the slab is incomplete
    std::size_t end_ = 0;         // behind the last received byte
    std::span<std::byte> direct_; // what is missing of a payload in a buffer of its own
    std::size_t discard_ = 0;
    std::size_t slab_size_ = kSmallSlab;
    std::uint32_t modest_ = 0; // how often in a row little came
};

} // namespace outport::nbd
