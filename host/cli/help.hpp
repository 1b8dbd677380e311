// SPDX-License-Identifier: Apache-2.0
// --help and --version. What the schema knows is said in the schema's words, so that what is not there is not
// in the help either. Thread-safe: touches only its arguments.
#pragma once

#include <string>
#include <string_view>

namespace outport::schema {
class Schema;
}

namespace outport::cli {

// `program`: the name that the process was started by.
std::string help_text(const schema::Schema& schema, std::string_view program);

// Started as qemu-storage-daemon it is that program's form, whose first line management software parses.
std::string version_text(std::string_view program, std::string_view version);

inline constexpr std::string_view kQemuName = "qemu-storage-daemon";

} // namespace outport::cli
