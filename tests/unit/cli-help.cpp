// SPDX-License-Identifier: Apache-2.0
// --help says what the schema says and nothing else; --version is what management software reads.
#include "host/cli/help.hpp"
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"

#include <gtest/gtest.h>

#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::cli {
namespace {

constexpr const char* kBase = R"({"format": 1, "fragment": "base",
  "types": {
    "BlockExportType": {"kind": "enum", "extensible": true, "values": []},
    "BlockdevDriver": {"kind": "enum", "values": [{"name": "null-co"}, {"name": "file"}]},
    "Options": {"kind": "struct", "members": [{"name": "driver", "type": "str"}]}},
  "options": [
    {"name": "blockdev", "type": "Options", "implied-key": "driver", "metavar": "DRIVER", "help": "Adds a node."},
    {"name": "export", "type": "Options", "metavar": "TYPE", "help": "Adds an export."}]})";

constexpr const char* kPlugin = R"({"format": 1, "fragment": "nbd", "rank": 100,
  "types": {"NbdServerOptions": {"kind": "struct", "members": [{"name": "addr", "type": "str"}]}},
  "extends": {"BlockExportType": [{"name": "nbd"}]},
  "options": [{"name": "nbd-server", "type": "NbdServerOptions", "metavar": "ADDRESS", "help": "Starts the server."}]})";

class CliHelp : public testing::Test {
  protected:
    void SetUp() override {
        auto base = json::parse(kBase);
        ASSERT_TRUE(base) << base.error().message;
        auto loaded = registry.load_base(*base);
        ASSERT_TRUE(loaded) << loaded.error().message;
    }
    void add_plugin() {
        auto document = json::parse(kPlugin);
        ASSERT_TRUE(document);
        auto added = registry.add_fragment(*document);
        ASSERT_TRUE(added) << added.error().message;
    }
    std::string text() const { return help_text(*registry.schema(), "outportd"); }
    // However it is broken into lines.
    bool has(std::string_view words) const {
        std::string flat;
        for (char c : text())
            if (c = c == '\n' ? ' ' : c; c != ' ' || !flat.ends_with(' '))
                flat += c;
        return flat.find(words) != std::string::npos;
    }

    schema::Registry registry{{}, {"nbd", "nbd-server", "NbdServerOptions"}, {}};
};

TEST_F(CliHelp, SaysWhatTheSchemaSays) {
    EXPECT_TRUE(has("--blockdev DRIVER"));
    EXPECT_TRUE(has("Adds a node. Drivers: null-co, file."));
    EXPECT_TRUE(has("--daemonize"));
    EXPECT_TRUE(has("--chardev"));
}

TEST_F(CliHelp, WhatIsNotThereIsNotInIt) {
    EXPECT_FALSE(has("nbd"));
    EXPECT_TRUE(has("No plugin with a type of export"));
    add_plugin();
    EXPECT_TRUE(has("--nbd-server ADDRESS"));
    EXPECT_TRUE(has("Types: nbd."));
    EXPECT_TRUE(has("--export nbd,id=e0"));
}

TEST_F(CliHelp, LinesAreNotTooLong) {
    std::string whole = text();
    std::string_view rest = whole;
    while (!rest.empty()) {
        auto end = rest.find('\n');
        std::string_view line = rest.substr(0, end);
        // What is to be copied as it stands is not broken.
        if (line.starts_with("                         ")) {
            EXPECT_LE(line.size(), 80u) << line;
        }
        rest.remove_prefix(end + 1);
    }
}

TEST(CliVersion, IsOurOwn) {
    EXPECT_TRUE(version_text("outportd", "1.2.3").starts_with("outportd version 1.2.3 (plugin ABI 0."));
}

TEST(CliVersion, IsQemusUnderQemusName) {
    std::string text = version_text("qemu-storage-daemon", "1.2.3");
    EXPECT_EQ(text.substr(0, text.find('\n')), "qemu-storage-daemon version 10.0.2 (outport 1.2.3)");
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

} // namespace
} // namespace outport::cli
