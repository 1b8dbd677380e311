// SPDX-License-Identifier: Apache-2.0
#include "host/block/x-cache-map.hpp"

#include "host/block/iovecs.hpp"

#include <algorithm>

namespace outport::block {

void DirtyMap::cut(std::uint64_t offset, std::uint64_t length) {
    std::uint64_t end = offset + length;
    auto at = extents_.upper_bound(offset);
    if (at != extents_.begin())
        --at;
    while (at != extents_.end() && at->first < end) {
        std::uint64_t start = at->first, stop = start + at->second.length;
        if (stop <= offset) {
            ++at;
            continue;
        }
        Extent whole = at->second;
        at = extents_.erase(at);
        if (start < offset) {
            Extent before = whole;
            before.length = offset - start;
            extents_.emplace(start, std::move(before));
        }
        if (stop > end) {
            Extent after = whole;
            after.length = stop - end;
            after.skip += end - start;
            extents_.emplace(end, std::move(after));
            break;
        }
    }
}

void DirtyMap::put(std::uint64_t offset, std::uint64_t length,
                   std::shared_ptr<const std::vector<std::byte>> data) {
    cut(offset, length);
    extents_[offset] = {length, std::move(data), 0, ++generation_};
}

void DirtyMap::forget_until(std::uint64_t generation) {
    std::erase_if(extents_, [&](const auto& e) { return e.second.generation <= generation; });
}

DirtyMap::List DirtyMap::touching(std::uint64_t offset, std::uint64_t length) const {
    List list;
    auto at = extents_.upper_bound(offset);
    if (at != extents_.begin())
        --at;
    for (; at != extents_.end() && at->first < offset + length; ++at)
        if (at->first + at->second.length > offset)
            list.push_back(*at);
    return list;
}

void DirtyMap::overlay(Io& read, const List& extents) {
    static const std::vector<std::byte> zeroes(64 * 1024);
    for (const auto& [first, extent] : extents) {
        std::uint64_t start = std::max(first, read.offset);
        std::uint64_t stop = std::min(first + extent.length, read.offset + read.length);
        read.part = 0;
        read.part_done = 0;
        read.moved = 0;
        read.advance(start - read.offset);
        while (start < stop) {
            std::size_t piece = stop - start;
            if (extent.data) {
                copy_to_buffers(read, extent.data->data() + extent.skip + (start - first), piece);
            } else {
                piece = std::min(piece, zeroes.size());
                copy_to_buffers(read, zeroes.data(), piece);
            }
            start += piece;
        }
    }
}

std::uint64_t DirtyMap::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& [offset, extent] : extents_)
        sum += extent.length;
    return sum;
}

} // namespace outport::block
