// SPDX-License-Identifier: Apache-2.0
// Payload memory of one loop: buffers in sizes of powers of two, kept for reuse, given back to the system
// when a while passes without their being needed. Not thread-safe: belongs to one loop.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace outport::nbd {

struct Region;

// The data follows this header in memory. Directly before the data there is room for the head of a reply, so
// that head and payload of most replies are one piece.
struct alignas(64) Buffer {
    static constexpr std::size_t kHeadroom = 32;

    Buffer* next = nullptr; // the pool's while it is free, the user's otherwise
    Region* region = nullptr;
    std::uint32_t references = 0;
    std::uint32_t size_class = 0;
    std::byte unused[8];
    std::byte headroom[kHeadroom];

    std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    inline std::size_t capacity() const noexcept;
};
static_assert(sizeof(Buffer) == 64);

// A mapping that some buffers of one size are cut from. They come straight from the system and not from the
// heap, where the free ones would be held by their neighbours for ever.
struct Region {
    Region* next = nullptr;
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
    std::uint32_t most = 0; // buffers that fit
    std::uint32_t cut = 0;  // buffers that were made
    std::uint32_t free = 0; // of which so many are free
    bool doomed = false;
};

class BufferPool {
  public:
    static constexpr std::size_t kSmallest = 4096;
    static constexpr unsigned kClasses = 14; // 4 KiB to 32 MiB
    static constexpr std::size_t kLargest = kSmallest << (kClasses - 1);

    // `alignment` of the data: what is above a cache line is met by page alignment.
    explicit BufferPool(std::uint32_t alignment) noexcept : paged_(alignment > alignof(Buffer)) {}
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    bool page_aligned() const noexcept { return paged_; }

    // With one reference. Null when there is no memory. `size` is at most kLargest.
    Buffer* take(std::size_t size) noexcept {
        const unsigned index = class_of(size);
        Shelf& shelf = shelves_[index];
        Buffer* buffer = shelf.free;
        if (!buffer) {
            buffer = cut(index);
            if (!buffer)
                return nullptr;
        } else {
            shelf.free = buffer->next;
            --buffer->region->free;
            if (--shelf.count < shelf.least)
                shelf.least = shelf.count;
            cached_ -= kSmallest << index;
        }
        buffer->references = 1;
        ++in_use_;
        return buffer;
    }
    void drop(Buffer* buffer) noexcept {
        if (--buffer->references > 0)
            return;
        // Last in, first out: the next user finds it in the processor's cache.
        Shelf& shelf = shelves_[buffer->size_class];
        buffer->next = shelf.free;
        shelf.free = buffer;
        ++buffer->region->free;
        ++shelf.count;
        cached_ += buffer->capacity();
        --in_use_;
    }

    // Whether so much lies unused that trim() should be called some time later.
    bool wants_trim() const noexcept { return cached_ > kKeep; }
    // Unmaps what has not been needed since the last trim. False when another one would find nothing until
    // buffers have been used again: what is left lies beside buffers in use.
    bool trim() noexcept;

    std::size_t cached() const noexcept { return cached_; }
    std::size_t in_use() const noexcept { return in_use_; }

  private:
    static constexpr std::size_t kKeep = 512u << 10;
    static constexpr std::size_t kRegion = 256u << 10; // bytes, where more than one buffer fits
    static constexpr std::size_t kPage = 4096;

    struct Shelf {
        Buffer* free = nullptr;
        std::uint32_t count = 0;   // of free ones
        std::uint32_t least = 0;   // the smallest count since the last trim
        Region* regions = nullptr; // the newest first; only that one can have uncut room
    };

    static unsigned class_of(std::size_t size) noexcept {
        return size <= kSmallest ? 0 : unsigned(std::bit_width((size - 1) / kSmallest));
    }
    std::size_t before() const noexcept { return paged_ ? kPage : sizeof(Buffer); }
    std::size_t stride(unsigned index) const noexcept { return before() + (kSmallest << index); }
    Buffer* cut(unsigned index) noexcept;
    Region* map(unsigned index) noexcept;
    bool doom_regions(Shelf& shelf, std::size_t buffer_bytes) noexcept;
    void unmap_doomed(Shelf& shelf) noexcept;

    std::array<Shelf, kClasses> shelves_{};
    std::size_t cached_ = 0; // bytes
    std::size_t in_use_ = 0; // buffers
    bool paged_;
};

std::size_t Buffer::capacity() const noexcept {
    return BufferPool::kSmallest << size_class;
}

} // namespace outport::nbd
