// SPDX-License-Identifier: Apache-2.0
// Expected messages are qemu-storage-daemon 10.0.2's for the same text.
#include "tests/unit/schema-documents.hpp"

#include "host/schema/keyval.hpp"

using namespace outport;

namespace {

std::string parsed(std::string_view text, std::string_view implied = "driver") {
    auto r = schema::parse_keyval(text, implied);
    return r ? json::to_string(*r) : r.error().message;
}

std::string argument(std::string_view text) {
    auto r = schema::parse_option_argument(text, "driver");
    return r ? cat(r->mode == schema::InputMode::Json ? "json " : "keyval ", json::to_string(r->value))
             : r.error().message;
}

} // namespace

TEST(Keyval, Objects) {
    EXPECT_EQ(parsed(""), "{}");
    EXPECT_EQ(parsed("null-co"), R"({"driver": "null-co"})");
    EXPECT_EQ(parsed("null-co,size=1,"), R"({"driver": "null-co", "size": "1"})");
    EXPECT_EQ(parsed("a=1,b.c=2,b.d=3"), R"({"a": "1", "b": {"c": "2", "d": "3"}})");
    EXPECT_EQ(parsed("a=1,a=2"), R"({"a": "2"})");
    EXPECT_EQ(parsed("a=x,,y,b="), R"({"a": "x,y", "b": ""})");
    EXPECT_EQ(parsed("a=x=y"), R"({"a": "x=y"})");
    EXPECT_EQ(parsed("__org.x-y_name=1"), R"({"__org.x-y_name": "1"})");
}

TEST(Keyval, Lists) {
    EXPECT_EQ(parsed("a.0=x,a.1=y"), R"({"a": ["x", "y"]})");
    EXPECT_EQ(parsed("a.1=y,a.0=x"), R"({"a": ["x", "y"]})");
    EXPECT_EQ(parsed("a.0.b=x,a.1.b.0=y"), R"({"a": [{"b": "x"}, {"b": ["y"]}]})");
    EXPECT_EQ(parsed("a.1=x"), "Parameter 'a.0' missing");
    EXPECT_EQ(parsed("a.0=x,a.2=x"), "Parameter 'a.1' missing");
    EXPECT_EQ(parsed("a.99999999999=1"), "Parameter 'a.0' missing");
    EXPECT_EQ(parsed("x.a.b.1=1"), "Parameter 'x.a.b.0' missing");
    EXPECT_EQ(parsed("a.0=x,a.00=y"), R"({"a": ["y"]})"); // two spellings of one place
    EXPECT_EQ(parsed("a.0=x,a.y=z"), "Parameters 'a.*' used inconsistently");
    EXPECT_EQ(parsed("a.b.0=x,a.b.y=z"), "Parameters 'a.b.*' used inconsistently");
}

TEST(Keyval, Mistakes) {
    EXPECT_EQ(parsed("a=1,a.b=2"), "Parameters 'a.*' used inconsistently");
    EXPECT_EQ(parsed("a.b=2,a=1"), "Parameters 'a.*' used inconsistently");
    EXPECT_EQ(parsed("a.b.c=2,a.b=1"), "Parameters 'a.b.*' used inconsistently");
    EXPECT_EQ(parsed("x,y"), "Expected '=' after parameter 'y'");
    EXPECT_EQ(parsed("x", ""), "Expected '=' after parameter 'x'");
    EXPECT_EQ(parsed("x,,y"), "Invalid parameter ''");
    EXPECT_EQ(parsed(",a=1"), "Invalid parameter ''");
    EXPECT_EQ(parsed("x,=1"), "Invalid parameter ''");
    EXPECT_EQ(parsed("x,1a=1"), "Invalid parameter '1a'");
    EXPECT_EQ(parsed("x,a..b=1"), "Invalid parameter 'a..b'");
    EXPECT_EQ(parsed("x,a.=1"), "Invalid parameter 'a.'");
    EXPECT_EQ(parsed("x,a b=1"), "Invalid parameter 'a b'");
    EXPECT_EQ(parsed("x,a.1b=1"), "Invalid parameter 'a.1b'");
    EXPECT_EQ(parsed(cat(std::string(127, 'a'), "=1")), cat("{\"", std::string(127, 'a'), "\": \"1\"}"));
    EXPECT_EQ(parsed(cat(std::string(128, 'a'), "=1")),
              cat("Parameter '", std::string(128, 'a'), "' is too long"));
    EXPECT_EQ(parsed(cat("b.", std::string(128, 'a'), "=1")),
              cat("Parameter fragment '", std::string(128, 'a'), "' is too long"));
    std::string deep = "a";
    for (int i = 0; i < 5000; i++)
        deep += ".a";
    EXPECT_NE(parsed(deep + "=1").find("has too many parts"), std::string::npos);
}

TEST(Keyval, Help) {
    EXPECT_EQ(parsed("help"), "Help is not available for this option");
    EXPECT_EQ(parsed("x,?"), "Help is not available for this option");
    EXPECT_EQ(parsed("help=1"), R"({"help": "1"})");
    bool help = false;
    auto r = schema::parse_keyval("iothread,help", "qom-type", &help);
    ASSERT_TRUE(r);
    EXPECT_TRUE(help);
    EXPECT_EQ(json::to_string(*r), R"({"qom-type": "iothread"})");
    help = true;
    ASSERT_TRUE(schema::parse_keyval("a=b", "qom-type", &help));
    EXPECT_FALSE(help);
}

TEST(Keyval, ArgumentOrJson) {
    EXPECT_EQ(argument("a=1"), R"(keyval {"a": "1"})");
    EXPECT_EQ(argument("{\"a\":1}"), R"(json {"a": 1})");
    EXPECT_EQ(argument("{'a':1} "), R"(json {"a": 1})");
    EXPECT_EQ(argument("{"), "JSON parse error, premature EOI");
    EXPECT_EQ(argument("{\"a\":"), "JSON parse error, premature EOI");
    EXPECT_EQ(argument("{} x"), "Expecting at most one JSON value");
    EXPECT_EQ(argument("{} {}"), "Expecting at most one JSON value");
    EXPECT_EQ(argument("{} @"), "Expecting at most one JSON value");
    EXPECT_EQ(argument("{\"a\":1,\"a\":2}"), "JSON parse error, duplicate key");
    EXPECT_EQ(argument("{\"a\":nope}"), "JSON parse error, invalid keyword 'nope'");
    EXPECT_EQ(argument("{\"a\":\"x"), "JSON parse error, stray '\"x'");
}
