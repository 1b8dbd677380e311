// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for, and what is there. Thread-safe: touches the file system only. Blocks for
// local files, so it belongs to start-up and to the commands that load a plugin.
#pragma once

#include "host/base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace outport::plugin {

struct FolderChoice {
    std::vector<std::string> from_command_line; // --plugin-dir, in order
    std::string installed;                      // the folder that the build configured; empty: compiled in
};

// The first of these that is given is the whole list: the command line, OUTPORT_PLUGIN_PATH (colon-separated,
// ignored for a privileged start), the build tree's folders when the program runs from there, the installed
// folder.
std::vector<std::string> choose_folders(const FolderChoice& choice);

// Whether the process has more rights than who started it, so that its environment is not to be believed.
bool privileged_start() noexcept;

struct Candidate {
    std::string name; // the file's name without ".so"
    std::string path;
};

// The files `*.so` of the folders, by folder and then by name; of one name the first counts. Says nothing yet
// about whether they are plugins. A folder that isn't there has none.
std::vector<Candidate> list_candidates(const std::vector<std::string>& folders);

// The file of the plugin called `name` in the folders; empty: there is none.
std::string find_candidate(const std::vector<std::string>& folders, std::string_view name);

// What a plugin may be called: a letter, then letters, digits, `-`, `_`; 63 bytes at most.
bool valid_plugin_name(std::string_view name) noexcept;

} // namespace outport::plugin
