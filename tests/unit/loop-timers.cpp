// SPDX-License-Identifier: Apache-2.0
// Timers: order, disarming from anywhere, and a comparison with a simple model.
#include "tests/unit/loop-support.hpp"

#include <map>
#include <random>
#include <vector>

namespace outport::loop::test {
namespace {

struct Beep : Timer {
    std::vector<int>* log = nullptr;
    int number = 0;
    std::move_only_function<void()> more;

    Beep() {
        fn = [](Timer* timer) {
            auto* self = static_cast<Beep*>(timer);
            self->log->push_back(self->number);
            if (self->more)
                self->more();
        };
    }
};

struct Beeps {
    std::vector<int> log;
    std::vector<Beep> all;
    explicit Beeps(std::size_t count) : all(count) {
        for (std::size_t i = 0; i < count; ++i) {
            all[i].log = &log;
            all[i].number = static_cast<int>(i);
        }
    }
    Beep& operator[](std::size_t i) { return all[i]; }
};

void fire_due(TimerQueue& queue, std::uint64_t now) {
    queue.collect_due(now);
    while (Timer* timer = queue.pop_collected())
        timer->fn(timer);
}

TEST(TimerQueue, FiresByDeadlineThenInTheOrderOfArming) {
    TimerQueue queue;
    Beeps beeps(6);
    std::uint64_t deadlines[] = {50, 10, 50, 30, 10, 90};
    for (std::size_t i = 0; i < 6; ++i)
        queue.arm(beeps[i], deadlines[i]);
    EXPECT_EQ(queue.next_deadline_ns(), 10u);
    fire_due(queue, 50);
    EXPECT_EQ(beeps.log, (std::vector<int>{1, 4, 3, 0, 2}));
    EXPECT_TRUE(beeps[5].armed());
    EXPECT_FALSE(beeps[0].armed());
    queue.disarm(beeps[5]);
    EXPECT_TRUE(queue.empty());
}

TEST(TimerQueue, ATimerMayDisarmOrRearmOneThatIsDueWithIt) {
    TimerQueue queue;
    Beeps beeps(4);
    beeps[0].more = [&] {
        queue.disarm(beeps[1]);
        queue.arm(beeps[2], 100);
    };
    for (std::size_t i = 0; i < 4; ++i)
        queue.arm(beeps[i], i);
    fire_due(queue, 10);
    EXPECT_EQ(beeps.log, (std::vector<int>{0, 3}));
    fire_due(queue, 100);
    EXPECT_EQ(beeps.log, (std::vector<int>{0, 3, 2}));
}

TEST(TimerQueue, ATimerThatArmsItselfForNowDoesNotHoldTheOthers) {
    TimerQueue queue;
    Beeps beeps(2);
    beeps[0].more = [&] { queue.arm(beeps[0], 0); };
    queue.arm(beeps[0], 0);
    queue.arm(beeps[1], 5);
    fire_due(queue, 10);
    EXPECT_EQ(beeps.log, (std::vector<int>{0, 1}));
    queue.disarm(beeps[0]);
}

TEST(TimerQueue, AgreesWithAModel) {
    std::mt19937 random(20240607);
    TimerQueue queue;
    constexpr std::size_t kCount = 200;
    Beeps beeps(kCount);
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> model; // (deadline, order of arming)
    std::map<std::size_t, std::pair<std::uint64_t, std::uint64_t>> where;
    std::uint64_t now = 0, order = 0;
    auto forget = [&](std::size_t i) {
        if (auto it = where.find(i); it != where.end()) {
            model.erase(it->second);
            where.erase(it);
        }
    };
    for (int step = 0; step < 20000; ++step) {
        std::size_t i = random() % kCount;
        switch (random() % 4) {
        case 0:
        case 1: {
            std::uint64_t deadline = now + random() % 64;
            queue.arm(beeps[i], deadline);
            forget(i);
            where[i] = {deadline, order};
            model[{deadline, order++}] = i;
            break;
        }
        case 2:
            queue.disarm(beeps[i]);
            forget(i);
            break;
        default:
            now += random() % 8;
            beeps.log.clear();
            fire_due(queue, now);
            std::vector<int> expected;
            while (!model.empty() && model.begin()->first.first <= now) {
                expected.push_back(static_cast<int>(model.begin()->second));
                forget(model.begin()->second);
            }
            ASSERT_EQ(beeps.log, expected) << "step " << step;
        }
        ASSERT_EQ(queue.empty(), model.empty());
        ASSERT_EQ(queue.next_deadline_ns(), model.empty() ? UINT64_MAX : model.begin()->first.first);
    }
    for (Beep& beep : beeps.all)
        queue.disarm(beep);
}

TEST_F(LoopTest, TheLoopSleepsUntilTheEarliestTimer) {
    Beeps beeps(2);
    loop_->arm_after(beeps[0], 2'000'000);
    loop_->arm_after(beeps[1], 1'000'000);
    std::uint64_t start = now_ns();
    run_until([&] { return beeps.log.size() == 2; });
    EXPECT_EQ(beeps.log, (std::vector<int>{1, 0}));
    EXPECT_GE(now_ns() - start, 2'000'000u); // never early
    EXPECT_LE(loop_->stats().sleeps, 6u);    // and not by looking again and again
    EXPECT_GE(loop_->stats().sleeps, 1u);
}

} // namespace
} // namespace outport::loop::test
