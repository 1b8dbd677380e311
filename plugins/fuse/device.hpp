// SPDX-License-Identifier: Apache-2.0
// The classic transport: one descriptor of /dev/fuse on one loop. Not thread-safe: belongs to its loop.
//
// A turn of the loop: what was read is carried out, what is done is answered, and the next read is asked for
// behind all that, so that one system call carries everything. So many reads wait for the device as there are
// requests about: one while it is quiet, several under load.
#pragma once

#include "buffers.hpp"
#include "operations.hpp"
#include "session.hpp"

#include <array>

namespace outport::fuse {

// Who has the device.
class DeviceOwner {
  public:
    // [loop] INIT: the answer, or why there is none.
    virtual Fault on_init(const Request& init, fuse_init_out& out) noexcept = 0;
    // [loop] The kernel has the answer to INIT.
    virtual void on_ready() noexcept = 0;
    // [loop] A program was interrupted that waits for a request which is not carried out on this loop.
    virtual void on_interrupt(std::uint64_t unique) noexcept = 0;
    // [loop] Nothing more will come: unmounted (ENODEV), or what the kernel sent makes no sense. Once.
    virtual void on_end(int error, Fault fault) noexcept = 0;
    // [loop] After stop() or the end: nothing is in flight any more. Once.
    virtual void on_idle() noexcept = 0;

  protected:
    ~DeviceOwner() = default;
};

class Device final : public Transport {
  public:
    static constexpr std::uint32_t kSlots = 64;

    // `fd` stays the caller's.
    Device(const Services& services, outport_loop* loop, Operations& operations, DeviceOwner& owner, int fd,
           std::uint32_t request_size) noexcept;

    // `max_transfer`: of one request, in bytes. False when there is no memory.
    bool allocate(std::uint32_t max_transfer) noexcept;
    void start() noexcept { read_soon(); }
    // Reads no more; on_idle follows when all is back, maybe before this returns.
    void stop() noexcept;

    void answer(Slot& slot) noexcept override;

  private:
    static constexpr std::uint32_t kMostReads = 16;

    void on_arrival(Slot& slot, std::int32_t result) noexcept override;
    void on_sent(Slot& slot, std::int32_t result) noexcept override;
    void on_room(std::int32_t, std::uint32_t);
    void on_turn(std::int32_t);

    void read_soon() noexcept;
    void read() noexcept;
    Slot* prepare_read(io_uring_sqe& sqe) noexcept;
    void received(Slot& slot, std::size_t size) noexcept;
    void init(Slot& slot) noexcept;
    bool submit(Slot& slot) noexcept;
    void wait_for_room() noexcept;
    void end(int error, Fault fault) noexcept;
    void release(Slot& slot) noexcept;
    void settle() noexcept;

    const Services& services_;
    sdk::Loop loop_;
    sdk::Ring ring_;
    Operations& operations_;
    DeviceOwner& owner_;
    const int fd_;
    Buffers buffers_;
    sdk::RequestPool<Slot> slots_;
    std::array<Slot*, kSlots> all_{};

    Slot* init_ = nullptr;      // carries the answer to INIT
    Slot* unsent_ = nullptr;    // answers that wait for room in the ring
    std::uint32_t reading_ = 0; // slots that are with a read
    bool full_ = false;         // no slot was free for a read
    bool stopping_ = false, ended_ = false, idle_told_ = false;
    sdk::RingOp<Device, &Device::on_room> room_{*this};
    sdk::LoopOp<Device, &Device::on_turn> turn_{*this};
};

} // namespace outport::fuse
