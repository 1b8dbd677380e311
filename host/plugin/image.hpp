// SPDX-License-Identifier: Apache-2.0
// Objects that are mapped into this process. They stay until it ends: `load` of the file that is mapped gives
// the same object again, a file that replaced it is mapped beside it. Thread-safe.
#pragma once

#include "host/base/error.hpp"
#include "host/plugin/note.hpp"

#include <outport/plugin.h>

#include <string>

namespace outport::plugin {

struct Image {
    std::string path;
    Note note;
    struct outport_plugin entry{}; // a copy of what both sides know of it; zero behind that
};

// Checks the file and its note, opens it, and checks its symbol. None of its code has run before the checks
// of the note have passed; then its constructors run, on the calling thread. Waits for the file system.
// Nothing: the file is no plugin at all (no note).
Result<std::optional<Image>> load_image(const std::string& path);

// Copies a table that a plugin gave: at most `size` bytes, as far as its first member, its size, says it
// reaches; zero behind that. False when it is shorter than `required` bytes.
bool copy_table(void* to, const void* from, std::uint32_t size, std::uint32_t required) noexcept;

} // namespace outport::plugin
