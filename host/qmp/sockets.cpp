// SPDX-License-Identifier: Apache-2.0
// The sockets of chardevs. These calls wait, for names and for peers; they are made while the process starts.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/qmp/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>

#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace outport::qmp {
namespace {

net::Address address_of(const ChardevOptions& options) {
    if (!options.path.empty())
        return net::UnixAddress{options.path, options.abstract, options.tight};
    if (!options.fd.empty())
        return net::FdAddress{options.fd};
    net::InetAddress inet;
    inet.host = options.host;
    inet.port = options.port;
    inet.ipv4 = options.ipv4;
    inet.ipv6 = options.ipv6;
    return inet;
}

Result<gid_t> group_id(const std::string& name) {
    std::vector<char> buffer(65536);
    group entry{}, *found = nullptr;
    if (int e = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found); e)
        return fail_errno(e, cat("Can't look up the group '", name, "'"));
    if (!found)
        return fail(cat("There is no group '", name, "'"));
    return found->gr_gid;
}

// The group first: the mode may be wider for the group than we want the old one to have.
Result<> hand_over(const net::ListeningSocket& socket, const ServerConfig& config) {
    if (!config.socket_group.empty()) {
        auto gid = group_id(config.socket_group);
        if (!gid)
            return fail(std::move(gid.error()));
        if (chown(socket.path.c_str(), static_cast<uid_t>(-1), *gid) < 0)
            return fail_errno(errno,
                              cat("Can't give '", socket.path, "' to the group '", config.socket_group, "'"));
    }
    if (chmod(socket.path.c_str(), config.socket_mode) < 0)
        return fail_errno(errno, cat("Can't set the mode of '", socket.path, "'"));
    return {};
}

Result<int> connect_unix(const ChardevOptions& options) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::size_t first = options.abstract ? 1 : 0;
    if (options.path.size() + 1 > sizeof name.sun_path)
        return fail(cat("UNIX socket path '", options.path, "' is too long"),
                    cat("Path must be less than ", sizeof name.sun_path, " bytes"));
    std::memcpy(name.sun_path + first, options.path.data(), options.path.size());
    const std::size_t used = options.abstract && !options.tight
                                 ? sizeof name
                                 : offsetof(sockaddr_un, sun_path) + options.path.size() + 1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "Failed to create Unix socket");
    if (connect(fd, reinterpret_cast<sockaddr*>(&name), static_cast<socklen_t>(used)) < 0) {
        int e = errno;
        ::close(fd);
        return fail_errno(e, cat("Failed to connect to '", options.path, "'"));
    }
    return fd;
}

Result<int> connect_inet(const ChardevOptions& options) {
    addrinfo hints{}, *list = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_family = options.ipv6 == false || options.ipv4 == true   ? AF_INET
                      : options.ipv4 == false || options.ipv6 == true ? AF_INET6
                                                                      : AF_UNSPEC;
    if (int e = getaddrinfo(options.host.c_str(), options.port.c_str(), &hints, &list); e)
        return fail(
            cat("address resolution failed for ", options.host, ":", options.port, ": ", gai_strerror(e)));
    std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
    int error = EADDRNOTAVAIL;
    for (addrinfo* a = list; a; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            return fd;
        error = errno;
        if (fd >= 0)
            ::close(fd);
    }
    return fail_errno(error, cat("Failed to connect to '", options.host, ":", options.port, "'"));
}

Result<int> connected_fd(const std::string& text) {
    int fd = -1;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), fd);
    if (ec != std::errc{} || end != text.data() + text.size() || fd < 0)
        return fail(cat("Unable to parse FD number ", text));
    struct stat st{};
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return fail(cat("File descriptor '", text, "' is not a socket"));
    return fd;
}

} // namespace

Result<int> connect_socket(const ChardevOptions& options) {
    if (!options.path.empty())
        return connect_unix(options);
    return options.fd.empty() ? connect_inet(options) : connected_fd(options.fd);
}

Result<std::vector<net::ListeningSocket>> listen_sockets(const ChardevOptions& options,
                                                         const ServerConfig& config) {
    const std::atomic<bool> cancelled{false};
    net::OpenOptions how;
    how.mode = config.socket_mode & 0600; // nobody else, until it has its group
    if (!options.fd.empty())
        if (auto good = connected_fd(options.fd); !good)
            return fail(std::move(good.error()));
    auto sockets = net::open_sockets(address_of(options), how, cancelled);
    if (!sockets)
        return sockets;
    for (const net::ListeningSocket& s : *sockets) {
        if (s.path.empty())
            continue;
        if (auto done = hand_over(s, config); !done) {
            net::close_sockets(*sockets);
            return fail(std::move(done.error()));
        }
    }
    return sockets;
}

Result<int> wait_for_client(const std::vector<net::ListeningSocket>& sockets, const ChardevOptions& options) {
    log::say(
        cat(log::program(), ": info: QEMU waiting for connection on: disconnected:", options.label(), '\n'));
    sigset_t ends;
    sigemptyset(&ends);
    for (int s : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&ends, s);
    // Sees those that are blocked, which is what the main loop does with them; it reads them later.
    int signals = signalfd(-1, &ends, SFD_CLOEXEC);
    std::vector<pollfd> fds{{signals, POLLIN, 0}};
    for (const net::ListeningSocket& s : sockets)
        fds.push_back({s.fd, POLLIN, 0});
    Result<int> outcome = fail("Ended by a signal while waiting for a connection");
    while (!fds[0].revents) {
        if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
            break;
        auto ready = std::find_if(fds.begin() + 1, fds.end(), [](const pollfd& p) { return p.revents != 0; });
        if (ready == fds.end())
            continue;
        int fd = accept4(ready->fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) {
            outcome = fd;
            break;
        }
        if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
            outcome = fail_errno(errno, "Failed to accept a connection");
            break;
        }
    }
    ::close(signals);
    return outcome;
}

} // namespace outport::qmp
