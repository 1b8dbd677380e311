// SPDX-License-Identifier: Apache-2.0
// Bytes to JSON tokens, in any pieces; inner part of json.hpp. Not thread-safe.
#pragma once

#include "host/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outport::json {

enum class TokenKind : std::uint8_t {
    LeftCurly,
    RightCurly,
    LeftSquare,
    RightSquare,
    Colon,
    Comma,
    Integer,
    Float,
    Keyword,
    String, // with its quotes and escapes
    Bad,    // what can't begin or continue a token
    TooBig  // as long as all tokens together may be
};

class Lexer {
  public:
    // The next token that ends inside `input`, whose start moves behind it; none: the input is used up.
    // After Bad it skips to where a client may have started anew: a bracket, comma, colon, or control
    // character.
    std::optional<TokenKind> next(std::string_view& input);
    // The input has ended: the token that this completes.
    std::optional<TokenKind> finish();
    // Of the token that was returned last.
    const std::string& text() const noexcept { return text_; }

  private:
    enum class State : std::uint8_t {
        Start,
        Recovery,
        String,
        Escape,
        Sign,
        Zero,
        Digits,
        Point,
        Fraction,
        ExponentMark,
        ExponentSign,
        Exponent,
        Keyword
    };
    enum class Step : std::uint8_t {
        Taken,
        Again,
        Token
    }; // Again: look at the byte once more, in the new state

    Step step(unsigned char c, TokenKind& kind);
    Step start(unsigned char c, TokenKind& kind);
    Step in_string(unsigned char c, TokenKind& kind);
    Step in_number(unsigned char c, TokenKind& kind);
    Step take(unsigned char c, State next);
    Step bad(TokenKind& kind);
    std::size_t take_run(std::string_view input);

    std::string text_;
    State state_ = State::Start;
    unsigned char quote_ = 0;
    bool fresh_ = true; // text_ belongs to a token that has been returned
    bool consumed_ = true;
};

// The content of a string token; an Error's message lacks the "JSON parse error, " in front.
Result<std::string> unescape(const std::string& token);

} // namespace outport::json
