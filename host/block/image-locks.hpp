// SPDX-License-Identifier: Apache-2.0
// Locks on an image that QEMU's tools understand: byte 100 + i says that permission i is held, byte 200 + i
// that it is not shared. Both are only ever locked for reading; who wants something looks whether others hold
// the byte that forbids it. The locks belong to the open file description. Not thread-safe; every call may
// wait.
#pragma once

#include "host/base/error.hpp"
#include "host/block/permissions.hpp"

#include <cstdint>
#include <string>

namespace outport::block {

class ImageLocks {
  public:
    // Whether the file system has such locks.
    static bool available(int fd);

    // Takes what is missing, looks whether others object, gives back what is no longer wanted. After an error
    // everything is as it was.
    Result<> change(int fd, Perm perm, Perm shared, const std::string& filename);
    // Takes on `fd`, another description of the same file, what is held.
    Result<> copy_to(int fd) const;

  private:
    Perm perm_ = 0;
    Perm shared_ = kPermAll;
};

} // namespace outport::block
