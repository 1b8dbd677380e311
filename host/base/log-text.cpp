// SPDX-License-Identifier: Apache-2.0
// What may stand in a log line: see printable().
#include "host/base/log.hpp"

#include <cstdint>

namespace outport::log {

namespace {

// Bytes of the well-formed UTF-8 sequence at the start of `text` (RFC 3629 section 4); 0: there is none.
// `code` is the character.
std::size_t sequence_length(std::string_view text, std::uint32_t& code) noexcept {
    auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    std::uint8_t first = byte(0);
    if (first < 0x80) {
        code = first;
        return 1;
    }
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return 0;
    code = first & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < kSmallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

// Control characters, and those that turn the direction of the text after them.
bool harmful(std::uint32_t code) noexcept {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

} // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    while (!text.empty()) {
        std::uint32_t code = 0;
        std::size_t length = sequence_length(text, code);
        std::string_view piece = text.substr(0, length);
        if (length == 0 || harmful(code))
            piece = code == '\t' && length ? " " : "?";
        if (out.size() + piece.size() > limit) {
            out.resize(limit > 3 && out.size() > limit - 3 ? limit - 3 : out.size());
            // The cut may have gone through a character.
            while (!out.empty() && (static_cast<std::uint8_t>(out.back()) & 0xc0) == 0x80)
                out.pop_back();
            if (!out.empty() && static_cast<std::uint8_t>(out.back()) >= 0xc0)
                out.pop_back();
            return out + "...";
        }
        out += piece;
        text.remove_prefix(length ? length : 1);
    }
    return out;
}

} // namespace outport::log
