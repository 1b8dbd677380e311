// SPDX-License-Identifier: Apache-2.0
// The server's channels, with real sockets and a real loop.
#include "tests/unit/qmp-fixture.hpp"

#include "host/loop/loop.hpp"
#include "host/qmp/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>

using namespace outport;
using namespace outport::test;

namespace {

int connect_to(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

class ServerTest : public ::testing::Test {
  protected:
    std::string folder = [] {
        std::string text = "/tmp/outport-qmp-XXXXXX";
        return std::string(mkdtemp(text.data()));
    }();
    std::string path = folder + "/sock";
    std::unique_ptr<loop::Loop> loop;
    QmpHost host;
    std::unique_ptr<qmp::Server> server;
    std::vector<int> fds;

    void SetUp() override {
        auto made = loop::Loop::create();
        if (!made)
            GTEST_SKIP() << made.error().message;
        loop = std::move(*made);
        start({});
    }
    void TearDown() override {
        for (int fd : fds)
            close(fd);
        server.reset();
        host.later.clear();
        EXPECT_NE(access(path.c_str(), F_OK), 0); // unlinked
        rmdir(folder.c_str());
    }
    void start(qmp::ServerConfig config) {
        config.version = "1.2.3";
        server = std::make_unique<qmp::Server>(*loop, host.dispatcher, config);
    }
    void listen(std::string_view more = "") {
        std::vector<std::string> warnings;
        bool help;
        auto options =
            qmp::parse_chardev(cat("socket,id=c,path=", path, ",server=on,wait=off", more), warnings, help);
        ASSERT_TRUE(options) << options.error().message;
        auto added = server->add_chardev(*options);
        ASSERT_TRUE(added) << added.error().message;
        added = server->add_monitor("c", "", false);
        ASSERT_TRUE(added) << added.error().message;
    }
    int client() {
        int fd = connect_to(path);
        EXPECT_GE(fd, 0);
        fds.push_back(fd);
        return fd;
    }
    void run_until(const std::function<bool()>& done) {
        for (int turns = 0; turns < 1000000; turns++) {
            if (done())
                return;
            loop->run_once(false);
        }
        ADD_FAILURE() << "nothing more happens";
    }
    // One line; "" at the end of the stream.
    std::string line(int fd) {
        std::string text;
        run_until([&] {
            char c;
            while (recv(fd, &c, 1, MSG_DONTWAIT) > 0)
                if (text.push_back(c); c == '\n')
                    return true;
            char peek;
            return recv(fd, &peek, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
        });
        return text;
    }
    bool silent(int fd) {
        for (int i = 0; i < 50; i++)
            loop->run_once(false);
        char c;
        return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
    }
    static void say(int fd, std::string_view text) {
        ASSERT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    void greet(int fd) {
        EXPECT_EQ(line(fd).substr(0, 8), "{\"QMP\": ");
        say(fd, "{'execute':'qmp_capabilities'}");
        EXPECT_EQ(line(fd), "{\"return\": {}}\r\n");
    }
};

} // namespace

TEST_F(ServerTest, ServesOneClientAtATime) {
    listen();
    int first = client(), second = client();
    greet(first);
    EXPECT_TRUE(silent(second));
    say(first, "{'execute':'echo','arguments':{'text':'a'}}");
    EXPECT_EQ(line(first), "{\"return\": {\"text\": \"a\"}}\r\n");
    shutdown(first, SHUT_WR);
    EXPECT_EQ(line(first), "");
    greet(second); // a new greeting, a new negotiation
}

TEST_F(ServerTest, AnswersWhatCameBeforeTheEnd) {
    listen();
    int fd = client();
    say(fd, "{'execute':'qmp_capabilities'}{'execute':'later','arguments':{'text':'a'}}{'execute':'query-"
            "version'}");
    shutdown(fd, SHUT_WR);
    EXPECT_EQ(line(fd).substr(0, 8), "{\"QMP\": ");
    EXPECT_EQ(line(fd), "{\"return\": {}}\r\n");
    run_until([&] { return host.later.size() == 1; });
    for (int i = 0; i < 50; i++)
        loop->run_once(false);
    EXPECT_FALSE(host.later[0]->cancelled()); // it only said that it has no more to ask
    host.later[0]->succeed();
    EXPECT_EQ(line(fd), "{\"return\": {}}\r\n");
    EXPECT_NE(line(fd).find("outport 1.2.3"), std::string::npos);
    EXPECT_EQ(line(fd), "");
}

TEST_F(ServerTest, ClientVanishesAfterItsLastRequest) {
    listen();
    int fd = client();
    greet(fd);
    say(fd, "{'execute':'later','arguments':{'text':'a'}}");
    shutdown(fd, SHUT_WR);
    run_until([&] { return host.later.size() == 1; });
    for (int i = 0; i < 50; i++)
        loop->run_once(false);
    EXPECT_FALSE(host.later[0]->cancelled());
    close(fd);
    fds.clear();
    run_until([&] { return host.later[0]->cancelled(); });
    host.later[0]->succeed();
    greet(client());
}

TEST_F(ServerTest, VanishedClientCancels) {
    listen();
    int fd = client();
    greet(fd);
    say(fd, "{'execute':'later','arguments':{'text':'a'}}{'execute':'later','arguments':{'text':'b'}}");
    run_until([&] { return host.later.size() == 1; });
    close(fd);
    fds.clear();
    run_until([&] { return host.later[0]->cancelled(); });
    host.later[0]->succeed();
    run_until(
        [&] { return host.later.size() == 2 && host.later[1]->cancelled(); }); // what it asked is still done
    host.later[1]->succeed();
    greet(client());
}

TEST_F(ServerTest, ServerGoesWhileACommandRuns) {
    listen();
    int fd = client();
    greet(fd);
    say(fd, "{'execute':'later','arguments':{'text':'a'}}");
    run_until([&] { return host.later.size() == 1; });
    server.reset();
    EXPECT_TRUE(host.later[0]->cancelled());
    host.later[0]->succeed();
    EXPECT_EQ(connect_to(path), -1);
}

TEST_F(ServerTest, ModeAndGroup) {
    auto mode = [&] {
        struct stat st{};
        EXPECT_EQ(stat(path.c_str(), &st), 0);
        EXPECT_EQ(st.st_gid, getgid());
        return st.st_mode & 07777;
    };
    mode_t before = umask(0);
    listen();
    EXPECT_EQ(mode(), 0600u);
    umask(077);
    server.reset();
    qmp::ServerConfig config;
    config.socket_mode = 0660;
    start(config);
    listen();
    EXPECT_EQ(mode(), 0660u);
    umask(before);
    server.reset();
    config.socket_group = "no such group";
    start(config);
    qmp::ChardevOptions options;
    options.id = "c";
    options.backend = qmp::ChardevOptions::Backend::Socket;
    options.path = path;
    options.server = true;
    options.wait = false;
    auto added = server->add_chardev(options);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().message, "There is no group 'no such group'");
    EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(ServerTest, SlowReaderIsCut) {
    qmp::ServerConfig config;
    config.output_limit = 8 << 20;
    start(config);
    listen();
    int fd = client();
    greet(fd);
    int sent = 0;
    for (bool cut = false; !cut && sent < 1000; sent++) {
        ASSERT_TRUE(host.dispatcher.event("HAPPENED", {{"name", std::string(1 << 20, 'x')}}));
        loop->run_once(false);
        pollfd p{fd, POLLRDHUP, 0};
        cut = poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP));
    }
    EXPECT_GE(sent, 8);
    EXPECT_LT(sent, 20);
    greet(client()); // the next is served
}

TEST_F(ServerTest, AsksWithoutReadingStopItself) {
    listen();
    int fd = client();
    greet(fd);
    for (int i = 0; i < 200; i++)
        say(fd, "{'execute':'big'}");
    for (int i = 0; i < 1000; i++)
        loop->run_once(false);
    std::size_t bytes = 0;
    run_until([&] { // all 200 MiB come, few at a time
        char buffer[65536];
        for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
            bytes += static_cast<std::size_t>(n);
        return bytes >= 200u << 20;
    });
}

TEST_F(ServerTest, LastWordsAreSent) {
    listen();
    int fd = client();
    greet(fd);
    say(fd, "{'execute':'quit'}");
    run_until([&] { return host.quits == 1; });
    ASSERT_TRUE(host.dispatcher.event("HAPPENED", {{"name", "x"}}));
    server.reset();
    EXPECT_EQ(line(fd), "{\"return\": {}}\r\n");
    EXPECT_NE(line(fd).find("HAPPENED"), std::string::npos);
    EXPECT_EQ(line(fd), "");
}

TEST_F(ServerTest, Names) {
    listen();
    auto twice = server->add_monitor("c", "", false);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().message, "chardev 'c' is already in use");
    auto none = server->add_monitor("nochr", "", false);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, "chardev \"nochr\" not found");
    qmp::ChardevOptions same;
    same.id = "c";
    auto added = server->add_chardev(same);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().message, "attempt to add duplicate property 'c' to object (type 'container')");
    qmp::ChardevOptions missing;
    missing.id = "d";
    missing.backend = qmp::ChardevOptions::Backend::Socket;
    missing.path = folder + "/nobody";
    added = server->add_chardev(missing);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().message,
              cat("Failed to connect to '", folder, "/nobody': No such file or directory"));
}

TEST_F(ServerTest, WaitsForTheFirstClient) {
    int fd = -1;
    std::thread other([&] {
        while ((fd = connect_to(path)) < 0)
            std::this_thread::yield();
    });
    qmp::ChardevOptions options;
    options.id = "c";
    options.backend = qmp::ChardevOptions::Backend::Socket;
    options.path = path;
    options.server = true;
    auto added = server->add_chardev(options);
    other.join();
    fds.push_back(fd);
    ASSERT_TRUE(added) << added.error().message;
    ASSERT_TRUE(server->add_monitor("c", "", false));
    greet(fd);
}

TEST_F(ServerTest, Tcp) {
    qmp::ChardevOptions options;
    options.id = "t";
    options.backend = qmp::ChardevOptions::Backend::Socket;
    options.host = "127.0.0.1";
    options.server = true;
    options.wait = false;
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int probe = socket(AF_INET, SOCK_STREAM, 0); // for a port that is free
    socklen_t length = sizeof name;
    ASSERT_EQ(bind(probe, reinterpret_cast<sockaddr*>(&name), length), 0);
    getsockname(probe, reinterpret_cast<sockaddr*>(&name), &length);
    close(probe);
    options.port = cat(ntohs(name.sin_port));
    auto added = server->add_chardev(options);
    ASSERT_TRUE(added) << added.error().message;
    ASSERT_TRUE(server->add_monitor("t", "", false));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    fds.push_back(fd);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&name), length), 0);
    greet(fd);
}
