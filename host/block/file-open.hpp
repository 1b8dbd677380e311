// SPDX-License-Identifier: Apache-2.0
// Opening a file or a device and finding out what it can do. For threads of the blocking pool: all of it may
// wait.
#pragma once

#include "host/base/error.hpp"
#include "host/block/limits.hpp"

#include <cstdint>
#include <string>

namespace outport::block {

struct FileWish {
    std::string filename;
    bool device = false; // host_device
    bool writable = false;
    bool direct = false;
};

struct OpenedFile {
    int fd = -1;
    bool block_device = false;
    std::uint64_t size = 0; // bytes, as they are
    Limits limits;
};

// The descriptor alone, after the checks of what kind of file it is.
Result<int> open_file(const FileWish& wish);
Result<OpenedFile> open_and_probe(const FileWish& wish);
Result<std::uint64_t> file_size(int fd);

} // namespace outport::block
