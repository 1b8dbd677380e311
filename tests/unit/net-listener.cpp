// SPDX-License-Identifier: Apache-2.0
// Listeners over real sockets: clients come, wait, and are let in; nothing is left at the end.
#include "net-support.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>

namespace outport::net {
namespace {

TEST_F(NetTest, ClientsComeIn) {
    ASSERT_TRUE(listen(UnixAddress{path()}));
    int one = connect_unix(path()), two = connect_unix(path());
    run_until([&] { return accepted_.size() == 2; });
    EXPECT_TRUE(fcntl(accepted_[0], F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(accepted_[0], F_GETFD) & FD_CLOEXEC);
    ASSERT_EQ(write(one, "x", 1), 1);
    char got = 0;
    EXPECT_EQ(read(accepted_[0], &got, 1), 1);
    EXPECT_EQ(got, 'x');
    ::close(one);
    ::close(two);
    close();
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(NetTest, TcpClientsAreNotDelayed) {
    std::uint16_t port = free_port();
    ASSERT_TRUE(listen(InetAddress{.host = "127.0.0.1", .port = std::to_string(port)}));
    int client = connect_inet(port);
    ASSERT_GE(client, 0);
    run_until([&] { return accepted_.size() == 1; });
    int on = 0;
    socklen_t length = sizeof on;
    getsockopt(accepted_[0], IPPROTO_TCP, TCP_NODELAY, &on, &length);
    EXPECT_EQ(on, 1);
    ::close(client);
    close();
}

TEST_F(NetTest, DescriptorsAreForStartUp) {
    auto result = listen(FdAddress{"0"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "only QEMU supports file descriptor passing");
}

TEST_F(NetTest, WhilePausedNobodyComesIn) {
    ASSERT_TRUE(listen(UnixAddress{path()}));
    loop_->run_once(false); // the accept is with the kernel
    listener_->pause(true);
    int client = connect_unix(path());
    ASSERT_GE(client, 0);
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    EXPECT_TRUE(accepted_.empty());
    listener_->pause(false);
    run_until([&] { return accepted_.size() == 1; });
    ::close(client);
    close();
}

TEST_F(NetTest, AClientThatCameBeforeThePauseIsNotLost) {
    ASSERT_TRUE(listen(UnixAddress{path()}));
    loop_->run_once(false);
    int client = connect_unix(path());
    listener_->pause(true); // the kernel has taken it in already
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    EXPECT_TRUE(accepted_.empty());
    listener_->pause(false);
    run_until([&] { return accepted_.size() == 1; });
    ::close(client);
    close();
}

TEST_F(NetTest, PausedFromInsideTheCallback) {
    std::optional<Result<>> word;
    listener_ = Listener::open(
        *net_, UnixAddress{path()}, 16,
        [this](int fd) {
            accepted_.push_back(fd);
            listener_->pause(true);
        },
        [&word](Result<> result) { word = std::move(result); });
    int one = -1, two = -1;
    run_until([&] { return word.has_value(); });
    one = connect_unix(path());
    two = connect_unix(path());
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    EXPECT_EQ(accepted_.size(), 1u);
    ::close(one);
    ::close(two);
    close();
}

// Clients of both families in one turn: the first one's callback pauses, the second one is in already.
TEST_F(NetTest, AClientThatCameInTheTurnOfThePauseIsKept) {
    std::uint16_t port = free_port();
    std::optional<Result<>> word;
    listener_ = Listener::open(
        *net_, InetAddress{.host = "", .port = std::to_string(port)}, 16,
        [this](int fd) {
            accepted_.push_back(fd);
            listener_->pause(true);
        },
        [&word](Result<> result) { word = std::move(result); });
    run_until([&] { return word.has_value(); });
    ASSERT_TRUE(*word);
    loop_->run_once(false);
    int four = connect_inet(port), six = connect_inet6(port);
    if (six < 0) {
        ::close(four);
        close();
        GTEST_SKIP() << "no IPv6 here";
    }
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    ASSERT_EQ(accepted_.size(), 1u);
    listener_->pause(false);
    run_until([&] { return accepted_.size() == 2; });
    for (int client : {four, six}) { // neither was closed
        char got = 0;
        EXPECT_EQ(recv(client, &got, 1, MSG_DONTWAIT), -1);
        ::close(client);
    }
    close();
}

TEST_F(NetTest, DuringStartUpClientsWait) {
    Net starting(*loop_, pool_);
    std::optional<Result<>> word;
    Listener* listener = Listener::open(
        starting, UnixAddress{path()}, 16, [this](int fd) { accepted_.push_back(fd); },
        [&word](Result<> result) { word = std::move(result); });
    run_until([&] { return word.has_value(); });
    int client = connect_unix(path());
    ASSERT_GE(client, 0);
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    EXPECT_TRUE(accepted_.empty());
    starting.end_startup();
    run_until([&] { return accepted_.size() == 1; });
    bool closed = false;
    listener->close([&closed](Result<>) { closed = true; });
    run_until([&] { return closed; });
    ::close(client);
    ::close(accepted_[0]);
    accepted_.clear();
}

TEST_F(NetTest, FailureLeavesNoListener) {
    auto result = listen(UnixAddress{"/nonexist/x"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "Failed to bind socket to /nonexist/x: No such file or directory");
    EXPECT_EQ(net_->alive(), 0u);
}

TEST_F(NetTest, ClosingBeforeItListensCancelsInOrder) {
    std::vector<std::string> words;
    Listener* listener = Listener::open(
        *net_, UnixAddress{path()}, 16, [](int fd) { ::close(fd); },
        [&words](Result<> result) {
            words.push_back(result ? "listening" : std::to_string(result.error().errno_value));
        });
    listener->close([&words](Result<>) { words.push_back("closed"); });
    EXPECT_TRUE(words.empty());
    run_until([&] { return words.size() == 2; });
    EXPECT_EQ(words, (std::vector<std::string>{"125", "closed"}));
    run_until([&] { return net_->alive() == 0; });
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(NetTest, ALookUpThatHangsHoldsNothingUp) {
    // A path whose file system never answers is hard to have; a full share of threads is the same to a
    // listener.
    struct Hold {
        loop::BlockingJob job;
        std::atomic<bool>* go;
        bool done = false;
    };
    std::atomic<bool> go{false};
    loop::BlockingOwner other{"other"};
    std::vector<std::unique_ptr<Hold>> holds;
    for (int i = 0; i < 8; ++i) {
        auto hold = std::make_unique<Hold>();
        hold->go = &go;
        hold->job.run = [](loop::BlockingJob* j) { loop::owner_of(j, &Hold::job)->go->wait(false); };
        hold->job.done = [](loop::BlockingJob* j) { loop::owner_of(j, &Hold::job)->done = true; };
        ASSERT_TRUE(pool_.submit(other, loop::JobClass::Control, hold->job));
        holds.push_back(std::move(hold));
    }
    std::vector<std::string> words;
    Listener* listener = Listener::open(
        *net_, InetAddress{.host = "127.0.0.1", .port = "0"}, 16, [](int fd) { ::close(fd); },
        [&words](Result<> result) { words.push_back(result ? "listening" : "cancelled"); });
    loop_->run_once(false);
    listener->close([&words](Result<>) { words.push_back("closed"); });
    run_until([&] { return words.size() == 2; });
    EXPECT_EQ(words, (std::vector<std::string>{"cancelled", "closed"}));
    go = true;
    go.notify_all();
    run_until([&] {
        for (auto& hold : holds)
            if (!hold->done)
                return false;
        return true;
    });
}

TEST_F(NetTest, ClosedBeforeItIsToldThatNoThreadIsThere) {
    EXPECT_TRUE(pool_.shutdown(5'000'000'000).empty()); // takes no job any more
    std::vector<std::string> words;
    auto* listener = Listener::open(
        *net_, UnixAddress{path()}, 16, [](int fd) { ::close(fd); },
        [&words](Result<> result) { words.push_back(result ? "listening" : result.error().message); });
    listener->close([&words](Result<>) { words.push_back("closed"); });
    EXPECT_TRUE(words.empty());
    for (int i = 0; i < 20; ++i)
        loop_->run_once(false);
    EXPECT_EQ(words, (std::vector<std::string>{"Listening was given up: Operation canceled", "closed"}));
}

} // namespace
} // namespace outport::net
