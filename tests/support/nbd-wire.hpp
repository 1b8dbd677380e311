// SPDX-License-Identifier: Apache-2.0
// What the tests' own NBD programs need of the protocol: constants, byte order, connecting and the handshake.
// Shares no code with the plugin, so that a mistake there is not repeated here. Each function blocks;
// thread-safe.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <endian.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace nbd {

constexpr std::uint64_t kGreeting = 0x4e42444d41474943;    // "NBDMAGIC"
constexpr std::uint64_t kOptionMagic = 0x49484156454f5054; // "IHAVEOPT"
constexpr std::uint64_t kOptionReply = 0x3e889045565a9;
constexpr std::uint32_t kRequestMagic = 0x25609513;
constexpr std::uint32_t kSimpleReply = 0x67446698;
constexpr std::uint32_t kStructuredReply = 0x668e33ef;
enum Option : std::uint32_t {
    kExportName = 1,
    kAbort = 2,
    kList = 3,
    kInfo = 6,
    kGo = 7,
    kStructured = 8,
    kSetContext = 10
};
enum Command : std::uint16_t {
    kRead = 0,
    kWrite = 1,
    kDisconnect = 2,
    kFlush = 3,
    kTrim = 4,
    kCache = 5,
    kZeroes = 6,
    kStatus = 7
};
constexpr std::uint16_t kFua = 1;
constexpr std::uint32_t kReplyAck = 1, kReplyInfo = 3, kReplyErrorBit = 1u << 31;
constexpr std::uint16_t kChunkDone = 1, kChunkData = 1, kChunkErrorBit = 1u << 15;

struct [[gnu::packed]] Request {
    std::uint32_t magic;
    std::uint16_t flags, type;
    std::uint64_t cookie, offset;
    std::uint32_t length;
};
struct [[gnu::packed]] SimpleReply {
    std::uint32_t magic, error;
    std::uint64_t cookie;
};
struct [[gnu::packed]] Chunk {
    std::uint32_t magic;
    std::uint16_t flags, type;
    std::uint64_t cookie;
    std::uint32_t length;
};
struct [[gnu::packed]] OptionHeader {
    std::uint64_t magic;
    std::uint32_t option, length;
};
struct [[gnu::packed]] OptionReply {
    std::uint64_t magic;
    std::uint32_t option, type, length;
};
static_assert(sizeof(Request) == 28 && sizeof(SimpleReply) == 16 && sizeof(Chunk) == 20);
static_assert(sizeof(OptionHeader) == 16 && sizeof(OptionReply) == 20);

[[noreturn]] inline void die(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}
[[noreturn]] inline void die_errno(const std::string& what) {
    die(what + ": " + std::strerror(errno));
}

inline bool read_all(int fd, void* data, std::size_t size) {
    auto* at = static_cast<char*>(data);
    while (size) {
        auto n = recv(fd, at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= std::size_t(n);
    }
    return true;
}

inline bool write_all(int fd, const void* data, std::size_t size) {
    auto* at = static_cast<const char*>(data);
    while (size) {
        auto n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= std::size_t(n);
    }
    return true;
}

inline sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        die(path + ": too long for a unix socket");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

// "unix:PATH" or "tcp:HOST:PORT", HOST a number.
inline int connect_to(const std::string& where) {
    if (where.starts_with("unix:")) {
        auto address = unix_address(where.substr(5));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
            die_errno("connect " + where);
        return fd;
    }
    auto colon = where.rfind(':');
    if (!where.starts_with("tcp:") || colon < 4)
        die("not unix:PATH or tcp:HOST:PORT: " + where);
    addrinfo hints{}, *list = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (getaddrinfo(where.substr(4, colon - 4).c_str(), where.substr(colon + 1).c_str(), &hints, &list))
        die("bad address " + where);
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        die_errno("connect " + where);
    freeaddrinfo(list);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

inline void send_option(int fd, std::uint32_t option, const void* data, std::size_t size) {
    OptionHeader header{htobe64(kOptionMagic), htobe32(option), htobe32(std::uint32_t(size))};
    if (!write_all(fd, &header, sizeof header) || (size && !write_all(fd, data, size)))
        die("the server closed the connection in the handshake");
}

// One option reply with its payload; ends the program when there is none.
inline OptionReply take_option_reply(int fd, std::string& payload) {
    OptionReply reply;
    if (!read_all(fd, &reply, sizeof reply) || be64toh(reply.magic) != kOptionReply)
        die("no reply to an option");
    reply.type = be32toh(reply.type);
    payload.resize(be32toh(reply.length));
    if (!payload.empty() && !read_all(fd, payload.data(), payload.size()))
        die("an option reply was cut short");
    return reply;
}

struct Export {
    std::uint64_t size = 0;
    std::uint16_t flags = 0;
};

inline void take_greeting(int fd) {
    struct [[gnu::packed]] {
        std::uint64_t magic, option_magic;
        std::uint16_t flags;
    } greeting;
    if (!read_all(fd, &greeting, sizeof greeting) || be64toh(greeting.magic) != kGreeting)
        die("no NBD greeting");
    std::uint32_t flags = htobe32(3);
    if (!write_all(fd, &flags, sizeof flags))
        die("the server closed the connection in the handshake");
}

// A number and, behind it, so many bytes.
inline std::string counted(const std::string& text) {
    auto length = htobe32(std::uint32_t(text.size()));
    return std::string(reinterpret_cast<const char*>(&length), 4) + text;
}

// What it takes to ask for the block status of base:allocation.
inline void choose_context(int fd, const std::string& name) {
    std::string payload, wanted = counted(name) + std::string("\0\0\0\1", 4) + counted("base:allocation");
    send_option(fd, kSetContext, wanted.data(), wanted.size());
    while (take_option_reply(fd, payload).type != kReplyAck)
        if (payload.find("base:allocation") == payload.npos)
            die("the server has no context base:allocation");
}

// Everything up to the transmission phase.
inline Export handshake(int fd, const std::string& name, bool structured, bool context = false) {
    take_greeting(fd);
    std::string payload;
    if (structured) {
        send_option(fd, kStructured, nullptr, 0);
        if (take_option_reply(fd, payload).type != kReplyAck)
            die("the server refuses structured replies");
    }
    if (context)
        choose_context(fd, name);
    std::string go = counted(name) + std::string(2, '\0');
    send_option(fd, kGo, go.data(), go.size());
    Export found;
    for (;;) {
        auto reply = take_option_reply(fd, payload);
        if (reply.type == kReplyAck)
            return found;
        if (reply.type & kReplyErrorBit)
            die("the server refuses the export: " + payload);
        if (reply.type == kReplyInfo && payload.size() == 12 && payload[0] == 0 && payload[1] == 0) {
            std::memcpy(&found.size, payload.data() + 2, 8);
            std::memcpy(&found.flags, payload.data() + 10, 2);
            found.size = be64toh(found.size);
            found.flags = be16toh(found.flags);
        }
    }
}

} // namespace nbd
