// SPDX-License-Identifier: Apache-2.0
// Plugins come and go: what they bring is there when they are loaded, and nothing of it stays when they fail
// or go.
#include "tests/unit/plugin-fixture.hpp"

#include <algorithm>

namespace outport::plugin::test {
namespace {

constexpr const char* kCommand = "__org.outport_fake-version";

using PluginHostTest = HostFixture;

TEST_F(PluginHostTest, LoadsWhatIsInTheFoldersAndPassesOverTheRest) {
    add_fake("fake-good");
    add_fake("fake-no-note"); // might be a library of a plugin's
    add_fake("fake-minor");
    folder_.write("text.so", "no plugin");
    ASSERT_TRUE(host_->load_all({}));
    EXPECT_EQ(host_->query().size(), 2u);
    EXPECT_EQ(member("fake-good", "state"), "loaded");
    EXPECT_EQ(member("fake-good", "version"), "1.0");
    EXPECT_EQ(member("fake-good", "abi"), "0.1");
    EXPECT_EQ(member("fake-good", "license"), "Apache-2.0");
    EXPECT_EQ(member("fake-good", "path"), (folder_.path() / "fake-good.so").string());
    EXPECT_EQ(member("fake-good", "exports"), "0");
    EXPECT_EQ(member("fake-minor", "state"), "failed");
    EXPECT_NE(member("fake-minor", "reason").find("needs plugin ABI 0.8, but this host has 0.1"),
              std::string::npos);
    EXPECT_FALSE(heard("PLUGIN_LOADED")) << "nobody can have listened at the start";
}

TEST_F(PluginHostTest, WhatWasNamedMustLoad) {
    add_fake("fake-good");
    add_fake("fake-minor");
    EXPECT_TRUE(host_->load_all({"fake-good"}));
    EXPECT_NE(text(host_->load_all({"fake-minor"})).find("needs plugin ABI"), std::string::npos);
    EXPECT_NE(text(host_->load_all({"nobody"})).find("is not found in " + folder_.path().string()),
              std::string::npos);
    EXPECT_NE(text(host_->load_all({fake("fake-no-note").string()})).find("is no Outport plugin"),
              std::string::npos);
    EXPECT_EQ(text(host_->load_all({fake("fake-type-good").string()})), "")
        << "the command line may name a path";
}

TEST_F(PluginHostTest, TheSchemaGrowsAndShrinks) {
    add_fake("fake-clash-a");
    EXPECT_FALSE(knows_command(kCommand));
    EXPECT_EQ(load("fake-clash-a"), "");
    EXPECT_TRUE(knows_command(kCommand));
    EXPECT_TRUE(heard("PLUGIN_LOADED"));
    EXPECT_EQ(member("fake-clash-a", "provides"), "[\"__org.outport_fake-version\"]");
    auto answer = call(kCommand);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(bj::serialize(*answer), R"({"version":"1.0"})");
    EXPECT_EQ(unload("fake-clash-a"), "");
    EXPECT_FALSE(knows_command(kCommand));
    EXPECT_FALSE(table_.has(kCommand));
    EXPECT_TRUE(heard("PLUGIN_UNLOADED"));
    EXPECT_EQ(member("fake-clash-a", "state"), "unloaded");
    EXPECT_EQ(member("fake-clash-a", "provides"), "[]");
    EXPECT_EQ(load("fake-clash-a"), "") << "init after fini";
    EXPECT_TRUE(call(kCommand));
    EXPECT_EQ(load("fake-clash-a"), "Plugin 'fake-clash-a' is already loaded");
}

TEST_F(PluginHostTest, AReplacedFileAnswersWithItsNewCode) {
    add(version_file(1));
    ASSERT_EQ(load("fake-version"), "");
    EXPECT_EQ(bj::serialize(*call(kCommand)), R"({"version":"1.0"})");
    fs::rename(folder_.copy(version_file(2), "new"), folder_.path() / "fake-version.so");
    EXPECT_EQ(bj::serialize(*call(kCommand)), R"({"version":"1.0"})") << "not before it is loaded again";
    ASSERT_EQ(unload("fake-version"), "");
    ASSERT_EQ(load("fake-version"), "");
    EXPECT_EQ(bj::serialize(*call(kCommand)), R"({"version":"2.0"})");
    EXPECT_EQ(member("fake-version", "version"), "2.0");
}

TEST_F(PluginHostTest, NamesAndPathsAreKeptApart) {
    EXPECT_EQ(load("nobody"), "Plugin 'nobody' is not found");
    EXPECT_EQ(load("../x"), "Plugin '../x' is a path, not a name");
    auto path = fake("fake-good").string();
    EXPECT_EQ(load(path), "Plugin '" + path + "' is a path, not a name");
    make_host({.folders = {}, .allow_path = true, .version = {}});
    EXPECT_EQ(load(path), "");
    EXPECT_EQ(unload("nobody"), "Plugin 'nobody' is not loaded");
}

TEST_F(PluginHostTest, WhileItLoadsItsNameIsTaken) {
    add_fake("fake-good");
    std::optional<std::string> answer;
    host_->load("fake-good", [&](Result<> result) { answer = text(result); });
    EXPECT_FALSE(answer) << "the file has been looked at by the main loop";
    EXPECT_EQ(load("fake-good"), "Plugin 'fake-good' is being loaded");
    EXPECT_EQ(unload("fake-good"), "Plugin 'fake-good' is being loaded");
    EXPECT_TRUE(host_->query().empty());
    until([&] { return answer.has_value(); });
    EXPECT_EQ(answer, "");
    EXPECT_EQ(member("fake-good", "state"), "loaded");
    EXPECT_EQ(unload("fake-good"), "");
}

TEST_F(PluginHostTest, NothingIsLoadedIntoAnEndingProcess) {
    add_fake("fake-good");
    std::optional<std::string> answer;
    host_->load("fake-good", [&](Result<> result) { answer = text(result); });
    host_->quit([] {});
    EXPECT_TRUE(host_->shutdown().empty());
    until([&] { return answer.has_value(); });
    EXPECT_EQ(answer, "Plugin 'fake-good' came too late: the process ends");
    EXPECT_TRUE(host_->query().empty());
}

struct Broken {
    const char* name;
    const char* words;
};
class PluginBroken : public HostFixture, public testing::WithParamInterface<Broken> {};

TEST_P(PluginBroken, LeavesEverythingAsItWas) {
    add_fake(GetParam().name);
    auto before = registry_.fragment_names();
    auto text = load(GetParam().name);
    EXPECT_NE(text.find(GetParam().words), std::string::npos) << text;
    EXPECT_NE(text.find(GetParam().name), std::string::npos) << text;
    EXPECT_EQ(registry_.fragment_names(), before);
    EXPECT_FALSE(table_.has(kCommand));
    EXPECT_EQ(member(GetParam().name, "state"), "failed");
    EXPECT_EQ(member(GetParam().name, "reason"), text);
    EXPECT_FALSE(heard("PLUGIN_LOADED"));
    EXPECT_EQ(load(GetParam().name), text) << "a second time the same";
}

INSTANTIATE_TEST_SUITE_P(
    All, PluginBroken,
    testing::Values(Broken{"fake-init-fails", "it does not want to"},
                    Broken{"fake-no-handler",
                           "declares the command '__org.outport_fake-version', but init added no handler"},
                    Broken{"fake-two-handlers", "__org.outport_fake-version"},
                    Broken{"fake-other-command", "its schema has no command 'quit'"},
                    Broken{"fake-bad-json", "is no JSON"}, Broken{"fake-bad-schema", "its schema is refused"},
                    Broken{"fake-other-fragment", "its schema calls itself 'somebody'"},
                    Broken{"fake-unprefixed", "its schema is refused"},
                    Broken{"fake-clash-host", "its schema is refused"},
                    Broken{"fake-type-short", "a table that is too short"},
                    Broken{"fake-type-null", "lacks a required member"},
                    Broken{"fake-type-flags", "flags that this host does not know"},
                    Broken{"fake-type-modes", "does not know the modes safe and hard"},
                    Broken{"fake-type-undeclared",
                           "'__org.outport_other', which its schema does not declare"},
                    Broken{"fake-type-missing", "does not offer outport.export-type/1"}),
    [](const auto& info) {
        std::string name = info.param.name;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

TEST_F(PluginHostTest, OfTwoThatClashTheFirstStays) {
    add_fake("fake-clash-a");
    add_fake("fake-clash-b");
    ASSERT_EQ(load("fake-clash-a"), "");
    EXPECT_NE(load("fake-clash-b").find("its schema is refused"), std::string::npos);
    EXPECT_TRUE(call(kCommand));
    ASSERT_EQ(unload("fake-clash-a"), "");
    EXPECT_EQ(load("fake-clash-b"), "");
}

TEST_F(PluginHostTest, APluginInUseStays) {
    add_fake("fake-busy");
    add_fake("fake-type-good");
    ASSERT_EQ(load("fake-busy"), "");
    EXPECT_EQ(unload("fake-busy"), "Plugin 'fake-busy' is in use by a server of its own");
    EXPECT_EQ(member("fake-busy", "unusable"), "there is no such device here");
    ASSERT_EQ(load("fake-type-good"), "");
    auto type = host_->export_type("__org.outport_fake-type-good");
    ASSERT_NE(type.table, nullptr);
    host_->add_export(*type.plugin, "e0");
    EXPECT_EQ(unload("fake-type-good"), "Plugin 'fake-type-good' is in use by export 'e0'");
    EXPECT_EQ(member("fake-type-good", "exports"), "1");
    host_->add_export(*type.plugin, "e1");
    EXPECT_EQ(unload("fake-type-good"), "Plugin 'fake-type-good' is in use by exports 'e0', 'e1'");
    host_->remove_export(*type.plugin, "e0");
    host_->remove_export(*type.plugin, "e1");
    EXPECT_EQ(unload("fake-type-good"), "");
    EXPECT_EQ(host_->export_type("__org.outport_fake-type-good").table, nullptr);
    EXPECT_EQ(host_->shutdown(), std::vector<std::string>{"plugin 'fake-busy': a server of its own"});
}

TEST_F(PluginHostTest, CommandsGoThroughQmp) {
    ASSERT_TRUE(add_plugin_commands(*host_));
    add_fake("fake-good");
    EXPECT_TRUE(call("plugin-load", R"({"name": "fake-good"})"));
    auto all = call("query-plugins");
    ASSERT_TRUE(all);
    auto fits = schema::validate(*registry_.schema(), *registry_.schema()->command("query-plugins")->result,
                                 *all, schema::InputMode::Json);
    EXPECT_TRUE(fits) << fits.error().message;
    EXPECT_TRUE(call("plugin-unload", R"({"name": "fake-good"})"));
    auto again = call("plugin-unload", R"({"name": "fake-good"})");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message, "Plugin 'fake-good' is not loaded");
}

} // namespace
} // namespace outport::plugin::test
