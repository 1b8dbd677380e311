// SPDX-License-Identifier: Apache-2.0
// cat(): one string out of texts, characters and integers. Thread-safe: touches only its arguments.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace outport::sdk {

namespace detail {
inline void append_piece(std::string& out, std::string_view piece) {
    out.append(piece);
}
inline void append_piece(std::string& out, const char* piece) {
    out.append(piece);
}
inline void append_piece(std::string& out, const std::string& piece) {
    out.append(piece);
}
inline void append_piece(std::string& out, char piece) {
    out.push_back(piece);
}
template <std::integral T> void append_piece(std::string& out, T piece) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, piece).ptr);
}
} // namespace detail

template <class... Pieces> std::string cat(const Pieces&... pieces) {
    std::string out;
    (detail::append_piece(out, pieces), ...);
    return out;
}

} // namespace outport::sdk
