// SPDX-License-Identifier: Apache-2.0
// What the first scan of the command line finds: all that must be known before plugins are loaded, and before
// the process may go into the background. Plain values.
#pragma once

#include "host/base/error.hpp"
#include "host/cli/options.hpp"

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace outport::cli {

struct Settings {
    bool daemonize = false, help = false, version = false, allow_plugin_path = false;
    std::string pidfile; // empty: none
    bool has_pidfile = false;
    std::vector<std::string> plugins, plugin_dirs;
    std::uint64_t shutdown_timeout_s = 30;
    mode_t socket_mode = 0600;
    std::string socket_group;
    std::vector<Word> traces;
};

// An error of an option, and where it is.
struct OptionError {
    std::string where;
    Error error;
};

// Takes what it knows from the words of a lenient scan. Stops at -V, as that ends the process.
std::expected<Settings, OptionError> read_settings(std::span<const Word> words);

// --trace: levels for the log, and where it goes. Before the first other thread. `text` is "help" for a list,
// printed by the caller.
Result<> apply_trace(const std::string& text);
// What to warn of when the components are known: patterns that match none.
std::vector<std::string> trace_warnings(const std::string& text);
std::string trace_help();

} // namespace outport::cli
