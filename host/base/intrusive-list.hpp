// SPDX-License-Identifier: Apache-2.0
// Intrusive lists: the link lives in the element, so that queueing allocates nothing. Not thread-safe.
#pragma once

#include <cassert>

namespace outport {

// First in, first out; singly linked through `T::*Next`. An element is in at most one list by the same link.
template <class T, T* T::* Next> class IntrusiveQueue {
  public:
    bool empty() const noexcept { return head_ == nullptr; }
    T* front() const noexcept { return head_; }

    void push_back(T* item) noexcept {
        item->*Next = nullptr;
        if (tail_)
            tail_->*Next = item;
        else
            head_ = item;
        tail_ = item;
    }

    T* pop_front() noexcept {
        T* item = head_;
        if (item) {
            head_ = item->*Next;
            if (!head_)
                tail_ = nullptr;
            item->*Next = nullptr;
        }
        return item;
    }

    // All elements of `other`, behind ours.
    void splice_back(IntrusiveQueue& other) noexcept {
        if (other.empty())
            return;
        if (tail_)
            tail_->*Next = other.head_;
        else
            head_ = other.head_;
        tail_ = other.tail_;
        other.head_ = other.tail_ = nullptr;
    }

  private:
    T* head_ = nullptr;
    T* tail_ = nullptr;
};

// A doubly linked ring node; an element leaves any list in O(1) without knowing which list it is in.
struct ListHook {
    ListHook* prev = this;
    ListHook* next = this;

    ListHook() = default;
    ListHook(const ListHook&) = delete;
    ListHook& operator=(const ListHook&) = delete;
    ~ListHook() { unlink(); }

    bool linked() const noexcept { return next != this; }
    void unlink() noexcept {
        prev->next = next;
        next->prev = prev;
        prev = next = this;
    }
    void insert_before(ListHook& position) noexcept {
        assert(!linked());
        prev = position.prev;
        next = &position;
        prev->next = this;
        position.prev = this;
    }
};

} // namespace outport
