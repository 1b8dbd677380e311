// SPDX-License-Identifier: Apache-2.0
// Making and removing listening sockets. Name look-ups and paths may wait for ever, so this is for a thread
// of the blocking pool; the functions touch nothing but their arguments and the system.
#pragma once

#include "host/base/error.hpp"
#include "host/net/address.hpp"

#include <sys/types.h>

#include <atomic>
#include <string>
#include <vector>

namespace outport::net {

struct ListeningSocket {
    int fd = -1;
    bool tcp = false;
    // Of a unix socket with a name in the file system: the absolute path, and which file there is ours.
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
};

struct OpenOptions {
    int backlog = 128;
    mode_t mode = 0;         // of a unix socket's file, from its first moment on; 0: what the umask leaves
    bool may_use_fds = true; // descriptors by number: only at start-up, where the command line is the caller
};

// Listens on the address; of a name that has several, on all that can be had, one at least. A file at a unix
// socket's path is replaced. Gives up, as cheaply as it can, when `cancelled` becomes true.
Result<std::vector<ListeningSocket>> open_sockets(const Address& address, const OpenOptions& options,
                                                  const std::atomic<bool>& cancelled);

// Closes them and removes the files that are still theirs.
void close_sockets(std::vector<ListeningSocket>& sockets) noexcept;

} // namespace outport::net
