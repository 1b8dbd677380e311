// SPDX-License-Identifier: Apache-2.0
// The command line's words: abbreviations, both ways to give an argument, getopt's texts.
#include "host/cli/options.hpp"
#include "host/cli/settings.hpp"

#include <gtest/gtest.h>

namespace outport::cli {
namespace {

using Words = std::vector<std::string>;

Scanned strict(const Words& words, std::vector<Option> more = {}) {
    auto options = host_options();
    options.insert(options.end(), more.begin(), more.end());
    return scan(words, options, Mode::Strict);
}

Scanned lenient(const Words& words) {
    return scan(words, host_options(), Mode::Lenient);
}

const std::vector<Option> kNbdServer = {{"nbd-server", Id::OfPlugin, Origin::Plugin, true}};

TEST(CliOptions, BothWaysToGiveAnArgument) {
    auto result = strict({"--blockdev", "a", "--blockdev=b=c", "--blockdev="});
    ASSERT_EQ(result.error, "");
    ASSERT_EQ(result.words.size(), 3u);
    EXPECT_EQ(result.words[0].argument, "a");
    EXPECT_EQ(result.words[0].where, "--blockdev a");
    EXPECT_EQ(result.words[1].argument, "b=c");
    EXPECT_EQ(result.words[1].where, "--blockdev=b=c");
    EXPECT_EQ(result.words[2].argument, "");
}

TEST(CliOptions, AnArgumentMayLookLikeAnOption) {
    auto result = strict({"--pidfile", "--blockdev", "-T", "-V"});
    ASSERT_EQ(result.words.size(), 2u);
    EXPECT_EQ(result.words[0].argument, "--blockdev");
    EXPECT_EQ(result.words[1].argument, "-V");
}

TEST(CliOptions, AbbreviationsKeepWhatWasTyped) {
    auto result = strict({"--bl", "x", "--mon=y"});
    ASSERT_EQ(result.words.size(), 2u);
    EXPECT_EQ(result.words[0].id, Id::Blockdev);
    EXPECT_EQ(result.words[0].name, "blockdev");
    EXPECT_EQ(result.words[0].where, "--bl x");
    EXPECT_EQ(result.words[1].id, Id::Monitor);
}

TEST(CliOptions, QemusOptionsAreMeantBeforeOurs) {
    auto result = strict({"--p", "file"});
    ASSERT_EQ(result.words.size(), 1u);
    EXPECT_EQ(result.words[0].id, Id::Pidfile);
}

TEST(CliOptions, AnExactNameIsNeverAnAbbreviation) {
    auto result = strict({"--plugin", "nbd"});
    ASSERT_EQ(result.words.size(), 1u);
    EXPECT_EQ(result.words[0].id, Id::Plugin);
}

TEST(CliOptions, HostsOptionsAreMeantBeforePlugins) {
    auto result = strict({"--exp", "x"}, {{"explode", Id::OfPlugin, Origin::Plugin, true}});
    ASSERT_EQ(result.words.size(), 1u);
    EXPECT_EQ(result.words[0].id, Id::Export);
}

TEST(CliOptions, PluginsOptionsCanBeAbbreviated) {
    auto result = strict({"--nbd-serv=x"}, kNbdServer);
    ASSERT_EQ(result.words.size(), 1u);
    EXPECT_EQ(result.words[0].name, "nbd-server");
    EXPECT_EQ(result.words[0].id, Id::OfPlugin);
}

TEST(CliOptions, AmbiguousNamesListWhatTheyCouldBe) {
    auto result = strict({"--pl=x"});
    EXPECT_EQ(result.error, "option '--pl=x' is ambiguous; possibilities: '--plugin' '--plugin-dir'");
}

TEST(CliOptions, ErrorsAreGetopts) {
    EXPECT_EQ(strict({"--foo=1"}).error, "unrecognized option '--foo=1'");
    EXPECT_EQ(strict({"--foo=1"}).unknown, "foo");
    EXPECT_EQ(strict({"--blockdev"}).error, "option '--blockdev' requires an argument");
    EXPECT_EQ(strict({"--daem=yes"}).error, "option '--daemonize' doesn't allow an argument");
    EXPECT_EQ(strict({"-x"}).error, "invalid option -- 'x'");
    EXPECT_EQ(strict({"-T"}).error, "option requires an argument -- 'T'");
}

TEST(CliOptions, LettersStandTogether) {
    auto result = strict({"-hVTnbd", "-T", "x"});
    ASSERT_EQ(result.words.size(), 4u);
    EXPECT_EQ(result.words[0].id, Id::Help);
    EXPECT_EQ(result.words[1].id, Id::Version);
    EXPECT_EQ(result.words[2].argument, "nbd");
    EXPECT_EQ(result.words[3].where, "-T x");
}

TEST(CliOptions, WordsThatAreNoOptionsKeepTheirPlace) {
    auto result = strict({"foo", "--blockdev", "x", "-", "--", "--monitor"});
    ASSERT_EQ(result.words.size(), 4u);
    EXPECT_EQ(result.words[0].id, Id::Stray);
    EXPECT_EQ(result.words[1].id, Id::Blockdev);
    EXPECT_EQ(result.words[2].argument, "-");
    EXPECT_EQ(result.words[3].id, Id::Stray);
    EXPECT_EQ(result.words[3].where, "--monitor");
}

TEST(CliOptions, TheFirstScanPassesOverWhatPluginsMayBring) {
    auto result = lenient({"--nbd-server", "--pidfile", "--other=x", "--pidfile", "p"});
    EXPECT_EQ(result.error, "");
    ASSERT_EQ(result.words.size(), 3u);
    EXPECT_EQ(result.words[0].id, Id::Unknown);
    EXPECT_EQ(result.words[0].argument, "--pidfile");
    EXPECT_EQ(result.words[1].id, Id::Unknown);
    EXPECT_EQ(result.words[2].argument, "p");
}

TEST(CliSettings, TheLastPidfileCounts) {
    auto settings = read_settings(lenient({"--pidfile", "a", "--pidfile", "b", "--daemonize"}).words);
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->pidfile, "b");
    EXPECT_TRUE(settings->daemonize);
}

TEST(CliSettings, PluginsAndFoldersAdd) {
    auto settings = read_settings(lenient({"--plugin", "a", "--plugin-dir=d", "--plugin", "b"}).words);
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->plugins, (Words{"a", "b"}));
    EXPECT_EQ(settings->plugin_dirs, Words{"d"});
    EXPECT_FALSE(settings->allow_plugin_path);
}

TEST(CliSettings, OfHelpAndVersionTheFirstCounts) {
    EXPECT_TRUE(read_settings(lenient({"-V", "-h"}).words)->version);
    auto both = read_settings(lenient({"-h", "-V"}).words);
    EXPECT_TRUE(both->help);
    EXPECT_FALSE(both->version);
}

TEST(CliSettings, SocketModeIsOctal) {
    EXPECT_EQ(read_settings(lenient({"--socket-mode", "0660"}).words)->socket_mode, 0660u);
    EXPECT_EQ(read_settings({})->socket_mode, 0600u);
    for (const char* wrong : {"", "9", "660x", "01000", "0", "-1"}) {
        auto settings = read_settings(lenient({"--socket-mode", wrong}).words);
        ASSERT_FALSE(settings) << wrong;
        EXPECT_EQ(settings.error().where, std::string("--socket-mode ") + wrong);
    }
}

TEST(CliSettings, ShutdownTimeoutIsInSeconds) {
    EXPECT_EQ(read_settings({})->shutdown_timeout_s, 30u);
    EXPECT_EQ(read_settings(lenient({"--shutdown-timeout=0"}).words)->shutdown_timeout_s, 0u);
    EXPECT_FALSE(read_settings(lenient({"--shutdown-timeout", "1s"}).words));
    EXPECT_FALSE(read_settings(lenient({"--shutdown-timeout", "86401"}).words));
}

} // namespace
} // namespace outport::cli
