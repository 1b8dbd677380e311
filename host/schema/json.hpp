// SPDX-License-Identifier: Apache-2.0
// JSON as QMP speaks it: a parser that takes its input in any pieces, with QEMU's dialect, limits and
// messages, and a writer with QEMU's spacing and escapes. Strings are modified UTF-8 (NUL is C0 80). Not
// thread-safe; separate objects are independent.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/value.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace outport::json {

inline constexpr std::size_t kMaxTokenBytes = std::size_t{64} << 20; // of all tokens of one top-level value
inline constexpr std::size_t kMaxTokens = std::size_t{2} << 20;
inline constexpr unsigned kMaxNesting = 1024;

// One top-level value, or what was wrong with it.
using Message = Result<boost::json::value>;

class StreamParser {
  public:
    StreamParser();
    ~StreamParser();
    StreamParser(StreamParser&&) noexcept;
    StreamParser& operator=(StreamParser&&) noexcept;

    // Takes bytes from `input` (moving its start) until a message is complete or the input is used up.
    // An error is a message too: the parser has skipped what belongs to it and goes on after it.
    std::optional<Message> next(std::string_view& input);
    // The input has ended: what is left of a message, if anything.
    std::optional<Message> finish();
    void reset();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Exactly one value and white space around it.
Result<boost::json::value> parse(std::string_view text);

// Appends `value` to `out`; pretty: indented by four spaces, as QEMU's `pretty=on`.
void write(std::string& out, const boost::json::value& value, bool pretty = false);
std::string to_string(const boost::json::value& value, bool pretty = false);

} // namespace outport::json
