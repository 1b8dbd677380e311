// SPDX-License-Identifier: Apache-2.0
#include "host/block/image-locks.hpp"

#include "host/base/text.hpp"

#include <cerrno>
#include <fcntl.h>

namespace outport::block {

namespace {

constexpr off_t kHeldBase = 100;
constexpr off_t kUnsharedBase = 200;

struct flock one_byte(short type, off_t byte) {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

int set(int fd, short type, off_t byte) {
    struct flock lock = one_byte(type, byte);
    int result;
    do
        result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result < 0 && errno == EINTR);
    return result < 0 ? errno : 0;
}

bool held_by_others(int fd, off_t byte) {
    struct flock lock = one_byte(F_WRLCK, byte);
    return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

// Locks or unlocks one byte for each permission of `perms`.
Result<> set_all(int fd, short type, off_t base, Perm perms) {
    for (unsigned i = 0; i < kPermNames.size(); ++i)
        if (perms & 1u << i)
            if (int error = set(fd, type, base + i))
                return fail_errno(
                    error,
                    cat(type == F_UNLCK ? "Failed to unlock byte " : "Failed to lock byte ", base + i));
    return {};
}

Result<> check_all(int fd, Perm perm, Perm unshared, const std::string& filename) {
    std::string hint = cat("Is another process using the image [", filename, "]?");
    for (unsigned i = 0; i < kPermNames.size(); ++i)
        if ((perm & 1u << i) && held_by_others(fd, kUnsharedBase + i))
            return fail(cat("Failed to get \"", kPermNames[i], "\" lock"), hint);
    for (unsigned i = 0; i < kPermNames.size(); ++i)
        if ((unshared & 1u << i) && held_by_others(fd, kHeldBase + i))
            return fail(cat("Failed to get shared \"", kPermNames[i], "\" lock"), hint);
    return {};
}

} // namespace

bool ImageLocks::available(int fd) {
    struct flock lock = one_byte(F_WRLCK, 0);
    return fcntl(fd, F_OFD_GETLK, &lock) == 0;
}

Result<> ImageLocks::change(int fd, Perm perm, Perm shared, const std::string& filename) {
    Perm unshared = kPermAll & ~shared, old_unshared = kPermAll & ~shared_;
    Perm more_perm = perm & ~perm_, more_unshared = unshared & ~old_unshared;
    Result<> result = set_all(fd, F_RDLCK, kHeldBase, more_perm);
    if (result)
        result = set_all(fd, F_RDLCK, kUnsharedBase, more_unshared);
    if (result)
        result = check_all(fd, more_perm, more_unshared, filename);
    if (!result) {
        (void)set_all(fd, F_UNLCK, kHeldBase, more_perm);
        (void)set_all(fd, F_UNLCK, kUnsharedBase, more_unshared);
        return result;
    }
    (void)set_all(fd, F_UNLCK, kHeldBase, perm_ & ~perm);
    (void)set_all(fd, F_UNLCK, kUnsharedBase, old_unshared & ~unshared);
    perm_ = perm;
    shared_ = shared;
    return {};
}

Result<> ImageLocks::copy_to(int fd) const {
    if (auto ok = set_all(fd, F_RDLCK, kHeldBase, perm_); !ok)
        return ok;
    return set_all(fd, F_RDLCK, kUnsharedBase, kPermAll & ~shared_);
}

} // namespace outport::block
