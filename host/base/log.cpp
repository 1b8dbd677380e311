// SPDX-License-Identifier: Apache-2.0
#include "host/base/log.hpp"

#include "host/base/log-writer.hpp"
#include "host/base/text.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace outport::log {

namespace {

constexpr Level kDefaultLevel = Level::Warning; // as quiet as qemu-storage-daemon
constexpr std::array<std::pair<std::string_view, Level>, 6> kLevels{{{"trace", Level::Trace},
                                                                     {"debug", Level::Debug},
                                                                     {"info", Level::Info},
                                                                     {"warning", Level::Warning},
                                                                     {"error", Level::Error},
                                                                     {"off", Level::Off}}};

struct Pattern {
    std::string glob;
    Level level;
};

// Never destroyed: threads may log until the process ends.
struct State {
    Writer writer;
    std::mutex mutex; // over all that follows
    std::map<std::string, std::unique_ptr<Source>, std::less<>> sources;
    std::vector<Pattern> patterns;
    std::string program = "outportd";
};

State& state() {
    static State* const the = new State;
    return *the;
}

std::string_view to_word(Level level) noexcept {
    return kLevels[static_cast<std::size_t>(level)].first;
}

bool matches(const std::string& glob, const std::string& name) {
    return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
}

Level level_for(const State& s, const std::string& name) {
    Level level = kDefaultLevel;
    for (const Pattern& p : s.patterns)
        if (matches(p.glob, name))
            level = p.level;
    return level;
}

// Splits "-GLOB" and "GLOB:LEVEL"; nothing when the level is none.
std::optional<Pattern> split(std::string_view text) {
    if (text.starts_with('-'))
        return Pattern{std::string(text.substr(1)), kDefaultLevel};
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return Pattern{std::string(text), Level::Trace};
    for (auto [word, level] : kLevels)
        if (word == text.substr(colon + 1))
            return Pattern{std::string(text.substr(0, colon)), level};
    return std::nullopt;
}

} // namespace

Source::Source(std::string name) : name_(std::move(name)), level_(kDefaultLevel) {}

void Source::write(Level level, std::string_view text) const noexcept {
    if (!enabled(level) || level == Level::Off)
        return;
    try {
        std::string line = cat(state().program, ": ", to_word(level), ": ");
        if (!name_.empty())
            line += cat(name_, ": ");
        line += printable(text);
        state().writer.put({std::move(line), std::chrono::system_clock::now(), ::gettid(), false});
    } catch (...) {
        // No memory for a log line: the caller's work matters more.
    }
}

Source& source(std::string_view name) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    auto found = s.sources.find(name);
    if (found == s.sources.end()) {
        found = s.sources.emplace(std::string(name), std::make_unique<Source>(std::string(name))).first;
        found->second->set_level(level_for(s, found->first));
    }
    return *found->second;
}

void set_program(std::string name) {
    state().program = std::move(name);
}
const std::string& program() noexcept {
    return state().program;
}

Result<> set_pattern(std::string_view pattern) {
    auto parsed = split(pattern);
    if (!parsed)
        return fail(cat("'", pattern, "' is no COMPONENT:LEVEL"),
                    "Levels are trace, debug, info, warning, error and off");
    State& s = state();
    std::lock_guard lock(s.mutex);
    s.patterns.push_back(std::move(*parsed));
    for (auto& [name, source] : s.sources)
        source->set_level(level_for(s, name));
    return {};
}

bool pattern_matches_any(std::string_view pattern) {
    auto parsed = split(pattern);
    State& s = state();
    std::lock_guard lock(s.mutex);
    for (const auto& [name, source] : s.sources)
        if (parsed && matches(parsed->glob, name))
            return true;
    return false;
}

Result<> set_file(const std::string& path) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno(errno, cat("Could not open log file '", path, "'"));
    state().writer.use_file(fd);
    return {};
}

void say(std::string text) noexcept {
    try {
        state().writer.put({std::move(text), {}, 0, true});
    } catch (...) {
        // No memory for it.
    }
}

void write_behind() noexcept {
    state().writer.start();
}

bool flush() noexcept {
    return state().writer.flush(kFlushNs);
}

std::vector<std::string> components() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    std::vector<std::string> names;
    names.reserve(s.sources.size());
    for (const auto& [name, source] : s.sources)
        names.push_back(name);
    return names;
}

} // namespace outport::log
