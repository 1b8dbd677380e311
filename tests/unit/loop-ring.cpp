// SPDX-License-Identifier: Apache-2.0
// Full queues, chains, entries that complete more than once, cancelling, and rings that cannot be had.
#include "tests/unit/loop-support.hpp"

#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <vector>

namespace outport::loop::test {
namespace {

class TinyLoopTest : public LoopTest {
  protected:
    TinyLoopTest() : LoopTest(tiny_options()) {}
};

// A read that fails at once, then a no-op that depends on it.
void make_chain(Loop& loop, Op& head, Op& tail) {
    io_uring_sqe* first = loop.entry(head.completion);
    io_uring_prep_read(first, -1, nullptr, 0, 0);
    first->flags |= IOSQE_IO_LINK;
    io_uring_prep_nop(loop.entry(tail.completion));
}

TEST_F(TinyLoopTest, MoreEntriesThanTheQueueHoldsInOneTurn) {
    std::vector<Op> ops(50);
    for (Op& op : ops)
        loop_->nop(op.completion);
    EXPECT_GE(loop_->stats().flushes, 11u);
    for (Op& op : ops)
        EXPECT_EQ(op.calls, 0); // not called back from inside nop()
    run_until([&] { return loop_->in_flight() == 0; });
    for (Op& op : ops)
        EXPECT_EQ(op.calls, 1);
}

TEST_F(TinyLoopTest, MoreCompletionsThanTheQueueHolds) {
    constexpr int kCount = 3000; // the queue holds 8
    std::vector<Op> ops(kCount);
    for (Op& op : ops)
        loop_->nop(op.completion);
    run_until([&] { return loop_->in_flight() == 0; });
    for (Op& op : ops)
        EXPECT_EQ(op.calls, 1);
}

TEST_F(TinyLoopTest, AChainIsNotTornByAFullQueue) {
    Op fill[3], head, tail;
    for (Op& op : fill)
        loop_->nop(op.completion);
    loop_->make_room(2);
    make_chain(*loop_, head, tail);
    run_until([&] { return loop_->in_flight() == 0; });
    EXPECT_EQ(head.result, -EBADF);
    EXPECT_EQ(tail.result, -ECANCELED);
}

TEST_F(LoopTest, EntriesAreZeroedWhenTheyAreReused) {
    Op op;
    for (std::uint32_t i = 0; i < loop_->max_chain() + 1; ++i) {
        io_uring_sqe* sqe = loop_->entry(op.completion);
        auto* bytes = reinterpret_cast<unsigned char*>(sqe);
        sqe->user_data = 0;
        for (std::uint32_t at = 0; at < loop_->ring().entry_size(); ++at)
            ASSERT_EQ(bytes[at], 0) << "entry " << i << " byte " << at;
        sqe->user_data = reinterpret_cast<std::uint64_t>(&op.completion);
        sqe->addr = sqe->off = ~0ull; // a no-op does not mind
        std::memset(bytes + 64, 0xff, 64);
        run_until([&] { return !op.completion.in_flight(); });
    }
}

TEST_F(LoopTest, EntriesAreWideUnlessAskedOtherwise) {
    EXPECT_EQ(loop_->ring().entry_size(), 128u);
    EXPECT_TRUE(loop_->ring().setup_flags() & IORING_SETUP_SQE128);
    EXPECT_TRUE(loop_->ring().knows(IORING_OP_READ));
    EXPECT_FALSE(loop_->ring().knows(255));
    loop_.reset();
    LoopOptions narrow;
    narrow.ring.wide_entries = false;
    auto other = Loop::create(narrow);
    ASSERT_TRUE(other);
    EXPECT_EQ((*other)->ring().entry_size(), 64u);
    Op op;
    (*other)->nop(op.completion);
    while (!op.calls)
        (*other)->run_once(true);
}

TEST_F(LoopTest, AMultishotEntryBelongsToTheLoopUntilItsLastCompletion) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    Op op;
    loop_->poll_multishot(op.completion, fd, POLLIN);
    for (int round = 1; round <= 3; ++round) {
        ASSERT_EQ(eventfd_write(fd, 1), 0);
        run_until([&] { return op.calls == round; });
        EXPECT_TRUE(op.flags & IORING_CQE_F_MORE);
        EXPECT_EQ(op.result, POLLIN);
        EXPECT_TRUE(op.completion.in_flight());
        EXPECT_EQ(loop_->in_flight(), 1u);
    }
    loop_->cancel(op.completion);
    run_until([&] { return op.done(); });
    EXPECT_EQ(op.calls, 4);
    EXPECT_EQ(op.result, -ECANCELED);
    EXPECT_EQ(loop_->in_flight(), 0u);
    ::close(fd);
}

// The second completion says that the kernel no longer reads the buffer.
TEST_F(LoopTest, AZeroCopySendCompletesTwice) {
    if (!loop_->ring().knows(IORING_OP_SEND_ZC))
        GTEST_SKIP() << "this kernel has no zero-copy send";
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Op connecting, accepting, sending, receiving;
    loop_->accept(accepting.completion, listener);
    loop_->connect(connecting.completion, client, reinterpret_cast<sockaddr*>(&address), size);
    run_until([&] { return loop_->in_flight() == 0; });
    ASSERT_EQ(connecting.result, 0);
    ASSERT_GE(accepting.result, 0);
    EXPECT_TRUE(fcntl(accepting.result, F_GETFD) & FD_CLOEXEC);

    std::vector<char> data(65536, 'x'), got(data.size());
    io_uring_prep_send_zc(loop_->entry(sending.completion), client, data.data(), data.size(), MSG_WAITALL, 0);
    loop_->recv(receiving.completion, accepting.result, got.data(), static_cast<std::uint32_t>(got.size()),
                MSG_WAITALL);
    run_until([&] { return sending.done() && receiving.done(); });
    EXPECT_EQ(sending.calls, 2);
    EXPECT_TRUE(sending.flags & IORING_CQE_F_NOTIF);
    EXPECT_EQ(got, data);
    for (int fd : {listener, client, accepting.result})
        loop_->close(fd);
}

TEST_F(LoopTest, CancelTakesBackOneOperationOnly) {
    SocketPair pair;
    char bytes[2];
    Op first, second;
    loop_->recv(first.completion, pair.fds[0], bytes, 1);
    loop_->recv(second.completion, pair.fds[1], bytes + 1, 1);
    loop_->run_once(false);
    loop_->cancel(first.completion);
    run_until([&] { return first.done(); });
    EXPECT_EQ(first.result, -ECANCELED);
    EXPECT_TRUE(second.completion.in_flight());
    loop_->cancel(first.completion); // is not in flight: nothing happens
    ASSERT_EQ(::write(pair.fds[0], "x", 1), 1);
    run_until([&] { return second.done(); });
    EXPECT_EQ(second.result, 1);
}

TEST_F(LoopTest, CancelReachesWhatTheKernelHasNotSeenYet) {
    SocketPair pair;
    char byte;
    Op op;
    loop_->recv(op.completion, pair.fds[0], &byte, 1);
    loop_->cancel(op.completion);
    run_until([&] { return op.done(); });
    EXPECT_EQ(op.result, -ECANCELED);
}

TEST_F(LoopTest, ACallbackMayDestroyItsOwner) {
    struct Suicide {
        bool& gone;
        Completion completion{
            [](Completion* c, std::int32_t, std::uint32_t) { delete owner_of(c, &Suicide::completion); }};
        ~Suicide() { gone = true; }
    };
    bool gone = false;
    auto* object = new Suicide{gone};
    loop_->nop(object->completion);
    run_until([&] { return gone; });
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST(LoopSetup, AFailureNamesTheCause) {
    EXPECT_NE(explain_setup_failure(ENOSYS).hint.find("CONFIG_IO_URING"), std::string::npos);
    EXPECT_NE(explain_setup_failure(EPERM).hint.find("seccomp"), std::string::npos);
    EXPECT_NE(explain_setup_failure(ENOMEM).hint.find("RLIMIT_MEMLOCK"), std::string::npos);
    EXPECT_NE(explain_setup_failure(EMFILE).hint.find("RLIMIT_NOFILE"), std::string::npos);
    EXPECT_NE(explain_setup_failure(EINVAL).hint.find("6.1"), std::string::npos);
    for (int number : {ENOSYS, EPERM, ENOMEM, EMFILE, ENFILE, EINVAL, EIO})
        EXPECT_EQ(explain_setup_failure(number).errno_value, number);
}

TEST(LoopSetup, NoDescriptorLeft) {
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none{0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    auto loop = Loop::create();
    setrlimit(RLIMIT_NOFILE, &before);
    ASSERT_FALSE(loop);
    EXPECT_EQ(loop.error().errno_value, EMFILE);
    EXPECT_EQ(Loop::current(), nullptr);
}

} // namespace
} // namespace outport::loop::test
