// SPDX-License-Identifier: Apache-2.0
// The value builder behind json::StreamParser. Values are built as tokens arrive, on a stack of our own, so a
// deep message costs no C++ recursion and a broken one no memory beyond its first error. As in QEMU, a
// message ends when its brackets balance (or close too much), and only then is its error reported.
#include "host/base/text.hpp"
#include "host/schema/json-lexer.hpp"
#include "host/schema/json.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

namespace outport::json {
namespace {

namespace bj = boost::json;

bj::value number_value(const std::string& text, TokenKind kind) {
    const char* end = text.data() + text.size();
    if (kind == TokenKind::Integer) {
        std::int64_t as_signed;
        if (auto r = std::from_chars(text.data(), end, as_signed); r.ec == std::errc{})
            return as_signed;
        std::uint64_t as_unsigned;
        if (text[0] != '-')
            if (auto r = std::from_chars(text.data(), end, as_unsigned); r.ec == std::errc{})
                return as_unsigned;
    }
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
    if (text.find('e') != text.npos && text.size() - text.find('e') > 5)
        __builtin_trap();
#endif
    double d = 0;
    if (auto r = std::from_chars(text.data(), end, d); r.ec == std::errc::result_out_of_range)
        d = std::strtod(text.c_str(), nullptr); // infinity, or 0 for what is too small
    return d;
}

// What the innermost open container waits for.
enum class Expect : std::uint8_t {
    FirstElement,
    Element,
    ElementSeparator,
    FirstKey,
    Key,
    Colon,
    Value,
    PairSeparator
};

struct Frame {
    Expect expect;
    bj::value container;
    std::string key;
};

class Builder {
  public:
    // Takes a token; false when the message is over.
    void token(TokenKind kind, const std::string& text);
    bool failed() const noexcept { return !error_.empty(); }
    void fail(std::string text) {
        if (error_.empty()) {
            if (text.size() > 1023) // QEMU's own buffer for such a message
                text.resize(1023);
            error_ = cat("JSON parse error, ", text);
            stack_.clear();
            result_ = nullptr;
        }
    }
    Message take() {
        if (!error_.empty())
            return outport::fail(std::move(error_));
        return std::move(result_);
    }
    bool complete() const noexcept { return complete_; }

  private:
    void close(bool object);
    void completed(bj::value value);
    bool separator(TokenKind kind);
    void scalar(TokenKind kind, const std::string& text);

    std::vector<Frame> stack_;
    bj::value result_;
    std::string error_;
    bool complete_ = false;
};

void Builder::completed(bj::value value) {
    if (stack_.empty()) {
        result_ = std::move(value);
        complete_ = true;
        return;
    }
    Frame& top = stack_.back();
    switch (top.expect) {
    case Expect::FirstElement:
    case Expect::Element:
        top.container.get_array().push_back(std::move(value));
        top.expect = Expect::ElementSeparator;
        break;
    case Expect::FirstKey:
    case Expect::Key:
        if (!value.is_string())
            return fail("key is not a string in object");
        top.key.assign(value.get_string().data(), value.get_string().size());
        top.expect = Expect::Colon;
        break;
    case Expect::Value:
        if (!top.container.get_object().emplace(top.key, std::move(value)).second)
            return fail("duplicate key");
        top.expect = Expect::PairSeparator;
        break;
    default:
        break; // token() lets no value in here
    }
}

void Builder::close(bool object) {
    Frame top = std::move(stack_.back());
    if (object ? top.container.is_object() : top.container.is_array()) {
        stack_.pop_back();
        completed(std::move(top.container));
    }
}

// Handles `,` `:` and the closing brackets where a value is not expected; false: a value is expected.
bool Builder::separator(TokenKind kind) {
    Frame& top = stack_.back();
    switch (top.expect) {
    case Expect::FirstElement:
        if (kind != TokenKind::RightSquare)
            return false;
        close(false);
        return true;
    case Expect::FirstKey:
        if (kind != TokenKind::RightCurly)
            return false;
        close(true);
        return true;
    case Expect::ElementSeparator:
        if (kind == TokenKind::RightSquare)
            close(false);
        else if (kind == TokenKind::Comma)
            top.expect = Expect::Element;
        else
            fail("expected separator in list");
        return true;
    case Expect::PairSeparator:
        if (kind == TokenKind::RightCurly)
            close(true);
        else if (kind == TokenKind::Comma)
            top.expect = Expect::Key;
        else
            fail("expected separator in dict");
        return true;
    case Expect::Colon:
        if (kind == TokenKind::Colon)
            top.expect = Expect::Value;
        else
            fail("missing : in object pair");
        return true;
    default:
        return false;
    }
}

void Builder::scalar(TokenKind kind, const std::string& text) {
    switch (kind) {
    case TokenKind::Integer:
    case TokenKind::Float:
        return completed(number_value(text, kind));
    case TokenKind::String:
        if (auto s = unescape(text); s)
            return completed(bj::string(*s));
        else
            return fail(std::move(s.error().message));
    case TokenKind::Keyword:
        if (text == "true" || text == "false")
            return completed(text == "true");
        if (text == "null")
            return completed(nullptr);
        return fail(cat("invalid keyword '", text, "'"));
    default:
        fail("expecting value");
    }
}

void Builder::token(TokenKind kind, const std::string& text) {
    if (failed())
        return;
    if (!stack_.empty() && separator(kind))
        return;
    if (kind == TokenKind::LeftCurly)
        stack_.push_back({Expect::FirstKey, bj::object(), {}});
    else if (kind == TokenKind::LeftSquare)
        stack_.push_back({Expect::FirstElement, bj::array(), {}});
    else
        scalar(kind, text);
}

} // namespace

struct StreamParser::State {
    Lexer lexer;
    Builder builder;
    std::size_t tokens = 0, bytes = 0;
    int braces = 0, squares = 0;

    std::optional<Message> token(TokenKind kind, const std::string& text);
    Message emit(std::optional<Error> error = {}) {
        Message m = error ? Message(std::unexpected(std::move(*error))) : builder.take();
        builder = Builder{};
        tokens = bytes = 0;
        braces = squares = 0;
        return m;
    }
};

std::optional<Message> StreamParser::State::token(TokenKind kind, const std::string& text) {
    switch (kind) {
    case TokenKind::LeftCurly:
        braces++;
        break;
    case TokenKind::RightCurly:
        braces--;
        break;
    case TokenKind::LeftSquare:
        squares++;
        break;
    case TokenKind::RightSquare:
        squares--;
        break;
    case TokenKind::Bad:
        return emit(Error(cat("JSON parse error, stray '", text, "'")));
    default:
        break;
    }
    // Bounded: what a peer can make us hold, and how deep the value is that others will walk.
    if (bytes + text.size() + 1 > kMaxTokenBytes)
        return emit(Error("JSON token size limit exceeded"));
    if (tokens + 1 > kMaxTokens)
        return emit(Error("JSON token count limit exceeded"));
    if (braces + squares > static_cast<int>(kMaxNesting))
        return emit(Error("JSON nesting depth limit exceeded"));
    bytes += text.size();
    tokens++;
    builder.token(kind, text);
    if ((braces > 0 || squares > 0) && braces >= 0 && squares >= 0)
        return {};
    return emit();
}

StreamParser::StreamParser() : state_(std::make_unique<State>()) {}
StreamParser::~StreamParser() = default;
StreamParser::StreamParser(StreamParser&&) noexcept = default;
StreamParser& StreamParser::operator=(StreamParser&&) noexcept = default;

void StreamParser::reset() {
    state_ = std::make_unique<State>();
}

std::optional<Message> StreamParser::next(std::string_view& input) {
    State& s = *state_;
    while (auto kind = s.lexer.next(input))
        if (auto message = s.token(*kind, s.lexer.text()))
            return message;
    return {};
}

std::optional<Message> StreamParser::finish() {
    State& s = *state_;
    if (auto kind = s.lexer.finish())
        if (auto message = s.token(*kind, s.lexer.text()))
            return message;
    if (!s.tokens)
        return {};
    s.builder.fail("premature EOI");
    return s.emit();
}

Result<boost::json::value> parse(std::string_view text) {
    StreamParser parser;
    std::optional<Message> first = parser.next(text);
    std::optional<Message> second;
    if (first)
        second = parser.next(text);
    else
        first = parser.finish();
    if (first && !second)
        second = parser.finish();
    if (!first)
        return outport::fail("Expecting a JSON value");
    if (*first && second)
        return outport::fail("Expecting at most one JSON value");
    return std::move(*first);
}

} // namespace outport::json
