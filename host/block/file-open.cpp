// SPDX-License-Identifier: Apache-2.0
#include "host/block/file-open.hpp"

#include "host/base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace outport::block {

namespace {

bool is_device(const struct stat& status) {
    return S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode);
}

Result<> check_kind(const struct stat& status, const FileWish& wish) {
    if (wish.device && !is_device(status))
        return fail(cat("'host_device' driver requires '", wish.filename,
                        "' to be either a character or block device"));
    if (!wish.device && !S_ISREG(status.st_mode))
        return fail(cat("'file' driver requires '", wish.filename, "' to be a regular file"));
    return {};
}

// What direct I/O wants of offsets and of addresses, as the kernel says since 6.1.
bool ask_alignment(int fd, Limits& limits) {
    struct statx status{};
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
        !(status.stx_mask & STATX_DIOALIGN) || status.stx_dio_offset_align == 0)
        return false;
    limits.request_alignment = status.stx_dio_offset_align;
    limits.memory_alignment = std::max<std::uint32_t>(status.stx_dio_mem_align, 1);
    return true;
}

// By trying: the smallest read that isn't refused.
void try_alignment(int fd, Limits& limits) {
    constexpr std::size_t kMost = 4096;
    std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(kMost, kMost), &std::free);
    std::uint32_t alignment = 512;
    while (alignment < kMost && pread(fd, buffer.get(), alignment, 0) < 0 && errno == EINVAL)
        alignment *= 2;
    limits.request_alignment = limits.memory_alignment = alignment;
}

void probe_limits(OpenedFile& file, const FileWish& wish) {
    int block_size = 512;
    if (file.block_device && ioctl(file.fd, BLKSSZGET, &block_size) == 0)
        file.limits.zero_alignment = static_cast<std::uint32_t>(block_size);
    file.limits.can_discard = file.limits.can_fast_zero = true; // until the kernel says otherwise
    if (!wish.direct)
        return;
    if (!ask_alignment(file.fd, file.limits))
        try_alignment(file.fd, file.limits);
    if (file.block_device)
        file.limits.request_alignment =
            std::max(file.limits.request_alignment, static_cast<std::uint32_t>(block_size));
}

} // namespace

Result<std::uint64_t> file_size(int fd) {
    struct stat status{};
    if (fstat(fd, &status) < 0)
        return fail_errno(errno, "Could not get the image size");
    std::uint64_t bytes = 0;
    if (S_ISBLK(status.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
            return fail_errno(errno, "Could not get the image size");
        return bytes;
    }
    if (S_ISREG(status.st_mode))
        return static_cast<std::uint64_t>(status.st_size);
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return fail_errno(errno, "Could not get the image size");
    return static_cast<std::uint64_t>(end);
}

Result<int> open_file(const FileWish& wish) {
    if (wish.filename.empty())
        return fail(
            cat("The '", wish.device ? "host_device" : "file", "' block driver requires a file name"));
    struct stat status{};
    // A look before: opening a FIFO or a socket would wait or fail without saying why. Directories get open's
    // own error.
    if (stat(wish.filename.c_str(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
        return fail(std::move(check_kind(status, wish).error()));
    int flags = O_CLOEXEC | O_NOCTTY | (wish.writable ? O_RDWR : O_RDONLY) | (wish.direct ? O_DIRECT : 0);
    int fd = open(wish.filename.c_str(), flags);
    if (fd < 0 && errno == EINVAL && wish.direct)
        return fail(cat("Could not open '", wish.filename, "': filesystem does not support O_DIRECT"));
    if (fd < 0)
        return fail_errno(errno, cat("Could not open '", wish.filename, "'"));
    if (fstat(fd, &status) == 0)
        if (auto ok = check_kind(status, wish); !ok) {
            close(fd);
            return fail(std::move(ok.error()));
        }
    return fd;
}

Result<OpenedFile> open_and_probe(const FileWish& wish) {
    auto fd = open_file(wish);
    if (!fd)
        return fail(std::move(fd.error()));
    OpenedFile file;
    file.fd = *fd;
    struct stat status{};
    file.block_device = fstat(*fd, &status) == 0 && S_ISBLK(status.st_mode);
    auto size = file_size(*fd);
    if (!size) {
        close(*fd);
        return fail(std::move(size.error()));
    }
    file.size = *size;
    probe_limits(file, wish);
    return file;
}

} // namespace outport::block
