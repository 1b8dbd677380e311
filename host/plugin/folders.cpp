// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/folders.hpp"

#include "host/base/text.hpp"
#include "host/plugin/config.hpp"

#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace outport::plugin {
namespace fs = std::filesystem;

namespace {

// A word of ours that may appear where "<name>.so" does, and is not a plugin's name, is no candidate.
constexpr std::string_view kSuffix = ".so";
constexpr std::size_t kMaxName = 63; // fits outport_note.id with its zero

std::vector<std::string> split_path(std::string_view list) {
    std::vector<std::string> folders;
    while (!list.empty()) {
        auto colon = std::min(list.find(':'), list.size());
        if (colon > 0)
            folders.emplace_back(list.substr(0, colon));
        list.remove_prefix(std::min(colon + 1, list.size()));
    }
    return folders;
}

std::vector<std::string> sub_folders(const fs::path& folder) {
    std::vector<std::string> found;
    std::error_code ec;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec))
        if (it->is_directory(ec))
            found.push_back(it->path().string());
    std::sort(found.begin(), found.end());
    return found;
}

// The build tree has a marker that no installation has, two folders above the program. Empty: not in one.
std::vector<std::string> build_tree_folders() {
    std::error_code ec;
    auto program = fs::read_symlink("/proc/self/exe", ec);
    if (ec)
        return {};
    auto root = program.parent_path().parent_path().parent_path();
    if (!fs::exists(root / kBuildTreeMarker, ec))
        return {};
    return sub_folders(root / "plugins");
}

// A daemonized host goes to "/" later, so where a relative folder lies is decided at start.
std::vector<std::string> absolute(std::vector<std::string> folders) {
    for (std::string& folder : folders) {
        std::error_code ec;
        auto path = fs::absolute(folder, ec);
        if (!ec)
            folder = path.string();
    }
    return folders;
}

} // namespace

bool privileged_start() noexcept {
    return ::getauxval(AT_SECURE) != 0 || ::geteuid() != ::getuid() || ::getegid() != ::getgid();
}

std::vector<std::string> choose_folders(const FolderChoice& choice) {
    if (!choice.from_command_line.empty())
        return absolute(choice.from_command_line);
    const char* listed = privileged_start() ? nullptr : ::secure_getenv("OUTPORT_PLUGIN_PATH");
    if (listed && *listed)
        return absolute(split_path(listed));
    if (auto built = build_tree_folders(); !built.empty())
        return built;
    return {choice.installed.empty() ? std::string(kInstalledFolder) : choice.installed};
}

bool valid_plugin_name(std::string_view name) noexcept {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    auto other = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    return !name.empty() && name.size() <= kMaxName && letter(name[0]) &&
           std::all_of(name.begin(), name.end(), other);
}

std::vector<Candidate> list_candidates(const std::vector<std::string>& folders) {
    std::vector<Candidate> all;
    for (const auto& folder : folders) {
        std::vector<Candidate> here;
        std::error_code ec;
        for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
            auto file = it->path().filename().string();
            if (!file.ends_with(kSuffix))
                continue;
            std::string name = file.substr(0, file.size() - kSuffix.size());
            auto same = [&](const Candidate& c) { return c.name == name; };
            if (valid_plugin_name(name) && std::none_of(all.begin(), all.end(), same))
                here.push_back({std::move(name), it->path().string()});
        }
        std::sort(here.begin(), here.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        all.insert(all.end(), here.begin(), here.end());
    }
    return all;
}

std::string find_candidate(const std::vector<std::string>& folders, std::string_view name) {
    if (!valid_plugin_name(name))
        return {};
    for (const auto& folder : folders) {
        auto path = cat(folder, '/', name, kSuffix);
        std::error_code ec;
        if (fs::exists(fs::symlink_status(path, ec)))
            return path;
    }
    return {};
}

} // namespace outport::plugin
