// SPDX-License-Identifier: Apache-2.0
// The mounts of this process's namespace, from /proc/self/mountinfo (proc(5)). Thread-safe: values only; may
// block as reading /proc does, never on a mounted file system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace outport::fuse {

struct MountEntry {
    std::uint64_t id = 0;
    std::string path;   // where it is mounted
    std::string type;   // "fuse"
    std::string source; // what the mount names as its device
};

// The order of mounting: of two on one path the later one is on top.
std::vector<MountEntry> read_mounts();
std::vector<MountEntry> parse_mounts(std::string_view text);

// The topmost on `path`; null when it is no mount point.
const MountEntry* find_mount(const std::vector<MountEntry>& mounts, std::string_view path);

} // namespace outport::fuse
