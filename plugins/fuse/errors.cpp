// SPDX-License-Identifier: Apache-2.0
#include "errors.hpp"

#include <cerrno>

namespace outport::fuse {

int fuse_error(int error) noexcept {
    switch (error) {
    case EPERM:
    case EACCES:
    case EROFS:
    case EINVAL:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENXIO:
    case ENOENT:
    case ENOSYS:
    case EINTR:
    case EBUSY:
    case ESHUTDOWN:
    case EOPNOTSUPP:
        return error;
    case ECANCELED: // by an INTERRUPT
        return EINTR;
    default: // also what would mean something else to a program that reads a file (EAGAIN, EPIPE, …)
        return EIO;
    }
}

} // namespace outport::fuse
