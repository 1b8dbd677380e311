// SPDX-License-Identifier: Apache-2.0
// The options of --chardev, in its own older syntax. Thread-safe: touches only its arguments.
#pragma once

#include "host/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outport::qmp {

struct ChardevOptions {
    enum class Backend : std::uint8_t { Socket, Stdio, Null };

    std::string id;
    Backend backend = Backend::Null;

    // Socket: exactly one of path, port (with or without host), fd
    std::string path, host, port, fd;
    bool server = false, wait = true, nodelay = false, abstract = false, tight = true;
    std::optional<bool> ipv4, ipv6;

    bool signal = true; // Stdio: does the terminal's ^C end the process?

    // "unix:PATH,server=on", as messages show it.
    std::string label() const;
};

// `help`: set when the text asks for the list of back ends. Warnings (deprecated spellings) are appended to
// `warnings`.
Result<ChardevOptions> parse_chardev(std::string_view text, std::vector<std::string>& warnings, bool& help);
// What `--chardev help` prints.
std::string chardev_help();

} // namespace outport::qmp
