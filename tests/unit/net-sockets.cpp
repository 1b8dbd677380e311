// SPDX-License-Identifier: Apache-2.0
// Addresses and the sockets that are made of them, in QEMU's words where it goes wrong.
#include "net-support.hpp"

#include <boost/json/parse.hpp>

#include <netinet/in.h>
#include <sys/stat.h>

#include <fstream>

namespace outport::net {
namespace {

Result<Address> parse(const char* text, bool legacy = false) {
    return to_address(boost::json::parse(text).as_object(), legacy);
}

TEST(NetAddress, FlatAndLegacyMeanTheSame) {
    auto flat =
        parse(R"({"type": "inet", "host": "h", "port": "1", "to": 9, "ipv4": true, "numeric": true})");
    auto legacy = parse(
        R"({"type": "inet", "data": {"host": "h", "port": "1", "to": 9, "ipv4": true, "numeric": true}})",
        true);
    for (auto* address : {&flat, &legacy}) {
        ASSERT_TRUE(*address);
        const auto& inet = std::get<InetAddress>(**address);
        EXPECT_EQ(inet.host, "h");
        EXPECT_EQ(inet.port, "1");
        EXPECT_EQ(inet.to, 9);
        EXPECT_EQ(inet.ipv4, true);
        EXPECT_EQ(inet.ipv6, std::nullopt);
        EXPECT_TRUE(inet.numeric);
    }
}

TEST(NetAddress, UnixHasItsDefaults) {
    auto address = parse(R"({"type": "unix", "path": "/p"})");
    ASSERT_TRUE(address);
    EXPECT_FALSE(std::get<UnixAddress>(*address).abstract);
    EXPECT_TRUE(std::get<UnixAddress>(*address).tight);
    EXPECT_EQ(to_string(*address), "unix:/p");
}

TEST(NetAddress, OneFamilyMustBeLeft) {
    auto address = parse(R"({"type": "inet", "host": "", "port": "", "ipv4": false, "ipv6": false})");
    ASSERT_FALSE(address);
    EXPECT_EQ(address.error().message, "Cannot disable IPv4 and IPv6 at same time");
}

class NetSockets : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/outport-net-XXXXXX";
        folder_ = mkdtemp(name);
    }
    void TearDown() override {
        close_sockets(sockets_);
        std::filesystem::remove_all(folder_);
    }
    Result<> open(const Address& address, const OpenOptions& options = {}) {
        auto made = open_sockets(address, options, cancelled_);
        if (!made)
            return fail(made.error());
        sockets_ = std::move(*made);
        return {};
    }
    std::string message(const Address& address, const OpenOptions& options = {}) {
        auto result = open(address, options);
        return result ? "" : result.error().message;
    }
    std::uint16_t port(std::size_t index = 0) const {
        sockaddr_storage name{};
        socklen_t length = sizeof name;
        getsockname(sockets_[index].fd, reinterpret_cast<sockaddr*>(&name), &length);
        return ntohs(reinterpret_cast<sockaddr_in&>(name).sin_port);
    }
    std::string path(const char* name = "s") const { return folder_ + "/" + name; }

    std::string folder_;
    std::vector<ListeningSocket> sockets_;
    std::atomic<bool> cancelled_{false};
};

TEST_F(NetSockets, AFileInTheWayIsReplaced) {
    std::ofstream(path()) << "a file";
    ASSERT_TRUE(open(UnixAddress{path()}));
    struct stat st{};
    ASSERT_EQ(stat(path().c_str(), &st), 0);
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
}

TEST_F(NetSockets, TheFileGoesWithTheSocket) {
    ASSERT_TRUE(open(UnixAddress{path()}));
    close_sockets(sockets_);
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(NetSockets, AFileThatIsNotOursAnyMoreStays) {
    ASSERT_TRUE(open(UnixAddress{path()}));
    std::filesystem::remove(path());
    std::ofstream(path()) << "another's";
    close_sockets(sockets_);
    EXPECT_TRUE(std::filesystem::exists(path()));
}

TEST_F(NetSockets, ARelativePathIsRemovedFromAnotherFolder) {
    auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder_);
    auto result = open(UnixAddress{"rel"});
    std::filesystem::current_path(before);
    ASSERT_TRUE(result);
    EXPECT_TRUE(std::filesystem::exists(path("rel")));
    close_sockets(sockets_);
    EXPECT_FALSE(std::filesystem::exists(path("rel")));
}

TEST_F(NetSockets, UnixPathsHaveALimit) {
    std::string longest = path();
    longest.resize(107, 'x');
    EXPECT_EQ(message(UnixAddress{longest}), "");
    close_sockets(sockets_);
    std::string text = message(UnixAddress{longest + "x"});
    EXPECT_EQ(text, "UNIX socket path '" + longest + "x' is too long");
}

TEST_F(NetSockets, BindErrorsNameThePath) {
    EXPECT_EQ(message(UnixAddress{"/nonexist/x"}),
              "Failed to bind socket to /nonexist/x: No such file or directory");
}

TEST_F(NetSockets, AbstractNames) {
    std::string name = "outport-test-" + std::to_string(getpid());
    ASSERT_TRUE(open(UnixAddress{name, true, true}));
    EXPECT_TRUE(sockets_[0].path.empty());
    EXPECT_EQ(connect_unix(name + "x", true), -1);
    // A tight name ends with its last byte.
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path + 1, name.data(), name.size());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&un), length), 0);
    close(fd);
    close_sockets(sockets_);
    ASSERT_TRUE(open(UnixAddress{name, true, false}));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_NE(connect(fd, reinterpret_cast<sockaddr*>(&un), length), 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
    close(fd);
}

TEST_F(NetSockets, ANameIsListenedOnAtAllItsAddresses) {
    ASSERT_TRUE(open(InetAddress{.host = "", .port = "0"}));
    int fd = connect_inet(port());
    EXPECT_GE(fd, 0);
    close(fd);
    for (std::size_t i = 1; i < sockets_.size(); ++i)
        EXPECT_EQ(port(i), port(0));
}

TEST_F(NetSockets, APortInUse) {
    ASSERT_TRUE(open(InetAddress{.host = "127.0.0.1", .port = "0"}));
    std::string taken = std::to_string(port());
    auto again = open_sockets(InetAddress{.host = "127.0.0.1", .port = taken}, {}, cancelled_);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message, "Failed to find an available port: Address already in use");
    // Of a range the next one is taken.
    auto last = static_cast<std::uint16_t>(port() + 20);
    auto next = open_sockets(InetAddress{.host = "127.0.0.1", .port = taken, .to = last}, {}, cancelled_);
    ASSERT_TRUE(next) << next.error().message;
    std::swap(*next, sockets_);
    EXPECT_GT(port(), std::stoi(taken));
    EXPECT_LE(port(), last);
    close_sockets(*next);
}

TEST_F(NetSockets, NamesThatAreNone) {
    EXPECT_EQ(message(InetAddress{.host = "no-such-host", .port = "1", .numeric = true}),
              "address resolution failed for no-such-host:1: Name or service not known");
    EXPECT_EQ(message(InetAddress{.host = "127.0.0.1", .port = "70000"}),
              "address resolution failed for 127.0.0.1:70000: Servname not supported for ai_socktype");
    EXPECT_EQ(message(InetAddress{.host = "::1", .port = "0", .ipv4 = true}),
              "address resolution failed for ::1:0: Address family for hostname not supported");
}

TEST_F(NetSockets, OnlyTheFamilyThatIsAsked) {
    ASSERT_TRUE(open(InetAddress{.host = "", .port = "0", .ipv6 = false}));
    ASSERT_EQ(sockets_.size(), 1u);
    int family = 0;
    socklen_t length = sizeof family;
    getsockopt(sockets_[0].fd, SOL_SOCKET, SO_DOMAIN, &family, &length);
    EXPECT_EQ(family, AF_INET);
}

TEST_F(NetSockets, Descriptors) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    std::string number = std::to_string(fd);
    EXPECT_EQ(message(FdAddress{number}, {.may_use_fds = false}),
              "only QEMU supports file descriptor passing");
    EXPECT_EQ(message(FdAddress{"x"}), "Unable to parse FD number x");
    EXPECT_EQ(message(FdAddress{"-1"}), "File descriptor '-1' is not a socket");
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_EQ(message(FdAddress{std::to_string(ends[0])}),
              "File descriptor '" + std::to_string(ends[0]) + "' is not a socket");
    close(ends[0]);
    close(ends[1]);
    ASSERT_TRUE(open(FdAddress{number}));
    EXPECT_GE(port(), 1);
}

TEST_F(NetSockets, GivesUpWhenCancelled) {
    cancelled_ = true;
    auto result = open(UnixAddress{path()});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().errno_value, ECANCELED);
    EXPECT_FALSE(std::filesystem::exists(path()));
}

} // namespace
} // namespace outport::net
