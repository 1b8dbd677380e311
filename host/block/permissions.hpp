// SPDX-License-Identifier: Apache-2.0
// What a user of a node may do with it, and what it lets others do meanwhile. Values; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace outport::block {

// Bit i is also byte 100 + i (held) and 200 + i (not shared) of the image locks.
using Perm = std::uint32_t;
inline constexpr Perm kPermConsistentRead = 1u << 0;
inline constexpr Perm kPermWrite = 1u << 1;
inline constexpr Perm kPermWriteUnchanged = 1u << 2;
inline constexpr Perm kPermResize = 1u << 3;
inline constexpr Perm kPermAll = 0xf;

inline constexpr std::array<const char*, 4> kPermNames{"consistent read", "write", "write unchanged",
                                                       "resize"};

std::string to_string(Perm perm); // "write, resize"

} // namespace outport::block
