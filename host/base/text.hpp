// SPDX-License-Identifier: Apache-2.0
// cat(): one string out of strings, characters and integers, without a formatting library in every header.
// Thread-safe: touches only its arguments.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace outport {

namespace detail {
inline void append_piece(std::string& out, std::string_view s) {
    out.append(s);
}
inline void append_piece(std::string& out, const char* s) {
    out.append(s);
}
inline void append_piece(std::string& out, const std::string& s) {
    out.append(s);
}
inline void append_piece(std::string& out, char c) {
    out.push_back(c);
}
template <std::integral T> void append_piece(std::string& out, T value) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
}
} // namespace detail

template <class... Pieces> std::string cat(const Pieces&... pieces) {
    std::string out;
    (detail::append_piece(out, pieces), ...);
    return out;
}

} // namespace outport
