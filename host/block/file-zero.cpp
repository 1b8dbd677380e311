// SPDX-License-Identifier: Apache-2.0
// Zeroing and discarding: holes and zeroed ranges, as far as the file system or the device has them.
#include "host/block/file.hpp"

#include "host/block/stage.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace outport::block {

using loop::owner_of;

namespace {

bool not_here(std::int32_t result) noexcept {
    return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY || result == -ENODEV;
}

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr int kZeroRange = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

} // namespace

// The ways, best first: a hole where that is allowed, then a zeroed range. Io::part counts them. kFua never
// comes here: see ZeroWriter.
void File::start_zeroes(Io& io) {
    if (!wrote_.load(std::memory_order_relaxed))
        wrote_.store(true, std::memory_order_relaxed);
    io.completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        of(done).on_zeroes(done, result);
    };
    io.part = (io.flags & kMayUnmap) && can_punch_.load(std::memory_order_relaxed) ? 0 : 1;
    try_zeroes(io);
}

void File::try_zeroes(Io& io) {
    NodeContext& context = *io.stage->context;
    // On a device the kernel itself would write zeroes where it knows no better.
    bool slow = file_.block_device && (io.flags & kNoFallback);
    if (io.part == 0)
        return context.loop().fallocate(io.completion, file_.fd, kPunch, io.offset, io.length);
    if (io.part == 1 && !slow && can_zero_range_.load(std::memory_order_relaxed))
        return context.loop().fallocate(io.completion, file_.fd, kZeroRange, io.offset, io.length);
    context.complete_soon(io, -EOPNOTSUPP);
}

void File::on_zeroes(Io& io, std::int32_t result) {
    if (interrupted(io, result))
        return try_zeroes(io);
    if (not_here(result)) {
        (io.part == 0 ? can_punch_ : can_zero_range_).store(false, std::memory_order_relaxed);
        ++io.part;
        return try_zeroes(io);
    }
    generation_.fetch_add(1, std::memory_order_relaxed);
    io.done(io, std::min(result, 0));
}

void File::start_allocate(Io& io) {
    io.completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        if (interrupted(done, result))
            return of(done).start_allocate(done);
        of(done).generation_.fetch_add(1, std::memory_order_relaxed);
        done.done(done, not_here(result) ? 0 : std::min(result, 0));
    };
    io.stage->context->loop().fallocate(io.completion, file_.fd, FALLOC_FL_KEEP_SIZE, io.offset, io.length);
}

void File::start_discard(Io& io) {
    if (!can_punch_.load(std::memory_order_relaxed))
        return io.stage->context->complete_soon(io, 0);
    if (!wrote_.load(std::memory_order_relaxed))
        wrote_.store(true, std::memory_order_relaxed);
    try_discard(io);
}

void File::try_discard(Io& io) {
    if (file_.block_device)
        return start_job(
            io,
            [](loop::BlockingJob* job) {
                FileJob& j = *owner_of(job, &FileJob::job);
                std::uint64_t range[2] = {j.io->offset, j.io->length};
                j.result = ioctl(j.file->file_.fd, BLKDISCARD, range) < 0 ? -errno : 0;
            },
            "discard");
    io.completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t) {
        Io& done = *owner_of(c, &Io::completion);
        of(done).on_discarded(done, result);
    };
    io.stage->context->loop().fallocate(io.completion, file_.fd, kPunch, io.offset, io.length);
}

void File::on_discarded(Io& io, std::int32_t result) {
    if (interrupted(io, result))
        return try_discard(io);
    generation_.fetch_add(1, std::memory_order_relaxed);
    if (not_here(result)) {
        can_punch_.store(false, std::memory_order_relaxed);
        return io.done(io, 0); // a hint
    }
    if (result < 0 || !(io.flags & kFua))
        return io.done(io, std::min(result, 0));
    io.flags &= ~kFua;
    if (common_.cache_no_flush)
        return io.done(io, 0);
    submit_flush(io);
}

} // namespace outport::block
