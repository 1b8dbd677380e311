// SPDX-License-Identifier: Apache-2.0
// What the kernel asks, checked once: every length against what has arrived. Thread-safe: values only.
#pragma once

#include "kernel.hpp"

#include <span>
#include <string_view>

namespace outport::fuse {

// A request as it came: `args` begins with the operation's argument, `data` is what follows it (a WRITE's
// bytes).
struct Request {
    fuse_in_header header{};
    std::span<const std::byte> args;
    std::span<std::byte> data;

    std::uint32_t op() const noexcept { return header.opcode; }
    // The argument; only of the type that goes with op(), which parse() has seen to be there.
    template <class Argument> const Argument& arg() const noexcept {
        return *reinterpret_cast<const Argument*>(args.data());
    }
};

// Why a request cannot be one; empty when it is sound.
using Fault = std::string_view;

// How many bytes of argument the operation has at least; 0 for one that has none or is not known.
std::size_t argument_size(std::uint32_t op) noexcept;

// `header` and what came with it, `args` aligned to 8. In `request` are views into them.
Fault parse(const fuse_in_header& header, std::span<const std::byte> args, std::span<std::byte> data,
            Request& request) noexcept;

} // namespace outport::fuse
