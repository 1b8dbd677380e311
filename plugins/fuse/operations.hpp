// SPDX-License-Identifier: Apache-2.0
// What each FUSE operation means for the node: one shard's. Not thread-safe: belongs to its loop.
//
// An operation is a chain of block requests: each step starts one and names the step that follows. One
// request of the host's is enough for all steps of an operation, since they come one after the other.
#pragma once

#include "file.hpp"
#include "services.hpp"
#include "slot.hpp"

#include <array>

namespace outport::fuse {

class Operations {
  public:
    Operations(const Services& services, outport_export* handle, outport_loop* loop, File& file) noexcept;
    Operations(const Operations&) = delete;
    Operations& operator=(const Operations&) = delete;

    // [loop] Before the first request, after the last one.
    std::int32_t open(const outport_block_notices* notices = nullptr, void* data = nullptr) noexcept;
    void close() noexcept { queue_.close(); }

    // [loop] Carries out slot.request and then calls slot.transport->answer(slot), maybe before it returns.
    void begin(Slot& slot) noexcept;

    // [loop] Requests fail with ESHUTDOWN from now on.
    void refuse() noexcept { refusing_ = true; }
    // [loop] All of that, and those under way fail as soon as they can.
    void cut() noexcept;
    // [loop] The program that waits for `unique` was killed or interrupted. False: it is not here; should it
    // come later, since a descriptor's reads complete in any order, it is cancelled then.
    bool interrupt(std::uint64_t unique) noexcept;
    sdk::BlockQueue& queue() noexcept { return queue_; }

  private:
    using Step = void (Operations::*)(Slot&, std::int32_t);

    // operations.cpp
    void dispatch(Slot& slot) noexcept;
    void run(Slot& slot, std::uint32_t op, std::uint32_t flags, std::uint64_t offset, std::uint64_t length,
             Step then) noexcept;
    static void completed(outport_block_request* raw, std::int32_t result) noexcept;
    void answer(Slot& slot, int error = 0) noexcept;
    void done(Slot& slot, std::int32_t result) noexcept; // the last step of what has no data to answer with
    std::uint64_t size() const noexcept;

    void open_file(Slot& slot) noexcept;
    void statfs(Slot& slot) noexcept;
    void getattr(Slot& slot) noexcept;
    void got_allocation(Slot& slot, std::int32_t result) noexcept;
    void read(Slot& slot) noexcept;
    void did_read(Slot& slot, std::int32_t result) noexcept;
    void lseek(Slot& slot) noexcept;
    void walk(Slot& slot) noexcept;
    void walked(Slot& slot, std::int32_t result) noexcept;

    // operations-change.cpp
    void setattr(Slot& slot) noexcept;
    void did_resize(Slot& slot, std::int32_t result) noexcept;
    void write(Slot& slot) noexcept;
    void grown_for_write(Slot& slot, std::int32_t result) noexcept;
    void write_now(Slot& slot) noexcept;
    void did_write(Slot& slot, std::int32_t result) noexcept;
    void fallocate(Slot& slot) noexcept;
    void grown_for_fallocate(Slot& slot, std::int32_t result) noexcept;
    void fallocate_now(Slot& slot) noexcept;
    void did_change(Slot& slot, std::int32_t result) noexcept;

    const Services& services_;
    outport_export* const handle_;
    outport_loop* const loop_;
    File& file_;
    sdk::BlockQueue queue_;
    Slot* first_ = nullptr; // of those that are being carried out
    bool refusing_ = false, cut_ = false;
    std::array<std::uint64_t, 16> early_{}; // interrupts of what was not here; no number comes twice
    std::size_t next_early_ = 0;
};

} // namespace outport::fuse
