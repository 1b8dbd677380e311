// SPDX-License-Identifier: Apache-2.0
// A request between its arrival and its answer, with the memory for both. Not thread-safe: belongs to the
// loop of its transport.
#pragma once

#include "request.hpp"

#include <outport/cpp/block.hpp>
#include <outport/cpp/uring.hpp>

#include <cstring>
#include <sys/uio.h>

namespace outport::fuse {

class Operations;
struct Slot;

// Where requests come from and answers go to: /dev/fuse, or FUSE over io_uring.
class Transport {
  public:
    // Sends the slot's error or answer; the slot is the transport's again.
    virtual void answer(Slot& slot) noexcept = 0;

  protected:
    friend struct Slot;
    virtual void on_arrival(Slot& slot, std::int32_t result) noexcept = 0;
    virtual void on_sent(Slot& slot, std::int32_t result) noexcept = 0;
    ~Transport() = default;
};

struct Slot : sdk::BlockRequest<Slot> {
    static constexpr std::uint32_t kExtents = 8;

    void on_arrival(std::int32_t result, std::uint32_t) { transport->on_arrival(*this, result); }
    void on_sent(std::int32_t result, std::uint32_t) { transport->on_sent(*this, result); }

    // The transport's: memory that arrives, and how it goes out.
    Transport* transport = nullptr;
    Slot* next = nullptr;                 // in a list of its
    std::byte* data = nullptr;            // page-aligned: a WRITE's bytes, a READ's
    std::uint32_t capacity = 0;           // of `data`
    std::uint32_t index = 0, command = 0; // of FUSE over io_uring
    iovec pieces[2]{};
    Request request;
    sdk::RingOp<Slot, &Slot::on_arrival> arrival{*this};
    sdk::RingOp<Slot, &Slot::on_sent> sent{*this};

    // The answer: a positive errno, or bytes, in `data` for a READ, else in `small`.
    int error = 0;
    bool answer_in_data = false;
    std::uint32_t answer_size = 0;
    alignas(8) fuse_out_header out{};
    alignas(8) std::byte small[128]; // right behind `out`, so that one piece carries both

    // The operation's.
    Operations* owner = nullptr;
    Slot *before = nullptr, *after = nullptr; // among those that are being carried out
    void (Operations::*then)(Slot&, std::int32_t result) = nullptr;
    bool interrupted = false;
    outport_iovec iov{};
    outport_extent extents[kExtents]{};
    std::uint64_t position = 0, end = 0; // of a walk over the file, of a range

    template <class Out> void put(const Out& answered) noexcept {
        static_assert(sizeof(Out) <= sizeof small);
        std::memcpy(small, &answered, sizeof answered);
        answer_size = sizeof answered;
    }
};
static_assert(sizeof(fuse_out_header) % 8 == 0, "the answer stands right behind its header");

} // namespace outport::fuse
