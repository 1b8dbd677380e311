// SPDX-License-Identifier: Apache-2.0
#include "mountinfo.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace outport::fuse {

namespace {

// The kernel writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
            out.push_back(char(code));
            i += 3;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

std::string_view next_word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

} // namespace

// "ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS"
std::vector<MountEntry> parse_mounts(std::string_view text) {
    std::vector<MountEntry> mounts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        MountEntry entry;
        const std::string_view id = next_word(line);
        std::from_chars(id.data(), id.data() + id.size(), entry.id);
        for (int skipped = 0; skipped < 3; ++skipped)
            next_word(line);
        entry.path = unescape(next_word(line));
        while (!line.empty() && next_word(line) != "-") {
        }
        entry.type = next_word(line);
        entry.source = unescape(next_word(line));
        mounts.push_back(std::move(entry));
    }
    return mounts;
}

std::vector<MountEntry> read_mounts() {
    std::ifstream file("/proc/self/mountinfo", std::ios::binary);
    return parse_mounts(std::string(std::istreambuf_iterator<char>(file), {}));
}

const MountEntry* find_mount(const std::vector<MountEntry>& mounts, std::string_view path) {
    const auto found = std::find_if(mounts.rbegin(), mounts.rend(),
                                    [&](const MountEntry& entry) { return entry.path == path; });
    return found == mounts.rend() ? nullptr : &*found;
}

} // namespace outport::fuse
