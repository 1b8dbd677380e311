// SPDX-License-Identifier: Apache-2.0
// A loop, a pool and listeners on them, for one test. Not thread-safe.
#pragma once

#include "host/net/listener.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>

namespace outport::net {

class NetTest : public testing::Test {
  protected:
    void SetUp() override {
        auto made = loop::Loop::create();
        ASSERT_TRUE(made) << made.error().message;
        loop_ = std::move(*made);
        net_ = std::make_unique<Net>(*loop_, pool_);
        net_->end_startup();
        char name[] = "/tmp/outport-net-XXXXXX";
        folder_ = mkdtemp(name);
    }

    void TearDown() override {
        run_until([&] { return net_->alive() == 0; });
        loop_->stop();
        EXPECT_EQ(loop_->run(), 0u);
        net_.reset();
        EXPECT_TRUE(pool_.shutdown(5'000'000'000).empty());
        loop_.reset();
        std::filesystem::remove_all(folder_);
    }

    template <class Condition> void run_until(Condition condition) {
        while (!condition())
            loop_->run_once(true);
    }

    // Listens and waits for the word; clients' descriptors are collected.
    Result<> listen(Address address) {
        std::optional<Result<>> word;
        listener_ = Listener::open(
            *net_, std::move(address), 16, [this](int fd) { accepted_.push_back(fd); },
            [&word](Result<> result) { word = std::move(result); });
        run_until([&] { return word.has_value(); });
        if (!*word)
            listener_ = nullptr;
        return *word;
    }

    void close() {
        bool closed = false;
        listener_->close([&closed](Result<>) { closed = true; });
        run_until([&] { return closed; });
        for (int fd : accepted_)
            ::close(fd);
        accepted_.clear();
    }

    std::string path(const char* name = "s") const { return folder_ + "/" + name; }

    std::string folder_;
    std::unique_ptr<loop::Loop> loop_;
    loop::BlockingPool pool_;
    std::unique_ptr<Net> net_;
    Listener* listener_ = nullptr;
    std::vector<int> accepted_;
};

// A blocking client; -1: refused.
inline int connect_unix(const std::string& path, bool abstract = false) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path + (abstract ? 1 : 0), path.data(), path.size());
    auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&name), length) == 0)
        return fd;
    ::close(fd);
    return -1;
}

inline int connect_inet(std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0)
        return fd;
    ::close(fd);
    return -1;
}

inline int connect_inet6(std::uint16_t port) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    name.sin6_addr = in6addr_loopback;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0)
        return fd;
    ::close(fd);
    return -1;
}

// One that nobody listens on just now.
inline std::uint16_t free_port() {
    const std::atomic<bool> cancelled{false};
    auto probe = open_sockets(InetAddress{.host = "127.0.0.1", .port = "0"}, {}, cancelled);
    sockaddr_in name{};
    socklen_t length = sizeof name;
    getsockname(probe->front().fd, reinterpret_cast<sockaddr*>(&name), &length);
    close_sockets(*probe);
    return ntohs(name.sin_port);
}

} // namespace outport::net
