// SPDX-License-Identifier: Apache-2.0
#include "file.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <sys/stat.h>

namespace outport::fuse {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t now_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now); // what the kernel's own file systems take
    return now.tv_sec * kSecond + now.tv_nsec;
}

// Flags that say how the kernel came to ask, not what it asks for.
constexpr std::uint32_t kHints = FATTR_FH | FATTR_LOCKOWNER | FATTR_KILL_SUIDGID | FATTR_CTIME;

} // namespace

File::File(const FileOptions& options) noexcept
    : options_(options), mode_(S_IFREG | S_IRUSR | (options.writable ? S_IWUSR : 0)), uid_(options.uid),
      gid_(options.gid), mtime_ns_(now_ns()), ctime_ns_(mtime_ns_.load()) {}

int File::check(const fuse_setattr_in& change) const noexcept {
    std::uint32_t known = FATTR_SIZE | FATTR_MODE | kHints;
    if (options_.allow_other)
        known |= FATTR_UID | FATTR_GID;
    if (change.valid & ~known)
        return EOPNOTSUPP;
    if (change.valid & FATTR_MODE) {
        if (!options_.allow_other && (change.mode & (S_IRWXG | S_IRWXO)))
            return EPERM; // nobody else gets this far, whatever the bits say
        if (!options_.writable && (change.mode & (S_IWUSR | S_IWGRP | S_IWOTH)))
            return EROFS;
    }
    if ((change.valid & FATTR_SIZE) && !options_.writable)
        return EACCES;
    if ((change.valid & FATTR_SIZE) && change.size > INT64_MAX)
        return EFBIG;
    return 0;
}

void File::apply(const fuse_setattr_in& change) noexcept {
    if (change.valid & FATTR_MODE)
        mode_ = S_IFREG | (change.mode & 07777);
    if (change.valid & FATTR_UID)
        uid_ = change.uid;
    if (change.valid & FATTR_GID)
        gid_ = change.gid;
    if (change.valid & FATTR_SIZE)
        modified();
    else if (change.valid & (FATTR_MODE | FATTR_UID | FATTR_GID))
        ctime_ns_ = now_ns();
}

void File::modified() noexcept {
    const std::int64_t now = now_ns();
    mtime_ns_.store(now, std::memory_order_relaxed);
    ctime_ns_.store(now, std::memory_order_relaxed);
}

fuse_attr File::attributes(std::uint64_t size, std::uint64_t allocated) const noexcept {
    const std::int64_t mtime = mtime_ns_.load(std::memory_order_relaxed);
    const std::int64_t ctime = ctime_ns_.load(std::memory_order_relaxed);
    fuse_attr attr{};
    attr.ino = FUSE_ROOT_ID;
    attr.size = size;
    attr.blocks = allocated == kUnknown ? size / 512 + (size % 512 != 0) : allocated / 512;
    attr.atime = attr.mtime = std::uint64_t(mtime / kSecond);
    attr.atimensec = attr.mtimensec = std::uint32_t(mtime % kSecond);
    attr.ctime = std::uint64_t(ctime / kSecond);
    attr.ctimensec = std::uint32_t(ctime % kSecond);
    attr.mode = mode_;
    attr.nlink = 1;
    attr.uid = uid_;
    attr.gid = gid_;
    attr.blksize = std::max(options_.block_size, 512u);
    return attr;
}

} // namespace outport::fuse
