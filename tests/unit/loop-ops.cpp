// SPDX-License-Identifier: Apache-2.0
// The portable operations do what the system calls of their names do.
#include "tests/unit/loop-support.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

namespace outport::loop::test {
namespace {

class LoopFileTest : public LoopTest {
  protected:
    LoopFileTest() : fd_(memfd_create("loop-test", MFD_CLOEXEC)) { EXPECT_GE(fd_, 0); }
    ~LoopFileTest() override { ::close(fd_); }

    // Starts an operation by `start(op)`, waits for it, returns its result.
    template <class Start> std::int32_t result_of(Start start) {
        Op op;
        start(op.completion);
        run_until([&] { return op.done(); });
        EXPECT_EQ(op.calls, 1);
        return op.result;
    }

    int fd_;
};

TEST_F(LoopFileTest, WriteAndReadAtAnOffset) {
    char back[5] = {};
    EXPECT_EQ(result_of([&](Completion& c) { loop_->write(c, fd_, "hello", 5, 4096); }), 5);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->read(c, fd_, back, 5, 4096); }), 5);
    EXPECT_EQ(std::memcmp(back, "hello", 5), 0);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->read(c, fd_, back, 5, 1 << 20); }), 0);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->read(c, -1, back, 5, 0); }), -EBADF);
}

TEST_F(LoopFileTest, VectorsAndTheFilePosition) {
    char a[] = "abc", b[] = "defg", back[7];
    iovec out[] = {{a, 3}, {b, 4}};
    iovec in[] = {{back, 2}, {back + 2, 5}};
    EXPECT_EQ(result_of([&](Completion& c) { loop_->writev(c, fd_, out, 2, 10, RWF_DSYNC); }), 7);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->readv(c, fd_, in, 2, 10); }), 7);
    EXPECT_EQ(std::string(back, 7), "abcdefg");
    ASSERT_EQ(lseek(fd_, 10, SEEK_SET), 10);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->read(c, fd_, back, 3, UINT64_MAX); }), 3);
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), 13);
}

TEST_F(LoopFileTest, FallocateAndSync) {
    struct stat st{};
    EXPECT_EQ(result_of([&](Completion& c) { loop_->fallocate(c, fd_, 0, 0, 1 << 20); }), 0);
    ASSERT_EQ(fstat(fd_, &st), 0);
    EXPECT_EQ(st.st_size, 1 << 20);
    EXPECT_GT(st.st_blocks, 0);
    EXPECT_EQ(result_of([&](Completion& c) {
                  loop_->fallocate(c, fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
              }),
              0);
    ASSERT_EQ(fstat(fd_, &st), 0);
    EXPECT_EQ(st.st_blocks, 0);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->fsync(c, fd_, false); }), 0);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->fsync(c, fd_, true); }), 0);
}

TEST_F(LoopFileTest, SendAndReceive) {
    SocketPair pair;
    char back[8] = {};
    EXPECT_EQ(result_of([&](Completion& c) { loop_->send(c, pair.fds[0], "abc", 3); }), 3);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->recv(c, pair.fds[1], back, 8); }), 3);
    char x[] = "x", yz[] = "yz";
    iovec out[] = {{x, 1}, {yz, 2}};
    msghdr message{};
    message.msg_iov = out;
    message.msg_iovlen = 2;
    EXPECT_EQ(result_of([&](Completion& c) { loop_->sendmsg(c, pair.fds[0], &message); }), 3);
    iovec in{back, sizeof back};
    message.msg_iov = &in;
    message.msg_iovlen = 1;
    EXPECT_EQ(result_of([&](Completion& c) { loop_->recvmsg(c, pair.fds[1], &message); }), 3);
    EXPECT_EQ(std::string(back, 3), "xyz");
    EXPECT_EQ(result_of([&](Completion& c) { loop_->shutdown(c, pair.fds[0], SHUT_WR); }), 0);
    EXPECT_EQ(result_of([&](Completion& c) { loop_->recv(c, pair.fds[1], back, 8); }), 0);
}

TEST_F(LoopFileTest, SendToAClosedPeerFailsWithoutASignal) {
    SocketPair pair;
    ::close(pair.fds[1]);
    pair.fds[1] = -1;
    std::signal(SIGPIPE, SIG_DFL); // would end the test
    EXPECT_EQ(result_of([&](Completion& c) { loop_->send(c, pair.fds[0], "abc", 3); }), -EPIPE);
    char a[] = "a";
    iovec out{a, 1};
    msghdr message{};
    message.msg_iov = &out;
    message.msg_iovlen = 1;
    EXPECT_EQ(result_of([&](Completion& c) { loop_->sendmsg(c, pair.fds[0], &message); }), -EPIPE);
}

TEST_F(LoopFileTest, PollTellsWhatIsReady) {
    SocketPair pair;
    EXPECT_EQ(result_of([&](Completion& c) { loop_->poll(c, pair.fds[0], POLLOUT | POLLIN); }), POLLOUT);
    Op waiting;
    loop_->poll(waiting.completion, pair.fds[0], POLLIN);
    loop_->run_once(false);
    loop_->run_once(false);
    EXPECT_EQ(waiting.calls, 0);
    ASSERT_EQ(::write(pair.fds[1], "x", 1), 1);
    run_until([&] { return waiting.done(); });
    EXPECT_EQ(waiting.result, POLLIN);
}

TEST_F(LoopFileTest, CloseIsDoneByTheNextTurns) {
    SocketPair pair;
    loop_->close(pair.fds[1]);
    char byte;
    EXPECT_EQ(result_of([&](Completion& c) { loop_->recv(c, pair.fds[0], &byte, 1); }), 0);
    pair.fds[1] = -1;
}

// Gathered operations may be waited for together, but the one that comes alone is called back, also where
// none of the others ever comes.
TEST_F(LoopTest, OneOfManyGatheredOperationsIsEnough) {
    std::vector<Op> ops(16);
    std::vector<int> fds;
    for (Op& op : ops) {
        fds.push_back(eventfd(0, EFD_CLOEXEC));
        loop_->poll(op.completion, fds.back(), POLLIN);
        loop_->gather(op.completion);
    }
    loop_->run_once(false);
    for (Op& op : ops) {
        auto& fd = fds[static_cast<std::size_t>(&op - ops.data())];
        std::uint64_t one = 1;
        ASSERT_EQ(write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
        run_until([&] { return op.calls; });
        EXPECT_EQ(op.result, POLLIN);
    }
    EXPECT_EQ(loop_->in_flight(), 0u);
    for (int fd : fds)
        close(fd);
}

} // namespace
} // namespace outport::loop::test
