// SPDX-License-Identifier: Apache-2.0
// Expected messages are qemu-storage-daemon 10.0.2's for the same bytes.
#include "host/base/text.hpp"
#include "host/schema/json.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace outport;

namespace {

std::vector<std::string> messages(std::string_view input, std::size_t piece = SIZE_MAX) {
    json::StreamParser parser;
    std::vector<std::string> out;
    while (!input.empty()) {
        std::string_view now = input.substr(0, piece);
        input.remove_prefix(now.size());
        while (auto m = parser.next(now))
            out.push_back(*m ? json::to_string(**m) : m->error().message);
    }
    return out;
}

std::string only(std::string_view input) {
    auto all = messages(input);
    return all.size() == 1 ? all[0] : cat(all.size(), " messages");
}

using Strings = std::vector<std::string>;

} // namespace

TEST(Json, Values) {
    EXPECT_EQ(only("{\"a\": [1, -2, 3.5, true, false, null, \"x\"]}"),
              "{\"a\": [1, -2, 3.5, true, false, null, \"x\"]}");
    EXPECT_EQ(only("'single \"quoted\" \\' '"), "\"single \\\"quoted\\\" ' \"");
    EXPECT_EQ(only("[0,-0,0.5,1e5,1E+2,1e-2]"), "[0, 0, 0.5, 100000, 100, 0.01]");
    EXPECT_EQ(only("[9223372036854775807,18446744073709551615,18446744073709551616,-9223372036854775808,-"
                   "9223372036854775809]"),
              "[9223372036854775807, 18446744073709551615, 1.8446744073709552e+19, -9223372036854775808, "
              "-9.2233720368547758e+18]");
    EXPECT_EQ(only("[1e400,1e-400,1e300]"), "[inf, 0, 1.0000000000000001e+300]");
    EXPECT_EQ(only("{}"), "{}");
    EXPECT_EQ(only(" \t\r\n[\n] "), "[]");
    EXPECT_EQ(messages("{}{}[1]'a'"), (Strings{"{}", "{}", "[1]", "\"a\""}));
    EXPECT_EQ(messages("1 2\n"), (Strings{"1", "2"}));
}

TEST(Json, Strings) {
    EXPECT_EQ(only(R"("\"\\\/\b\f\n\r\t\u0041")"), R"("\"\\/\b\f\n\r\tA")");
    EXPECT_EQ(only(R"("\u00e9\ud83d\ude00\u0000")"), R"("\u00E9\uD83D\uDE00\u0000")");
    EXPECT_EQ(only("\"\xc3\xa9\xf0\x9f\x98\x80\xc0\x80\x7f\""), R"("\u00E9\uD83D\uDE00\u0000\u007F")");
    EXPECT_EQ(only(R"("\u12")"), R"(JSON parse error, \u12" is not a valid Unicode character)");
    EXPECT_EQ(only(R"("\u12zz")"), R"(JSON parse error, \u12zz is not a valid Unicode character)");
    for (const char* bad : {R"(\ud800)", R"(\udc00)", R"(\uffff)", R"(\ufdd0)"})
        EXPECT_EQ(only(cat('"', bad, '"')),
                  cat("JSON parse error, ", bad, " is not a valid Unicode character"));
    EXPECT_EQ(only(R"("\ud800\u0041")"), R"(JSON parse error, \ud800 is not a valid Unicode character)");
    EXPECT_EQ(only(R"(["\ud83d\u12"])"), R"(JSON parse error, \ud83d is not a valid Unicode character)");
    EXPECT_EQ(only(R"("a\qb")"), "JSON parse error, invalid escape sequence in string");
    for (const char* bad : {"\xc3(", "\xed\xa0\x80", "\xc1\x81", "\xe0\x80\x80", "\xf4\x90\x80\x80", "\x80",
                            "\xf8\x88\x80\x80\x80", "\xef\xbf\xbf"})
        EXPECT_EQ(only(cat('"', bad, '"')), "JSON parse error, invalid UTF-8 sequence in string");
}

TEST(Json, SyntaxErrors) {
    const std::pair<const char*, const char*> cases[] = {
        {"{\"a\":1,\"a\":2}", "duplicate key"},
        {"{\"a\" 1}", "missing : in object pair"},
        {"{\"a\"}", "missing : in object pair"},
        {"{\"a\":1 \"b\":2}", "expected separator in dict"},
        {"{\"a\":1]", "expected separator in dict"},
        {"{\"a\":1,}", "expecting value"},
        {"{\"a\":}", "expecting value"},
        {"{1:2}", "key is not a string in object"},
        {"{[1]:2}", "key is not a string in object"},
        {"[1 2]", "expected separator in list"},
        {"[1}", "expected separator in list"},
        {"[1,]", "expecting value"},
        {"[,]", "expecting value"},
        {"]", "expecting value"},
        {"}", "expecting value"},
        {",", "expecting value"},
        {":", "expecting value"},
        {"[{]}", "expecting value"},
        {"{\"a\":foo,\"b\":bar}", "invalid keyword 'foo'"},
        {"nan ", "invalid keyword 'nan'"},
        {"01", "stray '01'"},
        {"1.x", "stray '1.x'"},
        {"-x", "stray '-x'"},
        {"1e\n", "stray '1e\n'"},
        {"%d", "stray '%'"},
        {"\"abc\n", "stray '\"abc\n'"},
        {"@", "stray '@'"},
        {"\x01", "stray '\x01'"},
        {"\xff", "stray '\xff'"},
        {"\"\xff", "stray '\"\xff'"},
        {"@@@@ 1 x", "stray '@'"}, // one error until something structural comes
    };
    for (auto [text, message] : cases)
        EXPECT_EQ(only(text), cat("JSON parse error, ", message)) << text;
    EXPECT_EQ(only(std::string_view("\"abc\0", 5)), "JSON parse error, stray '\"abc'");
}

TEST(Json, Resynchronises) {
    EXPECT_EQ(messages("\"ab\xff"
                       "cd\" {}"),
              (Strings{"JSON parse error, stray '\"ab\xff'", "{}"}));
    EXPECT_EQ(messages("A{}"), (Strings{"JSON parse error, stray 'A'", "{}"}));
    EXPECT_EQ(messages("\xff\xff\n{}"),
              (Strings{"JSON parse error, stray '\xff'", "JSON parse error, stray '\xff'", "{}"}));
    EXPECT_EQ(messages("{\"a\": [ {\xff\n{}"), (Strings{"JSON parse error, stray '\xff'", "{}"}));
    EXPECT_EQ(messages("[{\"a\": @ \"execute\":\"v\"}]"),
              (Strings{"JSON parse error, stray '@'", "JSON parse error, expecting value", "\"v\"",
                       "JSON parse error, expecting value", "JSON parse error, expecting value"}));
}

TEST(Json, PiecesDoNotMatter) {
    const std::string input = "{\"a\":[1,2.5e3,'x\\u00e9\\ud83d\\ude00'],\"b\":{\"c\":null}} 12 -3 foo [1,] "
                              "\xff {\"x\":\"\xc3\xa9\"}"
                              "\"\xc3(\" 01 {\"a\":1,\"a\":2} \"un\nterminated\" true ";
    auto whole = messages(input);
    EXPECT_GT(whole.size(), 8u);
    for (std::size_t piece : {1, 2, 3, 5, 7, 11})
        EXPECT_EQ(messages(input, piece), whole) << piece;
}

TEST(Json, StopsBehindEachMessage) {
    json::StreamParser parser;
    std::string_view input = "{} {\"a\":1}";
    ASSERT_TRUE(parser.next(input));
    EXPECT_EQ(input, " {\"a\":1}");
    ASSERT_TRUE(parser.next(input));
    EXPECT_EQ(input, "");
    EXPECT_FALSE(parser.next(input));
}

TEST(Json, NestingLimit) {
    auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    EXPECT_EQ(messages(nested(1024)).size(), 1u);
    EXPECT_EQ(messages(nested(1024))[0].substr(0, 4), "[[[[");
    auto all = messages(nested(1025) + "\xff{}");
    ASSERT_GT(all.size(), 2u);
    EXPECT_EQ(all.front(), "JSON nesting depth limit exceeded");
    EXPECT_EQ(all.back(), "{}");
    EXPECT_EQ(messages(std::string(1000000, '[')).front(), "JSON nesting depth limit exceeded");
}

TEST(Json, CountLimit) {
    std::string list = "[";
    for (std::size_t i = 0; i < json::kMaxTokens / 2; i++)
        list += "1,";
    auto all = messages(list + "]\xff{}");
    EXPECT_EQ(all.front(), "JSON token count limit exceeded");
    EXPECT_EQ(all.back(), "{}");
}

TEST(Json, SizeLimit) {
    auto all = messages("\"" + std::string(json::kMaxTokenBytes + 5, 'x') + "\"\n\xff{}");
    EXPECT_EQ(all.front(), "JSON token size limit exceeded");
    EXPECT_EQ(all.back(), "{}");
    std::string two = "[\"" + std::string(json::kMaxTokenBytes / 2, 'x') + "\",\"" +
                      std::string(json::kMaxTokenBytes / 2, 'x') + "\"";
    all = messages(two + "\xff{}");
    EXPECT_EQ(all.front(), "JSON token size limit exceeded");
    EXPECT_EQ(all.back(), "{}");
}

TEST(Json, Finish) {
    auto finished = [](std::string_view text) -> std::string {
        json::StreamParser parser;
        while (auto m = parser.next(text)) {
        }
        auto m = parser.finish();
        return !m ? "nothing" : *m ? json::to_string(**m) : m->error().message;
    };
    EXPECT_EQ(finished(""), "nothing");
    EXPECT_EQ(finished("{} "), "nothing");
    EXPECT_EQ(finished("12"), "12");
    EXPECT_EQ(finished("true"), "true");
    EXPECT_EQ(finished("[1,"), "JSON parse error, premature EOI");
    EXPECT_EQ(finished("{\"a\":12"), "JSON parse error, premature EOI");
    EXPECT_EQ(finished("[1 2,"), "JSON parse error, expected separator in list");
    EXPECT_EQ(finished("'abc"), "JSON parse error, stray ''abc'");
}

TEST(Json, Pretty) {
    auto v = json::parse("{'a':[1,{}],'b':[],'c':{'d':null}}");
    ASSERT_TRUE(v);
    EXPECT_EQ(json::to_string(*v, true),
              "{\n    \"a\": [\n        1,\n        {\n        }\n    ],\n    \"b\": [\n    ],\n"
              "    \"c\": {\n        \"d\": null\n    }\n}");
}
