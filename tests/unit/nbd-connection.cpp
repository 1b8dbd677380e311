// SPDX-License-Identifier: Apache-2.0
// Connections and the server's life in orders of events that a real kernel shows only now and then.
#include "nbd-served.hpp"

namespace outport::nbd {
namespace {

using test::Call, test::request;

class NbdConnection : public test::NbdServed {};

TEST_F(NbdConnection, ServesARead) {
    const int fd = client();
    say(fd, request(Command::Read, 4096, 512));
    ASSERT_EQ(host.requests.size(), 1u);
    EXPECT_EQ(host.requests[0]->offset, 4096u);
    host.complete(host.requests[0], 0);
    EXPECT_EQ(host.find(fd, IORING_OP_SEND)->len, kSimpleReplySize + 512);
    EXPECT_TRUE(has_client());
    cut_all();
}

// The other end reads no more while we still receive what it writes. Until the kernel has let go of the
// payload's memory nobody else may have it.
TEST_F(NbdConnection, PayloadStaysWhileTheKernelReceivesIt) {
    const int one = client(), other = client();
    say(one, request(Command::Read, 0, 512) + request(Command::Write, 0, 65536) + std::string(100, 'p'));
    const auto* receiving = host.find(one, IORING_OP_RECV);
    ASSERT_NE(receiving, nullptr);
    const std::uint64_t begin = receiving->addr, end = begin + receiving->len;
    host.complete(host.requests.front(), 0);
    host.complete(host.find(one, IORING_OP_SEND), -EPIPE);
    ASSERT_NE(host.find(one, IORING_OP_RECV), nullptr);

    say(other, request(Command::Read, 0, end - begin));
    ASSERT_EQ(host.requests.size(), 1u);
    const std::uint64_t base = host.requests[0]->iov[0].base;
    EXPECT_TRUE(base >= end || base + host.requests[0]->length <= begin);
    cut_all();
}

// A client that has closed its sending side and reads nothing is not waited for without end.
TEST_F(NbdConnection, EndsAClientThatDoesNotFetchItsLastReplies) {
    const int fd = client();
    say(fd, request(Command::Read, 0, 65536));
    host.complete(host.requests.front(), 0);
    ASSERT_NE(host.find(fd, IORING_OP_SEND), nullptr);
    EXPECT_TRUE(host.timers.empty()) << "it may be slow as long as it may ask for more";
    host.complete(host.find(fd, IORING_OP_RECV), 0);
    ASSERT_EQ(host.timers.size(), 1u);

    host.complete(host.find(fd, IORING_OP_SEND), 1000); // it does fetch something
    host.fire_timer();
    EXPECT_NE(::send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1) << "cut although it made progress";
    host.fire_timer();
    EXPECT_EQ(::send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
    host.complete(host.find(fd, IORING_OP_SEND), -EPIPE);
    EXPECT_FALSE(has_client());
    host.turn();
}

// What the host has of a client that was cut is taken back, of that one alone, and waited for.
TEST_F(NbdConnection, CancelsWhatIsInFlightOfABrokenClient) {
    const int one = client(), other = client();
    say(one, request(Command::Read, 0, 512) + request(Command::Flush, 0, 0) +
                 request(Command::Write, 0, 512) + std::string(512, 'p') + request(Command::Read, 512, 512));
    say(other, request(Command::Read, 1024, 512));
    ASSERT_EQ(host.requests.size(), 5u);
    const std::vector<outport_block_request*> lent(host.requests.begin() + 1, host.requests.begin() + 4);
    host.complete(host.requests.front(), 0); // it is answered
    EXPECT_TRUE(host.unwanted.empty());
    host.complete(host.find(one, IORING_OP_SEND), -EPIPE);
    EXPECT_TRUE(std::is_permutation(host.unwanted.begin(), host.unwanted.end(), lent.begin(), lent.end()));
    host.complete(host.find(one, IORING_OP_RECV), 0);
    while (!host.unwanted.empty()) {
        EXPECT_TRUE(has_client());
        host.complete(host.unwanted.back(), -ECANCELED);
    }
    EXPECT_EQ(host.requests.size(), 1u);
    cut_all();
}

// The standard: after DISC, all that came before it is handled. Only a hard stop is in more of a hurry.
TEST_F(NbdConnection, CarriesOutWhatCameBeforeADisconnect) {
    const int fd = client();
    say(fd,
        request(Command::Read, 0, 512) + request(Command::Flush, 0, 0) + request(Command::Disconnect, 0, 0));
    host.complete(host.requests.front(), 0);
    host.complete(host.find(fd, IORING_OP_SEND), -EPIPE);
    EXPECT_TRUE(host.unwanted.empty());
    test::Done done;
    export_->stop(OUTPORT_STOP_HARD, &done);
    host.turn();
    EXPECT_EQ(host.unwanted.size(), 1u);
    end_all(done);
}

// The end of the stream says only that no more is asked; a socket that is closed altogether, that nobody
// listens.
TEST_F(NbdConnection, KeepsWhatAClientThatOnlySendsNoMoreAskedFor) {
    const int fd = client();
    say(fd, request(Command::Flush, 0, 0));
    ::shutdown(peers_.back(), SHUT_WR);
    host.complete(host.find(fd, IORING_OP_RECV), 0);
    EXPECT_TRUE(host.unwanted.empty());
    cut_all();
}

TEST_F(NbdConnection, CancelsForAClientThatIsGone) {
    const int fd = client();
    say(fd, request(Command::Flush, 0, 0));
    ::close(peers_.back());
    peers_.pop_back();
    host.complete(host.find(fd, IORING_OP_RECV), 0);
    EXPECT_EQ(host.unwanted.size(), 1u);
    cut_all();
}

TEST_F(NbdConnection, AHardStopCancelsWhatIsInFlight) {
    const int fd = client();
    say(fd, request(Command::Read, 0, 512) + request(Command::Flush, 0, 0));
    test::Done done;
    export_->stop(OUTPORT_STOP_HARD, &done);
    host.turn();
    EXPECT_EQ(host.unwanted.size(), 2u);
    end_all(done);
}

TEST_F(NbdConnection, AnswersAllAfterTheEndOfTheStream) {
    const int fd = client();
    say(fd, request(Command::Read, 0, 512) + request(Command::Disconnect, 0, 0));
    EXPECT_EQ(host.find(fd, IORING_OP_RECV), nullptr);
    host.complete(host.requests.front(), 0);
    host.complete(host.find(fd, IORING_OP_SEND), kSimpleReplySize + 512);
    EXPECT_FALSE(has_client());
    EXPECT_TRUE(host.timers.empty());
    host.turn();
}

// Five clients with a request of the largest size each do not fit; the fifth waits until one of them is done.
// Meanwhile a client with a small request is served.
class NbdMemory : public NbdConnection {
  protected:
    static constexpr std::uint32_t kLargest = 32u << 20;
    NbdMemory() {
        host.size = kLargest;
        for (int i = 0; i < 4; ++i)
            say(fds_.emplace_back(client()), request(Command::Read, 0, kLargest));
        EXPECT_EQ(host.requests.size(), 4u);
        waiting_ = client();
        say(waiting_, request(Command::Read, 0, kLargest));
        EXPECT_EQ(host.requests.size(), 4u);
        const int small = client();
        say(small, request(Command::Read, 0, 1u << 20));
        EXPECT_EQ(host.requests.size(), 5u);
        host.complete(host.requests.back(), 0);
        host.complete(host.find(small, IORING_OP_SEND), kSimpleReplySize + (1 << 20));
        EXPECT_EQ(host.requests.size(), 4u);
    }
    bool cut(int fd) { return ::send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == -1; }
    // All timers that run now.
    void fire_timers() {
        for (std::size_t n = host.timers.size(); n > 0; --n)
            host.fire_timer();
    }

    std::vector<int> fds_;
    int waiting_;
};

TEST_F(NbdMemory, WhoFindsNoneGetsItWhenSomeIsGivenBack) {
    host.complete(host.requests.front(), 0);
    EXPECT_EQ(host.requests.size(), 3u) << "it is held until the answer has been sent";
    for (std::uint32_t sent = 0, all = kSimpleReplySize + kLargest; sent < all;) {
        auto* entry = host.find(fds_[0], IORING_OP_SEND);
        ASSERT_NE(entry, nullptr);
        sent += entry->len;
        host.complete(entry, std::int32_t(entry->len));
    }
    ASSERT_EQ(host.requests.size(), 4u);
    cut_all();
}

TEST_F(NbdMemory, TheyAreServedInTurn) {
    const int next = client();
    say(next, request(Command::Read, 0, kLargest));
    host.complete(host.requests.front(), -EIO);
    EXPECT_EQ(host.requests.size(), 4u) << "one of the two";
    host.complete(host.requests.front(), -EIO);
    EXPECT_EQ(host.requests.size(), 4u);
    cut_all();
}

// One that is stuck in the disk is no fault of its client.
TEST_F(NbdMemory, AClientThatFetchesNothingMakesWay) {
    host.complete(host.requests.front(), 0);
    fire_timers();
    EXPECT_FALSE(cut(fds_[0])) << "it had not all of that time";
    fire_timers();
    EXPECT_TRUE(cut(fds_[0]));
    EXPECT_FALSE(cut(fds_[1]));
    EXPECT_EQ(host.requests.size(), 3u) << "the kernel still has the memory";
    host.complete(host.find(fds_[0], IORING_OP_SEND), -EPIPE);
    EXPECT_EQ(host.requests.size(), 4u);
    EXPECT_FALSE(cut(waiting_));
    cut_all();
}

TEST_F(NbdMemory, ASlowClientMakesProgress) {
    host.complete(host.requests.front(), 0);
    for (int i = 0; i < 5; ++i) {
        fire_timers();
        host.complete(host.find(fds_[0], IORING_OP_SEND), 1);
    }
    EXPECT_FALSE(cut(fds_[0]));
    cut_all();
}

// Else one that sends it slowly would look like one that sends nothing.
TEST_F(NbdConnection, ALargePayloadIsReceivedInPieces) {
    host.size = 32u << 20;
    const int fd = client();
    say(fd, request(Command::Write, 0, 32u << 20));
    auto* entry = host.find(fd, IORING_OP_RECV);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->len, 1u << 20);
    cut_all();
}

// The host may call fini as soon as the server says that it has stopped.
TEST_F(NbdConnection, StopWaitsForTheTimerOfAHandshake) {
    host.hold_cancelled = true;
    const int fd = client();
    host.complete(host.find(fd, IORING_OP_RECV), 0);
    EXPECT_FALSE(has_client());
    host.turn();
    EXPECT_EQ(safe_.status, OUTPORT_OK);
    export_.reset();

    Call stop;
    run("nbd-server-stop", stop);
    host.closing->complete(host.closing, OUTPORT_OK, nullptr, 0);
    host.turn();
    EXPECT_FALSE(stop.status);
    host.hold_cancelled = false;
    host.turn();
    EXPECT_EQ(stop.status, OUTPORT_OK);
}

} // namespace
} // namespace outport::nbd
