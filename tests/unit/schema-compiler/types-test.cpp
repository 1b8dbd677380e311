// SPDX-License-Identifier: Apache-2.0
// The types that the compiler makes from types.json: that they read what fits, refuse what doesn't, and
// write.
#include "tree.hpp"
#include "types.hpp"

#include <limits>
#include <type_traits>

#include <gtest/gtest.h>

namespace {

using namespace tree;

template <class T>::testing::AssertionResult reads(const outport_value& value, T& out) {
    return read(api(), &value, out) ? ::testing::AssertionSuccess()
                                    : ::testing::AssertionFailure() << "refused";
}

template <class T> bool refuses(const outport_value& value) {
    T out{};
    return !read(api(), &value, out);
}

outport_value numbers(outport_value i8, outport_value u8, outport_value u64) {
    return object({{"i8", i8},
                   {"u8", u8},
                   {"i16", number(-32768)},
                   {"u16", number(65535)},
                   {"i32", number(-1)},
                   {"u32", number(4294967295)},
                   {"i64", number(std::numeric_limits<int64_t>::min())},
                   {"u64", u64},
                   {"size", number(0)},
                   {"real", real(1.5)}});
}

TEST(Numbers, TakeTheirRange) {
    types::Numbers out;
    ASSERT_TRUE(reads(numbers(number(-128), number(255), large(UINT64_MAX)), out));
    EXPECT_EQ(out.i8, -128);
    EXPECT_EQ(out.u8, 255);
    EXPECT_EQ(out.i16, -32768);
    EXPECT_EQ(out.u16, 65535);
    EXPECT_EQ(out.u32, 4294967295U);
    EXPECT_EQ(out.i64, std::numeric_limits<int64_t>::min());
    EXPECT_EQ(out.u64, UINT64_MAX);
    EXPECT_EQ(out.real, 1.5);
}

TEST(Numbers, RefuseWhatIsBeyond) {
    EXPECT_TRUE(refuses<types::Numbers>(numbers(number(128), number(0), number(0))));
    EXPECT_TRUE(refuses<types::Numbers>(numbers(number(0), number(256), number(0))));
    EXPECT_TRUE(refuses<types::Numbers>(numbers(number(0), number(-1), number(0))));
    EXPECT_TRUE(refuses<types::Numbers>(numbers(number(0), number(0), number(-1))));
    EXPECT_TRUE(refuses<types::Numbers>(numbers(real(0), number(0), number(0))));
    EXPECT_TRUE(refuses<types::Numbers>(numbers(text("0"), number(0), number(0))));
}

TEST(Defaults, StandWhereNothingWasGiven) {
    types::Defaults out;
    out.none = 5; // of an earlier use
    ASSERT_TRUE(reads(object({}), out));
    EXPECT_EQ(out.colour, types::Colour::dark_blue);
    EXPECT_EQ(out.name, "a \\ and \"quotes\"");
    EXPECT_TRUE(out.wet);
    EXPECT_EQ(out.layers, 255);
    EXPECT_EQ(out.depth, std::numeric_limits<int64_t>::min());
    EXPECT_EQ(out.area, UINT64_MAX);
    EXPECT_FALSE(out.none || out.text || out.flag || out.shade);
    EXPECT_FALSE(out.needed) << "its condition does not hold, so that it may be absent";
}

TEST(Defaults, GiveWayToValues) {
    types::Defaults out;
    ASSERT_TRUE(reads(object({{"colour", text("3rd")},
                              {"wet", flag(false)},
                              {"flag", flag(true)},
                              {"none", number(0)},
                              {"shade", text("red")},
                              {"needed", number(1)}}),
                      out));
    EXPECT_EQ(out.colour, types::Colour::v3rd);
    EXPECT_FALSE(out.wet);
    EXPECT_EQ(out.flag, true);
    EXPECT_EQ(out.none, 0);
    EXPECT_EQ(out.shade, types::Colour::red);
    EXPECT_EQ(out.needed, 1);
}

TEST(Enums, HaveWordsAndNothingElse) {
    EXPECT_EQ(to_string(types::Colour::dark_blue), "dark-blue");
    EXPECT_EQ(to_string(types::Odd::default_), "default");
    EXPECT_EQ(to_string(types::Odd::unix_), "unix");
    types::Odd out{};
    EXPECT_TRUE(from_string("io_uring", out));
    EXPECT_EQ(out, types::Odd::io_uring);
    EXPECT_FALSE(from_string("io-uring", out));
    EXPECT_FALSE(from_string("", out));
    EXPECT_TRUE(refuses<types::Colour>(text("dark_blue")));
    EXPECT_TRUE(refuses<types::Colour>(number(0)));
}

TEST(Structs, HaveTheirBasesMembersFirst) {
    types::Words out;
    const outport_value anything = object({{"name", text("n")},
                                           {"class", text("unix")},
                                           {"errno", number(5)},
                                           {"any", array({})},
                                           {"null", null()},
                                           {"open", text("what else")}});
    ASSERT_TRUE(reads(anything, out));
    EXPECT_EQ(out.name, "n");
    EXPECT_EQ(out.class_, types::Odd::unix_);
    EXPECT_EQ(out.errno_, 5);
    EXPECT_FALSE(out.new_);
    EXPECT_EQ(api()->kind(out.any), OUTPORT_VALUE_ARRAY);
    EXPECT_TRUE(out.null.has_value());
    EXPECT_EQ(out.open, "what else") << "others may have extended the enum";
}

TEST(Structs, RefuseWhatIsMissingOrWrong) {
    EXPECT_TRUE(refuses<types::Named>(object({})));
    EXPECT_TRUE(refuses<types::Named>(object({{"name", number(1)}})));
    EXPECT_TRUE(refuses<types::Named>(text("name")));
    EXPECT_TRUE(refuses<types::Named>(array({text("name")})));
}

outport_value leaf(const char* label) {
    return object({{"kind", text("leaf")}, {"label", text(label)}});
}

TEST(Unions, GoByTheirTag) {
    types::Node out;
    ASSERT_TRUE(reads(leaf("l"), out));
    EXPECT_TRUE(std::holds_alternative<std::monostate>(out.u));
    EXPECT_EQ(out.label, "l");

    ASSERT_TRUE(reads(object({{"kind", text("twin")}, {"nodes", array({leaf("a"), leaf("b")})}}), out));
    EXPECT_EQ(out.kind, types::Kind::twin);
    EXPECT_FALSE(out.label) << "of the earlier value";
    EXPECT_EQ(std::get<types::Pair>(out.u).nodes.at(1).label, "b");
    EXPECT_FALSE(std::get<types::Pair>(out.u).names);

    EXPECT_TRUE(refuses<types::Node>(object({{"kind", text("pair")}}))) << "the branch lacks a member";
    EXPECT_TRUE(refuses<types::Node>(object({{"kind", text("bush")}})));
    EXPECT_TRUE(refuses<types::Node>(object({{"kind", text("pair")}, {"nodes", array({text("a")})}})));
}

TEST(Unions, ContainThemselves) {
    const outport_value inner = object({{"kind", text("tree")}, {"under", leaf("deep")}});
    types::Node out;
    ASSERT_TRUE(reads(object({{"kind", text("tree")}, {"under", inner}}), out));
    const auto& middle =
        *std::get<std::shared_ptr<const types::Node>>(std::get<types::Tree>(out.u).under.value);
    const auto& deepest =
        *std::get<std::shared_ptr<const types::Node>>(std::get<types::Tree>(middle.u).under.value);
    EXPECT_EQ(deepest.label, "deep");
    const types::Node copy = out;
    EXPECT_EQ(copy.kind, types::Kind::tree);
}

TEST(Unions, LeaveTheBranchToOthersWhenExtensible) {
    types::Export out;
    ASSERT_TRUE(reads(object({{"type", text("unheard-of")}, {"id", text("e")}, {"name", text("n")}}), out));
    EXPECT_EQ(out.type, "unheard-of");
    EXPECT_EQ(out.id, "e");
}

TEST(Alternates, GoByTheKindOfValue) {
    types::NodeRef out;
    ASSERT_TRUE(reads(text("other"), out));
    EXPECT_EQ(std::get<std::string>(out.value), "other");
    ASSERT_TRUE(reads(array({text("a"), text("b")}), out));
    EXPECT_EQ(std::get<std::vector<std::string>>(out.value).size(), 2U);
    EXPECT_TRUE(refuses<types::NodeRef>(number(1)));
    EXPECT_TRUE(refuses<types::NodeRef>(array({number(1)})));

    types::Scalar scalar;
    ASSERT_TRUE(reads(flag(true), scalar));
    EXPECT_EQ(std::get<bool>(scalar.value), true);
    ASSERT_TRUE(reads(number(-3), scalar));
    EXPECT_EQ(std::get<int64_t>(scalar.value), -3);
    ASSERT_TRUE(reads(null(), scalar));
    EXPECT_TRUE(std::holds_alternative<std::nullptr_t>(scalar.value));
    ASSERT_TRUE(reads(text("default"), scalar));
    EXPECT_EQ(std::get<types::Odd>(scalar.value), types::Odd::default_);
    EXPECT_TRUE(refuses<types::Scalar>(large(UINT64_MAX))) << "an int does not hold it";
    EXPECT_TRUE(refuses<types::Scalar>(object({})));
}

TEST(Arguments, AreStructsOfTheCommandsName) {
    types::SayArg out;
    ASSERT_TRUE(reads(object({{"words", array({})}, {"how", object({{"depth", number(1)}})}}), out));
    EXPECT_TRUE(out.words.empty());
    EXPECT_EQ(out.how.value().depth, 1);
    EXPECT_TRUE(refuses<types::SayArg>(object({})));
}

TEST(Writing, GivesEveryMemberThatIsThere) {
    types::Report report;
    report.numbers = {.small = -1, .large = UINT64_MAX, .yes = true};
    report.refs.push_back({"by name"});
    report.refs.push_back({std::vector<std::string>{"x", "y"}});
    report.node.kind = types::Kind::pair;
    report.node.u = types::Pair{.nodes = {types::Node{}}, .names = std::vector<std::string>{}};
    outport_writer writer;
    write(api(), &writer, report);
    EXPECT_EQ(writer.text, R"({"numbers":{"small":-1,"large":18446744073709551615,"yes":true},)"
                           R"("refs":["by name",["x","y"]],)"
                           R"("node":{"kind":"pair","nodes":[{"kind":"leaf"}],"names":[]}})");

    report.colour = types::Colour::dark_blue;
    report.refs = {{std::make_shared<const types::Node>()}};
    report.node = {};
    report.scalar = types::Scalar{nullptr};
    report.numbers.real = 1.5;
    writer.text.clear();
    write(api(), &writer, report);
    EXPECT_EQ(writer.text,
              R"({"numbers":{"small":-1,"large":18446744073709551615,"yes":true,"real":1.500000},)"
              R"("colour":"dark-blue",)"
              R"("refs":[{"kind":"leaf"}],"node":{"kind":"leaf"},"scalar":null})");
}

} // namespace
