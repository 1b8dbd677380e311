// SPDX-License-Identifier: Apache-2.0
// What the tests of the loop share: a fixture with a loop, an operation that remembers its completions,
// pipes. Not thread-safe.
#pragma once

#include "host/loop/loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace outport::loop::test {

inline constexpr std::uint64_t kForEver =
    3'600'000'000'000; // for what must not depend on the machine's speed

// Counts its completions and keeps the last one.
struct Op {
    Completion completion{[](Completion* c, std::int32_t result, std::uint32_t flags) {
        auto* self = owner_of(c, &Op::completion);
        ++self->calls;
        self->result = result;
        self->flags = flags;
    }};
    int calls = 0;
    std::int32_t result = 0;
    std::uint32_t flags = 0;

    bool done() const { return calls && !completion.in_flight(); }
};

struct SocketPair {
    int fds[2] = {-1, -1};

    explicit SocketPair(int type = SOCK_STREAM) {
        EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    }
    SocketPair(const SocketPair&) = delete;
    SocketPair& operator=(const SocketPair&) = delete;
    ~SocketPair() {
        ::close(fds[0]);
        ::close(fds[1]);
    }
};

class LoopTest : public ::testing::Test {
  protected:
    explicit LoopTest(const LoopOptions& options = {}) {
        auto made = Loop::create(options);
        if (!made)
            ADD_FAILURE() << made.error().message << "; " << made.error().hint;
        else
            loop_ = std::move(*made);
    }

    // So that nobody is still about to wake it.
    ~LoopTest() override {
        if (loop_) {
            loop_->stop();
            loop_->run(kForEver);
        }
    }

    template <class Condition> void run_until(Condition condition) {
        while (!condition())
            loop_->run_once(true);
    }

    std::unique_ptr<Loop> loop_;
};

// A loop whose queues are as small as they get.
inline LoopOptions tiny_options() {
    LoopOptions options;
    options.ring.entries = 4;
    options.ring.cq_entries = 8;
    return options;
}

} // namespace outport::loop::test
