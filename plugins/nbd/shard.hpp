// SPDX-License-Identifier: Apache-2.0
// An export's part on one loop: the connections that live there and the memory they share.
// Made and destroyed on the main loop; in between it belongs to its loop, but for post_cut().
#pragma once

#include "buffers.hpp"
#include "services.hpp"

namespace outport::nbd {

class Connection;
class Export;

class Shard {
  public:
    Shard(const Services& services, Export& parent, outport_loop* loop, std::uint32_t memory_alignment);
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    const Services& services() const noexcept { return services_; }
    Export& parent() const noexcept { return parent_; }
    const sdk::Loop& loop() const noexcept { return loop_; }
    BufferPool& pool() noexcept { return pool_; }

    // [main] Cuts off every client; the export hears shard_closed() when nothing is left here.
    void post_cut() noexcept { loop_.post(cut_); }

    // [main] Requests that come from now on are refused.
    void post_refuse() noexcept { loop_.post(refuse_); }
    bool refusing() const noexcept { return refusing_; } // [loop]

    // [loop] A connection begins; it ends, after which it must not be touched any more: the main loop has it.
    void add(Connection& connection) noexcept;
    void remove(Connection& connection, sdk::LoopOpBase& gone) noexcept;
    bool cutting() const noexcept { return cutting_; }

    // [loop] The connections share memory for payload beyond what is each one's own, in the order in which
    // they asked. False: it is called (Connection::flush_soon) when it may ask again.
    bool share(Connection& connection, std::uint64_t more) noexcept;
    void waits_no_more(Connection& connection) noexcept;
    // So much more, or less, of it is in use.
    void shared(std::int64_t change) noexcept;

    // [loop] Buffers came back: unused ones are freed after a while.
    void consider_trim() noexcept {
        if (pool_.wants_trim() && !trim_.running() && !cutting_)
            loop_.timer(trim_, kTrimInterval);
    }

  private:
    static constexpr std::uint64_t kTrimInterval = 500'000'000; // ns
    static constexpr std::uint64_t kShared = 128u << 20;        // bytes
    static constexpr std::uint64_t kPatience = 60'000'000'000;  // ns

    void on_cut(std::int32_t);
    void on_refuse(std::int32_t) { refusing_ = true; }
    void on_trim(std::int32_t result);
    void on_patience(std::int32_t result);
    void on_closed(std::int32_t);
    void wake_waiter() noexcept;
    void close_when_empty() noexcept;

    const Services& services_;
    Export& parent_;
    sdk::Loop loop_;
    BufferPool pool_;
    Connection* connections_ = nullptr;
    bool cutting_ = false, refusing_ = false;
    std::uint64_t shared_ = 0;      // bytes
    Connection* waiters_ = nullptr; // for more of them, the first
    Connection** waiters_end_ = &waiters_;
    sdk::LoopOp<Shard, &Shard::on_cut> cut_{*this};
    sdk::LoopOp<Shard, &Shard::on_refuse> refuse_{*this};
    sdk::LoopOp<Shard, &Shard::on_trim> trim_{*this};
    sdk::LoopOp<Shard, &Shard::on_patience> patience_{*this};
    sdk::LoopOp<Shard, &Shard::on_closed> closed_{*this};
};

} // namespace outport::nbd
