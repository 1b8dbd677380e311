// SPDX-License-Identifier: Apache-2.0
// The blocking pool: where jobs run, shares, jobs that hang, and the end.
#include "host/loop/blocking-pool.hpp"
#include "host/loop/iothread.hpp"
#include "tests/unit/loop-support.hpp"

#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <thread>

namespace outport::loop::test {
namespace {

// A semaphore (that of some standard libraries loses wake-ups).
class Gate {
  public:
    void acquire() {
        std::unique_lock lock(mutex_);
        released_.wait(lock, [&] { return count_ > 0; });
        --count_;
    }
    void release(int count) {
        std::lock_guard lock(mutex_);
        count_ += count;
        released_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable released_;
    int count_ = 0;
};

struct Job : BlockingJob {
    Gate* gate = nullptr; // waits for it while it runs
    std::atomic<int>* started = nullptr;
    std::thread::id ran_on;
    bool on_pool = false;
    bool finished = false;
    Loop* finished_on = nullptr;
    std::move_only_function<void()> on_done;

    Job() {
        run = [](BlockingJob* job) {
            auto* self = static_cast<Job*>(job);
            self->ran_on = std::this_thread::get_id();
            self->on_pool = BlockingPool::on_pool_thread();
            if (self->started)
                ++*self->started;
            if (self->gate)
                self->gate->acquire();
        };
        done = [](BlockingJob* job) {
            auto* self = static_cast<Job*>(job);
            self->finished = true;
            self->finished_on = Loop::current();
            if (self->on_done)
                self->on_done();
        };
    }
};

template <class Condition> void spin_until(Condition condition) {
    while (!condition())
        std::this_thread::yield();
}

class PoolTest : public LoopTest {
  protected:
    static BlockingPool::Limits small() {
        BlockingPool::Limits limits;
        limits.data_threads = limits.control_threads = 3;
        limits.data_share = limits.control_share = 2;
        limits.max_stuck = 6;
        limits.max_stuck_per_owner = 4;
        limits.stuck_after_ns = kForEver; // never, however slow the machine is
        return limits;
    }
    // Jobs hang as soon as they run for a millisecond.
    static BlockingPool::Limits impatient() {
        auto limits = small();
        limits.stuck_after_ns = 1'000'000;
        return limits;
    }

    Job& make_job(const char* what = "test job") {
        Job& job = jobs_.emplace_back();
        job.what = what;
        job.gate = &gate_;
        job.started = &started_;
        return job;
    }
    void finish_all() {
        gate_.release(1000);
        run_until([&] {
            for (Job& job : jobs_) {
                if (!job.finished)
                    return false;
            }
            return true;
        });
    }

    std::deque<Job> jobs_;
    Gate gate_;
    std::atomic<int> started_{0};
    BlockingOwner owner_{"node a"};
    BlockingOwner other_{"node b"};
};

TEST_F(PoolTest, RunsOnAThreadOfItsOwnAndEndsOnTheLoop) {
    BlockingPool pool;
    Job job;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, job));
    run_until([&] { return job.finished; });
    EXPECT_NE(job.ran_on, std::this_thread::get_id());
    EXPECT_TRUE(job.on_pool);
    EXPECT_FALSE(BlockingPool::on_pool_thread());
    EXPECT_EQ(job.finished_on, loop_.get());
    EXPECT_EQ(job.status, 0);
    job.finished = false;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Control, job)); // may be used again
    run_until([&] { return job.finished; });
    EXPECT_EQ(pool.threads(), 1u);
}

TEST_F(PoolTest, AnOwnerHasAShareAndTheClassABound) {
    BlockingPool pool(small());
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Data, make_job()));
    spin_until([&] { return started_ == 2; });
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(pool.submit(other_, JobClass::Data, make_job()));
    spin_until([&] { return started_ == 3; }); // two of a, one of b: three threads
    EXPECT_NE(jobs_[4].ran_on, std::thread::id{});
    Job control;
    ASSERT_TRUE(pool.submit(other_, JobClass::Control, control));
    run_until([&] { return control.finished; }); // control has threads of its own
    EXPECT_EQ(started_, 3);
    gate_.release(1);
    spin_until([&] { return started_ == 4; });
    EXPECT_EQ(pool.threads(), 4u);
    EXPECT_TRUE(pool.stuck().empty());
    finish_all();
    EXPECT_EQ(started_, 8);
}

TEST_F(PoolTest, AStuckJobIsReplacedAndItsOwnerGoesOn) {
    BlockingPool pool(impatient());
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Data, make_job("look-up in a")));
    spin_until([&] { return started_ == 4; }); // its share is two
    spin_until([&] { return pool.stuck().size() == 4; });
    EXPECT_EQ(pool.stuck()[0], "look-up in a (node a)");
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, make_job())); // waits: four may hang
    ASSERT_TRUE(pool.submit(other_, JobClass::Data, make_job()));
    spin_until([&] { return started_ == 5; });
    EXPECT_EQ(jobs_[4].started->load(), 5);
    EXPECT_EQ(jobs_[4].ran_on, std::thread::id{});
    finish_all();
    EXPECT_TRUE(pool.stuck().empty());
}

TEST_F(PoolTest, TooManyHangingJobsRefuseControlJobsOfTheirOwnerOnly) {
    BlockingPool pool(impatient());
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Control, make_job("open of /stuck/x")));
    spin_until([&] { return pool.stuck().size() == 4; });
    Job refused;
    auto result = pool.submit(owner_, JobClass::Control, refused);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "Too many operations hang: open of /stuck/x (node a)");
    Job fine;
    ASSERT_TRUE(pool.submit(other_, JobClass::Control, fine));
    run_until([&] { return fine.finished; });
    finish_all();
    ASSERT_TRUE(pool.submit(owner_, JobClass::Control, refused)); // they came back
    run_until([&] { return refused.finished; });
    EXPECT_FALSE(fine.status);
}

TEST_F(PoolTest, AcceptedControlJobsBehindWhatHangsAreHandedBack) {
    BlockingPool pool(impatient());
    Job waiting;
    for (int i = 0; i < 4; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Control, make_job()));
    ASSERT_TRUE(pool.submit(owner_, JobClass::Control, waiting));
    run_until([&] { return waiting.finished; });
    EXPECT_EQ(waiting.status, -EBUSY);
    EXPECT_EQ(waiting.ran_on, std::thread::id{});
    finish_all();
}

// Owners that each hang a little use up all replacements; whoever comes then is told, not left waiting.
TEST_F(PoolTest, ManyHangingOwnersUseUpTheThreadsAndOthersAreTold) {
    BlockingPool pool(impatient());
    std::deque<BlockingOwner> owners;
    for (int i = 0; i < 9; ++i) { // 6 may be replaced, 3 hold the threads of their class
        ASSERT_TRUE(pool.submit(owners.emplace_back("owner"), JobClass::Control, make_job("mount of /m")));
        spin_until([&] { return started_ == i + 1; });
    }
    spin_until([&] { return pool.stuck().size() == 6; });
    Job late;
    for (;;) { // until the last three are overdue it is accepted, and handed back
        auto result = pool.submit(other_, JobClass::Control, late);
        if (!result) {
            EXPECT_EQ(result.error().message, "Too many operations hang: mount of /m (owner)");
            break;
        }
        run_until([&] { return late.finished; });
        EXPECT_EQ(late.status, -EBUSY);
        late.finished = false;
    }
    Job data;
    ASSERT_TRUE(pool.submit(other_, JobClass::Data, data)); // the other class is not touched
    run_until([&] { return data.finished; });
    finish_all();
}

TEST_F(PoolTest, AJobThatWaitsCanBeCancelledOneThatRunsCannot) {
    BlockingPool pool(small());
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Data, make_job()));
    spin_until([&] { return started_ == 2; });
    Job waiting;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, waiting));
    EXPECT_TRUE(pool.cancel(waiting));
    EXPECT_FALSE(waiting.finished); // not inside the call
    run_until([&] { return waiting.finished; });
    EXPECT_EQ(waiting.status, -ECANCELED);
    EXPECT_FALSE(pool.cancel(jobs_[0]));
    finish_all();
    EXPECT_EQ(jobs_[0].status, 0);
}

TEST_F(PoolTest, ThreadsEndWhenIdle) {
    auto limits = small();
    limits.idle_ns = 1'000'000;
    BlockingPool pool(limits);
    Job job;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, job));
    run_until([&] { return job.finished; });
    spin_until([&] { return pool.threads() == 0; });
    job.finished = false;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, job));
    run_until([&] { return job.finished; });
}

TEST_F(PoolTest, TheLoopWaitsForItsJobs) {
    BlockingPool pool;
    Job& job = make_job();
    ASSERT_TRUE(pool.submit(owner_, JobClass::Control, job));
    loop_->stop();
    gate_.release(1);
    EXPECT_EQ(loop_->run(kForEver), 0u);
    EXPECT_TRUE(job.finished);
}

TEST_F(PoolTest, ShutdownNamesWhatStillRunsAndCancelsWhatWaits) {
    BlockingPool pool(small());
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(pool.submit(owner_, JobClass::Data, make_job("look-up")));
    spin_until([&] { return started_ == 2; });
    Job waiting, after;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, waiting));
    auto left = pool.shutdown(0);
    EXPECT_EQ(left, (std::vector<std::string>{"look-up (node a)", "look-up (node a)"}));
    EXPECT_FALSE(pool.submit(owner_, JobClass::Data, after));
    run_until([&] { return waiting.finished; });
    EXPECT_EQ(waiting.status, -ECANCELED);
    // They are not handed back any more: as the process would end now, just let the threads go.
    gate_.release(2);
    EXPECT_TRUE(pool.shutdown(kForEver).empty());
    EXPECT_FALSE(jobs_[0].finished);
    loop_->release();
    loop_->release();
}

TEST_F(PoolTest, ShutdownWaitsForWhatEndsInTime) {
    BlockingPool pool(small());
    Job job;
    ASSERT_TRUE(pool.submit(owner_, JobClass::Data, job));
    EXPECT_TRUE(pool.shutdown(kForEver).empty());
    run_until([&] { return job.finished; });
    EXPECT_EQ(pool.threads(), 0u);
}

// Jobs of several loops at once, each resubmitting itself.
TEST_F(PoolTest, ServesManyLoops) {
    BlockingPool pool(small());
    constexpr int kLoops = 3, kJobs = 8, kRounds = 100;
    std::vector<std::unique_ptr<IoThread>> threads;
    std::deque<Job> jobs(kLoops * kJobs);
    std::latch all_done(kLoops * kJobs);
    std::atomic<int> wrong{0};
    for (int t = 0; t < kLoops; ++t) {
        threads.push_back(std::move(IoThread::start("pool" + std::to_string(t)).value()));
        Loop* home = &threads.back()->loop();
        threads.back()->run_on([&, t, home] {
            for (int j = 0; j < kJobs; ++j) {
                Job& job = jobs[static_cast<std::size_t>(t * kJobs + j)];
                auto rounds = std::make_shared<int>(0);
                job.on_done = [&, home, rounds] {
                    wrong += Loop::current() != home;
                    if (++*rounds == kRounds)
                        all_done.count_down();
                    else
                        wrong += !pool.submit(owner_, JobClass::Data, job);
                };
                wrong += !pool.submit(owner_, JobClass::Data, job);
            }
        });
    }
    all_done.wait();
    for (auto& thread : threads)
        EXPECT_EQ(thread->join(), 0u);
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(pool.threads(), 6u);
}

} // namespace
} // namespace outport::loop::test
