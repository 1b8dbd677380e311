// SPDX-License-Identifier: Apache-2.0
// The log of the process: lines of a level and a component ("loop", "block", or a plugin's name).
// Thread-safe, but for what is marked [start-up], which comes before the first other thread. A line is
// bounded, and control characters in it are replaced, so what a peer sent may stand in one.
#pragma once

#include "host/base/error.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace outport::log {

enum class Level : std::uint8_t { Trace, Debug, Info, Warning, Error, Off };

inline constexpr std::size_t kMaxLine =
    4096; // bytes of a line's text; what is longer is cut and ends in "..."

inline constexpr std::uint64_t kFlushNs = 1'000'000'000;

// A component with its level. Lives as long as the process.
class Source {
  public:
    explicit Source(std::string name);
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    const std::string& name() const noexcept { return name_; }
    bool enabled(Level level) const noexcept { return level >= level_.load(std::memory_order_relaxed); }
    void set_level(Level level) noexcept { level_.store(level, std::memory_order_relaxed); }
    // Writes the line if the level is enabled. Never fails, never throws.
    void write(Level level, std::string_view text) const noexcept;

    void trace(std::string_view text) const noexcept { write(Level::Trace, text); }
    void debug(std::string_view text) const noexcept { write(Level::Debug, text); }
    void info(std::string_view text) const noexcept { write(Level::Info, text); }
    void warning(std::string_view text) const noexcept { write(Level::Warning, text); }
    void error(std::string_view text) const noexcept { write(Level::Error, text); }

  private:
    std::string name_;
    std::atomic<Level> level_;
};

// The component of that name, made when it is first asked for. Takes a lock: keep the reference.
//   static log::Source& logger = log::source("loop");
Source& source(std::string_view name);

// One line, for those who log rarely.
inline void warning(std::string_view component, std::string_view text) {
    source(component).warning(text);
}
inline void error(std::string_view component, std::string_view text) {
    source(component).error(text);
}
inline void info(std::string_view component, std::string_view text) {
    source(component).info(text);
}

// [start-up] What lines on standard error begin with: the name that the process was started by.
void set_program(std::string name);
const std::string& program() noexcept;

// `COMPONENT` (a glob) or `COMPONENT:LEVEL` sets the level of the components that match, those to come
// included; the level is trace where none is said. `-COMPONENT` sets it back to what it was. The last one
// that matches counts. Fails when the level is no level.
Result<> set_pattern(std::string_view pattern);
// Whether a component that exists matches.
bool pattern_matches_any(std::string_view pattern);
// [start-up] From now on lines go to the end of this file, with their time, and not to standard error.
Result<> set_file(const std::string& path);
// Text for standard error as it is, wherever lines go, and in order with them.
void say(std::string text) noexcept;
// [start-up] From now on a thread of the log's own writes, so that nobody waits for a pipe that is full or a
// file system that hangs. So many lines may wait for it; then the oldest are dropped, and the next one that
// is written says how many. The thread begins with the first line. A forked child has none.
void write_behind() noexcept;
// Waits until all is out that was written before: for a second at most, since the end of the process must not
// hang on it. False: it isn't.
bool flush() noexcept;
// The components that exist, by name.
std::vector<std::string> components();

// The text as write() would print it: cut, control characters and broken UTF-8 replaced.
std::string printable(std::string_view text, std::size_t limit = kMaxLine);

} // namespace outport::log
