// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for, and which files are believed.
#include "host/plugin/folders.hpp"
#include "host/plugin/trust.hpp"
#include "tests/unit/plugin-support.hpp"

#include <unistd.h>

namespace outport::plugin {
namespace {

using test::fake;
using test::TempFolder;
namespace fs = std::filesystem;

// What open_trusted says; empty: it opened the file.
std::string refusal(const fs::path& path) {
    auto fd = open_trusted(path.string());
    if (!fd)
        return fd.error().message;
    ::close(*fd);
    return {};
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(PluginTrust, AFileOfOursInAFolderOfOursIsOpened) {
    TempFolder folder;
    EXPECT_EQ(refusal(folder.copy(fake("fake-good"))), "");
}

TEST(PluginTrust, AFileThatOthersMayWriteToIsRefused) {
    TempFolder folder;
    auto file = folder.copy(fake("fake-good"));
    for (mode_t mode : {0666, 0775, 0757}) {
        ::chmod(file.c_str(), mode);
        EXPECT_TRUE(says(refusal(file), "may be written to by others")) << refusal(file);
    }
    ::chmod(file.c_str(), 0644);
    EXPECT_EQ(refusal(file), "");
}

TEST(PluginTrust, AFolderOnTheWayThatOthersMayWriteToIsRefused) {
    TempFolder folder;
    auto inner = folder.add_folder("a/b");
    auto file = folder.copy(fake("fake-good"), "a/b/x.so");
    EXPECT_EQ(refusal(file), "");
    for (auto open : {folder.path() / "a", inner}) {
        ::chmod(open.c_str(), 0777);
        EXPECT_TRUE(says(refusal(file), "folder '" + open.string() + "'")) << refusal(file);
        ::chmod(open.c_str(), 0755);
    }
    EXPECT_EQ(refusal(file), "");
}

TEST(PluginTrust, AStickyFolderWillDo) {
    TempFolder folder; // is itself in /tmp
    ::chmod(folder.path().c_str(), 01777);
    EXPECT_EQ(refusal(folder.copy(fake("fake-good"))), "");
}

TEST(PluginTrust, LinksAreFollowedAndTheirWayIsChecked) {
    TempFolder folder, other;
    auto real = other.add_folder("real");
    other.copy(fake("fake-good"), "real/x.so");
    fs::create_directory_symlink(real, folder.path() / "link");
    fs::create_symlink("link/x.so", folder.path() / "x.so");
    fs::create_symlink("../" + folder.path().filename().string() + "/x.so", folder.path() / "y.so");
    EXPECT_EQ(refusal(folder.path() / "link" / "x.so"), "");
    EXPECT_EQ(refusal(folder.path() / "x.so"), "");
    EXPECT_EQ(refusal(folder.path() / "y.so"), "");
    ::chmod(real.c_str(), 0777);
    EXPECT_TRUE(says(refusal(folder.path() / "link" / "x.so"), "folder '" + real.string() + "'"));
    EXPECT_TRUE(says(refusal(folder.path() / "y.so"), "folder '" + real.string() + "'"));
}

TEST(PluginTrust, LinksInACircleEnd) {
    TempFolder folder;
    fs::create_symlink("b.so", folder.path() / "a.so");
    fs::create_symlink("a.so", folder.path() / "b.so");
    EXPECT_TRUE(says(refusal(folder.path() / "a.so"), "symbolic links"));
}

TEST(PluginTrust, OtherOwnersAreRefused) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can give files away";
    TempFolder folder;
    folder.add_folder("a");
    auto file = folder.copy(fake("fake-good"), "a/x.so");
    ASSERT_EQ(::chown(file.c_str(), 4711, 0), 0);
    EXPECT_TRUE(says(refusal(file), "belongs to user 4711"));
    ASSERT_EQ(::chown(file.c_str(), 0, 0), 0);
    ASSERT_EQ(::chown((folder.path() / "a").c_str(), 4711, 0), 0);
    EXPECT_TRUE(says(refusal(file), "belongs to user 4711"));
    fs::create_symlink(fake("fake-good"), folder.path() / "l.so");
    ASSERT_EQ(::lchown((folder.path() / "l.so").c_str(), 4711, 0), 0);
    EXPECT_TRUE(says(refusal(folder.path() / "l.so"), "belongs to user 4711"));
}

TEST(PluginTrust, WhatIsNoFileIsRefused) {
    TempFolder folder;
    folder.add_folder("dir.so");
    ASSERT_EQ(::mkfifo((folder.path() / "pipe.so").c_str(), 0600), 0);
    EXPECT_TRUE(says(refusal(folder.path() / "dir.so"), "no regular file"));
    EXPECT_TRUE(says(refusal(folder.path() / "pipe.so"), "no regular file"));
    EXPECT_TRUE(says(refusal(folder.path() / "none.so"), "No such file"));
    EXPECT_TRUE(says(refusal(folder.copy(fake("fake-good")) / "x.so"), "Not a directory"));
}

// ---- folders

TEST(PluginFolders, TheFirstListThatIsGivenIsTheWholeList) {
    ::setenv("OUTPORT_PLUGIN_PATH", "/e1::/e2:", 1);
    EXPECT_EQ(choose_folders({{"/c1", "/c2"}, "/i"}), (std::vector<std::string>{"/c1", "/c2"}));
    EXPECT_EQ(choose_folders({{}, "/i"}), (std::vector<std::string>{"/e1", "/e2"}));
    ::unsetenv("OUTPORT_PLUGIN_PATH");
    // This test runs from the build tree, whose plugins come before the installed ones.
    auto tree = test::built_plugins().parent_path().parent_path() / "plugins";
    auto in_tree = fs::exists(tree) && !fs::is_empty(tree);
    EXPECT_TRUE(says(choose_folders({{}, "/i"})[0], in_tree ? tree.string() + "/" : "/i"));
}

TEST(PluginFolders, OfOneNameTheFirstCounts) {
    TempFolder folder;
    folder.add_folder("a");
    folder.add_folder("b");
    for (auto name :
         {"a/two.so", "a/one.so", "b/one.so", "b/three.so", "b/four.txt", "b/no good.so", "b/.so"})
        folder.write(name, "");
    std::vector<std::string> folders{(folder.path() / "a").string(), (folder.path() / "none").string(),
                                     (folder.path() / "b").string()};
    std::vector<std::string> found;
    for (const auto& candidate : list_candidates(folders))
        found.push_back(fs::path(candidate.path).lexically_relative(folder.path()).string());
    EXPECT_EQ(found, (std::vector<std::string>{"a/one.so", "a/two.so", "b/three.so"}));
    EXPECT_EQ(find_candidate(folders, "one"), folders[0] + "/one.so");
    EXPECT_EQ(find_candidate(folders, "three"), folders[2] + "/three.so");
    for (auto name : {"../a/one", "four", "", "no good", "/etc/passwd", "."})
        EXPECT_EQ(find_candidate(folders, name), "") << name;
}

TEST(PluginFolders, NamesAreBounded) {
    EXPECT_TRUE(valid_plugin_name("nbd"));
    EXPECT_TRUE(valid_plugin_name(std::string(63, 'a')));
    EXPECT_FALSE(valid_plugin_name(std::string(64, 'a')));
    EXPECT_FALSE(valid_plugin_name("1a"));
    EXPECT_FALSE(valid_plugin_name("a/b"));
    EXPECT_FALSE(valid_plugin_name("a.b"));
}

} // namespace
} // namespace outport::plugin
