// SPDX-License-Identifier: Apache-2.0
#include "host/schema/json-lexer.hpp"

#include "host/base/text.hpp"
#include "host/schema/json.hpp"
#include "host/schema/utf8.hpp"

#include <algorithm>

namespace outport::json {
namespace {

bool digit(unsigned char c) {
    return c >= '0' && c <= '9';
}
bool space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Where input may be understood again: structure, control characters but the tab, and the two bytes that
// UTF-8 never has.
bool resumes(unsigned char c) {
    return (c < 0x20 && c != '\t') || c >= 0xFE || c == '{' || c == '}' || c == '[' || c == ']' || c == ',' ||
           c == ':';
}

bool string_byte(unsigned char c) {
    return c >= 0x20 && c <= 0xFD;
}

} // namespace

Lexer::Step Lexer::take(unsigned char c, State next) {
    text_.push_back(static_cast<char>(c));
    state_ = next;
    return Step::Taken;
}

Lexer::Step Lexer::bad(TokenKind& kind) {
    // The message shows the text up to a NUL only.
    text_.resize(std::min(text_.size(), text_.find('\0')));
    state_ = State::Recovery;
    kind = TokenKind::Bad;
    return Step::Token;
}

Lexer::Step Lexer::start(unsigned char c, TokenKind& kind) {
    if (space(c))
        return Step::Taken;
    text_.push_back(static_cast<char>(c));
    auto single = [&](TokenKind k) {
        kind = k;
        return Step::Token;
    };
    switch (c) {
    case '{':
        return single(TokenKind::LeftCurly);
    case '}':
        return single(TokenKind::RightCurly);
    case '[':
        return single(TokenKind::LeftSquare);
    case ']':
        return single(TokenKind::RightSquare);
    case ':':
        return single(TokenKind::Colon);
    case ',':
        return single(TokenKind::Comma);
    case '"':
    case '\'':
        quote_ = c;
        state_ = State::String;
        return Step::Taken;
    case '-':
        state_ = State::Sign;
        return Step::Taken;
    case '0':
        state_ = State::Zero;
        return Step::Taken;
    default:
        if (digit(c))
            state_ = State::Digits;
        else if (c >= 'a' && c <= 'z')
            state_ = State::Keyword;
        else
            return bad(kind);
        return Step::Taken;
    }
}

Lexer::Step Lexer::in_string(unsigned char c, TokenKind& kind) {
    text_.push_back(static_cast<char>(c));
    if (!string_byte(c))
        return bad(kind);
    if (state_ == State::Escape)
        state_ = State::String;
    else if (c == '\\')
        state_ = State::Escape;
    else if (c == quote_) {
        state_ = State::Start;
        kind = TokenKind::String;
        return Step::Token;
    }
    return Step::Taken;
}

// RFC 8259 section 6, number.
Lexer::Step Lexer::in_number(unsigned char c, TokenKind& kind) {
    const bool exponent = c == 'e' || c == 'E';
    auto ends = [&](TokenKind k) {
        consumed_ = false;
        state_ = State::Start;
        kind = k;
        return Step::Token;
    };
    switch (state_) {
    case State::Sign:
        if (digit(c))
            return take(c, c == '0' ? State::Zero : State::Digits);
        break;
    case State::Zero:
        if (c == '.')
            return take(c, State::Point);
        if (!digit(c))
            return ends(TokenKind::Integer);
        break;
    case State::Digits:
        if (digit(c))
            return take(c, State::Digits);
        if (c == '.')
            return take(c, State::Point);
        return exponent ? take(c, State::ExponentMark) : ends(TokenKind::Integer);
    case State::Point:
        if (digit(c))
            return take(c, State::Fraction);
        break;
    case State::Fraction:
        if (digit(c))
            return take(c, State::Fraction);
        return exponent ? take(c, State::ExponentMark) : ends(TokenKind::Float);
    case State::ExponentMark:
        if (c == '-' || c == '+')
            return take(c, State::ExponentSign);
        [[fallthrough]];
    case State::ExponentSign:
        if (digit(c))
            return take(c, State::Exponent);
        break;
    default:
        if (digit(c))
            return take(c, State::Exponent);
        return ends(TokenKind::Float);
    }
    text_.push_back(static_cast<char>(c));
    return bad(kind);
}

Lexer::Step Lexer::step(unsigned char c, TokenKind& kind) {
    switch (state_) {
    case State::Start:
        return start(c, kind);
    case State::Recovery:
        if (!resumes(c))
            return Step::Taken;
        state_ = State::Start;
        return Step::Again;
    case State::String:
    case State::Escape:
        return in_string(c, kind);
    case State::Keyword:
        if (c >= 'a' && c <= 'z')
            return take(c, State::Keyword);
        consumed_ = false;
        state_ = State::Start;
        kind = TokenKind::Keyword;
        return Step::Token;
    default:
        return in_number(c, kind);
    }
}

// Most bytes are inside strings and mean nothing there: takes them in one piece.
std::size_t Lexer::take_run(std::string_view input) {
    if (state_ != State::String)
        return 0;
    std::size_t room = kMaxTokenBytes - text_.size(), n = 0;
    for (; n < std::min(input.size(), room); n++) {
        auto c = static_cast<unsigned char>(input[n]);
        if (!string_byte(c) || c == '\\' || c == quote_)
            break;
    }
    text_.append(input.substr(0, n));
    return n;
}

std::optional<TokenKind> Lexer::next(std::string_view& input) {
    if (fresh_) {
        text_.clear();
        fresh_ = false;
    }
    while (!input.empty()) {
        input.remove_prefix(take_run(input));
        if (input.empty())
            break;
        TokenKind kind;
        Step result;
        do {
            consumed_ = true;
            result = step(static_cast<unsigned char>(input[0]), kind);
        } while (result == Step::Again);
        if (consumed_)
            input.remove_prefix(1);
        if (result != Step::Token && text_.size() > kMaxTokenBytes) {
            state_ = State::Start;
            kind = TokenKind::TooBig;
            result = Step::Token;
        }
        if (result == Step::Token) {
            fresh_ = true;
            if (text_.capacity() > 65536 &&
                text_.size() < 4096) // one long string does not bind memory for ever
                text_.shrink_to_fit();
            return kind;
        }
    }
    return {};
}

std::optional<TokenKind> Lexer::finish() {
    if (state_ == State::Start || state_ == State::Recovery) {
        state_ = State::Start;
        return {};
    }
    TokenKind kind;
    Step result = step('\n', kind); // ends what can end and breaks the rest
    if (result == Step::Token && kind == TokenKind::Bad && !text_.empty())
        text_.pop_back(); // the message does not show our newline
    state_ = State::Start;
    fresh_ = true;
    return kind;
}

// Strings are UTF-8, a NUL as C0 80; the escapes are RFC 8259's and \'.
Result<std::string> unescape(const std::string& token) {
    std::string out;
    std::string_view s(token);
    s = s.substr(1, s.size() - 2);
    out.reserve(s.size());
    while (!s.empty()) {
        if (s[0] != '\\') {
            std::size_t length;
            std::int32_t cp = utf8::decode(s, length);
            if (cp < 0)
                return outport::fail("invalid UTF-8 sequence in string");
            out.append(s.substr(0, length));
            s.remove_prefix(length);
            continue;
        }
        static constexpr std::string_view kEscapes = "\"'\\/bfnrtu", kMeaning = "\"'\\/\b\f\n\r\t";
        std::size_t which = kEscapes.find(s[1]);
        if (which == std::string_view::npos)
            return outport::fail("invalid escape sequence in string");
        if (which < kMeaning.size()) {
            out.push_back(kMeaning[which]);
            s.remove_prefix(2);
            continue;
        }
        std::size_t length;
        std::int32_t cp = utf8::decode_escape(s, length);
        if (cp < 0 || !utf8::encode(out, cp)) {
            // QEMU shows four characters behind \u, whatever they are; the closing quote may be one of them.
            std::size_t from = static_cast<std::size_t>(s.data() - token.data());
            return outport::fail(cat(token.substr(from, length), " is not a valid Unicode character"));
        }
        s.remove_prefix(length);
    }
    return out;
}

} // namespace outport::json
