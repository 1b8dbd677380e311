// SPDX-License-Identifier: Apache-2.0
// The SDK's C++ layer over outport.loop/1, on the host's own table.
#include "host/loop/blocking-pool.hpp"
#include "host/loop/sdk-tables.hpp"
#include "tests/unit/loop-support.hpp"

#include <outport/cpp/loop.hpp>

#include <functional>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace outport::loop::test {
namespace {

outport_iovec piece(void* data, std::size_t length) {
    return {reinterpret_cast<std::uint64_t>(data), length};
}

class Owner {
  public:
    void on_done(std::int32_t result) { results.push_back(result); }
    std::vector<std::int32_t> results;
    sdk::LoopOp<Owner, &Owner::on_done> op{*this};
};

class Watcher {
  public:
    void on_ready(std::int32_t result) {
        results.push_back(result);
        if (then)
            then();
    }
    std::vector<std::int32_t> results;
    std::function<void()> then;
    sdk::Watch<Watcher, &Watcher::on_ready> watch{*this};
};

class CppLoopTest : public LoopTest {
  protected:
    CppLoopTest() : sdk_(&kLoopTable, to_abi(*loop_)) {}

    std::int32_t result_of(Owner& owner) {
        run_until([&] { return !owner.op.running(); });
        return owner.results.back();
    }
    sdk::Loop sdk_;
};

TEST_F(CppLoopTest, ReadAndWriteAtAPlaceAndAtTheFilesOwn) {
    int fd = memfd_create("cpp", MFD_CLOEXEC);
    char data[] = "hello world", back[16] = {};
    outport_iovec out[] = {piece(data, 5), piece(data + 5, 6)};
    outport_iovec in[] = {piece(back, sizeof back)};
    Owner owner;
    sdk_.write(owner.op, fd, out, 100);
    EXPECT_TRUE(owner.op.running());
    EXPECT_EQ(result_of(owner), 11);
    sdk_.read(owner.op, fd, in, 100);
    EXPECT_EQ(result_of(owner), 11);
    EXPECT_STREQ(back, "hello world");
    ASSERT_EQ(lseek(fd, 106, SEEK_SET), 106);
    sdk_.read(owner.op, fd, in, sdk::Loop::kHere);
    EXPECT_EQ(result_of(owner), 5);
    EXPECT_EQ(std::string(back, 5), "world");
    sdk_.write(owner.op, fd, {out, 1}, sdk::Loop::kHere);
    EXPECT_EQ(result_of(owner), 5);
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 116);
    ::close(fd);
}

TEST_F(CppLoopTest, AcceptGivesADescriptor) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    Owner owner;
    sdk_.accept(owner.op, listener);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
    int server = result_of(owner);
    ASSERT_GE(server, 0);
    char byte = 'x';
    EXPECT_EQ(::send(client, &byte, 1, 0), 1);
    EXPECT_EQ(::recv(server, &byte, 1, 0), 1);
    for (int fd : {listener, client, server})
        ::close(fd);
}

TEST_F(CppLoopTest, PollTellsOnce) {
    SocketPair pair;
    Owner owner;
    sdk_.poll(owner.op, pair.fds[0], POLLIN | POLLOUT);
    EXPECT_EQ(result_of(owner), POLLOUT);
    sdk_.poll(owner.op, pair.fds[0], POLLIN);
    sdk_.cancel(owner.op);
    EXPECT_EQ(result_of(owner), -ECANCELED);
    EXPECT_EQ(owner.results.size(), 2u);
}

TEST_F(CppLoopTest, AWatchTellsAgainUntilItIsStopped) {
    SocketPair pair;
    Watcher watcher;
    char byte = 'x';
    watcher.watch.start(sdk_, pair.fds[0], POLLIN);
    for (std::size_t times : {1u, 2u, 3u}) {
        watcher.then = [&] { EXPECT_EQ(::recv(pair.fds[0], &byte, 1, MSG_DONTWAIT), 1); };
        ASSERT_EQ(::send(pair.fds[1], &byte, 1, 0), 1);
        run_until([&] { return watcher.results.size() == times; });
    }
    EXPECT_EQ(watcher.results, std::vector<std::int32_t>(3, POLLIN));
    watcher.then = nullptr; // not taken: told again
    ASSERT_EQ(::send(pair.fds[1], &byte, 1, 0), 1);
    run_until([&] { return watcher.results.size() == 5; });
    watcher.watch.stop();
    EXPECT_TRUE(watcher.watch.running()); // the last call is still to come
    run_until([&] { return !watcher.watch.running(); });
    EXPECT_EQ(watcher.results.back(), -ECANCELED);
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_F(CppLoopTest, AWatchMayBeStoppedStartedAndDestroyedInsideItsCall) {
    SocketPair first, second;
    auto watcher = std::make_unique<Watcher>();
    watcher->then = [&] { watcher->watch.stop(); };
    watcher->watch.start(sdk_, first.fds[0], POLLOUT);
    run_until([&] { return !watcher->watch.running(); });
    EXPECT_EQ(watcher->results, std::vector<std::int32_t>{POLLOUT});
    EXPECT_EQ(loop_->in_flight(), 0u);

    watcher->then = [&] {
        watcher->watch.stop();
        watcher->watch.start(sdk_, second.fds[0], POLLIN);
    };
    watcher->watch.start(sdk_, first.fds[0], POLLOUT);
    run_until([&] { return watcher->results.size() == 2; });
    EXPECT_TRUE(watcher->watch.running());
    char byte = 'x';
    bool destroyed = false;
    watcher->then = [&] {
        auto last = std::move(watcher); // with this function, at its end
        destroyed = true;
    };
    ASSERT_EQ(::send(second.fds[1], &byte, 1, 0), 1);
    run_until([&] { return destroyed; });
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_F(CppLoopTest, AWatchEndsWithAnError) {
    Watcher watcher;
    watcher.watch.start(sdk_, -1, POLLIN);
    run_until([&] { return !watcher.watch.running(); });
    EXPECT_EQ(watcher.results, std::vector<std::int32_t>{-EBADF});
}

} // namespace
} // namespace outport::loop::test
