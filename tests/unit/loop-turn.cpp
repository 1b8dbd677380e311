// SPDX-License-Identifier: Apache-2.0
// What happens in one turn of a loop, and in which order.
#include "tests/unit/loop-support.hpp"

#include <string>
#include <vector>

namespace outport::loop::test {
namespace {

struct Recorder : Task {
    std::string* log;
    char letter;
    std::move_only_function<void()> more;

    Recorder(std::string& l, char c) : log(&l), letter(c) {
        fn = [](Task* task) {
            auto* self = static_cast<Recorder*>(task);
            *self->log += self->letter;
            if (self->more)
                self->more();
        };
    }
};

TEST_F(LoopTest, CompletesInALaterTurnNeverInsideTheCall) {
    Op op;
    loop_->nop(op.completion);
    EXPECT_EQ(op.calls, 0);
    EXPECT_TRUE(op.completion.in_flight());
    EXPECT_EQ(loop_->in_flight(), 1u);
    run_until([&] { return op.calls; });
    EXPECT_EQ(op.result, 0);
    EXPECT_FALSE(op.completion.in_flight());
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_F(LoopTest, OneSystemCallCarriesAllThatOneTurnMade) {
    std::vector<Op> ops(100);
    loop_->run_once(false);
    auto before = loop_->stats().enters;
    for (Op& op : ops)
        loop_->nop(op.completion);
    loop_->run_once(true);
    loop_->run_once(false);
    EXPECT_EQ(loop_->stats().enters - before, 1u);
    for (Op& op : ops)
        EXPECT_EQ(op.calls, 1);
}

// One system call hands over what was asked for and waits for it; none is made once it is there.
TEST_F(LoopTest, RunUntilSubmitsAndSleepsInOneSystemCall) {
    loop_->run_once(false);
    auto before = loop_->stats().enters;
    Op first, second;
    loop_->nop(first.completion);
    loop_->run_until([&] { return first.calls; });
    EXPECT_EQ(loop_->stats().enters - before, 1u);
    loop_->nop(second.completion);
    loop_->run_until([&] { return second.calls; });
    EXPECT_EQ(loop_->stats().enters - before, 2u);
}

TEST_F(LoopTest, StepsOfATurnComeInOrder) {
    std::string log;
    struct Step {
        std::string& log;
        Completion completion{
            [](Completion* c, std::int32_t, std::uint32_t) { owner_of(c, &Step::completion)->log += 'c'; }};
        Timer timer{[](Timer* t) { owner_of(t, &Step::timer)->log += 't'; }};
        Posted posted{[](Posted* p) { owner_of(p, &Step::posted)->log += 'p'; }};
    } step{log};
    Recorder ready(log, 'r'), deferred(log, 'd');

    loop_->nop(step.completion);
    loop_->run_once(false); // now it is in the completion queue
    loop_->defer(deferred);
    loop_->make_ready(ready);
    loop_->post(step.posted);
    loop_->arm(step.timer, 0);
    loop_->run_once(false);
    EXPECT_EQ(log, "ctprd");
}

TEST_F(LoopTest, ReadyTasksAreServedOnceATurnFirstInFirstOut) {
    std::string log;
    Recorder a(log, 'a'), b(log, 'b'), c(log, 'c');
    a.more = [&] { loop_->make_ready(a); };
    loop_->make_ready(a);
    loop_->make_ready(b);
    loop_->make_ready(b); // is queued already
    loop_->run_once(true);
    EXPECT_EQ(log, "ab");
    loop_->make_ready(c);
    loop_->run_once(true);
    EXPECT_EQ(log, "abac");
    EXPECT_EQ(loop_->stats().sleeps, 0u); // a is always ready
    a.dequeue();
}

TEST_F(LoopTest, ATaskThatDiesWhileReadyIsForgotten) {
    std::string log;
    Recorder a(log, 'a'), c(log, 'c');
    auto b = std::make_unique<Recorder>(log, 'b');
    a.more = [&] { b.reset(); };
    loop_->make_ready(a);
    loop_->make_ready(*b);
    loop_->make_ready(c);
    loop_->run_once(true);
    EXPECT_EQ(log, "ac");
}

TEST_F(LoopTest, YieldComesInTheNextTurnBehindWhatIsReady) {
    std::string log;
    Recorder a(log, 'a'), b(log, 'b'), c(log, 'c');
    loop_->yield(a);
    b.more = [&] {
        loop_->yield(b);
        loop_->make_ready(c);
        b.more = nullptr;
    };
    loop_->make_ready(b);
    loop_->run_once(true); // a was yielded before this turn
    EXPECT_EQ(log, "ba");
    Recorder e(log, 'e');
    struct Late
        : Posted { // makes something ready in step 3 of the next turn: behind what was yielded in this one
        std::move_only_function<void()> call;
    } late;
    late.call = [&] { loop_->make_ready(e); };
    late.fn = [](Posted* posted) { static_cast<Late*>(posted)->call(); };
    loop_->post(late);
    loop_->run_once(true);
    EXPECT_EQ(log, "bacbe");
    EXPECT_EQ(loop_->stats().sleeps, 0u);
}

TEST_F(LoopTest, DeferredTasksRunBeforeTheEntriesGoOut) {
    loop_->run_once(false);
    Op first, second;
    std::string log;
    Recorder ready(log, 'r'), deferred(log, 'd');
    ready.more = [&] {
        loop_->nop(first.completion);
        loop_->defer(deferred);
    };
    deferred.more = [&] { loop_->nop(second.completion); };
    loop_->make_ready(ready);
    auto before = loop_->stats().enters;
    loop_->run_once(true);
    EXPECT_EQ(log, "rd");
    EXPECT_EQ(loop_->stats().enters - before, 1u);
    loop_->run_once(false);
    EXPECT_EQ(first.calls + second.calls, 2);
}

TEST_F(LoopTest, ADeferredTaskRunsOnceATurn) {
    std::string log;
    Recorder a(log, 'a'), b(log, 'b');
    a.more = [&] {
        loop_->defer(a); // itself: the next turn
        loop_->defer(b); // another: still this turn
    };
    loop_->defer(a);
    loop_->run_once(true);
    EXPECT_EQ(log, "ab");
    a.more = nullptr;
    loop_->run_once(true);
    EXPECT_EQ(log, "aba");
    EXPECT_EQ(loop_->stats().sleeps, 0u);
}

TEST_F(LoopTest, TurnsAreCounted) {
    auto before = loop_->turn();
    loop_->run_once(false);
    loop_->run_once(false);
    EXPECT_EQ(loop_->turn() - before, 2u);
}

TEST_F(LoopTest, StopEndsRunAlsoWhenCalledBefore) {
    loop_->stop();
    EXPECT_EQ(loop_->run(kForEver), 0u);
    std::string log;
    Recorder a(log, 'a');
    a.more = [&] { loop_->stop(); };
    loop_->make_ready(a);
    EXPECT_EQ(loop_->run(kForEver), 0u);
    EXPECT_EQ(log, "a");
}

TEST_F(LoopTest, TheEndOfRunTakesBackWhatIsInFlight) {
    SocketPair pair;
    char byte;
    Op op, again;
    struct Restart { // starts anew when it is cancelled, once
        Loop& loop;
        int fd;
        Completion completion{[](Completion* c, std::int32_t result, std::uint32_t) {
            auto* self = owner_of(c, &Restart::completion);
            if (++self->calls == 1)
                self->loop.poll(*c, self->fd, 1);
            self->result = result;
        }};
        int calls = 0;
        std::int32_t result = 0;
    } restart{*loop_, pair.fds[1]};
    loop_->recv(op.completion, pair.fds[0], &byte, 1);
    loop_->poll(restart.completion, pair.fds[1], 1);
    loop_->stop();
    EXPECT_EQ(loop_->run(kForEver), 0u);
    EXPECT_EQ(op.result, -ECANCELED);
    EXPECT_EQ(restart.calls, 2);
    EXPECT_EQ(restart.result, -ECANCELED);
}

} // namespace
} // namespace outport::loop::test
