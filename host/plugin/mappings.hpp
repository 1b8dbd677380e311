// SPDX-License-Identifier: Apache-2.0
// Which file a piece of this process's memory is mapped from. Thread-safe.
#pragma once

namespace outport::plugin {

// Whether the mapping at `address` is of the file that is open as `fd`. Compared by what the kernel shows for
// both in /proc/self/maps, since on some file systems (overlayfs, btrfs) that differs from what stat says.
bool maps_same_file(const void* address, int fd) noexcept;

} // namespace outport::plugin
