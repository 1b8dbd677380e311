// SPDX-License-Identifier: Apache-2.0
// Reads, writes and flushes of a file: straight to the ring of the loop that asks.
#include "host/block/file.hpp"

#include "host/block/iovecs.hpp"
#include "host/block/stage.hpp"
#include "host/loop/loop.hpp"
#include "host/loop/poison.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/uio.h>

namespace outport::block {

using loop::owner_of;

namespace {

constexpr std::size_t kMostBytes = 0x7ffff000; // of one system call

std::span<const iovec> buffers(const Io& io) noexcept {
    return {io.iov, io.iov_count};
}

void cancel_in_ring(Io& io) {
    io.stage->context->loop().cancel(io.completion);
}

} // namespace

bool File::interrupted(const Io& io, std::int32_t& result) noexcept {
    if (result != -EAGAIN && result != -EINTR)
        return false;
    if (io.cancelled)
        result = -ECANCELED;
    return !io.cancelled;
}

void File::start(const Stage& stage, Io& io) {
    io.stage = &stage;
    io.part = 0;
    io.part_done = 0;
    io.moved = 0;
    io.cancel = nullptr;
    switch (io.op) {
    case Op::Read:
    case Op::Write:
        return start_data(io);
    case Op::Flush:
        return start_flush(io);
    case Op::Discard:
        return start_discard(io);
    case Op::WriteZeroes:
        return start_zeroes(io);
    case Op::Status:
    case Op::AllocatedSize:
        return start_status(io);
    case Op::Cache:
        return start_cache(io);
    case Op::Allocate:
        return start_allocate(io);
    case Op::Resize: // goes by the graph
        break;
    }
    stage.context->complete_soon(io, -EINVAL);
}

void File::start_data(Io& io) {
    if (io.op == Op::Read)
        loop::poison_read_target(buffers(io));
    else if (!wrote_.load(std::memory_order_relaxed))
        wrote_.store(true, std::memory_order_relaxed);
    if (common_.cache_no_flush)
        io.flags &= ~kFua;
    io.completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        of(done).on_data(done, result);
    };
    io.advance(0); // over empty buffers
    submit_data(io);
}

void File::submit_data(Io& io) {
    loop::Loop& loop = io.stage->context->loop();
    std::uint64_t offset = io.offset + io.moved;
    int flags = io.flags & kFua ? RWF_DSYNC : 0;
    io.cancel = cancel_in_ring;
    bool single = io.part_done || io.part + 1 == io.iov_count;
    io_uring_sqe* entry = loop.entry(io.completion);
    if (io.op == Op::Write && !common_.cache_direct)
        loop.gather(io.completion); // most file systems leave it to the kernel's workers
    if (single) {
        // The plain operations are cheaper than those with a list of one.
        char* data = static_cast<char*>(io.iov[io.part].iov_base) + io.part_done;
        auto length = static_cast<unsigned>(std::min(io.iov[io.part].iov_len - io.part_done, kMostBytes));
        if (io.op == Op::Read)
            io_uring_prep_read(entry, file_.fd, data, length, offset);
        else
            io_uring_prep_write(entry, file_.fd, data, length, offset);
        entry->rw_flags = flags;
        return;
    }
    auto count = std::min<unsigned>(io.iov_count - io.part, IOV_MAX);
    if (io.op == Op::Read)
        io_uring_prep_readv2(entry, file_.fd, io.iov + io.part, count, offset, flags);
    else
        io_uring_prep_writev2(entry, file_.fd, io.iov + io.part, count, offset, flags);
}

void File::on_data(Io& io, std::int32_t result) {
    if (interrupted(io, result))
        return submit_data(io);
    bool more = result > 0 && io.moved + static_cast<std::uint32_t>(result) < io.length;
    if (more) {
        io.advance(static_cast<std::size_t>(result));
        // A direct read that ends inside a block has met the end of the file; it can't go on from there.
        bool at_end = io.op == Op::Read && (io.moved & (file_.limits.request_alignment - 1));
        if (!at_end && !io.cancelled)
            return submit_data(io);
        result = at_end ? 0 : -ECANCELED;
    }
    io.cancel = nullptr;
    if (io.op == Op::Read) {
        loop::unpoison_read_target(buffers(io));
        if (result == 0)
            zero_rest(io); // past the end of the file, inside the node
    } else if (result == 0) {
        result = -ENOSPC; // nothing moved and no reason given
    }
    io.done(io, std::min(result, 0));
}

void File::start_flush(Io& io) {
    std::int32_t broken = flush_error_.load(std::memory_order_relaxed);
    if (common_.cache_no_flush || broken)
        return io.stage->context->complete_soon(io, common_.cache_no_flush ? 0 : broken);
    submit_flush(io);
}

void File::submit_flush(Io& io) {
    io.completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        of(done).on_flushed(done, result);
    };
    io.cancel = cancel_in_ring;
    io.stage->context->loop().fsync(io.completion, file_.fd, true);
}

// The kernel reports a failed write-back once and then calls those pages clean.
void File::on_flushed(Io& io, std::int32_t result) {
    if (interrupted(io, result))
        return io.stage->context->loop().fsync(io.completion, file_.fd, true);
    io.cancel = nullptr;
    if (result < 0 && result != -ECANCELED && !common_.cache_direct)
        flush_error_.store(result, std::memory_order_relaxed);
    io.done(io, std::min(result, 0));
}

void File::start_cache(Io& io) {
    if (common_.cache_direct)
        return io.stage->context->complete_soon(io, 0);
    io.completion.fn = [](loop::Completion* c, std::int32_t, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        done.done(done, 0); // a hint
    };
    io_uring_sqe* entry = io.stage->context->loop().entry(io.completion);
    auto length = static_cast<off_t>(std::min<std::uint64_t>(io.length, INT32_MAX)); // 32 bits in the entry
    io_uring_prep_fadvise(entry, file_.fd, io.offset, length, POSIX_FADV_WILLNEED);
}

} // namespace outport::block
