// SPDX-License-Identifier: Apache-2.0
// Requests that don't fit a node: split, bounced, read-modify-write against everything that overlaps, from
// two loops. An x-fault node with an alignment of its own stands for a disk with 4096-byte blocks.
#include "block-support.hpp"

#include "host/base/text.hpp"
#include "host/block/range-lock.hpp"

#include <cerrno>
#include <random>

namespace outport::block::test {

namespace {

constexpr std::uint64_t kSize = 1 << 20;

class Aligned : public BlockTest {
  protected:
    Aligned() : file_(kSize) {
        EXPECT_EQ(add(cat(R"({"driver":"file","node-name":"f","discard":"unmap","filename":")", file_.path(),
                          "\"}")),
                  "");
        EXPECT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f","align":4096,"discard":"unmap"})"),
                  "");
        model_.assign(kSize, 'm');
        file_.write(0, model_);
    }
    void expect_same() { EXPECT_TRUE(file_.read(0, kSize) == model_); }

    TempFile file_;
    std::string model_;
};

TEST_F(Aligned, EveryOffsetReachesTheNodeAligned) {
    auto* queue = serve("x");
    std::mt19937 random(1);
    for (int i = 0; i < 300; ++i) {
        std::size_t offset = random() % kSize, length = random() % (random() % 4 ? 9000 : 400000);
        length = std::min(length, kSize - offset);
        if (random() % 2) {
            EXPECT_TRUE(read(queue, offset, length) == model_.substr(offset, length))
                << offset << " " << length;
        } else {
            std::string data(length, static_cast<char>('a' + i % 20));
            EXPECT_EQ(write(queue, offset, data), 0);
            model_.replace(offset, length, data);
        }
    }
    expect_same();
    FaultCounts seen = counts("x");
    EXPECT_EQ(seen.bytes[unsigned(Op::Read)] % 4096, 0u);
    EXPECT_EQ(seen.bytes[unsigned(Op::Write)] % 4096, 0u);
}

TEST_F(Aligned, OnlyTheEndsOfAWriteAreRead) {
    auto* queue = serve("x");
    ASSERT_EQ(write(queue, 100, std::string(3 * 4096, 'w')), 0); // ends in the fourth block
    FaultCounts seen = counts("x");
    EXPECT_EQ(of(seen, Op::Read), 2u);
    EXPECT_EQ(seen.bytes[unsigned(Op::Read)], 2 * 4096u);
    EXPECT_EQ(of(seen, Op::Write), 1u);
    ASSERT_EQ(write(queue, 8192, std::string(4096, 'w')), 0);
    EXPECT_EQ(of(counts("x"), Op::Read), 2u) << "an aligned write reads nothing";
}

TEST_F(Aligned, ZeroesWithEnds) {
    auto* queue = serve("x");
    ASSERT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 1000, 10000), 0);
    model_.replace(1000, 10000, std::string(10000, '\0'));
    expect_same();
    EXPECT_EQ(counts("x").bytes[unsigned(Op::WriteZeroes)], 4096u); // 4096..8192
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 1000, 10000, nullptr, OUTPORT_BLOCK_NO_FALLBACK),
              -EOPNOTSUPP);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 4096, 4096, nullptr, OUTPORT_BLOCK_NO_FALLBACK), 0);
}

TEST_F(Aligned, DiscardLeavesTheEndsAlone) {
    auto* queue = serve("x");
    ASSERT_EQ(run(queue, OUTPORT_BLOCK_DISCARD, 1000, 10000), 0);
    EXPECT_EQ(counts("x").bytes[unsigned(Op::Discard)], 4096u);
    EXPECT_EQ(file_.read(0, 4096), std::string(4096, 'm'));
    EXPECT_EQ(file_.read(8192, 4096), std::string(4096, 'm'));
    ASSERT_EQ(run(queue, OUTPORT_BLOCK_DISCARD, 1, 4097), 0);
    EXPECT_EQ(of(counts("x"), Op::Discard), 1u) << "no whole block";
}

TEST_F(Aligned, ZeroesAreWrittenWhereTheNodeHasNone) {
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::WriteZeroes), .action = FaultAction::Error, .error = -EOPNOTSUPP}});
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 0, 700001, nullptr, OUTPORT_BLOCK_FUA), 0);
    model_.replace(0, 700001, std::string(700001, '\0'));
    expect_same();
    EXPECT_EQ(of(counts("x"), Op::Flush), 1u);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 0, 4096, nullptr, OUTPORT_BLOCK_NO_FALLBACK),
              -EOPNOTSUPP);
    rules("x", {{.ops = bit(Op::WriteZeroes), .action = FaultAction::Error, .error = -ENOSPC}});
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 0, 4096), -ENOSPC) << "no fall-back for a real error";
}

TEST_F(Aligned, ErrorsOfEachPieceEndIt) {
    auto* queue = serve("x");
    for (Op op : {Op::Read, Op::Write}) {
        rules("x", {{.ops = bit(op),
                     .action = FaultAction::Error,
                     .error = -ENOSPC,
                     .skip = op == Op::Read ? 1u : 0u}});
        EXPECT_EQ(write(queue, 100, std::string(5000, 'w')), -ENOSPC);
    }
    rules("x", {});
    EXPECT_EQ(write(queue, 100, std::string(5000, 'w')), 0) << "no range stays locked";
    EXPECT_EQ(read(queue, 99, 5002), "m" + std::string(5000, 'w') + "m");
}

// More misaligned requests than there are bounce buffers.
TEST_F(Aligned, WaitsForBounceBuffers) {
    auto* queue = serve("x");
    constexpr int kMany = 5 * BouncePool::kBuffers;
    std::vector<std::unique_ptr<Request>> requests;
    std::vector<std::string> data(kMany);
    for (int i = 0; i < kMany; ++i) {
        data[i] = std::string(500, static_cast<char>('A' + i % 26));
        requests.push_back(std::make_unique<Request>());
        requests.back()->set(OUTPORT_BLOCK_WRITE, i * 700, 500, data[i].data()).submit(queue);
        model_.replace(i * 700, 500, data[i]);
    }
    for (auto& r : requests) {
        run_until([&] { return r->done.load(); });
        EXPECT_EQ(r->result, 0);
    }
    expect_same(); // neighbours in one block did not undo each other
}

// A read-modify-write that is held between its read and its write keeps an aligned write of the same block
// waiting.
TEST_F(Aligned, AnAlignedWriteDoesNotSlipInBetween) {
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold, .count = 1}});
    Request small, whole, elsewhere;
    std::string s(100, 's'), w(4096, 'w');
    small.set(OUTPORT_BLOCK_WRITE, 5000, 100, s.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    whole.set(OUTPORT_BLOCK_WRITE, 4096, 4096, w.data()).submit(queue);
    elsewhere.set(OUTPORT_BLOCK_WRITE, 8192, 4096, w.data()).submit(queue);
    run_until([&] { return elsewhere.done.load(); });
    EXPECT_FALSE(whole.done);
    EXPECT_EQ(of(counts("x"), Op::Write), 2u) << "the waiting one has not reached the node";
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return small.done && whole.done; });
    EXPECT_EQ(file_.read(4096, 4096), w) << "the later one is what stays";
}

// What waits for a range, for a buffer, or reads what it has to write back: none of it writes any more.
TEST_F(Aligned, WhatIsCancelledWritesNothing) {
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Hold},
                {.ops = bit(Op::Read), .action = FaultAction::Hold, .offset = 65536, .length = 4096}});
    std::string data(512, 'w');
    std::vector<std::unique_ptr<Request>> requests;
    auto submit = [&](std::uint64_t offset) {
        requests.push_back(std::make_unique<Request>());
        requests.back()->set(OUTPORT_BLOCK_WRITE, offset, 512, data.data()).submit(queue);
        return requests.back().get();
    };
    Request* first = submit(100);
    submit(700);   // waits for the first one's block
    submit(65636); // reads
    for (unsigned i = 0; i < 2 * BouncePool::kBuffers; ++i)
        submit(131072 + i * 4096 + 100); // more than there are buffers
    run_until([&] { return counts("x").held == BouncePool::kBuffers; });
    const std::uint64_t writes = of(counts("x"), Op::Write);
    EXPECT_EQ(writes, BouncePool::kBuffers - 1u);
    for (auto& r : requests)
        if (r.get() != first)
            block_api().cancel(queue, r->abi());
    for (auto& r : requests)
        EXPECT_FALSE(r->done);
    run_until([&] {
        return std::ranges::count_if(requests, [](auto& r) { return r->done.load(); }) + 2 ==
               std::ssize(requests);
    }); // all but the first and the one that waits for it
    EXPECT_TRUE(fault_release(graph_->find("x")->driver()));
    run_until([&] { return std::ranges::all_of(requests, [](auto& r) { return r->done.load(); }); });
    for (auto& r : requests)
        EXPECT_EQ(r->result, r.get() == first ? 0 : -ECANCELED);
    EXPECT_EQ(of(counts("x"), Op::Write), writes);
    model_.replace(100, 512, data);
    expect_same();
    rules("x", {});
    EXPECT_EQ(write(queue, 700, data), 0) << "no range stays locked, no buffer lost";
}

// Writes the same bytes of 32 blocks, round after round.
struct Writer {
    outport_block_queue* queue = nullptr;
    Request request;
    std::string data;
    std::uint64_t first = 0;
    int left = 0;
    std::atomic<bool> finished{false};
    loop::Loop* main = nullptr;
    void finish() {
        finished = true;
        loop::run_on(*main, [] {}); // so that it looks
    }
    void next() {
        data.assign(128, static_cast<char>('a' + left % 26));
        request.set(OUTPORT_BLOCK_WRITE, first + (left % 32) * 4096, 128, data.data()).submit(queue);
    }
    void start(int rounds) {
        left = rounds;
        request.then = [this](Request& r) {
            EXPECT_EQ(r.result, 0);
            if (--left)
                next();
            else
                finish();
        };
        next();
    }
};

// Writers on two loops, each with bytes of its own inside shared blocks; whole blocks in between.
TEST_F(Aligned, TwoLoopsShareBlocks) {
    auto other = loop::IoThread::start("other");
    ASSERT_TRUE(other);
    Root* root = attach("x", {.writable = true, .loops = {loop_.get(), &(*other)->loop()}});
    ASSERT_TRUE(root);
    constexpr int kWriters = 16; // each owns bytes 128 i .. 128 i + 127 of the first 32 blocks
    std::vector<std::unique_ptr<Writer>> writers;
    outport_export handle;
    handle.root = root;
    for (int i = 0; i < kWriters; ++i) {
        writers.push_back(std::make_unique<Writer>());
        writers[i]->first = i * 128;
        writers[i]->main = loop_.get();
    }
    auto start = [&](int i, loop::Loop& loop) {
        EXPECT_EQ(block_api().queue_open(&handle, sdk::to_handle(&loop), nullptr, nullptr, &writers[i]->queue,
                                         nullptr),
                  0);
        writers[i]->start(320);
    };
    for (int i = 0; i < kWriters; ++i) {
        if (i % 2)
            start(i, *loop_);
        else
            (*other)->run_on([&, i] { start(i, (*other)->loop()); });
    }
    run_until([&] {
        return std::all_of(writers.begin(), writers.end(), [](auto& w) { return w->finished.load(); });
    });
    for (int block = 0; block < 32;
         ++block) // the last round that touched this block had `left` = block or 32
        for (int i = 0; i < kWriters; ++i)
            model_.replace(block * 4096 + i * 128, 128,
                           std::string(128, static_cast<char>('a' + (block ? block : 32) % 26)));
    expect_same();
    std::atomic<int> closed{0};
    for (int i = 0; i < kWriters; ++i) {
        auto close = [&, i] {
            block_api().queue_close(writers[i]->queue);
            ++closed;
            loop::run_on(*loop_, [] {});
        };
        i % 2 ? close() : (*other)->run_on(close);
    }
    run_until([&] { return closed == kWriters; });
    detach(*root);
    EXPECT_EQ((*other)->join(), 0u);
}

TEST_F(Aligned, RangesGetTheirTurnInOrder) {
    RangeLock lock;
    static std::vector<RangeLock::Range*> granted;
    granted.clear();
    auto range = [](std::uint64_t start, std::uint64_t end, bool exclusive) {
        auto r = std::make_unique<RangeLock::Range>();
        r->start = start;
        r->end = end;
        r->exclusive = exclusive;
        r->granted = [](RangeLock::Range& g) { granted.push_back(&g); };
        return r;
    };
    auto a = range(0, 10, false), b = range(5, 15, false), c = range(8, 12, true), d = range(9, 20, false),
         e = range(12, 20, true), f = range(0, 5, true);
    EXPECT_TRUE(lock.acquire(*a, *loop_));
    EXPECT_TRUE(lock.acquire(*b, *loop_)) << "two plain ones don't mind each other";
    EXPECT_FALSE(lock.acquire(*c, *loop_));
    EXPECT_FALSE(lock.acquire(*d, *loop_)) << "not past one that waits";
    EXPECT_FALSE(lock.acquire(*e, *loop_)) << "behind b and d";
    EXPECT_FALSE(lock.acquire(*f, *loop_)) << "behind a";
    lock.release(*a);
    run_until([&] { return granted.size() == 1; });
    EXPECT_EQ(granted.back(), f.get());
    lock.release(*b);
    run_until([&] { return granted.size() == 2; });
    EXPECT_EQ(granted.back(), c.get());
    lock.release(*c);
    run_until([&] { return granted.size() == 3; });
    EXPECT_EQ(granted.back(), d.get());
    lock.release(*d);
    run_until([&] { return granted.size() == 4; });
    EXPECT_EQ(granted.back(), e.get());
    lock.release(*e);
    lock.release(*f);
}

} // namespace

} // namespace outport::block::test
