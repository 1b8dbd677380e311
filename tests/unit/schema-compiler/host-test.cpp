// SPDX-License-Identifier: Apache-2.0
// The compiler and the host agree: the host loads what the compiler writes, and shows in introspection what
// the compiler says it will.
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"
#include "nbd-test-document.h"
#include "schema/base-document.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <optional>

namespace {

namespace bj = boost::json;
using outport::schema::Registry;

bj::value parsed(std::string_view text) {
    auto value = outport::json::parse(text);
    EXPECT_TRUE(value) << (value ? "" : value.error().message);
    return value ? std::move(*value) : bj::value();
}

bj::value expected(const char* name) {
    std::ifstream file(std::string(EXPECTED_DIR) + "/" + name);
    return parsed(std::string(std::istreambuf_iterator<char>(file), {}));
}

// By name, since the order of the answer means nothing; values, too, are sorted by their text.
std::map<std::string, std::string> by_name(const bj::value& answer) {
    std::map<std::string, std::string> out;
    for (const auto& entity : answer.as_array()) {
        std::map<std::string, std::string> sorted;
        for (const auto& member : entity.as_object())
            sorted[member.key()] = bj::serialize(member.value());
        std::string text;
        for (const auto& [key, value] : sorted)
            text += key + "=" + value + " ";
        out[entity.at("name").as_string().c_str()] = text;
    }
    return out;
}

class Host : public ::testing::Test {
  protected:
    void start(std::vector<std::string> symbols) {
        auto names =
            outport::schema::parse_names(parsed({outport_names_document, outport_names_document_length}));
        ASSERT_TRUE(names) << names.error().message;
        auto hints =
            outport::schema::parse_hints(parsed({outport_hints_document, outport_hints_document_length}));
        ASSERT_TRUE(hints) << hints.error().message;
        registry_.emplace(std::move(symbols), *names, *hints);
        auto loaded = registry_->load_base(parsed({outport_base_document, outport_base_document_length}));
        ASSERT_TRUE(loaded) << loaded.error().message;
    }
    void add_nbd() {
        auto added = registry_->add_fragment(parsed({nbd_test_document, nbd_test_document_length}));
        ASSERT_TRUE(added) << added.error().message;
    }
    void expect(const char* name) {
        const auto host = by_name(outport::schema::introspect(*registry_->schema(), true));
        const auto compiler = by_name(expected(name));
        ASSERT_GT(compiler.size(), 50U);
        for (const auto& [entity, text] : compiler) {
            ASSERT_TRUE(host.contains(entity)) << entity;
            EXPECT_EQ(host.at(entity), text);
        }
        for (const auto& [entity, text] : host)
            EXPECT_TRUE(compiler.contains(entity)) << entity << ": " << text;
    }
    std::optional<Registry> registry_;
};

TEST_F(Host, ShowsTheBase) {
    ASSERT_NO_FATAL_FAILURE(start({}));
    expect("base.json");
}

TEST_F(Host, ShowsTheTestDriversWhereTheyAreBuilt) {
    ASSERT_NO_FATAL_FAILURE(start({"CONFIG_TEST_DRIVERS"}));
    expect("base-test-drivers.json");
}

TEST_F(Host, ShowsAFragmentWhileItIsThere) {
    ASSERT_NO_FATAL_FAILURE(start({}));
    ASSERT_NO_FATAL_FAILURE(add_nbd());
    expect("nbd.json");
    ASSERT_TRUE(registry_->remove_fragment("nbd"));
    expect("base.json");
}

TEST_F(Host, RefusesToExtendAClosedType) {
    ASSERT_NO_FATAL_FAILURE(start({}));
    const auto extending = [](const char* type) {
        return parsed(std::string(R"({"format":1,"fragment":"tape","extends":{")") + type +
                      R"(":[{"name":"__org.example_tape"}]}})");
    };
    EXPECT_FALSE(registry_->add_fragment(extending("OnOffAuto")));
    EXPECT_TRUE(registry_->add_fragment(extending("BlockExportType")));
}

} // namespace
