// SPDX-License-Identifier: Apache-2.0
// The other transport: FUSE over io_uring (Documentation/filesystems/fuse-io-uring.rst in the kernel's tree).
// One shard's part. Not thread-safe: belongs to its loop.
//
// The kernel has a queue for each processor, and each queue has entries that we give it: memory for a request
// and its answer. One command answers a request and asks for the next. What the kernel does not send this way
// (INIT, interrupts, forgets) still comes by the device.
//
// An entry comes back when the connection has ended, and not before: nothing takes the command back. So
// whoever uses this must be able to end the connection (abort_connection()).
#pragma once

#include "buffers.hpp"
#include "operations.hpp"

namespace outport::fuse {

// Who has the entries.
class RingOwner {
  public:
    // [loop] The kernel would not take an entry; it goes on by the device.
    virtual void on_ring_refused(int error) noexcept = 0;
    // [loop] What the kernel sent makes no sense.
    virtual void on_ring_fault(Fault fault) noexcept = 0;
    // [loop] All entries have come back.
    virtual void on_ring_idle() noexcept = 0;

  protected:
    ~RingOwner() = default;
};

class RingTransport final : public Transport {
  public:
    // `fd`: this loop's descriptor of the device, the caller's.
    RingTransport(const Services& services, outport_loop* loop, Operations& operations, RingOwner& owner,
                  int fd, std::uint32_t request_size) noexcept;

    // [any] Whether the loop's ring can carry it.
    static bool possible(const Services& services, outport_loop* loop) noexcept;

    // Of the kernel's `queues` those with the numbers `first`, `first + step`, … are this one's. False when
    // there is no memory.
    bool allocate(std::uint32_t max_transfer, std::uint32_t queues, std::uint32_t first,
                  std::uint32_t step) noexcept;
    // Gives the entries to the kernel; after INIT.
    void start() noexcept;
    bool idle() const noexcept { return slots_.in_use() == 0 && !room_.running(); }

    void answer(Slot& slot) noexcept override;

  private:
    static constexpr std::uint32_t kMostEntries = 256; // of a shard
    static constexpr std::uint32_t kMostEach = 32;     // of a queue
    static constexpr std::size_t kHeaderRoom = 512;    // in front of the payload

    void on_arrival(Slot& slot, std::int32_t result) noexcept override;
    void on_sent(Slot&, std::int32_t) noexcept override {}
    void on_room(std::int32_t, std::uint32_t);
    static fuse_uring_req_header& header(Slot& slot) noexcept;
    Slot* take(std::uint32_t entry) noexcept;
    Fault received(Slot& slot) noexcept;
    void send(Slot& slot, std::uint32_t command) noexcept;
    bool submit(Slot& slot) noexcept;

    sdk::Ring ring_;
    Operations& operations_;
    RingOwner& owner_;
    const int fd_;
    Buffers buffers_;
    sdk::RequestPool<Slot> slots_;
    std::uint32_t max_transfer_ = 0, first_ = 0, step_ = 1;
    std::uint32_t each_ = 0, entries_ = 0; // of a queue; of this shard
    Slot* unsent_ = nullptr;               // wait for room in the loop's ring
    sdk::RingOp<RingTransport, &RingTransport::on_room> room_{*this};
};

} // namespace outport::fuse
