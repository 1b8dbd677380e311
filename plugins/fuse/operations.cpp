// SPDX-License-Identifier: Apache-2.0
// The chain of steps, and the operations that change nothing.
#include "operations.hpp"

#include "errors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unistd.h>

namespace outport::fuse {

namespace {
// How long the kernel may answer stat by itself. A change from elsewhere is told to it (a notice).
constexpr std::uint64_t kAttributeSeconds = 1;

bool is_own_thread(std::uint32_t id) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/task/%u", id);
    return ::access(path, F_OK) == 0;
}
} // namespace

Operations::Operations(const Services& services, outport_export* handle, outport_loop* loop,
                       File& file) noexcept
    : services_(services), handle_(handle), loop_(loop), file_(file) {}

std::int32_t Operations::open(const outport_block_notices* notices, void* data) noexcept {
    return queue_.open(services_.block, handle_, loop_, notices, data);
}

std::uint64_t Operations::size() const noexcept {
    return sdk::block_info(services_.block, handle_).size;
}

// --- The chain.

void Operations::begin(Slot& slot) noexcept {
    slot.owner = this;
    slot.interrupted =
        next_early_ > 0 && std::ranges::find(early_, slot.request.header.unique) != early_.end();
    slot.answer_in_data = false;
    slot.error = 0;
    slot.answer_size = 0;
    slot.before = nullptr;
    slot.after = first_;
    if (first_)
        first_->before = &slot;
    first_ = &slot;
    dispatch(slot);
}

void Operations::run(Slot& slot, std::uint32_t op, std::uint32_t flags, std::uint64_t offset,
                     std::uint64_t length, Step then) noexcept {
    slot.then = then;
    outport_block_request& request = slot.block();
    request = {};
    request.op = op;
    request.flags = flags;
    request.offset = offset;
    request.length = length;
    request.complete = &completed;
    if (op == OUTPORT_BLOCK_READ || op == OUTPORT_BLOCK_WRITE) {
        slot.iov = {reinterpret_cast<std::uint64_t>(slot.data), length};
        request.iov = &slot.iov;
        request.iov_count = 1;
    } else {
        request.extents = slot.extents;
        request.extent_count = Slot::kExtents;
    }
    outport_block_request* const one = &request;
    queue_.submit(&one, 1);
    if (slot.interrupted)
        queue_.cancel(request);
}

void Operations::completed(outport_block_request* raw, std::int32_t result) noexcept {
    Slot& slot = Slot::from(raw);
    (slot.owner->*slot.then)(slot, result);
}

void Operations::answer(Slot& slot, int error) noexcept {
    (slot.before ? slot.before->after : first_) = slot.after;
    if (slot.after)
        slot.after->before = slot.before;
    if (error == ENOSPC)
        services_.exports->no_space(handle_);
    slot.error = error ? fuse_error(cut_ && error == ECANCELED ? EIO : error) : 0;
    if (error)
        slot.answer_size = 0;
    slot.transport->answer(slot);
}

void Operations::done(Slot& slot, std::int32_t result) noexcept {
    answer(slot, -result);
}

void Operations::cut() noexcept {
    refusing_ = cut_ = true;
    for (Slot* slot = first_; slot; slot = slot->after) {
        slot->interrupted = true;
        queue_.cancel(slot->block());
    }
}

bool Operations::interrupt(std::uint64_t unique) noexcept {
    for (Slot* slot = first_; slot; slot = slot->after) {
        if (slot->request.header.unique != unique)
            continue;
        slot->interrupted = true;
        queue_.cancel(slot->block());
        return true;
    }
    early_[next_early_++ % early_.size()] = unique;
    return false;
}

void Operations::dispatch(Slot& slot) noexcept {
    if (slot.request.header.nodeid != FUSE_ROOT_ID && slot.request.op() != FUSE_STATFS)
        return answer(slot, ENOENT);
    if (refusing_ && slot.request.op() != FUSE_RELEASE)
        return answer(slot, ESHUTDOWN);
    switch (slot.request.op()) {
    case FUSE_GETATTR:
        return getattr(slot);
    case FUSE_SETATTR:
        return setattr(slot);
    case FUSE_OPEN:
        return open_file(slot);
    case FUSE_READ:
        return read(slot);
    case FUSE_WRITE:
        return write(slot);
    case FUSE_LSEEK:
        return lseek(slot);
    case FUSE_FALLOCATE:
        return fallocate(slot);
    case FUSE_FSYNC:
    case FUSE_FLUSH: // close(2): as qemu-storage-daemon does, for programs that trust it
        return run(slot, OUTPORT_BLOCK_FLUSH, 0, 0, 0, &Operations::done);
    case FUSE_STATFS:
        return statfs(slot);
    case FUSE_LOOKUP: // in a file there is nothing
        return answer(slot, ENOENT);
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        return answer(slot);
    default: // the kernel does without
        return answer(slot, ENOSYS);
    }
}

// --- Operations that change nothing.

void Operations::open_file(Slot& slot) noexcept {
    fuse_open_out out{};
    // Pages stay valid over opens: whoever else changes the node, the kernel is told of it.
    out.open_flags = FOPEN_KEEP_CACHE | FOPEN_PARALLEL_DIRECT_WRITES;
    // A node of ours on this mount: were the process killed, its close would wait for the process's answer.
    // The node is flushed when it is to be.
    if (is_own_thread(slot.request.header.pid))
        out.open_flags |= FOPEN_NOFLUSH;
    slot.put(out);
    answer(slot);
}

void Operations::statfs(Slot& slot) noexcept {
    fuse_statfs_out out{};
    out.st.bsize = out.st.frsize = kPageSize;
    out.st.blocks = size() / kPageSize;
    out.st.files = 1;
    out.st.namelen = 255;
    slot.put(out);
    answer(slot);
}

void Operations::getattr(Slot& slot) noexcept {
    run(slot, OUTPORT_BLOCK_ALLOCATED_SIZE, 0, 0, 0, &Operations::got_allocation);
}

// Ends GETATTR and SETATTR.
void Operations::got_allocation(Slot& slot, std::int32_t result) noexcept {
    fuse_attr_out out{};
    out.attr_valid = kAttributeSeconds;
    out.attr = file_.attributes(size(), result == 0 ? slot.extents[0].length : File::kUnknown);
    slot.put(out);
    answer(slot);
}

void Operations::read(Slot& slot) noexcept {
    const auto& in = slot.request.arg<fuse_read_in>();
    const std::uint64_t end = size();
    if (in.offset >= end)
        return answer(slot);
    const std::uint64_t length =
        std::min({std::uint64_t(in.size), std::uint64_t(slot.capacity), end - in.offset});
    slot.position = in.offset;
    slot.end = in.offset + length;
    run(slot, OUTPORT_BLOCK_READ, 0, in.offset, length, &Operations::did_read);
}

void Operations::did_read(Slot& slot, std::int32_t result) noexcept {
    if (result == -EINVAL && size() < slot.end)
        return read(slot); // cut off meanwhile: as short as the file is now
    slot.answer_in_data = true;
    slot.answer_size = std::uint32_t(slot.end - slot.position);
    answer(slot, -result);
}

void Operations::lseek(Slot& slot) noexcept {
    const auto& in = slot.request.arg<fuse_lseek_in>();
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE)
        return answer(slot, EINVAL); // the kernel does the others itself
    slot.position = in.offset;
    walk(slot);
}

// lseek(2): the end of the file counts as a hole.
void Operations::walk(Slot& slot) noexcept {
    const auto& in = slot.request.arg<fuse_lseek_in>();
    const std::uint64_t end = size();
    if (slot.position >= end) {
        if (in.whence == SEEK_DATA || in.offset >= end)
            return answer(slot, ENXIO);
        slot.put(fuse_lseek_out{end});
        return answer(slot);
    }
    run(slot, OUTPORT_BLOCK_STATUS, 0, slot.position, end - slot.position, &Operations::walked);
}

void Operations::walked(Slot& slot, std::int32_t result) noexcept {
    if (result == -EINVAL && size() <= slot.position)
        return walk(slot);
    if (result < 0)
        return answer(slot, -result);
    const bool wanted = slot.request.arg<fuse_lseek_in>().whence == SEEK_DATA;
    for (std::uint32_t i = 0; i < slot.block().extent_count; ++i) {
        if (bool(slot.extents[i].flags & OUTPORT_EXTENT_DATA) == wanted) {
            slot.put(fuse_lseek_out{slot.position});
            return answer(slot);
        }
        slot.position += slot.extents[i].length;
    }
    walk(slot);
}

} // namespace outport::fuse
