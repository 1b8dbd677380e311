// SPDX-License-Identifier: Apache-2.0
#include "host/block/border.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace outport::block {

namespace {

// ABI operations are spaced by 1000, in the order of Op.
constexpr std::uint32_t kOpStep = 1000;
static_assert(OUTPORT_BLOCK_READ == kOpStep && OUTPORT_BLOCK_ALLOCATE == kOps * kOpStep);
static_assert(OUTPORT_BLOCK_RESIZE == (static_cast<std::uint32_t>(Op::Resize) + 1) * kOpStep);

bool known_op(std::uint32_t code, Op& op) noexcept {
    if (code % kOpStep || code == 0 || code > kOps * kOpStep)
        return false;
    op = static_cast<Op>(code / kOpStep - 1);
    return true;
}

std::uint32_t allowed_flags(Op op) noexcept {
    switch (op) {
    case Op::Write:
    case Op::Discard:
        return kFua;
    case Op::WriteZeroes:
        return kFua | kMayUnmap | kNoFallback;
    case Op::Resize:
        return kAtLeast;
    default:
        return 0;
    }
}

bool buffers_add_up(const outport_block_request& request) noexcept {
    if (request.iov_count && !request.iov)
        return false;
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < request.iov_count; ++i)
        if (__builtin_add_overflow(sum, request.iov[i].length, &sum))
            return false;
    return sum == request.length;
}

} // namespace

int check_request(const outport_block_request& request, std::uint64_t size, bool writable, Op& op) noexcept {
    bool reserved = std::ranges::any_of(request.reserved, [](std::uint8_t b) { return b != 0; });
    if (!known_op(request.op, op) || (request.flags & ~allowed_flags(op)) || reserved)
        return -EINVAL;
    std::uint32_t ops = bit(op);
    if ((ops & kRangedOps) && (request.offset > size || request.length > size - request.offset))
        return -EINVAL;
    if ((ops & (bit(Op::Read) | bit(Op::Write))) && !buffers_add_up(request))
        return -EINVAL;
    if ((ops & (bit(Op::Status) | bit(Op::AllocatedSize))) && (!request.extents || request.extent_count == 0))
        return -EINVAL;
    if (op == Op::Resize && (request.offset != 0 || request.length > INT64_MAX))
        return -EINVAL;
    return (ops & kChangingOps) && !writable ? -EROFS : 0;
}

} // namespace outport::block
