// SPDX-License-Identifier: Apache-2.0
// Modified UTF-8 (NUL as C0 80) and JSON's \u escapes. Thread-safe: touches only its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace outport::utf8 {

// The code point at the start of `s`, and how many bytes it takes. Negative: malformed, and `length` bytes
// (at least 1) stand for one replacement character. Refused: overlong forms (but C0 80), surrogates,
// noncharacters, above U+10FFFF.
std::int32_t decode(std::string_view s, std::size_t& length) noexcept;

// `s` begins with "\u": the code point of the escape, or of a pair of them; `length` is what it takes of `s`.
// Negative: malformed.
std::int32_t decode_escape(std::string_view s, std::size_t& length) noexcept;

// Appends `code_point`; false: there is no such character.
bool encode(std::string& out, std::int32_t code_point);

} // namespace outport::utf8
