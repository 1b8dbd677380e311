// SPDX-License-Identifier: Apache-2.0
// Small work on lists of buffers. Thread-safe: touches only its arguments.
#pragma once

#include "host/block/io.hpp"
#include "host/block/limits.hpp"

#include <cstddef>
#include <cstdint>

namespace outport::block {

// Whether the buffers can go to a back end with these limits as they are.
bool buffers_aligned(const Io& io, const Limits& limits) noexcept;
// Whether every byte of the buffers is zero.
bool buffers_zero(const Io& io) noexcept;
// Copies `bytes` between the buffers, from where `io` is, and moves on in it.
void copy_to_buffers(Io& io, const std::byte* from, std::size_t bytes) noexcept;
void copy_from_buffers(Io& io, std::byte* to, std::size_t bytes) noexcept;
// Zeroes the buffers from where `io` is to their end.
void zero_rest(Io& io) noexcept;

} // namespace outport::block
