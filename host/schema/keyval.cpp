// SPDX-License-Identifier: Apache-2.0
// Two steps, as the syntax is defined: first a tree of objects whose keys are the fragments as written, then
// the objects whose keys are all numbers become arrays.
#include "host/schema/keyval.hpp"

#include "host/base/text.hpp"
#include "host/schema/json.hpp"

#include <boost/json/value.hpp>

#include <climits>

namespace outport::schema {
namespace {

namespace bj = boost::json;

constexpr std::size_t kMaxFragment = 127; // bytes of one part of a key
constexpr std::size_t kMaxDepth = 256;    // parts of one key

bool digit(char c) {
    return c >= '0' && c <= '9';
}
bool alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::size_t digits_at(std::string_view s) {
    std::size_t n = 0;
    while (n < s.size() && digit(s[n]))
        n++;
    return n;
}

// An all-digit key as a position; what is larger than any list is INT_MAX. Negative: not a position.
int to_index(std::string_view key) {
    if (key.empty() || digits_at(key) != key.size())
        return -1;
    std::int64_t value = 0;
    for (char c : key) {
        value = value * 10 + (c - '0');
        if (value >= INT_MAX)
            return INT_MAX;
    }
    return static_cast<int>(value);
}

class Parser {
  public:
    explicit Parser(std::string_view text) : rest_(text) {}

    Result<bj::object> run(std::string_view implied_key, bool* help);

  private:
    void fail(std::string text) {
        if (!error_)
            error_ = Error(std::move(text));
    }
    void pair(std::string_view implied_key, bool& help);
    bj::object* descend(std::string_view key, std::string_view& last);
    std::size_t fragment(std::string_view key, std::size_t at);
    std::string take_value();
    void listify(bj::value& node, std::string& prefix);
    void make_array(bj::value& node, const std::string& prefix);

    std::string_view rest_;
    bj::object root_;
    std::optional<Error> error_;
};

// The length of the fragment of `key` that begins at `at`; 0 after an error.
std::size_t Parser::fragment(std::string_view key, std::size_t at) {
    std::string_view s = key.substr(at);
    std::size_t length = at ? digits_at(s) : 0;
    if (!length)
        length = qapi_name_length(s);
    if (!length || (length < s.size() && s[length] != '.')) {
        fail(cat("Invalid parameter '", key, "'"));
        return 0;
    }
    if (length > kMaxFragment) {
        const bool part = at || length < s.size();
        fail(cat("Parameter", part ? " fragment" : "", " '", s.substr(0, length), "' is too long"));
        return 0;
    }
    return length;
}

// Walks down to the object that holds the last fragment, making what is missing on the way.
bj::object* Parser::descend(std::string_view key, std::string_view& last) {
    bj::object* at = &root_;
    std::size_t begin = 0, depth = 0;
    for (;;) {
        std::size_t length = fragment(key, begin);
        if (error_)
            return nullptr;
        last = key.substr(begin, length);
        if (begin + length == key.size())
            return at;
        if (++depth > kMaxDepth) {
            fail(cat("Parameter '", key.substr(0, 64), "...' has too many parts"));
            return nullptr;
        }
        auto [i, fresh] = at->emplace(last, bj::object());
        (void)fresh;
        if (!i->value().is_object()) {
            fail(cat("Parameters '", key.substr(0, begin + length), ".*' used inconsistently"));
            return nullptr;
        }
        at = &i->value().get_object();
        begin += length + 1;
    }
}

std::string Parser::take_value() {
    std::string value;
    while (!rest_.empty()) {
        if (rest_[0] == ',') {
            rest_.remove_prefix(1);
            if (!rest_.starts_with(','))
                break;
        }
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
        if (value.ends_with(",,"))
            __builtin_trap();
#endif
        value.push_back(rest_[0]);
        rest_.remove_prefix(1);
    }
    return value;
}

void Parser::pair(std::string_view implied_key, bool& help) {
    std::size_t end = std::min(rest_.find_first_of("=,"), rest_.size());
    std::string_view key = rest_.substr(0, end);
    const bool bare = end && (end == rest_.size() || rest_[end] != '=');
    if (bare && (key == "help" || key == "?")) {
        help = true;
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        return;
    }
    const bool implied = bare && !implied_key.empty();
    if (implied)
        key = implied_key;
    std::string_view last;
    bj::object* holder = descend(key, last);
    if (!holder)
        return;
    if (!implied) {
        if (end == rest_.size() || rest_[end] != '=')
            return fail(cat("Expected '=' after parameter '", key, "'"));
        rest_.remove_prefix(end + 1);
    }
    auto [i, fresh] = holder->emplace(last, nullptr);
    if (!fresh && !i->value().is_string())
        return fail(cat("Parameters '", key, ".*' used inconsistently"));
    if (implied) { // its value knows no escaping
        i->value() = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
    } else {
        i->value() = take_value(); // the last one counts
    }
}

void Parser::make_array(bj::value& node, const std::string& prefix) {
    bj::object& from = node.get_object();
    // Two spellings of one number ("1", "01") make a gap elsewhere.
    std::vector<bj::value*> elements(from.size(), nullptr);
    int highest = -1;
    for (auto& m : from) {
        int index = to_index({m.key().data(), m.key().size()});
        highest = std::max(highest, index);
        if (static_cast<std::size_t>(index) < elements.size())
            elements[static_cast<std::size_t>(index)] = &m.value();
    }
    elements.push_back(nullptr); // found missing when an index was too large
    bj::array out;
    for (std::size_t i = 0; i < elements.size() && static_cast<int>(i) <= highest; i++) {
        if (!elements[i])
            return fail(cat("Parameter '", prefix, i, "' missing"));
        out.push_back(std::move(*elements[i]));
    }
    node = std::move(out);
}

// `prefix`: the key so far, with its dot.
void Parser::listify(bj::value& node, std::string& prefix) {
    bool index = false, name = false;
    for (auto& m : node.get_object()) {
        std::string_view key(m.key().data(), m.key().size());
        (to_index(key) >= 0 ? index : name) = true;
        if (!m.value().is_object())
            continue;
        const std::size_t length = prefix.size();
        prefix.append(key).push_back('.');
        listify(m.value(), prefix);
        prefix.resize(length);
        if (error_)
            return;
    }
    if (index && name)
        return fail(cat("Parameters '", prefix, "*' used inconsistently"));
    if (index)
        make_array(node, prefix);
}

Result<bj::object> Parser::run(std::string_view implied_key, bool* help) {
    bool wants_help = false;
    while (!rest_.empty() && !error_) {
        pair(implied_key, wants_help);
        implied_key = {};
    }
    if (!error_ && wants_help && !help)
        fail("Help is not available for this option");
    bj::value tree = std::move(root_);
    std::string prefix;
    if (!error_)
        listify(tree, prefix);
    if (error_)
        return outport::fail(std::move(*error_));
    if (help)
        *help = wants_help;
    return std::move(tree.get_object());
}

} // namespace

std::size_t qapi_name_length(std::string_view text) noexcept {
    auto at = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
    std::size_t i = 0;
    if (at(0) == '_') { // __RFQDN_
        if (at(1) != '_')
            return 0;
        for (i = 2; alpha(at(i)) || digit(at(i)) || at(i) == '-' || at(i) == '.'; i++) {
        }
        if (at(i) != '_')
            return 0;
        i++;
    }
    if (!alpha(at(i)))
        return 0;
    while (alpha(at(i)) || digit(at(i)) || at(i) == '-' || at(i) == '_')
        i++;
    return i;
}

Result<bj::object> parse_keyval(std::string_view text, std::string_view implied_key, bool* help) {
    return Parser(text).run(implied_key, help);
}

Result<OptionArgument> parse_option_argument(std::string_view text, std::string_view implied_key,
                                             bool help_allowed) {
    OptionArgument argument;
    if (text.starts_with('{')) {
        auto value = json::parse(text);
        if (!value)
            return fail(std::move(value.error()));
        argument.mode = InputMode::Json;
        argument.value = std::move(value->get_object()); // what begins with a brace is nothing else
        return argument;
    }
    auto value = parse_keyval(text, implied_key, help_allowed ? &argument.help : nullptr);
    if (!value)
        return fail(std::move(value.error()));
    argument.value = std::move(*value);
    return argument;
}

} // namespace outport::schema
