// SPDX-License-Identifier: Apache-2.0
// Mounting over a file and taking the mount down again: by the kernel's own calls where we may, else by
// fusermount3. Thread-safe: no shared state. All of it may block: for the pool only.
//
// Nothing but first_look() opens, stats or otherwise asks a mount of ours: its answer would come from the
// loop.
#pragma once

#include "services.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace outport::fuse {

enum class AllowOther : std::uint8_t { Off, On, Auto };

struct MountOptions {
    std::string path; // as the user gave it
    AllowOther allow_other = AllowOther::Auto;
    std::uint32_t max_read = 0; // bytes
};

// A place to mount over, looked up once and held by a descriptor.
struct Mountpoint {
    int fd = -1;      // O_PATH
    std::string path; // without symbolic links
    Mountpoint() = default;
    Mountpoint(Mountpoint&& other) noexcept;
    Mountpoint& operator=(Mountpoint&& other) noexcept;
    ~Mountpoint();
};

// A mount that exists. Descriptors are the owner's to close.
struct Mounted {
    int device = -1;   // /dev/fuse
    int mount_fd = -1; // of the mount itself, until the export runs; -1 when fusermount3 made it
    std::uint64_t id = 0;
    std::uint32_t connection = 0; // the kernel's number for it; 0 when it is not known
    std::string path;
    bool allow_other = false;
};

// Throws sdk::Failure: it does not exist, is no regular file, is a mount point already.
Mountpoint find_mountpoint(const std::string& path);
// Throws sdk::Failure when every attempt failed.
Mounted mount_over(const Mountpoint& point, const MountOptions& options, const sdk::Log& log);
// Has the kernel ask once for what it must know before others use the mount. Throws sdk::Failure.
void first_look(const Mounted& mounted);
// Lazily: open files stay. Nothing happens when it has gone already. False: it stays, below another mount.
bool unmount(const Mounted& mounted, const sdk::Log& log);
// unmount() for what another process has left.
void unmount_stale(const std::string& path, const sdk::Log& log);

// Ends the connection at once: what waits in the kernel fails, and what comes later too. Only for what was
// mounted without fusermount3.
void abort_connection(std::uint32_t connection);
// How many queues FUSE over io_uring has: one for each processor that there could be.
std::uint32_t count_queues();

// fusermount3(1), which does for ordinary users what only root may; in fusermount.cpp.
struct HelperResult {
    int device = -1;    // when it mounted
    std::string reason; // what it complained of; empty when it succeeded
};
HelperResult fusermount(const std::string& path, const std::string& options);
HelperResult fusermount_unmount(const std::string& path);

} // namespace outport::fuse
