// SPDX-License-Identifier: Apache-2.0
#include "host/base/log.hpp"

#include "host/base/text.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <fnmatch.h>

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
    std::mutex mutex; // over all that follows, but for the logger's pointee
    std::map<std::string, std::unique_ptr<Source>, std::less<>> sources;
    std::vector<Pattern> patterns;
    std::string program = "outportd";
    std::atomic<spdlog::logger*> logger{nullptr};
    std::vector<std::unique_ptr<spdlog::logger>>
        loggers; // also replaced ones: a thread may be writing with one
};

State& state() {
    static State* const the = new State;
    return *the;
}

void use_sink(spdlog::sink_ptr sink, const char* pattern) {
    sink->set_pattern(pattern);
    auto logger = std::make_unique<spdlog::logger>("outport", std::move(sink));
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    logger->set_error_handler(
        [](const std::string&) {}); // a full disk is no reason to end, or to write elsewhere
    std::lock_guard lock(state().mutex);
    state().logger.store(logger.get(), std::memory_order_release);
    state().loggers.push_back(std::move(logger));
}

spdlog::logger& logger() {
    spdlog::logger* current = state().logger.load(std::memory_order_acquire);
    if (current)
        return *current;
    static std::once_flag once;
    std::call_once(once, [] {
        if (!state().logger.load(std::memory_order_acquire))
            use_sink(std::make_shared<spdlog::sinks::stderr_sink_mt>(), "%v");
    });
    return *state().logger.load(std::memory_order_acquire);
}

spdlog::level::level_enum to_spdlog(Level level) noexcept {
    switch (level) {
    case Level::Trace:
        return spdlog::level::trace;
    case Level::Debug:
        return spdlog::level::debug;
    case Level::Info:
        return spdlog::level::info;
    case Level::Warning:
        return spdlog::level::warn;
    default:
        return spdlog::level::err;
    }
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
        logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
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
    try {
        use_sink(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path), "%Y-%m-%dT%H:%M:%S.%f%z %t %v");
        return {};
    } catch (const spdlog::spdlog_ex&) {
        return fail_errno(errno ? errno : EIO, cat("Could not open log file '", path, "'"));
    }
}

std::vector<std::string> components() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    std::vector<std::string> names;
    for (const auto& [name, source] : s.sources)
        names.push_back(name);
    return names;
}

} // namespace outport::log
