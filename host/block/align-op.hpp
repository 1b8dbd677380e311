// SPDX-License-Identifier: Apache-2.0
// Makes requests of any offset, length and buffer fit a node: splits what is too long, bounces what is
// misaligned, reads, merges and writes back the ends of a misaligned write. One piece of a request at a time.
// Belongs to a loop.
#pragma once

#include "host/block/bounce-pool.hpp"
#include "host/block/io.hpp"
#include "host/block/range-lock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace outport::block {

struct Stage;

// Reads and writes that may not fit.
void start_data(const Stage& stage, Io& io);
// Discards and zeroings that fit: apart from read-modify-writes.
void start_locked(const Stage& stage, Io& io);

class AlignOp {
  public:
    void run(const Stage& stage, Io& parent, bool whole);

  private:
    enum class Step : std::uint8_t { Whole, Split, ReadOut, ReadHead, ReadTail, Write };

    void cancel();
    void proceed();
    void start_bouncing();
    void next_piece();
    void next_split();
    void next_bounced();
    void fill_head();
    void fill_tail();
    void write_back();
    void issue(Op op, std::uint64_t offset, std::uint64_t length);
    void on_done(std::int32_t result);
    void finish(std::int32_t result);
    std::byte* let_go();
    std::uint64_t position() const noexcept { return parent_->offset + parent_->moved; }
    std::uint64_t end() const noexcept { return parent_->offset + parent_->length; }

    const Stage* stage_ = nullptr;
    Io* parent_ = nullptr;
    Io sub_;
    bool whole_ = false;
    bool locked_ = false;
    bool active_ = false; // sub_ is on its way
    Step step_ = Step::Whole;
    RangeLock::Range range_;
    BouncePool::Waiter waiter_;
    std::byte* buffer_ = nullptr;
    std::uint64_t piece_ = 0;                       // length of what is on its way
    std::uint64_t chunk_start_ = 0, chunk_end_ = 0; // what the buffer stands for
    std::array<iovec, 32> parts_{};
};

} // namespace outport::block
