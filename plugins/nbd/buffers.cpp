// SPDX-License-Identifier: Apache-2.0
#include "buffers.hpp"

#include <cassert>
#include <cstdlib>
#include <new>

namespace outport::nbd {

BufferPool::~BufferPool() {
    assert(in_use_ == 0);
    for (Shelf& shelf : shelves_)
        while (Buffer* buffer = shelf.free) {
            shelf.free = buffer->next;
            release(buffer);
        }
}

// With page alignment the header stands at the end of the page before the data.
Buffer* BufferPool::allocate(unsigned index) noexcept {
    const std::size_t alignment = paged_ ? kPage : alignof(Buffer);
    const std::size_t before = paged_ ? kPage : sizeof(Buffer);
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, before + (kSmallest << index)));
    if (!memory)
        return nullptr;
    auto* buffer = new (memory + before - sizeof(Buffer)) Buffer;
    buffer->size_class = index;
    return buffer;
}

void BufferPool::release(Buffer* buffer) noexcept {
    std::free(buffer->data() - (paged_ ? kPage : sizeof(Buffer)));
}

void BufferPool::put_back(Buffer* buffer) noexcept {
    --in_use_;
    const std::size_t bytes = buffer->capacity();
    if (cached_ + bytes > kMostCached)
        return release(buffer);
    Shelf& shelf = shelves_[buffer->size_class];
    // Last in, first out: the next user finds it in the processor's cache.
    buffer->next = shelf.free;
    shelf.free = buffer;
    ++shelf.count;
    cached_ += bytes;
}

void BufferPool::trim() noexcept {
    for (unsigned index = kClasses; index-- > 0;) {
        Shelf& shelf = shelves_[index];
        for (; shelf.least > 0 && cached_ > kKeep; --shelf.least) {
            Buffer* buffer = shelf.free;
            shelf.free = buffer->next;
            --shelf.count;
            cached_ -= buffer->capacity();
            release(buffer);
        }
        shelf.least = shelf.count;
    }
}

} // namespace outport::nbd
