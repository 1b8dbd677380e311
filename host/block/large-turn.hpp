// SPDX-License-Identifier: Apache-2.0
// The large requests of one loop, started one queue after the other, so that a turn stays short however many
// queues ask: a small request of another export waits for one large one at most, not for one of each queue.
// Belongs to its loop.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/loop/completion.hpp"

#include <cstdint>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class Queue;

class LargeTurn {
  public:
    static constexpr std::uint64_t kLarge = 64 * 1024;       // requests up to this are not counted here
    static constexpr std::uint64_t kTurnBytes = 1024 * 1024; // that the loop starts in one turn

    // That of the calling thread's loop.
    static LargeTurn& of(loop::Loop& loop) noexcept;

    // Whether `queue` may start a request of so many bytes now. If not, it is called back (Queue::serve) when
    // it is its turn, and may start one then.
    bool admit(Queue& queue, std::uint64_t bytes) noexcept;

  private:
    LargeTurn();
    void serve();
    void begin_turn() noexcept;

    loop::Loop* loop_ = nullptr;
    std::uint64_t turn_ = 0;
    std::uint64_t spent_ = 0;
    Queue* called_ = nullptr; // whose turn it is
    ListHook waiting_;
    loop::Task task_;
};

} // namespace outport::block
