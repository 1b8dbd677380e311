// SPDX-License-Identifier: Apache-2.0
// What may stand in a line of the log, and which lines are written.
#include "host/base/log.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace outport::log {
namespace {

TEST(LogText, ControlCharactersAreReplaced) {
    EXPECT_EQ(printable("a\nb\x1b[31mc\x7f"), "a?b?[31mc?");
    EXPECT_EQ(printable("a\tb"), "a b");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
    EXPECT_EQ(printable("\xc2\x9b"), "?"); // a control character of two bytes
    EXPECT_EQ(printable("\xe2\x80\xae"
                        "x"),
              "?x"); // turns the direction of what follows
}

TEST(LogText, WholeCharactersPass) {
    EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
              "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST(LogText, BrokenCharactersAreReplaced) {
    EXPECT_EQ(printable("\xc3"), "?");
    EXPECT_EQ(printable("\xc3"
                        "a"),
              "?a");
    EXPECT_EQ(printable("\xc0\x80"), "??");           // overlong
    EXPECT_EQ(printable("\xed\xa0\x80"), "???");      // surrogate
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????"); // past the last
}

TEST(LogText, LongLinesAreCut) {
    std::string line(kMaxLine + 1, 'x');
    std::string shown = printable(line);
    EXPECT_EQ(shown.size(), kMaxLine);
    EXPECT_TRUE(shown.ends_with("x..."));
    EXPECT_EQ(printable(line.substr(1)), line.substr(1));
    EXPECT_EQ(printable("aaaa\xc3\xbc\xc3\xbc", 7), "aaaa...");
}

class LogFile : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(set_file(path_)); }
    void TearDown() override { unlink(path_.c_str()); }
    std::string content() const {
        std::ifstream in(path_);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::string path_ = testing::TempDir() + "outport-log-" + std::to_string(getpid());
};

TEST_F(LogFile, LinesSayWhoSpeaks) {
    set_program("prog");
    source("one").warning("careful\nnow");
    EXPECT_NE(content().find("prog: warning: one: careful?now\n"), std::string::npos) << content();
}

TEST_F(LogFile, PatternsSetLevels) {
    source("two").info("unseen");
    EXPECT_EQ(content(), "");
    ASSERT_TRUE(set_pattern("tw*:info"));
    source("two").info("seen");
    source("two").debug("unseen");
    EXPECT_NE(content().find("info: two: seen"), std::string::npos);
    EXPECT_EQ(content().find("unseen"), std::string::npos);
    ASSERT_TRUE(set_pattern("-two"));
    EXPECT_FALSE(source("two").enabled(Level::Info));
}

TEST_F(LogFile, PatternsHoldForComponentsToCome) {
    ASSERT_TRUE(set_pattern("later"));
    EXPECT_TRUE(source("later").enabled(Level::Trace));
    EXPECT_FALSE(source("laterer").enabled(Level::Trace));
    EXPECT_TRUE(pattern_matches_any("lat*:error"));
    EXPECT_FALSE(pattern_matches_any("nobody"));
}

TEST(LogPattern, UnknownLevelsAreRefused) {
    auto result = set_pattern("loop:loud");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "'loop:loud' is no COMPONENT:LEVEL");
}

} // namespace
} // namespace outport::log
