// SPDX-License-Identifier: Apache-2.0
// A record of each mount of ours, kept in a private folder and locked as long as its owner lives. A process
// that was killed leaves its records unlocked, and the next one takes down the mounts that they name; without
// that, whoever opens the path gets "Transport endpoint is not connected". Thread-safe: each object by
// itself; what touches files may block.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace outport::fuse {

// What stands in the file system's place in a list of mounts, and tells ours from others'.
inline constexpr const char kSource[] = "outport";

struct MountRecord {
    std::string path;
    std::uint64_t id = 0; // of the mount; 0 as long as it is not known
};

class Record {
  public:
    Record() = default;
    Record(Record&& other) noexcept;
    Record& operator=(Record&& other) noexcept;
    ~Record() { remove(); }

    // Before the mount is made; throws sdk::Failure.
    static Record create(const std::string& folder, const MountRecord& record);
    void set(const MountRecord& record);
    // When the mount has gone.
    void remove() noexcept;
    // When it stays: a later start finds it.
    void leave() noexcept;

  private:
    std::string file_;
    int fd_ = -1; // holds the lock
};

// The private folder: in /run for root, else in $XDG_RUNTIME_DIR or /tmp. Made with mode 0700; throws
// sdk::Failure when it belongs to somebody else.
std::string record_folder();

// Calls `unmount` for each mount whose record nobody holds, and takes the record away.
void take_down_stale(const std::string& folder, const std::function<void(const MountRecord&)>& unmount);

} // namespace outport::fuse
