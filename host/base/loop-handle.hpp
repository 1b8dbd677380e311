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
    // this count, so that it costs the data path a plain addition.
    void begin() noexcept { own_.store(own_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
    void end() noexcept { own_.store(own_.load(std::memory_order_relaxed) - 1, std::memory_order_release); }
    // [any] The same of what is posted from another thread.
    void begin_post() noexcept { posts_.fetch_add(1, std::memory_order_relaxed); }
    void end_post() noexcept { posts_.fetch_sub(1, std::memory_order_release); }

    // [any]
    std::uint64_t in_flight() const noexcept {
        return own_.load(std::memory_order_acquire) + posts_.load(std::memory_order_acquire);
    }

    outport::loop::Loop* const loop;

  private:
    std::atomic<std::uint64_t> own_{0};
    alignas(64) std::atomic<std::uint64_t> posts_{0};
};
