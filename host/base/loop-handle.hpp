// SPDX-License-Identifier: Apache-2.0
// What is behind `outport_loop`: an event loop as one plugin sees it, and how much the plugin has in flight
// there. Thread-safe as each member says.
#pragma once

#include <atomic>
#include <cstdint>

namespace outport::loop {
class Loop;
}

struct outport_loop {
    explicit outport_loop(outport::loop::Loop* l) noexcept : loop(l) {}
    outport_loop(const outport_loop&) = delete;
    outport_loop& operator=(const outport_loop&) = delete;

    // [loop] An operation begins; it has ended when its last callback has returned. No other thread writes
    // these counts, so that they cost the data path a plain addition.
    void begin() noexcept {
        begun_.store(begun_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void end() noexcept {
        ended_.store(ended_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    // [any] The same of what is posted from another thread.
    void begin_post() noexcept { begun_posts_.fetch_add(1, std::memory_order_relaxed); }
    void end_post() noexcept { ended_posts_.fetch_add(1, std::memory_order_release); }

    // [any] Counts only grow, so that who reads first what has ended and then what had begun (on all loops
    // that matter) misses nothing, also where one operation begins the next one and ends.
    std::uint64_t ended() const noexcept {
        return ended_.load(std::memory_order_acquire) + ended_posts_.load(std::memory_order_acquire);
    }
    std::uint64_t begun() const noexcept {
        return begun_.load(std::memory_order_acquire) + begun_posts_.load(std::memory_order_acquire);
    }
    std::uint64_t in_flight() const noexcept {
        const std::uint64_t before = ended();
        return begun() - before;
    }

    outport::loop::Loop* const loop;

  private:
    std::atomic<std::uint64_t> begun_{0}, ended_{0};
    alignas(64) std::atomic<std::uint64_t> begun_posts_{0};
    std::atomic<std::uint64_t> ended_posts_{0};
};
