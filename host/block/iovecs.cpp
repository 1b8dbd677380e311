// SPDX-License-Identifier: Apache-2.0
#include "host/block/iovecs.hpp"

#include <algorithm>
#include <cstring>

namespace outport::block {

namespace {

template <class Each> void walk(Io& io, std::size_t bytes, Each each) noexcept {
    while (bytes) {
        const iovec& v = io.iov[io.part];
        std::size_t piece = std::min(v.iov_len - io.part_done, bytes);
        if (piece)
            each(static_cast<std::byte*>(v.iov_base) + io.part_done, piece);
        bytes -= piece;
        io.advance(piece);
    }
}

bool zero(const void* data, std::size_t length) noexcept {
    auto* bytes = static_cast<const unsigned char*>(data);
    return length == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, length - 1) == 0);
}

} // namespace

bool buffers_aligned(const Io& io, const Limits& limits) noexcept {
    if (limits.memory_alignment == 1)
        return true;
    // Direct I/O wants whole blocks in every buffer, not only in all of them together.
    for (std::uint32_t i = 0; i < io.iov_count; ++i)
        if ((reinterpret_cast<std::uintptr_t>(io.iov[i].iov_base) & (limits.memory_alignment - 1)) ||
            (io.iov[i].iov_len & (limits.request_alignment - 1)))
            return false;
    return true;
}

bool buffers_zero(const Io& io) noexcept {
    return std::all_of(io.iov, io.iov + io.iov_count,
                       [](const iovec& v) { return zero(v.iov_base, v.iov_len); });
}

void copy_to_buffers(Io& io, const std::byte* from, std::size_t bytes) noexcept {
    walk(io, bytes, [&](std::byte* to, std::size_t n) {
        std::memcpy(to, from, n);
        from += n;
    });
}

void copy_from_buffers(Io& io, std::byte* to, std::size_t bytes) noexcept {
    walk(io, bytes, [&](std::byte* from, std::size_t n) {
        std::memcpy(to, from, n);
        to += n;
    });
}

void zero_rest(Io& io) noexcept {
    walk(io, io.length - io.moved, [](std::byte* to, std::size_t n) { std::memset(to, 0, n); });
}

} // namespace outport::block
