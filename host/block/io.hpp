// SPDX-License-Identifier: Apache-2.0
// One operation on its way down a chain of nodes. Belongs to one loop from begin to end.
//
// Whoever gets an Io may change offset, length and flags, pass it on to a child's stage, keep it, or complete
// it by `io.done(io, result)`; never inside the call that gave it (see NodeContext::complete_soon). It is
// validated: the range lies inside the node, iovecs add up to length, which is not 0.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/loop/completion.hpp"

#include <outport/block.h>

#include <cstdint>
#include <sys/uio.h>

namespace outport::block {

struct Stage;

enum class Op : std::uint8_t {
    Read,
    Write,
    Flush,
    Discard,
    WriteZeroes,
    Status,
    Cache,
    Resize,
    AllocatedSize,
    Allocate
};
inline constexpr unsigned kOps = 10;

constexpr std::uint32_t bit(Op op) noexcept {
    return 1u << static_cast<unsigned>(op);
}
// Operations that change data.
inline constexpr std::uint32_t kChangingOps =
    bit(Op::Write) | bit(Op::Discard) | bit(Op::WriteZeroes) | bit(Op::Resize) | bit(Op::Allocate);
// Of these, the ones that FUA has a meaning for.
inline constexpr std::uint32_t kStableOps = bit(Op::Write) | bit(Op::Discard) | bit(Op::WriteZeroes);
// Operations whose offset and length mean something.
inline constexpr std::uint32_t kRangedOps = bit(Op::Read) | bit(Op::Write) | bit(Op::Discard) |
                                            bit(Op::WriteZeroes) | bit(Op::Status) | bit(Op::Cache) |
                                            bit(Op::Allocate);

// Io::flags are the ABI's.
inline constexpr std::uint32_t kFua = OUTPORT_BLOCK_FUA;
inline constexpr std::uint32_t kMayUnmap = OUTPORT_BLOCK_MAY_UNMAP;
inline constexpr std::uint32_t kNoFallback = OUTPORT_BLOCK_NO_FALLBACK;
inline constexpr std::uint32_t kAtLeast = OUTPORT_BLOCK_AT_LEAST;

struct Io {
    Op op = Op::Read;
    bool cancelled = false; // asked for; best effort
    std::uint32_t flags = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    const iovec* iov = nullptr;
    std::uint32_t iov_count = 0;
    std::uint32_t extent_count = 0; // as in the ABI: capacity in, filled out
    outport_extent* extents = nullptr;

    // Ends the operation: 0 or a negative errno.
    void (*done)(Io& io, std::int32_t result) = nullptr;

    // ---- of whoever has it now
    ListHook hook;
    void (*cancel)(Io& io) = nullptr; // null: can't be taken back
    const Stage* stage = nullptr;     // where it is
    loop::Completion completion;      // with the kernel
    void* work = nullptr;             // an object of a slab that goes with it
    std::uint64_t moved = 0;          // bytes of iov that are done
    std::uint32_t part = 0;           // the iovec that comes next
    std::int32_t result = 0;
    std::size_t part_done = 0; // bytes of it that are done

    Io() = default;
    Io(const Io&) = delete;
    Io& operator=(const Io&) = delete;

    bool is(std::uint32_t ops) const noexcept { return ops & bit(op); }
    // Moves on in the iovecs by `bytes`.
    void advance(std::size_t bytes) noexcept;
    // Asks whoever has it to give it back early; it is completed later all the same.
    void ask_cancel() noexcept {
        cancelled = true;
        if (cancel)
            cancel(*this);
    }
};

inline void Io::advance(std::size_t bytes) noexcept {
    moved += bytes;
    bytes += part_done;
    while (part < iov_count && bytes >= iov[part].iov_len) {
        bytes -= iov[part].iov_len;
        ++part;
    }
    part_done = bytes;
}

} // namespace outport::block
