// SPDX-License-Identifier: Apache-2.0
// Aligned buffers of one (node, loop) for what can't go to the back end as it is. There is a fixed number of
// them; who finds none waits in turn. They are made when first needed and kept. Not thread-safe.
#pragma once

#include "host/base/intrusive-list.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace outport::block {

class BouncePool {
  public:
    static constexpr std::size_t kBufferBytes = 128 * 1024;
    static constexpr unsigned kBuffers = 16;

    struct Waiter {
        ListHook hook;
        void (*ready)(Waiter&, std::byte* buffer) = nullptr; // inside give_back
    };

    explicit BouncePool(std::size_t alignment) : alignment_(alignment) {}
    BouncePool(const BouncePool&) = delete;
    BouncePool& operator=(const BouncePool&) = delete;
    ~BouncePool();

    // A buffer, or null: then `waiter` is called when there is one.
    std::byte* take(Waiter& waiter);
    void give_back(std::byte* buffer);

  private:
    std::size_t alignment_;
    std::array<std::byte*, kBuffers> free_{};
    unsigned free_count_ = 0;
    unsigned made_ = 0;
    ListHook waiting_;
};

} // namespace outport::block
