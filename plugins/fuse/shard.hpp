// SPDX-License-Identifier: Apache-2.0
// An export's part on one loop: its transports and the operations that came by them. Made and destroyed on
// the main loop; in between it belongs to its loop, but for the post_… members.
#pragma once

#include "device.hpp"
#include "invalidator.hpp"
#include "ring-transport.hpp"

#include <array>
#include <mutex>

namespace outport::fuse {

class Export;

class Shard final : private DeviceOwner, private RingOwner, private InvalidatorOwner {
  public:
    // `first`: the one that is told of changes by others. `fd`: a descriptor of /dev/fuse for this loop
    // alone, ours from here on.
    Shard(const Services& services, Export& parent, outport_export* handle, outport_loop* loop, File& file,
          bool first, int fd, std::uint32_t request_size) noexcept;
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard();

    // [main] False when there is no memory.
    bool allocate(std::uint32_t max_transfer) noexcept { return device_.allocate(max_transfer); }
    bool allocate_ring(std::uint32_t max_transfer, std::uint32_t queues, std::uint32_t first,
                       std::uint32_t step) noexcept {
        return ring_.allocate(max_transfer, queues, first, step);
    }

    // [main] Reads from the device.
    void post_start() noexcept { loop_.post(start_); }
    // [main] After INIT, when both sides want io_uring: gives the kernel the entries.
    void post_start_ring() noexcept { loop_.post(start_ring_); }
    // [main] Requests fail from now on.
    void post_refuse() noexcept { loop_.post(refuse_); }
    // [main] Those under way too, and no more are read; the export hears shard_closed().
    void post_cut() noexcept { loop_.post(cut_); }
    // [loop of another shard] As Operations::interrupt().
    void post_interrupt(std::uint64_t unique) noexcept;

  private:
    Fault on_init(const Request& init, fuse_init_out& out) noexcept override;
    void on_ready() noexcept override;
    void on_interrupt(std::uint64_t unique) noexcept override;
    void on_end(int error, Fault fault) noexcept override;
    void on_idle() noexcept override;
    void on_ring_refused(int error) noexcept override;
    void on_ring_fault(Fault fault) noexcept override;
    void on_ring_idle() noexcept override;
    void on_invalidator_idle() noexcept override;
    static void on_range_changed(void* data, outport_range_change* change) noexcept;

    void on_start(std::int32_t);
    void on_start_ring(std::int32_t);
    void on_refuse(std::int32_t);
    void on_cut(std::int32_t);
    void on_interrupts(std::int32_t);
    void on_initialised(std::int32_t); // [main]
    void on_refused(std::int32_t);     // [main]
    void on_ended(std::int32_t);       // [main]
    void on_closed(std::int32_t);      // [main]
    void close_when_idle() noexcept;

    const Services& services_;
    Export& parent_;
    sdk::Loop loop_;
    const bool first_;
    const int fd_;
    Operations operations_;
    Device device_;
    RingTransport ring_;
    Invalidator invalidator_;
    bool device_idle_ = false, cutting_ = false, closed_told_ = false, end_told_ = false;
    std::mutex interrupts_lock_; // also for closed_told_; nothing waits with it
    std::array<std::uint64_t, 64> interrupted_{};
    std::size_t interrupts_ = 0;
    int end_error_ = 0;
    Fault end_fault_;
    sdk::LoopOp<Shard, &Shard::on_start> start_{*this};
    sdk::LoopOp<Shard, &Shard::on_start_ring> start_ring_{*this};
    sdk::LoopOp<Shard, &Shard::on_refuse> refuse_{*this};
    sdk::LoopOp<Shard, &Shard::on_cut> cut_{*this};
    sdk::LoopOp<Shard, &Shard::on_interrupts> told_interrupts_{*this};
    sdk::LoopOp<Shard, &Shard::on_initialised> initialised_{*this};
    sdk::LoopOp<Shard, &Shard::on_refused> told_refused_{*this};
    sdk::LoopOp<Shard, &Shard::on_ended> told_end_{*this};
    sdk::LoopOp<Shard, &Shard::on_closed> closed_{*this};
};

} // namespace outport::fuse
