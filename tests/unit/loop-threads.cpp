// SPDX-License-Identifier: Apache-2.0
// Loops and other threads: posts, holders, I/O threads, signals.
#include "host/loop/io-flusher.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/signals.hpp"
#include "tests/unit/loop-support.hpp"

#include <csignal>
#include <fstream>
#include <sys/resource.h>
#include <vector>

namespace outport::loop::test {
namespace {

struct Message : Posted {
    int sender = 0;
    int number = 0;
    int payload = 0;
    struct Inbox* inbox = nullptr;
};

struct Inbox {
    std::vector<int> next; // by sender
    int count = 0;
    bool in_order = true;
    bool payloads_right = true;

    static void receive(Posted* posted) {
        auto* m = static_cast<Message*>(posted);
        m->inbox->in_order &= m->number == m->inbox->next[static_cast<std::size_t>(m->sender)]++;
        m->inbox->payloads_right &= m->payload == m->number * 3;
        ++m->inbox->count;
    }
};

TEST_F(LoopTest, PostsOfManyThreadsAllArriveEachThreadsInOrder) {
    constexpr int kThreads = 4, kEach = 5000;
    Inbox inbox;
    inbox.next.resize(kThreads);
    std::vector<Message> messages(kThreads * kEach);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                Message& m = messages[static_cast<std::size_t>(t * kEach + i)];
                m.fn = Inbox::receive;
                m.inbox = &inbox;
                m.sender = t;
                m.number = i;
                m.payload = i * 3;
                loop_->post(m);
            }
        });
    }
    run_until([&] { return inbox.count == kThreads * kEach; });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_TRUE(inbox.in_order);
    EXPECT_TRUE(inbox.payloads_right);
}

// Each hop finds the other loop asleep, so a lost wake-up would end the test by its time limit.
TEST_F(LoopTest, TwoLoopsWakeEachOther) {
    auto other = IoThread::start("pong");
    ASSERT_TRUE(other);
    constexpr int kRounds = 2000;
    struct Ball : Posted {
        Loop *here, *there;
        int hops = 0;
    } ball;
    ball.here = loop_.get();
    ball.there = &(*other)->loop();
    ball.fn = [](Posted* posted) {
        auto* b = static_cast<Ball*>(posted);
        if (++b->hops == kRounds)
            b->here->stop();
        else
            (Loop::current() == b->here ? b->there : b->here)->post(*b);
    };
    loop_->post(ball);
    EXPECT_EQ(loop_->run(kForEver), 0u);
    EXPECT_EQ(ball.hops, kRounds);
}

TEST_F(LoopTest, AnIdleLoopSleepsOnceUntilItIsWoken) {
    auto thread = IoThread::start("idle");
    ASSERT_TRUE(thread);
    Loop& other = (*thread)->loop();
    struct Ask : Posted {
        Loop* home;
        Loop::Stats stats;
        bool done = false;
    } ask;
    auto ask_once = [&] {
        ask.home = loop_.get();
        ask.done = false;
        ask.fn = [](Posted* posted) {
            auto* a = static_cast<Ask*>(posted);
            a->stats = Loop::current()->stats();
            a->fn = [](Posted* p) { static_cast<Ask*>(p)->done = true; };
            a->home->post(*a);
        };
        other.post(ask);
        run_until([&] { return ask.done; });
        return ask.stats;
    };
    auto first = ask_once();
    for (int i = 0; i < 100; ++i)
        loop_->run_once(false);
    auto second = ask_once();
    EXPECT_LE(second.sleeps - first.sleeps, 1u);
    EXPECT_LE(second.wakes - first.wakes, 1u);
    EXPECT_EQ(second.polls, 0u);
}

TEST_F(LoopTest, RunDoesNotReturnWhileHeld) {
    std::atomic<bool> released{false};
    Message message;
    Inbox inbox;
    inbox.next.resize(1);
    message.inbox = &inbox;
    message.fn = Inbox::receive;
    loop_->hold();
    loop_->stop();
    std::thread thread([&] {
        for (int i = 0; i < 10; ++i)
            std::this_thread::yield();
        released = true;
        loop_->post(message);
        loop_->release();
    });
    EXPECT_EQ(loop_->run(kForEver), 0u);
    EXPECT_TRUE(released);
    EXPECT_EQ(inbox.count, 1);
    thread.join();
}

TEST(IoThreadTest, HasALoopOfItsOwnAndAName) {
    auto thread = IoThread::start("disk0");
    ASSERT_TRUE(thread);
    std::ifstream comm("/proc/self/task/" + std::to_string((*thread)->thread_id()) + "/comm");
    std::string name;
    std::getline(comm, name);
    EXPECT_EQ(name, "IO disk0");
    std::atomic<int> ran_on{0};
    (*thread)->run_on([&] { ran_on = gettid(); });
    (*thread)->run_on([&] { EXPECT_EQ(Loop::current(), &(*thread)->loop()); });
    set_io_flusher_on((*thread)->loop());
    EXPECT_EQ((*thread)->join(), 0u); // what was posted before runs before the end
    EXPECT_EQ(ran_on, (*thread)->thread_id());
    EXPECT_EQ(Loop::current(), nullptr);
}

TEST(IoThreadTest, StartsAndStopsManyTimes) {
    for (int i = 0; i < 40; ++i) {
        auto a = IoThread::start("a");
        auto b = IoThread::start("b");
        ASSERT_TRUE(a && b);
        Loop& to = (*b)->loop();
        (*a)->run_on([&to] { run_on(to, [] {}); });
        EXPECT_EQ((*a)->join(), 0u);
    }
}

TEST(IoThreadTest, SaysWhyItDoesNotStart) {
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none{0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    auto thread = IoThread::start("x");
    setrlimit(RLIMIT_NOFILE, &before);
    ASSERT_FALSE(thread);
    EXPECT_EQ(thread.error().errno_value, EMFILE);
}

TEST_F(LoopTest, AnIoThreadTellsWhenItHasStopped) {
    auto thread = IoThread::start("x");
    ASSERT_TRUE(thread);
    struct Stopped : Posted {
        bool came = false;
    } stopped;
    stopped.fn = [](Posted* p) { static_cast<Stopped*>(p)->came = true; };
    (*thread)->request_stop(*loop_, stopped);
    run_until([&] { return stopped.came; });
    EXPECT_EQ((*thread)->join(), 0u);
}

TEST_F(LoopTest, SignalsComeAsEvents) {
    block_signals();
    std::vector<int> got;
    auto router = SignalRouter::start(*loop_, [&](int signal) { got.push_back(signal); });
    ASSERT_TRUE(router);
    for (int signal : {SIGTERM, SIGHUP, SIGINT}) {
        raise(signal);
        run_until([&] { return !got.empty() && got.back() == signal; });
    }
    EXPECT_EQ(got.size(), 3u);
    raise(SIGPIPE); // is ignored
    (*router)->close();
    run_until([&] { return loop_->in_flight() == 0; });
    router->reset();
    unblock_signals();
}

TEST(PollBudgetTest, GrowsWhenEventsComeSoonAndShrinksWhenTheyDont) {
    PollBudget budget(PollLimits{32768, 0, 0});
    EXPECT_EQ(budget.current_ns(), 0u);
    budget.waited(20000);
    EXPECT_EQ(budget.current_ns(), kPollFirstNs);
    budget.waited(20000);
    EXPECT_EQ(budget.current_ns(), 2 * kPollFirstNs);
    budget.waited(5000); // within what is polled
    EXPECT_EQ(budget.current_ns(), 2 * kPollFirstNs);
    for (int i = 0; i < 9; ++i)
        budget.waited(32768);
    EXPECT_EQ(budget.current_ns(), 32768u);
    budget.waited(1'000'000'000); // idle
    EXPECT_EQ(budget.current_ns(), 0u);

    budget.set_limits(PollLimits{100000, 10, 4});
    budget.waited(50000);
    budget.waited(50000);
    EXPECT_EQ(budget.current_ns(), 10 * kPollFirstNs);
    budget.waited(200000);
    EXPECT_EQ(budget.current_ns(), 10 * kPollFirstNs / 4);
    budget.set_limits(PollLimits{0, 0, 0});
    budget.waited(10);
    EXPECT_EQ(budget.current_ns(), 0u);
}

class PollingLoopTest : public LoopTest {
  protected:
    static LoopOptions options() {
        LoopOptions o;
        o.poll.max_ns = 60'000'000'000; // never the limit in this test
        o.poll.grow = 1'000'000;
        return o;
    }
    PollingLoopTest() : LoopTest(options()) {}
};

// Once a wait was short, the loop finds the next events by polling, and does not sleep.
TEST_F(PollingLoopTest, FindsKernelEventsAndPostsWithoutSleeping) {
    Timer soon{[](Timer*) {}};
    for (int i = 0; i < 3; ++i) {
        loop_->arm_after(soon, 10'000);
        run_until([&] { return !soon.armed(); });
    }
    auto sleeps = loop_->stats().sleeps;
    EXPECT_GE(loop_->stats().polls, 1u);
    SocketPair pair;
    char byte;
    Op op;
    Message message;
    Inbox inbox;
    inbox.next.resize(1);
    message.inbox = &inbox;
    message.fn = Inbox::receive;
    loop_->recv(op.completion, pair.fds[0], &byte, 1);
    std::thread thread([&] {
        EXPECT_EQ(::write(pair.fds[1], "x", 1), 1);
        loop_->post(message);
    });
    run_until([&] { return op.done() && inbox.count; });
    thread.join();
    EXPECT_EQ(loop_->stats().sleeps, sleeps);
}

} // namespace
} // namespace outport::loop::test
