// SPDX-License-Identifier: Apache-2.0
// The operations that change the file.
#include "errors.hpp"
#include "operations.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/falloc.h>

namespace outport::fuse {

// --- SETATTR: mode, owner, size.

void Operations::setattr(Slot& slot) noexcept {
    const auto& in = slot.request.arg<fuse_setattr_in>();
    if (const int error = file_.check(in))
        return answer(slot, error);
    if (in.valid & FATTR_SIZE)
        return run(slot, OUTPORT_BLOCK_RESIZE, 0, 0, in.size, &Operations::did_resize);
    did_resize(slot, 0);
}

void Operations::did_resize(Slot& slot, std::int32_t result) noexcept {
    if (result < 0)
        return answer(slot, -result);
    file_.apply(slot.request.arg<fuse_setattr_in>());
    getattr(slot);
}

// --- WRITE.

void Operations::write(Slot& slot) noexcept {
    if (!file_.writable())
        return answer(slot, EACCES);
    const auto& in = slot.request.arg<fuse_write_in>();
    slot.position = in.offset;
    slot.end = in.offset + in.size;
    const std::uint64_t size = this->size();
    if (slot.end > size && file_.growable())
        return run(slot, OUTPORT_BLOCK_RESIZE, OUTPORT_BLOCK_AT_LEAST, 0, slot.end,
                   &Operations::grown_for_write);
    slot.end = std::min(slot.end, size); // what does not fit is cut, as on a full disk
    if (in.size > 0 && slot.position >= slot.end)
        return answer(slot, ENOSPC);
    write_now(slot);
}

void Operations::grown_for_write(Slot& slot, std::int32_t result) noexcept {
    if (result < 0)
        return answer(slot, -result);
    write_now(slot);
}

void Operations::write_now(Slot& slot) noexcept {
    run(slot, OUTPORT_BLOCK_WRITE, 0, slot.position, slot.end - slot.position, &Operations::did_write);
}

void Operations::did_write(Slot& slot, std::int32_t result) noexcept {
    if (result == -EINVAL && size() < slot.end)
        return write(slot); // somebody shrank it meanwhile
    if (result < 0)
        return answer(slot, -result);
    file_.modified();
    slot.put(fuse_write_out{std::uint32_t(slot.end - slot.position), 0});
    answer(slot);
}

// --- FALLOCATE, see fallocate(2).

void Operations::fallocate(Slot& slot) noexcept {
    if (!file_.writable())
        return answer(slot, EACCES);
    const auto& in = slot.request.arg<fuse_fallocate_in>();
    const bool keeps = in.mode & FALLOC_FL_KEEP_SIZE;
    const std::uint32_t kind = in.mode & ~std::uint32_t(FALLOC_FL_KEEP_SIZE);
    if (kind != 0 && kind != FALLOC_FL_ZERO_RANGE && !(kind == FALLOC_FL_PUNCH_HOLE && keeps))
        return answer(slot, EOPNOTSUPP);
    if (in.length == 0 || in.offset > INT64_MAX || in.length > INT64_MAX - in.offset)
        return answer(slot, in.length == 0 ? EINVAL : EFBIG);
    slot.position = in.offset;
    slot.end = in.offset + in.length;
    if (!keeps && slot.end > size())
        return run(slot, OUTPORT_BLOCK_RESIZE, OUTPORT_BLOCK_AT_LEAST, 0, slot.end,
                   &Operations::grown_for_fallocate);
    fallocate_now(slot);
}

void Operations::grown_for_fallocate(Slot& slot, std::int32_t result) noexcept {
    if (result < 0)
        return answer(slot, -result);
    fallocate_now(slot);
}

void Operations::fallocate_now(Slot& slot) noexcept {
    slot.end = std::min(slot.end, size()); // nothing of a node lies beyond its end
    if (slot.position >= slot.end)
        return answer(slot);
    const std::uint32_t mode = slot.request.arg<fuse_fallocate_in>().mode;
    const std::uint64_t length = slot.end - slot.position;
    if (mode & FALLOC_FL_PUNCH_HOLE)
        run(slot, OUTPORT_BLOCK_WRITE_ZEROES, OUTPORT_BLOCK_MAY_UNMAP, slot.position, length,
            &Operations::did_change);
    else if (mode & FALLOC_FL_ZERO_RANGE)
        run(slot, OUTPORT_BLOCK_WRITE_ZEROES, 0, slot.position, length, &Operations::did_change);
    else
        run(slot, OUTPORT_BLOCK_ALLOCATE, 0, slot.position, length, &Operations::did_change);
}

void Operations::did_change(Slot& slot, std::int32_t result) noexcept {
    if (result == -EINVAL && size() < slot.end)
        return fallocate(slot); // somebody shrank it meanwhile
    if (result == 0)
        file_.modified();
    answer(slot, -result);
}

} // namespace outport::fuse
