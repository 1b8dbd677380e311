// SPDX-License-Identifier: Apache-2.0
// Locks on images, towards another process: a child that takes them on a description of its own.
#include "block-support.hpp"

#include "host/base/text.hpp"
#include "host/block/image-locks.hpp"

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/wait.h>

namespace outport::block::test {

namespace {

// Bytes of the file that are locked by anyone, as the kernel lists them.
std::set<int> locked_bytes(const std::string& path) {
    struct stat status{};
    ::stat(path.c_str(), &status);
    std::set<int> bytes;
    std::ifstream locks("/proc/locks");
    std::string line, inode = cat(":", status.st_ino, " ");
    while (std::getline(locks, line))
        if (auto at = line.find(inode); at != std::string::npos) {
            std::istringstream range(line.substr(at + inode.size()));
            int first = 0, last = 0;
            range >> first >> last; // neighbours are listed as one
            for (int byte = first; byte <= last; ++byte)
                bytes.insert(byte);
        }
    return bytes;
}

// Takes `perm` and un-shares `unshared` in another process while it lives.
class Foreigner {
  public:
    Foreigner(const std::string& path, Perm perm, Perm unshared) {
        int ready[2], quit[2];
        EXPECT_EQ(pipe(ready) + pipe(quit), 0);
        pid_ = fork();
        if (pid_ == 0) {
            ::close(quit[1]);
            int fd = ::open(path.c_str(), O_RDWR);
            ImageLocks locks;
            char word = locks.change(fd, perm, kPermAll & ~unshared, path) ? 'y' : 'n';
            bool sent = ::write(ready[1], &word, 1) == 1;
            [[maybe_unused]] ssize_t ended = ::read(quit[0], &word, 1);
            _exit(sent ? 0 : 1);
        }
        quit_ = quit[1];
        ::close(quit[0]);
        char word = 'n';
        EXPECT_EQ(::read(ready[0], &word, 1), 1);
        got = word == 'y';
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~Foreigner() {
        ::close(quit_);
        waitpid(pid_, nullptr, 0);
    }
    bool got = false;

  private:
    pid_t pid_;
    int quit_;
};

class Locks : public BlockTest {
  protected:
    Locks() : file_(1 << 20) {}
    std::string add_file(std::string_view more = "") {
        return add(cat(R"({"driver":"file","node-name":"f","filename":")", file_.path(), "\"", more, "}"));
    }
    TempFile file_;
};

using Bytes = std::set<int>;

TEST_F(Locks, BytesOfEachUse) {
    ASSERT_EQ(add_file(), "");
    EXPECT_EQ(locked_bytes(file_.path()), Bytes{}) << "a node without a user";
    Root* reader = attach("f", {.writable = false});
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 203}));
    Root* writer = attach("f");
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 101, 203}));
    detach(*writer);
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 203}));
    ASSERT_EQ(resize("f", 4096), "") << "our own export doesn't forbid it";
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 203})) << "103 only while it runs";
    detach(*reader);
    EXPECT_EQ(locked_bytes(file_.path()), Bytes{});
    Root* through = nullptr;
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"r","file":"f"})"), "");
    through = attach("r");
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 101, 203}));
    detach(*through);
}

TEST_F(Locks, OffAndForceShareTakeNone) {
    ASSERT_EQ(add_file(R"(,"locking":"off")"), "");
    ASSERT_TRUE(attach("f"));
    EXPECT_EQ(locked_bytes(file_.path()), Bytes{});
    TempFile other(4096);
    ASSERT_EQ(add(cat(R"({"driver":"file","node-name":"g","read-only":true,"force-share":true,"filename":")",
                      other.path(), "\"}")),
              "");
    ASSERT_TRUE(attach("g", {.writable = false}));
    EXPECT_EQ(locked_bytes(other.path()), Bytes{});
}

TEST_F(Locks, WhatOthersForbidIsRefused) {
    ASSERT_EQ(add_file(), "");
    {
        Foreigner other(file_.path(), kPermConsistentRead, kPermWrite);
        ASSERT_TRUE(other.got);
        EXPECT_EQ(attach("f"), nullptr);
        EXPECT_EQ(error, "Failed to get \"write\" lock");
        EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 201})) << "nothing of ours is left";
        Root* reader = attach("f", {.writable = false});
        EXPECT_TRUE(reader) << error;
    }
    EXPECT_TRUE(attach("f")) << error;
}

TEST_F(Locks, WhatOthersHaveCannotBeUnshared) {
    ASSERT_EQ(add_file(), "");
    Foreigner other(file_.path(), kPermResize, 0);
    ASSERT_TRUE(other.got);
    EXPECT_EQ(attach("f"), nullptr);
    EXPECT_EQ(error, "Failed to get shared \"resize\" lock");
}

TEST_F(Locks, OthersMayWriteButNotResize) {
    ASSERT_EQ(add_file(), "");
    ASSERT_TRUE(attach("f"));
    EXPECT_TRUE(Foreigner(file_.path(), kPermConsistentRead | kPermWrite, kPermResize).got)
        << "another exporter";
    EXPECT_FALSE(Foreigner(file_.path(), kPermResize, 0).got);
}

TEST_F(Locks, ResizeIsRefusedWhileOthersExport) {
    ASSERT_EQ(add_file(), "");
    {
        Foreigner other(file_.path(), kPermConsistentRead | kPermWrite, kPermResize);
        EXPECT_EQ(resize("f", 4096), "Failed to get \"resize\" lock");
        EXPECT_EQ(file_.size(), 1u << 20);
    }
    EXPECT_EQ(resize("f", 4096), "");
}

TEST_F(Locks, TheFirstWriterBringsTheLocksAlong) {
    ASSERT_EQ(add_file(R"(,"auto-read-only":true)"), "");
    ASSERT_TRUE(attach("f", {.writable = false}));
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 203}));
    ASSERT_TRUE(attach("f")) << error;
    EXPECT_EQ(locked_bytes(file_.path()), (Bytes{100, 101, 203}));
    EXPECT_FALSE(Foreigner(file_.path(), kPermResize, 0).got);
}

TEST_F(Locks, QemuImgAgrees) {
    if (std::system("qemu-img --version >/dev/null 2>&1"))
        GTEST_SKIP() << "no qemu-img";
    ASSERT_EQ(add_file(), "");
    std::string command = cat("qemu-img resize -f raw ", file_.path(), " 2M >/dev/null 2>&1");
    ASSERT_TRUE(attach("f"));
    EXPECT_NE(std::system(command.c_str()), 0);
    EXPECT_EQ(file_.size(), 1u << 20);
    detach(*roots_.front());
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(file_.size(), 2u << 20);
}

} // namespace

} // namespace outport::block::test
