// SPDX-License-Identifier: Apache-2.0
// Opening a plugin: every defect is found, and before any of its code has run where that is possible.
#include "host/plugin/image.hpp"
#include "tests/unit/plugin-support.hpp"

#include <dlfcn.h>
#include <fcntl.h>

#include <algorithm>

namespace outport::plugin {
namespace {

using test::fake;
using test::TempFolder;
using test::version_file;

// What load_image says; empty: it loaded.
std::string refusal(const test::fs::path& path) {
    ::unsetenv("OUTPORT_FAKE_RAN");
    auto image = load_image(path.string());
    if (!image)
        return image.error().message;
    return *image ? std::string{} : "no plugin";
}

std::string version_of(const test::fs::path& path) {
    auto image = load_image(path.string());
    if (!image)
        return image.error().message;
    return *image ? (*image)->entry.version : "no plugin";
}

bool ran() {
    return ::getenv("OUTPORT_FAKE_RAN") != nullptr;
}

struct Defect {
    const char* name;
    const char* words;
    bool runs_code; // whether the dynamic loader has to be asked to find it
};

class PluginDefect : public testing::TestWithParam<Defect> {};

TEST_P(PluginDefect, IsRefused) {
    auto text = refusal(fake(GetParam().name));
    EXPECT_NE(text.find(GetParam().words), std::string::npos) << text;
    if (std::string(GetParam().words) != "no plugin") {
        EXPECT_NE(text.find(fake(GetParam().name).string()), std::string::npos)
            << "does not name the file: " << text;
    }
    EXPECT_EQ(ran(), GetParam().runs_code);
}

INSTANTIATE_TEST_SUITE_P(
    All, PluginDefect,
    testing::Values(Defect{"fake-no-note", "no plugin", false},
                    Defect{"fake-two-notes", "more than one", false},
                    Defect{"fake-bad-note", "malformed", false},
                    Defect{"fake-major", "needs plugin ABI 7.1, but this host has 0.1", false},
                    Defect{"fake-minor", "needs plugin ABI 0.8, but this host has 0.1", false},
                    Defect{"fake-other-name", "calls itself 'somebody'", false},
                    Defect{"fake-no-symbol", "does not export the symbol outport_plugin", true},
                    Defect{"fake-borrowed", "does not export the symbol outport_plugin", true},
                    Defect{"fake-short", "too short for ABI 0.1", true},
                    Defect{"fake-long", "shorter than it says", true},
                    Defect{"fake-no-init", "lacks the required function 'init'", true},
                    Defect{"fake-no-fini", "lacks the required function 'fini'", true},
                    Defect{"fake-mismatch", "contradicts itself", true}),
    [](const auto& info) {
        std::string name = info.param.name;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

TEST(PluginImage, AGoodOneLoads) {
    TempFolder folder;
    auto file = folder.copy(fake("fake-good"));
    EXPECT_EQ(refusal(file), "");
    EXPECT_TRUE(ran());
    EXPECT_EQ(refusal(file), "") << "a second time";
    EXPECT_FALSE(ran()) << "it is mapped already";
}

TEST(PluginImage, WhatTheLoaderSaysIsPassedOn) {
    TempFolder folder;
    auto bytes = test::read_all(fake("fake-good"));
    auto at = bytes.find("libc.so.6");
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, 9, "libx.so.6");
    auto text = refusal(folder.write("fake-good.so", bytes));
    EXPECT_NE(text.find("libx.so.6"), std::string::npos) << text;
}

TEST(PluginImage, AFileReplacedByRenameIsTheNewOne) {
    TempFolder folder;
    auto file = folder.copy(version_file(1));
    EXPECT_EQ(version_of(file), "1.0");
    for (int round = 0; round < 3; ++round) {
        test::fs::rename(folder.copy(version_file(2), "new"), file);
        EXPECT_EQ(version_of(file), "2.0");
        test::fs::rename(folder.copy(version_file(3), "new"), file);
        EXPECT_EQ(version_of(file), "3.0");
    }
    EXPECT_EQ(version_of(file), "3.0");
}

// That this is needed at all: glibc goes by the name.
TEST(PluginImage, TheDynamicLoaderAloneWouldGiveTheOldOne) {
    TempFolder folder;
    auto file = folder.copy(version_file(1));
    auto ask = [&] {
        void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        return std::string(
            static_cast<const struct outport_plugin*>(::dlsym(handle, "outport_plugin"))->version);
    };
    EXPECT_EQ(ask(), "1.0");
    test::fs::rename(folder.copy(version_file(2), "new"), file);
    EXPECT_EQ(ask(), "1.0");
    EXPECT_EQ(version_of(file), "2.0") << "ours does not";
}

TEST(PluginImage, AFileThroughALinkIsFoundAgain) {
    TempFolder folder;
    folder.add_folder("real");
    folder.copy(version_file(1), "real/fake-version.so");
    test::fs::create_directory_symlink("real", folder.path() / "link");
    EXPECT_EQ(version_of(folder.path() / "link" / "fake-version.so"), "1.0");
    test::fs::rename(folder.copy(version_file(2), "new"), folder.path() / "real" / "fake-version.so");
    EXPECT_EQ(version_of(folder.path() / "link" / "fake-version.so"), "2.0");
    EXPECT_EQ(version_of(folder.path() / "real" / "fake-version.so"), "2.0");
}

TEST(PluginImage, AFileChangedInPlaceIsRefused) {
    TempFolder folder;
    auto file = folder.copy(version_file(1));
    EXPECT_EQ(version_of(file), "1.0");
    timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
    EXPECT_NE(version_of(file).find("changed in place"), std::string::npos);
}

TEST(PluginImage, AFileThatOthersMayWriteToRunsNothing) {
    TempFolder folder;
    auto file = folder.copy(fake("fake-good"));
    ::chmod(file.c_str(), 0666);
    EXPECT_NE(refusal(file), "");
    EXPECT_FALSE(ran());
}

TEST(PluginImage, TablesAreCopiedAsFarAsBothSidesKnowThem) {
    struct Table {
        std::uint32_t size, a, b, c;
    };
    Table given{12, 1, 2, 3}, copy{9, 9, 9, 9};
    ASSERT_TRUE(copy_table(&copy, &given, sizeof copy, 8));
    EXPECT_EQ(copy.b, 2u);
    EXPECT_EQ(copy.c, 0u) << "beyond its size";
    given.size = 4096; // from a newer plugin
    ASSERT_TRUE(copy_table(&copy, &given, sizeof copy, 8));
    EXPECT_EQ(copy.c, 3u);
    given.size = 4;
    EXPECT_FALSE(copy_table(&copy, &given, sizeof copy, 8));
}

} // namespace
} // namespace outport::plugin
