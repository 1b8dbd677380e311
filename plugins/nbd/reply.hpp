// SPDX-License-Identifier: Apache-2.0
// The heads of replies, written into memory that the caller gives. Thread-safe: pure functions.
#pragma once

#include "wire.hpp"

namespace outport::nbd {

// The longest head that stands directly before payload: a chunk and its offset.
inline constexpr std::size_t kMaxHead = kChunkSize + 8;

// Each returns the end of what it wrote. `cookie` is as it came on the wire.
inline std::byte* put_simple(std::byte* to, std::uint64_t cookie, std::uint32_t error) noexcept {
    to = store_be(to, kSimpleReplyMagic);
    to = store_be(to, error);
    std::memcpy(to, &cookie, sizeof cookie);
    return to + sizeof cookie;
}

inline std::byte* put_chunk(std::byte* to, std::uint64_t cookie, std::uint16_t flags, std::uint16_t type,
                            std::uint32_t length) noexcept {
    to = store_be(to, kStructuredReplyMagic);
    to = store_be(to, flags);
    to = store_be(to, type);
    std::memcpy(to, &cookie, sizeof cookie);
    return store_be(to + sizeof cookie, length);
}

// OFFSET_DATA with DONE; `length` bytes of data follow.
inline std::byte* put_data_head(std::byte* to, std::uint64_t cookie, std::uint64_t offset,
                                std::uint32_t length) noexcept {
    to = put_chunk(to, cookie, kChunkDone, kChunkOffsetData, length + 8);
    return store_be(to, offset);
}

// A whole error chunk with DONE: kChunkSize + 6 bytes and the text.
inline std::byte* put_error(std::byte* to, std::uint64_t cookie, std::uint32_t error,
                            std::string_view text) noexcept {
    to = put_chunk(to, cookie, kChunkDone, kChunkError, std::uint32_t(6 + text.size()));
    to = store_be(to, error);
    to = store_be(to, std::uint16_t(text.size()));
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

// BLOCK_STATUS with DONE for base:allocation; `count` descriptors of 8 bytes follow.
inline std::byte* put_status_head(std::byte* to, std::uint64_t cookie, std::uint32_t count) noexcept {
    to = put_chunk(to, cookie, kChunkDone, kChunkBlockStatus, 4 + 8 * count);
    return store_be(to, kBaseAllocationId);
}

} // namespace outport::nbd
