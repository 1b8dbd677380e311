// SPDX-License-Identifier: Apache-2.0
#include "buffers.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <sys/mman.h>

namespace outport::nbd {

BufferPool::~BufferPool() {
    assert(in_use_ == 0);
    for (Shelf& shelf : shelves_)
        while (Region* region = shelf.regions) {
            shelf.regions = region->next;
            ::munmap(region->memory, region->bytes);
            delete region;
        }
}

Region* BufferPool::map(unsigned index) noexcept {
    auto* region = new (std::nothrow) Region;
    if (!region)
        return nullptr;
    region->most = std::uint32_t(std::max<std::size_t>(1, kRegion / stride(index)));
    region->bytes = (region->most * stride(index) + kPage - 1) & ~(kPage - 1);
    void* memory = ::mmap(nullptr, region->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        delete region;
        return nullptr;
    }
    region->memory = static_cast<std::byte*>(memory);
    region->next = shelves_[index].regions;
    shelves_[index].regions = region;
    return region;
}

// Buffers are cut one by one, so that a region's pages are touched only as they are needed. With page
// alignment the header stands at the end of the page before the data.
Buffer* BufferPool::cut(unsigned index) noexcept {
    Region* region = shelves_[index].regions;
    if (!region || region->cut == region->most)
        region = map(index);
    if (!region)
        return nullptr;
    std::byte* start = region->memory + region->cut++ * stride(index);
    auto* buffer = new (start + before() - sizeof(Buffer)) Buffer;
    buffer->region = region;
    buffer->size_class = index;
    return buffer;
}

// Those of which all buffers are free, as far as so many have not been needed for a while.
bool BufferPool::doom_regions(Shelf& shelf, std::size_t buffer_bytes) noexcept {
    bool any = false;
    for (Region* region = shelf.regions; region && cached_ > kKeep; region = region->next) {
        if (region->free < region->cut || region->cut > shelf.least)
            continue;
        region->doomed = any = true;
        shelf.least -= region->cut;
        shelf.count -= region->cut;
        cached_ -= region->cut * buffer_bytes;
    }
    return any;
}

void BufferPool::unmap_doomed(Shelf& shelf) noexcept {
    for (Buffer** link = &shelf.free; *link;) {
        if ((*link)->region->doomed)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
    for (Region** link = &shelf.regions; Region* region = *link;) {
        if (!region->doomed) {
            link = &region->next;
            continue;
        }
        *link = region->next;
        ::munmap(region->memory, region->bytes);
        delete region;
    }
}

bool BufferPool::trim() noexcept {
    bool more = false;
    for (unsigned index = kClasses; index-- > 0;) {
        Shelf& shelf = shelves_[index];
        if (doom_regions(shelf, kSmallest << index))
            unmap_doomed(shelf);
        more |= shelf.least < shelf.count;
        shelf.least = shelf.count;
    }
    return more && wants_trim();
}

} // namespace outport::nbd
