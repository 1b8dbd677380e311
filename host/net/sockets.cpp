// SPDX-License-Identifier: Apache-2.0
#include "host/net/sockets.hpp"

#include "host/base/text.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace outport::net {

namespace {

using Sockets = std::vector<ListeningSocket>;

// Blocking on purpose: for a ring, accepting from a non-blocking socket means not to wait for a client.
constexpr int kStream = SOCK_STREAM | SOCK_CLOEXEC;

std::unexpected<Error> cancelled_error() {
    return fail_errno(ECANCELED, "Listening was given up");
}

// The process may change its folder later, and then the file is still to be removed.
std::string absolute(const std::string& path) {
    if (path.starts_with('/'))
        return path;
    std::unique_ptr<char, decltype(&std::free)> folder(get_current_dir_name(), &std::free);
    return folder ? cat(folder.get(), '/', path) : path;
}

Result<socklen_t> fill_unix(const UnixAddress& address, sockaddr_un& name) {
    name.sun_family = AF_UNIX;
    std::size_t room =
        sizeof name.sun_path - (address.abstract ? 1 : 0); // of an abstract name the first byte is 0
    if (address.path.size() > room || (!address.abstract && address.path.size() == room))
        return fail(cat("UNIX socket path '", address.path, "' is too long"),
                    cat("Path must be less than ", room, " bytes"));
    if (address.path.empty() && !address.abstract)
        return fail("UNIX socket path is empty");
    std::memcpy(name.sun_path + (address.abstract ? 1 : 0), address.path.data(), address.path.size());
    if (address.abstract && !address.tight)
        return static_cast<socklen_t>(sizeof name);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
}

Result<Sockets> open_unix(const UnixAddress& address, const OpenOptions& options) {
    sockaddr_un name{};
    auto length = fill_unix(address, name);
    if (!length)
        return fail(std::move(length.error()));
    Sockets made(1);
    ListeningSocket& s = made.front();
    s.fd = socket(AF_UNIX, kStream, 0);
    if (s.fd < 0)
        return fail_errno(errno, "Failed to create Unix socket");
    auto give_up = [&](int number, const char* what) {
        close(s.fd);
        return fail_errno(number, cat(what, address.path));
    };
    // The file gets the mode of its socket, less the umask's bits: nobody else can come in before it is
    // narrowed.
    if (options.mode && fchmod(s.fd, options.mode) < 0)
        return give_up(errno, "Failed to set the mode of socket ");
    // What is there is replaced, as qemu-storage-daemon does: most often it is what a killed process left.
    // But not a device, whose name root would take from the whole system.
    struct stat there{};
    const bool replaced = !address.abstract && lstat(name.sun_path, &there) == 0 && !S_ISCHR(there.st_mode) &&
                          !S_ISBLK(there.st_mode);
    if (replaced && unlink(name.sun_path) < 0 && errno != ENOENT)
        return give_up(errno, "Failed to unlink socket ");
    if (bind(s.fd, reinterpret_cast<sockaddr*>(&name), *length) < 0)
        return give_up(errno, "Failed to bind socket to ");
    struct stat st{};
    if (!address.abstract && lstat(name.sun_path, &st) == 0) {
        s.path = absolute(address.path);
        s.device = st.st_dev;
        s.inode = st.st_ino;
    }
    if (listen(s.fd, options.backlog) < 0) {
        Error error = Error::from_errno(errno, "Failed to listen on socket");
        close_sockets(made);
        return fail(std::move(error));
    }
    return made;
}

int family_of(const InetAddress& address) noexcept {
    bool four = address.ipv4.value_or(false), six = address.ipv6.value_or(false);
    if (four && six)
        return AF_UNSPEC;
    if (six || address.ipv4 == false)
        return AF_INET6;
    if (four || address.ipv6 == false)
        return AF_INET;
    return AF_UNSPEC;
}

in_port_t& port_of(sockaddr_storage& name) noexcept {
    return name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(name).sin6_port
                                      : reinterpret_cast<sockaddr_in&>(name).sin_port;
}

struct AddrinfoFree {
    void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddrinfoFree>;

Result<Addresses> look_up(const InetAddress& address) {
    auto failed = [&](int code) {
        const char* why = code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
        return fail(cat("address resolution failed for ", address.host, ":", address.port, ": ", why));
    };
    // The library takes numbers that no port has, and cuts them.
    unsigned long number = 0;
    auto [end, ec] = std::from_chars(address.port.data(), address.port.data() + address.port.size(), number);
    if (end == address.port.data() + address.port.size() && (ec != std::errc{} || number > 0xffff) &&
        !address.port.empty())
        return failed(EAI_SERVICE);
    addrinfo wanted{};
    wanted.ai_flags = AI_PASSIVE | (address.numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0);
    wanted.ai_family = family_of(address);
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    int code = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                           address.port.empty() ? "0" : address.port.c_str(), &wanted, &list);
    if (code != 0)
        return failed(code);
    return Addresses(list);
}

// Binds; an IPv6 socket also for IPv4, unless that is unwanted or somebody (we, perhaps) has that port there.
int bind_inet(int fd, const sockaddr_storage& name, socklen_t length, const InetAddress& address) {
    const auto* generic = reinterpret_cast<const sockaddr*>(&name);
    if (name.ss_family != AF_INET6)
        return bind(fd, generic, length);
    int only = address.ipv4 == false ? 1 : 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    int result = bind(fd, generic, length);
    if (result == 0 || errno != EADDRINUSE || only)
        return result;
    only = 1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    return bind(fd, generic, length);
}

// What went wrong with one of several addresses.
struct Trouble {
    int number = 0;
    const char* what = nullptr;
};

// One socket on one address and port; -1: see `trouble`. `in_use`: the next port of the range may be tried.
int open_port(sockaddr_storage name, socklen_t length, const InetAddress& address, int backlog,
              Trouble& trouble, bool& in_use) {
    in_use = false;
    int fd = socket(name.ss_family, kStream, 0);
    if (fd < 0) {
        trouble = {errno, "Failed to create a socket"};
        return -1;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.keep_alive)
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); // what it accepts inherits it
    const char* step = "Failed to bind socket";
    if (bind_inet(fd, name, length, address) == 0) {
        if (listen(fd, backlog) == 0)
            return fd;
        step = "Failed to listen on socket";
    }
    in_use = errno == EADDRINUSE;
    trouble = {errno, in_use ? "Failed to find an available port" : step};
    close(fd);
    return -1;
}

int open_range(const addrinfo& info, std::uint16_t& port, const InetAddress& address, int backlog,
               Trouble& trouble) {
    sockaddr_storage name{};
    std::memcpy(&name, info.ai_addr, info.ai_addrlen);
    unsigned first = port ? port : ntohs(port_of(name));
    unsigned last = address.to && !port ? *address.to : first;
    for (unsigned p = first; p <= last; ++p) {
        port_of(name) = htons(static_cast<std::uint16_t>(p));
        bool in_use = false;
        int fd = open_port(name, info.ai_addrlen, address, backlog, trouble, in_use);
        if (fd >= 0 && !port) {
            socklen_t length = sizeof name;
            getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
            port = ntohs(port_of(name)); // the other addresses of the name get the same
        }
        if (fd >= 0 || !in_use)
            return fd;
    }
    if (first > last)
        trouble = {EINVAL, "Failed to find an available port"};
    return -1;
}

Result<Sockets> open_inet(const InetAddress& address, const OpenOptions& options,
                          const std::atomic<bool>& cancelled) {
    auto addresses = look_up(address);
    if (!addresses)
        return fail(std::move(addresses.error()));
    Sockets made;
    Trouble first_trouble;
    std::uint16_t port = 0;
    for (const addrinfo* info = addresses->get(); info; info = info->ai_next) {
        if (cancelled.load(std::memory_order_relaxed)) {
            close_sockets(made);
            return cancelled_error();
        }
        Trouble trouble;
        int fd = open_range(*info, port, address, options.backlog, trouble);
        if (fd >= 0)
            made.push_back({.fd = fd, .tcp = true});
        else if (!first_trouble.what)
            first_trouble = trouble;
    }
    // A machine without IPv6 still has names with IPv6 addresses: one that works is enough.
    if (made.empty())
        return fail_errno(first_trouble.number,
                          first_trouble.what ? first_trouble.what : "Failed to create a socket");
    return made;
}

Result<Sockets> open_fd(const FdAddress& address, const OpenOptions& options) {
    if (!options.may_use_fds)
        return fail("only QEMU supports file descriptor passing");
    int fd = -1;
    const char* end = address.text.data() + address.text.size();
    auto [stop, ec] = std::from_chars(address.text.data(), end, fd);
    if (ec != std::errc{} || stop != end)
        return fail(cat("Unable to parse FD number ", address.text));
    int family = 0;
    socklen_t length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
        return fail(cat("File descriptor '", address.text, "' is not a socket"));
    if (listen(fd, options.backlog) < 0)
        return fail_errno(errno, "Failed to listen on fd socket");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK); // see kStream
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return Sockets{{.fd = fd, .tcp = family == AF_INET || family == AF_INET6}};
}

} // namespace

Result<Sockets> open_sockets(const Address& address, const OpenOptions& options,
                             const std::atomic<bool>& cancelled) {
    if (cancelled.load(std::memory_order_relaxed))
        return cancelled_error();
    if (const auto* u = std::get_if<UnixAddress>(&address))
        return open_unix(*u, options);
    if (const auto* i = std::get_if<InetAddress>(&address))
        return open_inet(*i, options, cancelled);
    return open_fd(std::get<FdAddress>(address), options);
}

void close_sockets(Sockets& sockets) noexcept {
    for (ListeningSocket& s : sockets) {
        struct stat st{};
        bool ours = !s.path.empty() && lstat(s.path.c_str(), &st) == 0 && st.st_dev == s.device &&
                    st.st_ino == s.inode;
        if (ours)
            unlink(s.path.c_str());
        if (s.fd >= 0)
            close(s.fd);
        s.fd = -1;
    }
    sockets.clear();
}

} // namespace outport::net
