// SPDX-License-Identifier: Apache-2.0
// The file that the mount shows: mode, owner, times, and what may be changed of them. Thread-safe: the loops
// of an export share one; each member stands for itself.
#pragma once

#include "kernel.hpp"

#include <atomic>

namespace outport::fuse {

struct FileOptions {
    bool writable = false;
    bool growable = false;
    bool allow_other = false;
    std::uint32_t uid = 0, gid = 0;
    std::uint32_t block_size = kPageSize;
};

class File {
  public:
    explicit File(const FileOptions& options) noexcept;

    bool writable() const noexcept { return options_.writable; }
    bool growable() const noexcept { return options_.growable; }

    void set_allow_other(bool allowed) noexcept { options_.allow_other = allowed; } // before it is served

    // Whether a SETATTR is permitted, as a positive errno or 0; the change is made by apply().
    int check(const fuse_setattr_in& change) const noexcept;
    void apply(const fuse_setattr_in& change) noexcept;
    void modified() noexcept; // now

    // `allocated`: bytes of storage in use, or kUnknown.
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    fuse_attr attributes(std::uint64_t size, std::uint64_t allocated) const noexcept;

  private:
    FileOptions options_;
    std::atomic<std::uint32_t> mode_, uid_, gid_;
    std::atomic<std::int64_t> mtime_ns_, ctime_ns_; // CLOCK_REALTIME
};

} // namespace outport::fuse
