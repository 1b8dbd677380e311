// SPDX-License-Identifier: Apache-2.0
#include "host/schema/utf8.hpp"

#include <algorithm>

namespace outport::utf8 {
namespace {

bool valid(std::int32_t cp) {
    if (cp < 0 || cp > 0x10FFFF)
        return false;
    if (cp >= 0xD800 && cp <= 0xDFFF)
        return false;
    // Noncharacters, Unicode section 23.7.
    return !((cp >= 0xFDD0 && cp <= 0xFDEF) || (cp & 0xFFFE) == 0xFFFE);
}

int hex4(std::string_view s) {
    int value = 0;
    for (std::size_t i = 0; i < 4; i++) {
        if (i >= s.size())
            return -1;
        char c = s[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        value = value * 16 + d;
    }
    return value;
}

} // namespace

std::int32_t decode(std::string_view s, std::size_t& length) noexcept {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    length = 1;
    if (s.empty())
        return -1;
    const unsigned char first = byte(0);
    if (first < 0x80)
        return first ? first : -1;
    if (first >= 0xFE || (first & 0xC0) == 0x80)
        return -1;
    // Forms of five and six bytes are long gone from UTF-8, but they are one wrong character, not several.
    std::size_t want = 2;
    while (first & (0x80u >> want))
        want++;
    std::int64_t cp = first & (0x7Fu >> want);
    for (; length < want; length++) {
        if (length >= s.size() || (byte(length) & 0xC0) != 0x80)
            return -1;
        cp = (cp << 6) | (byte(length) & 0x3F);
    }
    static constexpr std::int64_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
    const bool nul = want == 2 && cp == 0;
    if ((cp < kSmallest[want] && !nul) || cp > 0x10FFFF || !valid(static_cast<std::int32_t>(cp)))
        return -1;
    return static_cast<std::int32_t>(cp);
}

std::int32_t decode_escape(std::string_view s, std::size_t& length) noexcept {
    length = 6;
    int cp = hex4(s.substr(std::min<std::size_t>(2, s.size())));
    if (cp < 0xD800 || cp > 0xDBFF || s.size() < 8 || s[6] != '\\' || s[7] != 'u')
        return cp;
    int low = hex4(s.substr(8));
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    length = 12;
    return 0x10000 + ((cp & 0x3FF) << 10) + (low & 0x3FF);
}

bool encode(std::string& out, std::int32_t cp) {
    if (!valid(cp))
        return false;
    auto put = [&](int value) { out.push_back(static_cast<char>(value)); };
    if (cp > 0 && cp < 0x80) {
        put(cp);
    } else if (cp < 0x800) { // also NUL
        put(0xC0 | (cp >> 6));
        put(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        put(0xE0 | (cp >> 12));
        put(0x80 | ((cp >> 6) & 0x3F));
        put(0x80 | (cp & 0x3F));
    } else {
        put(0xF0 | (cp >> 18));
        put(0x80 | ((cp >> 12) & 0x3F));
        put(0x80 | ((cp >> 6) & 0x3F));
        put(0x80 | (cp & 0x3F));
    }
    return true;
}

} // namespace outport::utf8
