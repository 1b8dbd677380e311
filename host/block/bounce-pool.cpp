// SPDX-License-Identifier: Apache-2.0
#include "host/block/bounce-pool.hpp"

#include "host/loop/completion.hpp"

#include <cassert>
#include <new>

namespace outport::block {

BouncePool::~BouncePool() {
    assert(free_count_ == made_ && !waiting_.linked());
    while (free_count_)
        ::operator delete(free_[--free_count_], std::align_val_t(alignment_));
}

std::byte* BouncePool::take(Waiter& waiter) {
    if (free_count_)
        return free_[--free_count_];
    if (made_ < kBuffers) {
        ++made_;
        return static_cast<std::byte*>(::operator new(kBufferBytes, std::align_val_t(alignment_)));
    }
    waiter.hook.insert_before(waiting_);
    return nullptr;
}

void BouncePool::give_back(std::byte* buffer) {
    if (waiting_.linked()) {
        auto* waiter = loop::owner_of(waiting_.next, &Waiter::hook);
        waiter->hook.unlink();
        waiter->ready(*waiter, buffer);
        return;
    }
    free_[free_count_++] = buffer;
}

} // namespace outport::block
