// SPDX-License-Identifier: Apache-2.0
// C's own conversions where QEMU uses them, for their treatment of white space, signs and prefixes.
#include "host/schema/numbers.hpp"

#include "host/schema/validator.hpp"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string>

namespace outport::schema {
namespace {

template <class T, class Fn> bool convert(std::string_view text, T& value, Fn function) {
    std::string copy(text);
    char* end = nullptr;
    errno = 0;
    value = static_cast<T>(function(copy.c_str(), &end));
    return errno == 0 && end != copy.c_str() && end == copy.c_str() + copy.size();
}

// 0 for a letter that scales nothing.
int scale_bits(char letter) {
    static constexpr std::string_view kLetters = "kmgtpe";
    std::size_t i = kLetters.find(static_cast<char>(letter | 0x20));
    return i == std::string_view::npos ? 0 : 10 * (static_cast<int>(i) + 1);
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}

} // namespace

bool parse_int64(std::string_view text, std::int64_t& value) {
    return convert(text, value, [](const char* s, char** end) { return std::strtoll(s, end, 0); });
}

bool parse_uint64(std::string_view text, std::uint64_t& value) {
    return convert(text, value, [](const char* s, char** end) { return std::strtoull(s, end, 0); });
}

bool parse_double(std::string_view text, double& value) {
    return convert(text, value, [](const char* s, char** end) { return std::strtod(s, end); }) &&
           std::isfinite(value);
}

// Decimal with a scaling letter and then perhaps a fraction, or plain hexadecimal. Fractions of bytes are
// none.
bool parse_size(std::string_view text, std::uint64_t& bytes) {
    if (text.starts_with("0x") || text.starts_with("0X"))
        return parse_uint64(text, bytes);
    std::size_t i = 0;
    std::uint64_t whole = 0;
    for (; i < text.size() && digit(text[i]); i++)
        if (__builtin_mul_overflow(whole, 10u, &whole) ||
            __builtin_add_overflow(whole, static_cast<unsigned>(text[i] - '0'), &whole))
            return false;
    bool any = i > 0;
    double fraction = 0, place = 0.1;
    bool fractional = false;
    if (i < text.size() && text[i] == '.') {
        for (i++; i < text.size() && digit(text[i]); i++, place /= 10) {
            fraction += (text[i] - '0') * place;
            fractional = fractional || text[i] != '0';
            any = true;
        }
    }
    if (!any)
        return false;
    int bits = 0;
    if (i < text.size()) {
        bits = scale_bits(text[i]);
        if (!bits && text[i] != 'B' && text[i] != 'b')
            return false;
        i++;
    }
    if (i != text.size() || (fractional && !bits))
        return false;
    const std::uint64_t scale = std::uint64_t{1} << bits;
    const auto rest = static_cast<std::uint64_t>(fraction * static_cast<double>(scale));
    return !__builtin_mul_overflow(whole, scale, &bytes) && !__builtin_add_overflow(bytes, rest, &bytes);
}

bool parse_bool(std::string_view text, bool& value) {
    value = text == "on" || text == "yes" || text == "true" || text == "y";
    return value || text == "off" || text == "no" || text == "false" || text == "n";
}

} // namespace outport::schema
