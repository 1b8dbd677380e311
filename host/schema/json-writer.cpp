// SPDX-License-Identifier: Apache-2.0
// Writes JSON as QEMU does: ", " and ": " as separators, ASCII only, what is no UTF-8 as U+FFFD.
#include "host/schema/json.hpp"
#include "host/schema/utf8.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace outport::json {
namespace {

namespace bj = boost::json;

void put_u(std::string& out, unsigned unit) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4)
        out.push_back(kHex[(unit >> shift) & 15]);
}

void put_string(std::string& out, std::string_view s) {
    static constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetter = "\"\\bfnrt";
    out.push_back('"');
    while (!s.empty()) {
        std::size_t plain = 0; // most text is
        while (plain < s.size() && s[plain] >= 0x20 && s[plain] < 0x7F && s[plain] != '"' && s[plain] != '\\')
            plain++;
        out.append(s.substr(0, plain));
        s.remove_prefix(plain);
        if (s.empty())
            break;
        std::size_t length;
        std::int32_t cp = utf8::decode(s, length);
        s.remove_prefix(length);
        if (cp < 0)
            cp = 0xFFFD;
        std::size_t named = cp < 0x80 ? kShort.find(static_cast<char>(cp)) : kShort.npos;
        if (named != kShort.npos) {
            out.push_back('\\');
            out.push_back(kLetter[named]);
        } else if (cp >= 0x20 && cp < 0x7F) {
            out.push_back(static_cast<char>(cp));
        } else if (cp > 0xFFFF) {
            put_u(out, 0xD800 + ((static_cast<unsigned>(cp) - 0x10000) >> 10));
            put_u(out, 0xDC00 + (static_cast<unsigned>(cp) & 0x3FF));
        } else {
            put_u(out, static_cast<unsigned>(cp));
        }
    }
    out.push_back('"');
}

class Writer {
  public:
    Writer(std::string& out, bool pretty) : out_(out), pretty_(pretty) {}

    // Recursion is bounded: the parser takes no more than kMaxNesting, and our own values are shallow.
    void value(const bj::value& v) {
        switch (v.kind()) {
        case bj::kind::null:
            out_ += "null";
            break;
        case bj::kind::bool_:
            out_ += v.get_bool() ? "true" : "false";
            break;
        case bj::kind::int64:
            number(v.get_int64());
            break;
        case bj::kind::uint64:
            number(v.get_uint64());
            break;
        case bj::kind::double_:
            floating(v.get_double());
            break;
        case bj::kind::string:
            put_string(out_, std::string_view(v.get_string().data(), v.get_string().size()));
            break;
        case bj::kind::array:
            list(v.get_array());
            break;
        case bj::kind::object:
            object(v.get_object());
            break;
        }
    }

  private:
    template <class T> void number(T n) {
        char digits[24];
        out_.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
    }
    void floating(double d) {
        char text[40];
        std::snprintf(text, sizeof text, "%.17g", d);
        out_ += text;
    }
    void separate(bool first) {
        if (!first)
            out_ += pretty_ ? "," : ", ";
        if (pretty_) {
            out_.push_back('\n');
            out_.append(4 * depth_, ' ');
        }
    }
    void close(char bracket) { // on a line of its own when pretty, also after nothing
        depth_--;
        if (pretty_) {
            out_.push_back('\n');
            out_.append(4 * depth_, ' ');
        }
        out_.push_back(bracket);
    }
    void list(const bj::array& a) {
        out_.push_back('[');
        depth_++;
        bool first = true;
        for (const bj::value& v : a) {
            separate(first);
            first = false;
            value(v);
        }
        close(']');
    }
    void object(const bj::object& o) {
        out_.push_back('{');
        depth_++;
        bool first = true;
        for (const auto& member : o) {
            separate(first);
            first = false;
            put_string(out_, std::string_view(member.key().data(), member.key().size()));
            out_ += ": ";
            value(member.value());
        }
        close('}');
    }

    std::string& out_;
    bool pretty_;
    std::size_t depth_ = 0;
};

} // namespace

void write(std::string& out, const boost::json::value& value, bool pretty) {
    Writer(out, pretty).value(value);
}

std::string to_string(const boost::json::value& value, bool pretty) {
    std::string out;
    write(out, value, pretty);
    return out;
}

} // namespace outport::json
