// SPDX-License-Identifier: Apache-2.0
// The graph changes while requests come in from two loops: what is in flight completes on the old view, what
// comes meanwhile waits and sees the new one, and a change that can't be made leaves everything as it was.
#include "block-support.hpp"

#include "host/base/text.hpp"
#include "host/block/seat.hpp"

#include <cerrno>

namespace outport::block::test {

namespace {

// A client on a loop of its own: writes stamped blocks and reads them back.
class Load {
  public:
    Load(Root& root, loop::Loop& loop, loop::Loop& main, std::uint64_t first, std::uint64_t blocks)
        : loop_(loop), main_(main), first_(first), blocks_(blocks) {
        handle_.root = &root;
    }
    void start(int depth) {
        loop::run_on(loop_, [this, depth] {
            notices_.struct_size = sizeof notices_;
            notices_.changed = [](void* data) noexcept { ++static_cast<Load*>(data)->changes; };
            EXPECT_EQ(
                block_api().queue_open(&handle_, sdk::to_handle(&loop_), &notices_, this, &queue_, nullptr),
                0);
            for (int i = 0; i < depth; ++i) {
                slots_.push_back(std::make_unique<Slot>());
                Slot& slot = *slots_.back();
                slot.request.then = [this, &slot](Request& r) { completed(slot, r.result); };
                ++busy_;
                write(slot, i);
            }
        });
    }
    void stop() {
        loop::run_on(loop_, [this] { stopping_ = true; });
    }

    std::atomic<bool> stopped{false};
    std::atomic<std::uint64_t> verified{0}, changes{0};

  private:
    struct Slot {
        Request request;
        std::string data = std::string(4096, ' '), back = std::string(4096, ' ');
        std::uint64_t block = 0;
        bool reading = false;
    };
    // Block i belongs to the slot i modulo the depth, so no two requests meet in one.
    void write(Slot& slot, std::uint64_t block) {
        slot.block = block % blocks_;
        slot.reading = false;
        std::string stamp = cat("block ", slot.block, " number ", ++sequence_, ";");
        slot.data.assign(4096, '.');
        slot.data.replace(0, stamp.size(), stamp);
        slot.request.set(OUTPORT_BLOCK_WRITE, first_ + slot.block * 4096, 4096, slot.data.data())
            .submit(queue_);
    }
    void completed(Slot& slot, std::int32_t result) {
        EXPECT_EQ(result, 0);
        if (!slot.reading) {
            slot.reading = true;
            slot.request.set(OUTPORT_BLOCK_READ, first_ + slot.block * 4096, 4096, slot.back.data())
                .submit(queue_);
            return;
        }
        EXPECT_TRUE(slot.back == slot.data) << "block " << slot.block;
        ++verified;
        if (!stopping_)
            return write(slot, slot.block + slots_.size());
        if (--busy_ == 0) {
            block_api().queue_close(queue_);
            stopped = true;
            loop::run_on(main_, [] {});
        }
    }

    loop::Loop& loop_;
    loop::Loop& main_;
    std::uint64_t first_, blocks_;
    outport_export handle_;
    outport_block_notices notices_{};
    outport_block_queue* queue_ = nullptr;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::uint64_t sequence_ = 0;
    std::size_t busy_ = 0;
    bool stopping_ = false;
};

class Changes : public BlockTest {
  protected:
    explicit Changes(const GraphOptions& options = {}) : BlockTest(options), file_(4 << 20) {
        EXPECT_EQ(add(cat(R"({"driver":"file","node-name":"f","filename":")", file_.path(), "\"}")), "");
    }
    std::string insert(std::string node, std::string filter) {
        return await([&](auto done) { graph_->insert_filter(node, filter, done); });
    }
    std::string remove(std::string filter) {
        return await([&](auto done) { graph_->remove_filter(filter, done); });
    }

    bool is_parked() const { return roots_.front()->seat(*loop_)->parked(); }

    TempFile file_;
};

TEST_F(Changes, FiltersAndSizesUnderLoadFromTwoLoops) {
    auto one = loop::IoThread::start("one"), two = loop::IoThread::start("two");
    ASSERT_TRUE(one && two);
    Root* a = attach("f", {.writable = true, .loops = {&(*one)->loop(), &(*two)->loop()}});
    Root* b = attach("f", {.writable = true, .loops = {&(*two)->loop(), loop_.get()}});
    ASSERT_TRUE(a && b);
    std::vector<std::unique_ptr<Load>> loads;
    loads.push_back(std::make_unique<Load>(*a, (*one)->loop(), *loop_, 0, 64));
    loads.push_back(std::make_unique<Load>(*a, (*two)->loop(), *loop_, 512 << 10, 64));
    loads.push_back(std::make_unique<Load>(*b, (*two)->loop(), *loop_, 1 << 20, 64));
    loads.push_back(std::make_unique<Load>(*b, *loop_, *loop_, 2 << 20, 64));
    for (auto& load : loads)
        load->start(8);
    for (int round = 0; round < 60; ++round) {
        ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
        ASSERT_EQ(insert("f", "x"), "");
        EXPECT_EQ(a->node().name(), "x");
        if (round % 10 == 0)
            run_until([&] { // the load runs through it
                loop::run_on(*loop_, [] {});
                return of(counts("x"), Op::Write) > 0;
            });
        ASSERT_EQ(resize(round % 2 ? "x" : "f", (4 << 20) + (round % 3) * 4096), "");
        ASSERT_EQ(remove("x"), "");
        ASSERT_EQ(del("x"), "");
    }
    for (auto& load : loads)
        load->stop();
    for (auto& load : loads) {
        run_until([&] { return load->stopped.load(); });
        EXPECT_GT(load->verified, 100u);
        EXPECT_GE(load->changes, 30u) << "told of the new sizes";
    }
    detach(*a);
    detach(*b);
    EXPECT_EQ((*one)->join() + (*two)->join(), 0u);
}

TEST_F(Changes, AChangeWaitsForWhatIsInFlight) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold, .count = 1}});
    std::string data(512, 'd');
    Request held, later;
    held.set(OUTPORT_BLOCK_WRITE, 0, 512, data.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    std::optional<std::string> answer;
    graph_->remove_filter("x", [&](Result<> r) { answer = r ? "" : r.error().message; });
    run_until([&] { return is_parked(); });
    later.set(OUTPORT_BLOCK_READ, 0, 512, data.data()).submit(queue);
    for (int i = 0; i < 5; ++i)
        loop_->run_once(false);
    EXPECT_FALSE(answer);
    EXPECT_FALSE(later.done) << "it waits for the change";
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return answer && later.done; });
    EXPECT_TRUE(held.done);
    EXPECT_EQ(*answer, "");
    EXPECT_EQ(later.result, 0);
    EXPECT_EQ(of(counts("x"), Op::Read), 0u) << "the later one took the new way";
}

// An export leaves a filter that is taken out and deleted meanwhile: it has moved to the node below by then.
TEST_F(Changes, AnExportLeavesWhileItsFilterGoes) {
    auto* queue = serve("f");
    Root* other = attach("f");
    ASSERT_TRUE(other);
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
    ASSERT_EQ(insert("f", "x"), "");
    rules("x", {{.ops = bit(Op::Read), .action = FaultAction::Hold, .count = 1}});
    std::string data(512, 'd');
    Request held;
    held.set(OUTPORT_BLOCK_READ, 0, 512, data.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    std::optional<std::string> removed, deleted, detached;
    auto answer = [](auto& to) { return [&to](Result<> r) { to = r ? "" : r.error().message; }; };
    graph_->remove_filter("x", answer(removed));
    graph_->del("x", answer(deleted));
    std::erase(roots_, other);
    graph_->detach(*other, answer(detached));
    for (int i = 0; i < 5; ++i)
        loop_->run_once(false);
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return removed && deleted && detached; });
    EXPECT_EQ(*removed + *deleted + *detached, "");
    EXPECT_TRUE(held.done);
    EXPECT_EQ(del("f"), "Node f is in use") << "by the first export alone";
}

class ShortDeadline : public Changes {
  protected:
    ShortDeadline() : Changes({.change_deadline_ns = 20'000'000, .complain_after_ns = 1'000'000}) {}
};

TEST_F(ShortDeadline, AChangeThatTakesTooLongIsRolledBack) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold, .count = 1}});
    std::string data(512, 'd');
    Request held;
    held.set(OUTPORT_BLOCK_WRITE, 0, 512, data.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    EXPECT_EQ(resize("x", 1 << 20),
              "The resize of node 'x' was given up, since requests in flight did not complete in time");
    EXPECT_EQ(file_.size(), 4u << 20);
    EXPECT_EQ(read(queue, 0, 1), std::string(1, '\0')) << "others go on";
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return held.done.load(); });
    EXPECT_EQ(held.result, 0);
    EXPECT_EQ(resize("x", 1 << 20), "") << "and now it works";
    EXPECT_EQ(file_.size(), 1u << 20);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_READ, 1 << 20, 512, data.data()), -EINVAL) << "the queue knows";
}

TEST_F(Changes, AQueueCanAskForAResize) {
    auto* queue = serve("f");
    int changed = 0;
    outport_block_notices notices{};
    notices.struct_size = sizeof notices;
    notices.changed = [](void* data) noexcept { ++*static_cast<int*>(data); };
    open(*roots_.front(), &notices, &changed);
    std::string data(512, 'd');
    Request parked;
    std::string order;
    parked.then = [&](Request&) { order += 'p'; };
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_RESIZE, 0, 8 << 20), 0);
    EXPECT_EQ(file_.size(), 8u << 20);
    EXPECT_EQ(changed, 1);
    EXPECT_EQ(write(queue, (8 << 20) - 512, data), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_RESIZE, 1, 8 << 20), -EINVAL);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_RESIZE, 0, 1 << 20, nullptr, OUTPORT_BLOCK_AT_LEAST), 0);
    EXPECT_EQ(file_.size(), 8u << 20) << "at least, not at most";
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_RESIZE, 0, 9 << 20, nullptr, OUTPORT_BLOCK_AT_LEAST), 0);
    EXPECT_EQ(file_.size(), 9u << 20);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_RESIZE, 0, 1 << 20), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_READ, 2 << 20, 512, data.data()), -EINVAL);
}

TEST_F(Changes, WhatIsParkedCanBeCancelled) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold, .count = 1}});
    std::string data(512, 'd');
    Request held, parked;
    held.set(OUTPORT_BLOCK_WRITE, 0, 512, data.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    bool answered = false;
    graph_->resize("x", 1 << 20, ResizeTo::Exactly, nullptr, [&](Result<> r) { answered = r.has_value(); });
    run_until([&] { return is_parked(); });
    parked.set(OUTPORT_BLOCK_READ, 0, 512, data.data()).submit(queue);
    block_api().cancel(queue, parked.abi());
    run_until([&] { return parked.done.load(); });
    EXPECT_EQ(parked.result, -ECANCELED);
    EXPECT_FALSE(answered);
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return answered; });
}

TEST_F(Changes, ChangesOfOtherNodesDoNotWait) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold, .count = 1}});
    std::string data(512, 'd');
    Request held;
    held.set(OUTPORT_BLOCK_WRITE, 0, 512, data.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    bool resized = false, attached = false;
    graph_->resize("x", 1 << 20, ResizeTo::Exactly, nullptr, [&](Result<> r) { resized = r.has_value(); });
    Root* second = nullptr;
    graph_->attach(*graph_->find("f"), {.user = "second", .loops = {loop_.get()}}, [&](Result<Root*> r) {
        attached = true;
        second = r ? *r : nullptr;
    });
    TempFile other(1 << 20);
    ASSERT_EQ(add(cat(R"({"driver":"file","node-name":"o","filename":")", other.path(), "\"}")), "");
    EXPECT_EQ(resize("o", 4096), "");
    EXPECT_FALSE(resized);
    EXPECT_FALSE(attached) << "one of the same nodes does";
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return resized && attached; });
    ASSERT_TRUE(second);
    detach(*second);
}

} // namespace

} // namespace outport::block::test
