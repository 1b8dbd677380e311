// SPDX-License-Identifier: Apache-2.0
// What a node can take in one piece, and what it can do. Values; immutable once a view holds them.
#pragma once

#include <cstdint>

namespace outport::block {

struct Limits {
    std::uint32_t request_alignment = 1; // of offsets and lengths of data; a power of two
    std::uint32_t memory_alignment = 1;  // of buffers; a power of two
    std::uint32_t zero_alignment = 1;    // of WRITE_ZEROES and DISCARD; a power of two
    std::uint64_t optimal_transfer = 0;  // 0: none
    std::uint64_t max_transfer = UINT64_MAX;
    bool can_discard = false;   // DISCARD has an effect
    bool can_fast_zero = false; // WRITE_ZEROES with NO_FALLBACK can succeed

    bool operator==(const Limits&) const = default;
};

} // namespace outport::block
