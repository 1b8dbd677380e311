// SPDX-License-Identifier: Apache-2.0
// What single parts cost: an operation of the ring with entries of either size, at several depths, and a QMP
// command from its bytes to its reply. For comparing two versions of the code: ./dev bench micro.
#include "host/loop/loop.hpp"
#include "host/schema/json.hpp"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

using namespace outport;

struct Nop {
    loop::Completion completion{[](loop::Completion* c, std::int32_t, std::uint32_t) {
        --*loop::owner_of(c, &Nop::completion)->left;
    }};
    std::int64_t* left = nullptr;
};

// Design: entries of 128 bytes, which FUSE and ublk commands need, unless they cost more than 3 % here.
void ring_nop(benchmark::State& state) {
    loop::LoopOptions options;
    options.ring.wide_entries = state.range(0) == 128;
    options.poll.max_ns = 0;
    auto made = loop::Loop::create(options);
    if (!made)
        return state.SkipWithError(made.error().message.c_str());
    loop::Loop& loop = **made;
    std::vector<Nop> nops(std::size_t(state.range(1)));
    std::int64_t left = 0;
    for (auto _ : state) {
        left = state.range(1);
        for (Nop& nop : nops) {
            nop.left = &left;
            loop.nop(nop.completion);
        }
        loop.run_until([&] { return left == 0; });
    }
    state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(ring_nop)->ArgNames({"entry", "depth"})->ArgsProduct({{64, 128}, {1, 32, 128}});

void qmp_command(benchmark::State& state) {
    constexpr std::string_view kText =
        R"({"execute": "block-export-add", "arguments": {"type": "nbd", "id": "e0", "node-name": "n0"}, "id": 7})";
    json::StreamParser parser;
    for (auto _ : state) {
        std::string_view input = kText;
        auto message = parser.next(input);
        benchmark::DoNotOptimize(json::to_string(message->value()));
    }
    state.SetBytesProcessed(state.iterations() * std::int64_t(kText.size()));
}
BENCHMARK(qmp_command);

} // namespace

BENCHMARK_MAIN();
