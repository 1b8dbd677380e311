// SPDX-License-Identifier: Apache-2.0
// The C types that the compiler makes from types.json.
#include "tree.hpp"
#include "types-c.h"

#include <string_view>

#include <gtest/gtest.h>

namespace {

using namespace tree;

std::string_view view(const outport_schema_string& text) {
    return {text.data, text.length};
}

TEST(CTypes, FillInDefaults) {
    const outport_value value = object({});
    c_Defaults out;
    ASSERT_TRUE(c_Defaults_read(api(), &value, &out));
    EXPECT_EQ(out.colour, C_COLOUR_DARK_BLUE);
    EXPECT_EQ(view(out.name), "a \\ and \"quotes\"");
    EXPECT_TRUE(out.wet);
    EXPECT_EQ(out.layers, 255);
    EXPECT_EQ(out.depth, INT64_MIN);
    EXPECT_EQ(out.area, UINT64_MAX);
    EXPECT_FALSE(out.has_none || out.has_text || out.has_flag || out.has_shade || out.has_needed);
}

TEST(CTypes, RefuseWhatDoesNotFit) {
    c_Written out;
    const auto with = [](outport_value small, outport_value large) {
        return object({{"small", small}, {"large", large}, {"yes", flag(true)}});
    };
    const outport_value good = with(number(-128), large(UINT64_MAX));
    ASSERT_TRUE(c_Written_read(api(), &good, &out));
    EXPECT_EQ(out.small, -128);
    EXPECT_EQ(out.large, UINT64_MAX);
    for (const auto& bad : {with(number(128), number(0)), with(number(0), number(-1)),
                            with(text("0"), number(0)), with(number(0), flag(true)), object({}), text("")}) {
        EXPECT_FALSE(c_Written_read(api(), &bad, &out));
    }
    EXPECT_FALSE(c_Written_read(api(), nullptr, &out));
}

TEST(CTypes, BorrowArraysAndWhatContainsItself) {
    const outport_value leaf = object({{"kind", text("leaf")}, {"label", text("l")}});
    const outport_value value = object({{"kind", text("pair")}, {"nodes", array({leaf, leaf})}});
    c_Node out;
    ASSERT_TRUE(c_Node_read(api(), &value, &out));
    EXPECT_EQ(out.kind, C_KIND_PAIR);
    EXPECT_STREQ(c_Kind_str(out.kind), "pair");
    ASSERT_EQ(api()->count(out.u.pair.nodes), 2U);
    EXPECT_EQ(out.u.pair.names, nullptr);
    c_Node second;
    ASSERT_TRUE(c_Node_read(api(), api()->at(out.u.pair.nodes, 1), &second));
    EXPECT_TRUE(second.has_label);
    EXPECT_EQ(view(second.label), "l");

    const outport_value tree = object({{"kind", text("tree")}, {"under", value}});
    ASSERT_TRUE(c_Node_read(api(), &tree, &out));
    EXPECT_EQ(out.u.tree.under.kind, OUTPORT_VALUE_OBJECT);
    ASSERT_TRUE(c_Node_read(api(), out.u.tree.under.u.node, &second));
    EXPECT_EQ(second.kind, C_KIND_PAIR);

    const outport_value lacking = object({{"kind", text("pair")}});
    EXPECT_FALSE(c_Node_read(api(), &lacking, &out));
}

TEST(CTypes, TellAlternatesByKind) {
    c_Scalar out;
    const outport_value yes = flag(true), word = text("unix"), three = number(3), other = object({});
    ASSERT_TRUE(c_Scalar_read(api(), &yes, &out));
    EXPECT_EQ(out.kind, OUTPORT_VALUE_BOOL);
    EXPECT_TRUE(out.u.flag);
    ASSERT_TRUE(c_Scalar_read(api(), &word, &out));
    EXPECT_EQ(out.u.odd, STRANGE_UNIX);
    ASSERT_TRUE(c_Scalar_read(api(), &three, &out));
    EXPECT_EQ(out.u.number, 3);
    EXPECT_FALSE(c_Scalar_read(api(), &other, &out));
}

} // namespace
