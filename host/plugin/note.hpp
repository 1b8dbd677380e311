// SPDX-License-Identifier: Apache-2.0
// The ELF note of a plugin, read from an open file before anything of it is mapped. The file is not trusted:
// every offset and size in it is checked. Thread-safe: touches only its arguments.
#pragma once

#include "host/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace outport::plugin {

struct Note {
    std::uint32_t abi_major = 0, abi_minor = 0, min_host_minor = 0;
    std::string id, version, license;
};

// The note of the shared object behind `fd`; nothing when the file is no ELF file or has no such note, so
// that it isn't ours. An error when it has one but is damaged, or is for another machine. `path` is for
// messages.
Result<std::optional<Note>> read_note(int fd, const std::string& path);

// Whether this host can load a plugin with that note: one sentence that names the file, both versions and
// what to install.
Result<> check_abi(const Note& note, const std::string& path);

} // namespace outport::plugin
