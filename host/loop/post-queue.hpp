// SPDX-License-Identifier: Apache-2.0
// Many producers, one consumer: what other threads hand to a loop. Thread-safe as marked. The order between
// threads is the queue's own release and acquire, not the kernel's wake-up, which orders nothing that a
// checker can see.
#pragma once

#include "host/loop/completion.hpp"

#include <atomic>

namespace outport::loop {

class PostQueue {
  public:
    // [any] Sequentially consistent, since the poster then reads whether the loop sleeps: either it sees the
    // sleeper or the sleeper sees the element.
    void push(Posted& item) noexcept {
        Posted* head = head_.load(std::memory_order_relaxed);
        do {
            item.next = head;
        } while (
            !head_.compare_exchange_weak(head, &item, std::memory_order_seq_cst, std::memory_order_relaxed));
    }

    // [any] A hint, exact for the consumer that has just announced that it sleeps.
    bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

    // [consumer] All elements, oldest first, linked by `next`.
    Posted* take_all() noexcept {
        if (!head_.load(std::memory_order_relaxed))
            return nullptr;
        Posted* newest = head_.exchange(nullptr, std::memory_order_seq_cst);
        Posted* oldest = nullptr;
        while (newest) {
            Posted* next = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = next;
        }
        return oldest;
    }

  private:
    std::atomic<Posted*> head_{nullptr};
};

} // namespace outport::loop
