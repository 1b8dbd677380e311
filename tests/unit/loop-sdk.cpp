// SPDX-License-Identifier: Apache-2.0
// The SDK's tables loop, uring and blocking, called as a plugin would.
#include "host/base/sdk-handles.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/poison.hpp"
#include "host/loop/sdk-tables.hpp"
#include "host/loop/uring-policy.hpp"
#include "tests/unit/loop-support.hpp"

#include <outport/plugin.h>

#include <array>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <semaphore>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace outport::loop::test {
namespace {

BlockingOwner g_owner{"plugin test"};

struct PluginOp : outport_loop_op {
    int calls = 0;
    std::int32_t result = 0;
    PluginOp() {
        std::memset(host, 0xa5, sizeof host); // need not be initialised
        complete = [](outport_loop_op* op, std::int32_t r) noexcept {
            auto* self = static_cast<PluginOp*>(op);
            ++self->calls;
            self->result = r;
        };
    }
};

struct PluginEntry : outport_uring_completion {
    int calls = 0;
    std::int32_t result = 0;
    std::uint32_t flags = 0;
    PluginEntry() {
        std::memset(host, 0xa5, sizeof host);
        complete = [](outport_uring_completion* c, std::int32_t r, std::uint32_t f) noexcept {
            auto* self = static_cast<PluginEntry*>(c);
            ++self->calls;
            self->result = r;
            self->flags = f;
        };
    }
};

class SdkTest : public LoopTest {
  protected:
    SdkTest() {
        provide_sdk_services(
            {loop_.get(), &pool_, [](const outport_host*) -> BlockingOwner& { return g_owner; }});
        l_ = to_abi(*loop_);
    }

    void wait_for(PluginOp& op) {
        run_until([&] { return op.calls; });
    }
    std::vector<io_uring_sqe*> reserve(std::uint32_t count) {
        std::vector<void*> entries(count);
        EXPECT_EQ(kUringTable.reserve(l_, count, entries.data()), OUTPORT_OK);
        std::vector<io_uring_sqe*> sqes;
        for (void* entry : entries)
            sqes.push_back(static_cast<io_uring_sqe*>(entry));
        return sqes;
    }
    // Commits one entry that `fill` filled in, waits, and returns its result.
    template <class Fill> std::int32_t result_of(Fill fill) {
        PluginEntry entry;
        fill(*reserve(1)[0]);
        commit({&entry});
        run_until([&] { return entry.calls; });
        EXPECT_EQ(entry.calls, 1);
        return entry.result;
    }
    void commit(std::vector<outport_uring_completion*> completions) {
        kUringTable.commit(l_, static_cast<std::uint32_t>(completions.size()), completions.data());
    }

    BlockingPool pool_;
    outport_loop* l_ = nullptr;
};

TEST_F(SdkTest, ReadAndWrite) {
    int fd = memfd_create("sdk", MFD_CLOEXEC);
    char data[] = "hello world", back[16] = {};
    outport_iovec out[] = {{reinterpret_cast<std::uint64_t>(data), 5},
                           {reinterpret_cast<std::uint64_t>(data + 5), 6}};
    outport_iovec in = {reinterpret_cast<std::uint64_t>(back), sizeof back};
    PluginOp write, read, refused;
    kLoopTable.write(l_, &write, fd, out, 2, 100);
    EXPECT_EQ(write.calls, 0);
    wait_for(write);
    EXPECT_EQ(write.result, 11);
    kLoopTable.read(l_, &read, fd, &in, 1, 100);
    wait_for(read);
    EXPECT_EQ(read.result, 11);
    EXPECT_STREQ(back, "hello world");
    kLoopTable.read(l_, &refused, fd, &in, 1025, 0);
    EXPECT_EQ(refused.calls, 0);
    wait_for(refused);
    EXPECT_EQ(refused.result, -EINVAL);
    ::close(fd);
}

TEST_F(SdkTest, SendReceivePollAndCancel) {
    SocketPair pair;
    char data[] = "abc", back[8] = {};
    outport_iovec out = {reinterpret_cast<std::uint64_t>(data), 3};
    PluginOp recv, send, poll, bad;
    kLoopTable.recv(l_, &recv, pair.fds[1], back, sizeof back, 0);
    kLoopTable.send(l_, &send, pair.fds[0], &out, 1, MSG_WAITALL);
    run_until([&] { return recv.calls && send.calls; });
    EXPECT_EQ(recv.result, 3);
    EXPECT_EQ(send.result, 3);
    EXPECT_STREQ(back, "abc");
    kLoopTable.poll(l_, &poll, pair.fds[1], POLLOUT);
    wait_for(poll);
    EXPECT_EQ(poll.result, POLLOUT);
    kLoopTable.poll(l_, &bad, pair.fds[1], 1u << 31); // edge-triggered: not a POLL value
    wait_for(bad);
    EXPECT_EQ(bad.result, -EINVAL);
    kLoopTable.recv(l_, &recv, pair.fds[1], back, sizeof back, 0);
    kLoopTable.cancel(l_, &recv);
    run_until([&] { return recv.calls == 2; });
    EXPECT_EQ(recv.result, -ECANCELED);
    kLoopTable.cancel(l_, &recv); // is not running
    PluginOp never;
    kLoopTable.cancel(l_, &never); // never was
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_F(SdkTest, TimersPostsDeferAndYield) {
    PluginOp timer, cancelled, post, defer, yield;
    kLoopTable.timer(l_, &timer, 1000);
    kLoopTable.timer(l_, &cancelled, UINT64_MAX);
    kLoopTable.cancel(l_, &cancelled);
    EXPECT_EQ(cancelled.calls, 0); // not inside the call
    kLoopTable.post(l_, &post);
    kLoopTable.defer(l_, &defer);
    kLoopTable.yield(l_, &yield);
    loop_->run_once(true);
    EXPECT_EQ(post.calls + defer.calls + yield.calls + cancelled.calls, 4);
    EXPECT_EQ(cancelled.result, -ECANCELED);
    wait_for(timer);
    EXPECT_EQ(timer.result, 0);
    std::uint64_t before = now_ns();
    std::uint64_t now = kLoopTable.now(l_);
    EXPECT_LE(now, now_ns());
    loop_->run_once(false);
    EXPECT_GE(kLoopTable.now(l_), before);
    EXPECT_EQ(kLoopTable.main_loop(nullptr), l_);
}

TEST_F(SdkTest, InfoSaysWhatTheRingCanDoAndWritesNoMoreThanAsked) {
    outport_uring_info info;
    std::memset(&info, 0x77, sizeof info);
    info.struct_size = 12;
    kUringTable.get_info(l_, &info);
    EXPECT_EQ(info.struct_size, 12u);
    EXPECT_EQ(info.entry_size, 128u);
    EXPECT_EQ(info.ring_flags, loop_->ring().setup_flags());
    EXPECT_EQ(info.ring_features, 0x77777777u);
    info.struct_size = sizeof info;
    kUringTable.get_info(l_, &info);
    EXPECT_TRUE(info.opcodes[0] >> IORING_OP_READ & 1);
    EXPECT_GE(info.max_reservation, 2u);
    void* entries[2];
    EXPECT_EQ(kUringTable.reserve(l_, 0, entries), OUTPORT_INVALID);
    EXPECT_EQ(kUringTable.reserve(l_, info.max_reservation + 1, entries), OUTPORT_INVALID);
}

TEST_F(SdkTest, EntriesGoOutAtCommitWithTheHostsUserData) {
    PluginEntry first, second;
    auto sqes = reserve(2);
    void* more[1];
    EXPECT_EQ(kUringTable.reserve(l_, 1, more), OUTPORT_AGAIN); // one reservation at a time
    for (io_uring_sqe* sqe : sqes) {
        for (std::size_t i = 0; i < 128; ++i)
            ASSERT_EQ(reinterpret_cast<unsigned char*>(sqe)[i], 0);
        sqe->opcode = IORING_OP_NOP;
        sqe->user_data = 0x1234567;
    }
    std::vector<Op> fill(loop_->max_chain() * 2); // whatever else is sent meanwhile, they stay behind
    for (Op& op : fill)
        loop_->nop(op.completion);
    commit({&first, &second});
    EXPECT_EQ(first.calls, 0);
    run_until([&] { return first.calls && second.calls; });
    EXPECT_EQ(first.result + second.result, 0);
    run_until([&] { return loop_->in_flight() == 0; });
    auto again = reserve(1); // zeroed anew
    for (std::size_t i = 0; i < 128; ++i)
        ASSERT_EQ(reinterpret_cast<unsigned char*>(again[0])[i], 0);
    commit({&first});
    run_until([&] { return first.calls == 2; });
}

TEST_F(SdkTest, ALinkOnTheLastEntryDoesNotReachTheNextOwner) {
    for (std::uint8_t link : {IOSQE_IO_LINK, IOSQE_IO_HARDLINK}) {
        PluginEntry entry;
        io_uring_sqe* sqe = reserve(1)[0];
        sqe->opcode = IORING_OP_READ; // of no descriptor: fails
        sqe->fd = -1;
        sqe->flags = link;
        commit({&entry});
        Op next;
        loop_->nop(next.completion);
        run_until([&] { return entry.calls && next.calls; });
        EXPECT_EQ(entry.result, -EBADF);
        EXPECT_EQ(next.result, 0);
    }
}

TEST_F(SdkTest, AChainInsideOneCommitIsAChain) {
    PluginEntry first, second;
    auto sqes = reserve(2);
    sqes[0]->opcode = IORING_OP_READ;
    sqes[0]->fd = -1;
    sqes[0]->flags = IOSQE_IO_LINK;
    sqes[1]->opcode = IORING_OP_NOP;
    commit({&first, &second});
    run_until([&] { return first.calls && second.calls; });
    EXPECT_EQ(first.result, -EBADF);
    EXPECT_EQ(second.result, -ECANCELED);
}

TEST_F(SdkTest, ARefusedEntryTakesItsChainWithIt) {
    PluginEntry first, second;
    int fd = memfd_create("sdk", MFD_CLOEXEC);
    auto sqes = reserve(2);
    sqes[0]->opcode = IORING_OP_MSG_RING;
    sqes[0]->flags = IOSQE_IO_LINK;
    sqes[1]->opcode = IORING_OP_FALLOCATE;
    sqes[1]->fd = fd;
    sqes[1]->addr = 4096; // the length
    commit({&first, &second});
    run_until([&] { return first.calls && second.calls; });
    EXPECT_EQ(first.result, -EINVAL);
    EXPECT_EQ(second.result, -ECANCELED);
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 0);
    ::close(fd);
}

TEST_F(SdkTest, RefusesFlagsThatConcernOthers) {
    for (unsigned flag :
         {IOSQE_IO_DRAIN, IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_BUFFER_SELECT, 0x80u}) {
        EXPECT_EQ(result_of([&](io_uring_sqe& sqe) { sqe.flags = static_cast<std::uint8_t>(flag); }), -EINVAL)
            << flag;
    }
    EXPECT_EQ(result_of([](io_uring_sqe& sqe) { sqe.personality = 1; }), -EINVAL);
    EXPECT_EQ(result_of([](io_uring_sqe& sqe) { sqe.flags = IOSQE_ASYNC; }), 0); // a no-op otherwise
}

TEST_F(SdkTest, RefusesOperationsThatReachBeyondThePluginsOwn) {
    SocketPair pair;
    char byte;
    Op mine; // which none of them may touch
    loop_->recv(mine.completion, pair.fds[0], &byte, 1);
    loop_->run_once(false);
    for (std::uint8_t opcode : {IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_REMOVE, IORING_OP_TIMEOUT_REMOVE,
                                IORING_OP_FILES_UPDATE, IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS,
                                IORING_OP_MSG_RING, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED}) {
        auto fill = [&](io_uring_sqe& sqe) {
            sqe.opcode = opcode;
            sqe.addr = reinterpret_cast<std::uint64_t>(&mine.completion);
        };
        EXPECT_EQ(result_of(fill), -EINVAL) << int(opcode);
    }
    auto any = [](io_uring_sqe& sqe) {
        sqe.opcode = IORING_OP_ASYNC_CANCEL;
        sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    };
    EXPECT_EQ(result_of(any), -EINVAL);
    EXPECT_EQ(result_of([](io_uring_sqe& sqe) { sqe.opcode = 200; }), -EINVAL);
    EXPECT_TRUE(mine.completion.in_flight());
    EXPECT_EQ(::write(pair.fds[1], "x", 1), 1);
    run_until([&] { return mine.done(); });
    EXPECT_EQ(mine.result, 1);
}

TEST_F(SdkTest, RefusesTheRingsTables) {
    for (std::uint8_t opcode :
         {IORING_OP_ACCEPT, IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_SOCKET, IORING_OP_CLOSE}) {
        auto fill = [&](io_uring_sqe& sqe) {
            sqe.opcode = opcode;
            sqe.fd = -1;
            sqe.file_index = 1;
        };
        EXPECT_EQ(result_of(fill), -EINVAL) << int(opcode);
    }
    auto send = [](io_uring_sqe& sqe) {
        sqe.opcode = IORING_OP_SEND_ZC;
        sqe.ioprio = IORING_RECVSEND_FIXED_BUF;
        sqe.fd = -1;
    };
    EXPECT_EQ(result_of(send), -EINVAL);
    auto splice = [](io_uring_sqe& sqe) {
        sqe.opcode = IORING_OP_SPLICE;
        sqe.splice_flags = 1u << 31;
        sqe.fd = -1;
        sqe.splice_fd_in = -1;
    };
    EXPECT_EQ(result_of(splice), -EINVAL);
}

TEST_F(SdkTest, AMultishotEntryIsThePluginsAgainAfterItsLastCompletion) {
    SocketPair pair;
    PluginEntry entry;
    io_uring_sqe* sqe = reserve(1)[0];
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = pair.fds[0];
    sqe->len = IORING_POLL_ADD_MULTI;
    sqe->poll32_events = POLLIN;
    commit({&entry});
    for (int round = 1; round <= 2; ++round) {
        EXPECT_EQ(::write(pair.fds[1], "x", 1), 1);
        run_until([&] { return entry.calls == round; });
        EXPECT_TRUE(entry.flags & IORING_CQE_F_MORE);
    }
    kUringTable.cancel(l_, &entry);
    run_until([&] { return entry.calls == 3; });
    EXPECT_EQ(entry.result, -ECANCELED);
    EXPECT_FALSE(entry.flags & IORING_CQE_F_MORE);
    kUringTable.cancel(l_, &entry); // is not running
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_F(SdkTest, WaitersForRoomHaveTheirTurn) {
    PluginEntry first, second;
    kUringTable.wait(l_, &first);
    kUringTable.wait(l_, &second);
    EXPECT_EQ(first.calls, 0);
    run_until([&] { return second.calls; });
    EXPECT_EQ(first.calls, 1);
    EXPECT_EQ(first.result, 0);
}

// The kernel itself refuses a personality that nobody has registered.
TEST(UringPolicy, RefusesPersonalitiesAndAllowsOrdinaryOperations) {
    io_uring_sqe sqe{};
    for (std::uint8_t opcode : {IORING_OP_NOP, IORING_OP_READ, IORING_OP_WRITEV, IORING_OP_URING_CMD,
                                IORING_OP_SEND_ZC, IORING_OP_ACCEPT, IORING_OP_LINK_TIMEOUT}) {
        sqe.opcode = opcode;
        sqe.personality = 0;
        EXPECT_EQ(refusal(sqe), nullptr) << int(opcode);
        sqe.personality = 1;
        EXPECT_NE(refusal(sqe), nullptr) << int(opcode);
    }
}

struct PluginJob : outport_blocking_job {
    bool ran_on_pool = false;
    bool finished = false;
    PluginJob() {
        std::memset(host, 0xa5, sizeof host);
        what = "mount of /x";
        status = 77;
        run = [](outport_blocking_job* job) noexcept {
            static_cast<PluginJob*>(job)->ran_on_pool = BlockingPool::on_pool_thread();
        };
        done = [](outport_blocking_job* job) noexcept { static_cast<PluginJob*>(job)->finished = true; };
    }
};

TEST_F(SdkTest, BlockingJobs) {
    static std::string message;
    outport_host host{};
    host.set_error = [](outport_error*, const char* text, std::uint64_t length, const char*,
                        std::uint64_t) noexcept { message.assign(text, length); };
    auto* error = reinterpret_cast<outport_error*>(&host); // only passed on
    PluginJob job, refused;
    ASSERT_EQ(kBlockingTable.submit(&host, l_, OUTPORT_BLOCKING_CONTROL, &job, error), OUTPORT_OK);
    run_until([&] { return job.finished; });
    EXPECT_TRUE(job.ran_on_pool);
    EXPECT_EQ(job.status, 0);
    EXPECT_EQ(kBlockingTable.submit(&host, l_, 1, &refused, error), OUTPORT_INVALID);
    EXPECT_EQ(message, "Unknown class of a blocking job");
    pool_.shutdown(kForEver);
    EXPECT_EQ(kBlockingTable.submit(&host, l_, OUTPORT_BLOCKING_DATA, &refused, error), OUTPORT_BUSY);
    EXPECT_EQ(message, "The process is shutting down");
    EXPECT_EQ(kBlockingTable.submit(&host, l_, OUTPORT_BLOCKING_DATA, &refused, nullptr), OUTPORT_BUSY);
}

struct GatedJob : PluginJob {
    static inline std::counting_semaphore<> gate{0};
    GatedJob() {
        run = [](outport_blocking_job*) noexcept { gate.acquire(); };
    }
};

TEST_F(SdkTest, ABlockingJobThatWaitsCanBeCancelled) {
    outport_host host{};
    std::array<GatedJob, 16> jobs; // more than a plugin's share of the threads
    for (auto& job : jobs)
        ASSERT_EQ(kBlockingTable.submit(&host, l_, OUTPORT_BLOCKING_DATA, &job, nullptr), OUTPORT_OK);
    kBlockingTable.cancel(&jobs.back());
    EXPECT_FALSE(jobs.back().finished) << "not inside the call";
    run_until([&] { return jobs.back().finished; });
    EXPECT_EQ(jobs.back().status, -ECANCELED);
    GatedJob::gate.release(jobs.size() - 1);
    for (auto& job : jobs)
        run_until([&] { return job.finished; });
    EXPECT_EQ(jobs.front().status, 0);
}

// What it counts while its callback runs.
struct CountingOp : outport_loop_op {
    static inline outport_loop* loop = nullptr;
    static inline std::vector<std::uint64_t> seen;
    CountingOp() {
        complete = [](outport_loop_op*, std::int32_t) noexcept { seen.push_back(loop->in_flight()); };
    }
};

TEST_F(SdkTest, WhatIsInFlightIsCountedUntilItsCallbackHasReturned) {
    CountingOp::loop = l_;
    CountingOp::seen.clear();
    CountingOp post, timer, cancelled, yielded;
    PluginEntry entry, waiter;
    kLoopTable.post(l_, &post);
    kLoopTable.timer(l_, &timer, 1);
    kLoopTable.timer(l_, &cancelled, UINT64_MAX);
    kLoopTable.cancel(l_, &cancelled);
    kLoopTable.yield(l_, &yielded);
    reserve(1)[0]->opcode = IORING_OP_NOP;
    commit({&entry});
    kUringTable.wait(l_, &waiter);
    EXPECT_EQ(l_->in_flight(), 6u);
    run_until([&] { return CountingOp::seen.size() == 4 && entry.calls && waiter.calls; });
    for (auto count : CountingOp::seen)
        EXPECT_GE(count, 1u);
    EXPECT_EQ(l_->in_flight(), 0u);
}

// One is always in flight on one of two loops: each begins the next one and ends then.
TEST(LoopHandle, AChainOfOperationsIsNeverMissed) {
    sdk::HostContext context;
    auto* first = context.handle_of(reinterpret_cast<Loop*>(1));
    auto* second = context.handle_of(reinterpret_cast<Loop*>(2));
    std::atomic<bool> stop{false};
    first->begin();
    std::thread chain([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            second->begin_post();
            first->end();
            second->begin();
            second->end_post();
            first->begin();
            second->end();
        }
    });
    std::uint64_t missed = 0;
    const std::uint64_t end =
        now_ns() + 500'000'000; // long enough for one that is wrong to be noticed mostly
    while (now_ns() < end)
        for (int i = 0; i < 1000; ++i)
            missed += context.operations() == 0;
    stop = true;
    chain.join();
    EXPECT_EQ(missed, 0u);
    first->end();
    EXPECT_EQ(context.operations(), 0u);
}

#ifdef OUTPORT_ASAN
TEST_F(SdkTest, AReadTargetIsPoisonedWhileTheKernelMayWriteIt) {
    SocketPair pair;
    alignas(16) static char back[32];
    PluginOp recv;
    kLoopTable.recv(l_, &recv, pair.fds[0], back, sizeof back, 0);
    EXPECT_TRUE(__asan_address_is_poisoned(back));
    kLoopTable.cancel(l_, &recv);
    wait_for(recv);
    EXPECT_FALSE(__asan_address_is_poisoned(back));
}
#endif

} // namespace
} // namespace outport::loop::test
