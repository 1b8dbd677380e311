// SPDX-License-Identifier: Apache-2.0
// Has the kernel drop what it keeps of a range that another user of the node has changed. Not thread-safe:
// belongs to the loop of the export's first shard.
//
// The call waits for pages that this loop, too, must fill, so it is made on the host's pool. Changes wait
// their turn in a list; the host waits for each.
#pragma once

#include "kernel.hpp"
#include "services.hpp"

#include <outport/cpp/block.hpp>

#include <array>

namespace outport::fuse {

class InvalidatorOwner {
  public:
    // [loop] After cut(): no change is left.
    virtual void on_invalidator_idle() noexcept = 0;

  protected:
    ~InvalidatorOwner() = default;
};

class Invalidator {
  public:
    // `fd`: of the device, the caller's.
    Invalidator(const Services& services, outport_loop* loop, sdk::BlockQueue& queue, InvalidatorOwner& owner,
                int fd) noexcept;
    Invalidator(const Invalidator&) = delete;
    Invalidator& operator=(const Invalidator&) = delete;

    void add(outport_range_change& change) noexcept;
    // The mount goes: changes are let go without the kernel.
    void cut() noexcept;
    bool idle() const noexcept { return !first_ && running_ == 0 && !retry_.running(); }

  private:
    static constexpr std::uint64_t kRetry = 50'000'000; // ns, when the pool takes no job

    struct Message {
        fuse_out_header header;
        fuse_notify_inval_inode_out range;
    };
    struct Job : outport_blocking_job {
        Invalidator* owner = nullptr;
        outport_range_change* change = nullptr; // null: it is free
        Message message{};
        int error = 0;
    };

    static void on_run(outport_blocking_job* raw) noexcept; // [pool]
    static void on_done(outport_blocking_job* raw) noexcept;
    void on_retry(std::int32_t);
    void work() noexcept;
    bool begin(Job& job, outport_range_change& change) noexcept;
    void tell_idle() noexcept;

    const Services& services_;
    sdk::Loop loop_;
    sdk::BlockQueue& queue_;
    InvalidatorOwner& owner_;
    const int fd_;
    std::array<Job, 4> jobs_;
    std::uint32_t running_ = 0;
    outport_range_change* first_ = nullptr; // that wait, linked by plugin[0]
    outport_range_change* last_ = nullptr;
    bool cut_ = false, idle_told_ = false;
    sdk::LoopOp<Invalidator, &Invalidator::on_retry> retry_{*this};
};

} // namespace outport::fuse
