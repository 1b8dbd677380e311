// SPDX-License-Identifier: Apache-2.0
#include "host/block/file.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/blocking-call.hpp"
#include "host/block/node.hpp"
#include "host/block/stage.hpp"

#include <boost/json/object.hpp>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace outport::block {

File::File(const FileOptions& options, const NodeOptions& common, bool device)
    : options_(options), common_(common), device_(device) {}

std::unique_ptr<Driver> make_file(const FileOptions& options, const NodeOptions& common, bool device) {
    return std::make_unique<File>(options, common, device);
}

File& File::of(Io& io) noexcept {
    return static_cast<File&>(*io.stage->driver);
}

Limits File::limits(const Node&) const {
    Limits limits = file_.limits;
    limits.can_discard = can_punch_.load(std::memory_order_relaxed);
    return limits;
}

void File::format_specific(boost::json::object& out) const {
    if (!device_)
        out["format-specific"] = {{"type", "file"}, {"data", boost::json::object()}};
}

std::unique_ptr<NodeContext> File::make_context(Node& node, loop::Loop& loop) {
    return std::make_unique<FileContext>(NodeContext::Services{loop, node.pool(), node.owner()},
                                         file_.limits.memory_alignment);
}

void File::open(Node& node, Done done) {
    if (options_.native_aio && !common_.cache_direct)
        return done(
            fail("aio=native was specified, but it requires cache.direct=on, which was not specified."));
    FileWish wish{options_.filename, device_, !common_.read_only && !common_.auto_read_only,
                  common_.cache_direct};
    writable_ = wish.writable;
    auto opened = std::make_shared<Result<OpenedFile>>(fail("not opened"));
    call_blocking(
        node.pool(), node.owner(), cat("open of '", options_.filename, "'"),
        [this, wish, opened] {
            *opened = open_and_probe(wish);
            locking_ = *opened && options_.locking != Locking::Off && !common_.force_share;
            if (locking_ && !ImageLocks::available((*opened)->fd)) {
                locking_ = false;
                if (options_.locking == Locking::On)
                    log::warning("block",
                                 cat("'", options_.filename, "': the file system has no image locks"));
            }
        },
        [this, opened, done = std::move(done)](Result<> ran) mutable {
            if (!ran)
                return done(std::move(ran));
            if (!*opened)
                return done(fail(std::move(opened->error())));
            file_ = **opened;
            done({});
        });
}

// What was written is in the page cache, not yet on the disk.
void File::close(Node& node, Done done) {
    int fd = std::exchange(file_.fd, -1);
    if (fd < 0)
        return done({});
    bool flush = wrote_.load(std::memory_order_relaxed) && !common_.cache_no_flush;
    call_blocking(
        node.pool(), node.owner(), cat("closing of '", options_.filename, "'"),
        [fd, flush, name = options_.filename] {
            if (flush && fdatasync(fd) < 0)
                log::error("block",
                           Error::from_errno(errno, cat("'", name, "': the last flush failed")).message);
            ::close(fd);
        },
        std::move(done));
}

void File::set_permissions(Node& node, Perm perm, Perm shared, Done done) {
    bool writes = perm & (kPermWrite | kPermWriteUnchanged | kPermResize);
    if (!locking_ && (writable_ || !writes || common_.read_only))
        return done({});
    auto result = std::make_shared<Result<>>();
    call_blocking(
        node.pool(), node.owner(), cat("locking of '", options_.filename, "'"),
        [this, perm, shared, writes, result] {
            if (writes && !writable_ && !common_.read_only)
                *result = reopen_writable();
            if (*result && locking_)
                *result = locks_.change(file_.fd, perm, shared, options_.filename);
        },
        [result, done = std::move(done)](Result<> ran) mutable {
            done(ran ? std::move(*result) : std::move(ran));
        });
}

// auto-read-only: the first writer comes. The file that is open, not its name, which may be another's by now,
// or that of a file in another folder after the process went to "/". Requests may be in flight, so the new
// description goes under the old number.
Result<> File::reopen_writable() {
    auto fd = open_file({cat("/proc/self/fd/", file_.fd), device_, true, common_.cache_direct});
    if (!fd && fd.error().errno_value)
        return fail_errno(fd.error().errno_value, cat("Could not open '", options_.filename, "'"));
    if (!fd)
        return fail(std::move(fd.error()));
    Result<> result;
    if (locking_)
        result = locks_.copy_to(*fd);
    if (result && dup3(*fd, file_.fd, O_CLOEXEC) < 0)
        result = fail_errno(errno, cat("Could not open '", options_.filename, "'"));
    ::close(*fd);
    writable_ = writable_ || result.has_value();
    return result;
}

Result<> File::resize_blocking(std::uint64_t size, std::uint64_t& new_size) {
    if (device_) {
        // A device keeps its size; only what it has can be asked for.
        auto now = file_size(file_.fd);
        if (!now)
            return fail(std::move(now.error()));
        new_size = *now;
        return size > *now ? Result<>(fail("Cannot grow device files")) : Result<>();
    }
    if (ftruncate(file_.fd, static_cast<off_t>(size)) < 0)
        return fail_errno(errno, "Failed to resize file");
    new_size = size;
    return {};
}

void File::resize(Node& node, std::uint64_t size, Done done) {
    struct Outcome {
        Result<> result;
        std::uint64_t size;
    };
    auto outcome = std::make_shared<Outcome>(Outcome{{}, file_.size});
    call_blocking(
        node.pool(), node.owner(), cat("resize of '", options_.filename, "'"),
        [this, size, outcome] { outcome->result = resize_blocking(size, outcome->size); },
        [this, outcome, done = std::move(done)](Result<> ran) mutable {
            if (!ran)
                return done(std::move(ran));
            generation_.fetch_add(1, std::memory_order_relaxed);
            file_.size = outcome->size;
            done(std::move(outcome->result));
        });
}

void File::allocated_size(Node& node, Sized done) {
    auto bytes = std::make_shared<std::uint64_t>(UINT64_MAX);
    call_blocking(
        node.pool(), node.owner(), cat("stat of '", options_.filename, "'"),
        [fd = file_.fd, bytes] {
            struct stat status{};
            if (fstat(fd, &status) == 0)
                *bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
        },
        [bytes, done = std::move(done)](Result<> ran) mutable {
            if (ran)
                done(*bytes);
            else
                done(fail(std::move(ran.error())));
        });
}

} // namespace outport::block
