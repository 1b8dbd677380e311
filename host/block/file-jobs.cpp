// SPDX-License-Identifier: Apache-2.0
// What the kernel offers a file only as a call that waits: looking for holes, the storage in use, discards of
// devices.
#include "host/block/file.hpp"

#include "host/block/stage.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace outport::block {

using loop::owner_of;

namespace {

// Fills the request's extents from what is data and what is a hole now.
void look_for_holes(int fd, Io& io, FileJob& job) {
    std::uint64_t position = io.offset, end = io.offset + io.length;
    std::uint32_t count = 0;
    auto add = [&](std::uint64_t until, std::uint64_t flags) {
        until = std::min(until, end);
        io.extents[count++] = {until - position, flags};
        position = until;
    };
    while (position < end && count < io.extent_count) {
        off_t data = lseek(fd, static_cast<off_t>(position), SEEK_DATA);
        if (data < 0) {
            // Past the last data; or no such look-up here: then all of it is data.
            add(end, errno == ENXIO ? OUTPORT_EXTENT_ZERO : OUTPORT_EXTENT_DATA);
            continue;
        }
        if (static_cast<std::uint64_t>(data) > position) {
            add(static_cast<std::uint64_t>(data), OUTPORT_EXTENT_ZERO);
            continue;
        }
        off_t hole = lseek(fd, static_cast<off_t>(position), SEEK_HOLE);
        bool usable = hole > 0 && static_cast<std::uint64_t>(hole) > position;
        std::uint64_t data_end = usable ? static_cast<std::uint64_t>(hole) : end;
        job.data_start = position;
        job.data_end = data_end;
        add(data_end, OUTPORT_EXTENT_DATA);
    }
    io.extent_count = count;
}

} // namespace

void File::start_job(Io& io, void (*run)(loop::BlockingJob*), const char* what) {
    auto& context = static_cast<FileContext&>(*io.stage->context);
    FileJob& job = *context.jobs.take();
    job.io = &io;
    job.file = this;
    job.context = &context;
    job.result = 0;
    job.data_start = job.data_end = 0;
    job.generation = generation_.load(std::memory_order_relaxed);
    job.job.run = run;
    job.job.what = what;
    job.job.done = [](loop::BlockingJob* j) {
        FileJob& done = *owner_of(j, &FileJob::job);
        done.file->job_done(done);
    };
    io.work = &job;
    io.cancel = [](Io& i) {
        auto* j = static_cast<FileJob*>(i.work);
        j->context->pool().cancel(j->job);
    };
    if (auto taken = context.pool().submit(context.owner(), loop::JobClass::Data, job.job); !taken) {
        context.jobs.give_back(&job);
        context.complete_soon(io, -EIO);
    }
}

void File::job_done(FileJob& job) {
    Io& io = *job.io;
    FileContext& context = *job.context;
    std::int32_t result = job.job.status ? job.job.status : job.result;
    if (job.data_end) {
        context.data_start = job.data_start;
        context.data_end = job.data_end;
        context.data_generation = job.generation;
    }
    context.jobs.give_back(&job);
    io.cancel = nullptr;
    if (io.op == Op::Discard)
        on_discarded(io, result);
    else
        io.done(io, result);
}

void File::start_status(Io& io) {
    auto& context = static_cast<FileContext&>(*io.stage->context);
    if (io.op == Op::AllocatedSize)
        return start_job(
            io,
            [](loop::BlockingJob* job) {
                FileJob& j = *owner_of(job, &FileJob::job);
                struct stat status{};
                j.result = fstat(j.file->file_.fd, &status) < 0 ? -errno : 0;
                j.io->extents[0] = {static_cast<std::uint64_t>(status.st_blocks) * 512, 0};
                j.io->extent_count = 1;
            },
            "stat");
    // A run of data that was seen may be a hole by now only through others; it then still reads right as
    // data.
    if (context.data_generation == generation_.load(std::memory_order_relaxed) &&
        io.offset >= context.data_start && io.offset < context.data_end) {
        io.extents[0] = {std::min(io.offset + io.length, context.data_end) - io.offset, OUTPORT_EXTENT_DATA};
        io.extent_count = 1;
        return context.complete_soon(io, 0);
    }
    start_job(
        io,
        [](loop::BlockingJob* job) {
            FileJob& j = *owner_of(job, &FileJob::job);
            look_for_holes(j.file->file_.fd, *j.io, j);
        },
        "look-up of holes");
}

} // namespace outport::block
