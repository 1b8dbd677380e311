// SPDX-License-Identifier: Apache-2.0
// Queues: whose turn it is, cancelling, writethrough, and that requests allocate nothing.
#include "block-support.hpp"

#include "host/base/text.hpp"
#include "host/block/large-turn.hpp"
#include "host/loop/poison.hpp"

#include <cerrno>
namespace outport::block::test {

extern std::atomic<std::uint64_t> allocations; // block-allocations.cpp

namespace {

// A client that keeps `depth` requests of `length` in flight and counts its own.
struct Client {
    Client(outport_block_queue* q, std::uint64_t length, int depth) : queue(q), buffer(length, 'x') {
        for (int i = 0; i < depth; ++i) {
            requests.push_back(std::make_unique<Request>());
            requests.back()->then = [this](Request& r) {
                EXPECT_EQ(r.result, 0);
                ++served;
                if (on_served)
                    on_served();
                if (running)
                    submit(r);
                else
                    --busy;
            };
        }
    }
    void submit(Request& r) { r.set(OUTPORT_BLOCK_READ, 0, buffer.size(), buffer.data()).submit(queue); }
    void start() {
        std::vector<outport_block_request*> batch;
        for (auto& r : requests)
            batch.push_back(r->set(OUTPORT_BLOCK_READ, 0, buffer.size(), buffer.data()).abi());
        busy = batch.size();
        block_api().submit(queue, batch.data(), batch.size());
    }

    outport_block_queue* queue;
    std::string buffer;
    std::vector<std::unique_ptr<Request>> requests;
    std::function<void()> on_served;
    std::uint64_t served = 0;
    std::size_t busy = 0;
    bool running = true;
};

class Queues : public BlockTest {
  protected:
    Queues() { EXPECT_EQ(add(R"({"driver":"null-co","node-name":"n","size":1073741824})"), ""); }
};

// Eight clients with many large requests each, and one with one small request: between two of its own, no
// more than the loop's turn of large requests is served; and the eight get the same share.
TEST_F(Queues, ASmallClientGetsItsTurn) {
    Root* root = attach("n");
    std::vector<std::unique_ptr<Client>> large;
    for (int i = 0; i < 8; ++i)
        large.push_back(std::make_unique<Client>(open(*root), 1 << 20, 64));
    Client small(open(*root), 4096, 1);
    auto served_by_large = [&] {
        std::uint64_t sum = 0;
        for (auto& c : large)
            sum += c->served;
        return sum;
    };
    std::uint64_t before = 0, most = 0;
    small.on_served = [&] {
        std::uint64_t now = served_by_large();
        if (small.served > 1)
            most = std::max(most, now - before);
        before = now;
    };
    for (auto& c : large)
        c->start();
    small.start();
    run_until([&] { return small.served == 200; });
    // One large request fills a turn; a small request takes a turn to be started and one to be completed.
    EXPECT_LE(most, 2u);
    auto [least, best] = std::minmax_element(large.begin(), large.end(),
                                             [](auto& a, auto& b) { return a->served < b->served; });
    EXPECT_GT((*least)->served, 10u) << "and the others are not starved either";
    EXPECT_LE((*best)->served - (*least)->served, 1u);
    small.running = false;
    for (auto& c : large)
        c->running = false;
    run_until([&] {
        return small.busy == 0 && std::all_of(large.begin(), large.end(), [](auto& c) { return !c->busy; });
    });
}

// The requests that the loop takes without regard to the other queues, as large as they may be: there the
// bytes count, and there are fewer of them than the number of requests would let through.
TEST_F(Queues, BytesShareATurnToo) {
    constexpr std::uint64_t kEach = 64 * 1024;
    static_assert(kEach <= LargeTurn::kLarge);
    Root* root = attach("n");
    Client greedy(open(*root), kEach, 200), modest(open(*root), 512, 1);
    std::uint64_t before = 0, most = 0;
    modest.on_served = [&] {
        if (modest.served > 1)
            most = std::max(most, greedy.served - before);
        before = greedy.served;
    };
    greedy.start();
    modest.start();
    run_until([&] { return modest.served == 100; });
    EXPECT_LE(most, 16u) << "8 in a turn, and modest takes two";
    EXPECT_GT(greedy.served, 100u);
    greedy.running = modest.running = false;
    run_until([&] { return !greedy.busy && !modest.busy; });
}

TEST_F(Queues, ManySmallRequestsShareATurn) {
    Root* root = attach("n");
    Client greedy(open(*root), 512, 1000), modest(open(*root), 512, 1);
    std::uint64_t before = 0, most = 0;
    modest.on_served = [&] {
        if (modest.served > 1)
            most = std::max(most, greedy.served - before);
        before = greedy.served;
    };
    greedy.start();
    modest.start();
    run_until([&] { return modest.served == 100; });
    EXPECT_LE(most, 2 * 64u);
    greedy.running = modest.running = false;
    run_until([&] { return !greedy.busy && !modest.busy; });
}

TEST_F(Queues, EveryRequestOfALargeBatchIsServedInOrder) {
    auto* queue = serve("n");
    std::vector<std::unique_ptr<Request>> requests;
    std::vector<outport_block_request*> batch;
    std::vector<int> order;
    std::string buffer(65536, 'x');
    for (int i = 0; i < 500; ++i) {
        requests.push_back(std::make_unique<Request>());
        requests.back()->set(OUTPORT_BLOCK_READ, 0, buffer.size(), buffer.data());
        requests.back()->then = [&order, i](Request&) { order.push_back(i); };
        batch.push_back(requests.back()->abi());
    }
    block_api().submit(queue, batch.data(), batch.size());
    run_until([&] { return order.size() == 500; });
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(Queues, WhatWaitsForItsTurnCanBeCancelled) {
    auto* queue = serve("n");
    std::string buffer(1 << 20, 'x');
    Request a, b, c;
    outport_block_request* batch[] = {a.set(OUTPORT_BLOCK_READ, 0, 1 << 20, buffer.data()).abi(),
                                      b.set(OUTPORT_BLOCK_READ, 0, 1 << 20, buffer.data()).abi(),
                                      c.set(OUTPORT_BLOCK_READ, 0, 1 << 20, buffer.data()).abi()};
    block_api().submit(queue, batch, 3);
    block_api().cancel(queue, b.abi());
    EXPECT_FALSE(b.done);
    run_until([&] { return a.done && b.done && c.done; });
    EXPECT_EQ(a.result, 0);
    EXPECT_EQ(b.result, -ECANCELED);
    EXPECT_EQ(c.result, 0);
}

TEST_F(Queues, WhatIsHeldBelowCanBeCancelled) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"n"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Read), .action = FaultAction::Hold}});
    std::string buffer(4096, 'x');
    Request held;
    held.set(OUTPORT_BLOCK_READ, 0, 4096, buffer.data()).submit(queue);
    run_until([&] { return counts("x").held == 1; });
    block_api().cancel(queue, held.abi());
    run_until([&] { return held.done.load(); });
    EXPECT_EQ(held.result, -ECANCELED);
    EXPECT_EQ(counts("x").held, 0u);
}

TEST_F(Queues, WritethroughIsSeenByItsFlushes) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"n","discard":"unmap"})"), "");
    auto* plain = serve("x");
    auto* through = serve("x", {.writable = true, .writethrough = true});
    EXPECT_EQ(write(plain, 0, "abc"), 0);
    EXPECT_EQ(run(plain, OUTPORT_BLOCK_WRITE_ZEROES, 0, 512), 0);
    EXPECT_EQ(of(counts("x"), Op::Flush), 0u);
    EXPECT_EQ(write(plain, 0, "abc", OUTPORT_BLOCK_FUA), 0);
    EXPECT_EQ(of(counts("x"), Op::Flush), 1u);
    EXPECT_EQ(write(through, 0, "abc"), 0);
    EXPECT_EQ(of(counts("x"), Op::Flush), 2u);
    EXPECT_EQ(run(through, OUTPORT_BLOCK_WRITE_ZEROES, 0, 512), 0);
    EXPECT_EQ(of(counts("x"), Op::Flush), 3u);
    EXPECT_EQ(read(through, 0, 4).size(), 4u);
    EXPECT_EQ(of(counts("x"), Op::Flush), 3u) << "a read needs none";
    rules("x", {{.ops = bit(Op::Flush), .action = FaultAction::Error, .error = -EIO}});
    EXPECT_EQ(write(through, 0, "abc"), -EIO) << "not stable, so not done";
    EXPECT_EQ(write(plain, 0, "abc"), 0);
}

TEST_F(Queues, FaultsReorderAndShorten) {
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"n"})"), "");
    auto* queue = serve("x");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Reorder}});
    std::string buffer(4096, 'x'), order;
    Request a, b;
    a.set(OUTPORT_BLOCK_WRITE, 0, 4096, buffer.data()).then = [&](Request&) { order += 'a'; };
    b.set(OUTPORT_BLOCK_WRITE, 0, 4096, buffer.data()).then = [&](Request&) { order += 'b'; };
    a.submit(queue);
    b.submit(queue);
    run_until([&] { return a.done && b.done; });
    EXPECT_EQ(order, "ba");
    rules("x", {{.ops = bit(Op::Write), .action = FaultAction::Short, .error = -EIO, .count = 1}});
    EXPECT_EQ(write(queue, 0, buffer), -EIO);
    EXPECT_EQ(write(queue, 0, buffer), 0) << "the rule is used up";
}

#ifndef OUTPORT_ASAN // which has an allocator of its own
// In the steady state a request allocates nothing, whatever way it takes.
TEST_F(Queues, NoAllocations) {
    TempFile file(1 << 20);
    ASSERT_EQ(
        add(cat(R"({"driver":"file","node-name":"f","discard":"unmap","filename":")", file.path(), "\"}")),
        "");
    ASSERT_EQ(add(R"({"driver":"x-fault","node-name":"x","file":"f","align":4096,"discard":"unmap"})"), "");
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"r","file":"x","offset":4096})"), "");
    std::string buffer(8192, 'x');
    Request r;
    for (const char* node : {"n", "f", "r"}) {
        auto* queue = serve(node);
        auto round = [&] {
            for (std::uint64_t at : {0u, 512u, 4096u, 5000u}) {
                EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_READ, at, 5000, buffer.data())), 0);
                EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_WRITE, at, 5000, buffer.data(), OUTPORT_BLOCK_FUA)),
                          0);
                EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_WRITE_ZEROES, at, 5000)), 0);
                EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_DISCARD, at, 5000)), 0);
                EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_STATUS, at, 5000)), 0);
            }
            EXPECT_EQ(run(queue, r.set(OUTPORT_BLOCK_FLUSH)), 0);
        };
        for (int i = 0; i < 20; ++i)
            round();
        // The blocking pool may still start a thread now and then, up to its bound; a request that allocates
        // would do so in every series.
        std::uint64_t least = UINT64_MAX;
        for (int series = 0; series < 20 && least; ++series) {
            std::uint64_t before = allocations;
            for (int i = 0; i < 20; ++i)
                round();
            least = std::min(least, allocations - before);
        }
        EXPECT_EQ(least, 0u) << node;
    }
    std::uint64_t before = allocations;
    ::operator delete(::operator new(1));
    EXPECT_EQ(allocations - before, 1u) << "the counter counts";
}
#endif

} // namespace

} // namespace outport::block::test
