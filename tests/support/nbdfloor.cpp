// SPDX-License-Identifier: Apache-2.0
// The floor: the least that an NBD server over sockets can cost. Answers reads from one static buffer and
// throws writes away; one thread, epoll, one recv and one sendmsg for everything that is there. Any export
// name is served.
#include "nbd-wire.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <vector>

namespace {

constexpr std::uint64_t kSize = 1ull << 30;
constexpr std::size_t kMaxBlock = 32 << 20;
std::vector<char> g_zeroes(kMaxBlock);

struct Client {
    int fd;
    bool structured = false;
    std::size_t have = 0;
    std::uint64_t skip = 0;
    nbd::Request writing{};
    std::vector<char> in = std::vector<char>(256 << 10);
    std::vector<std::array<char, 28>> headers;
    std::vector<iovec> parts;
};

void reply(int fd, std::uint32_t option, std::uint32_t type, const void* data, std::uint32_t size) {
    nbd::OptionReply header{htobe64(nbd::kOptionReply), htobe32(option), htobe32(type), htobe32(size)};
    nbd::write_all(fd, &header, sizeof header);
    if (size)
        nbd::write_all(fd, data, size);
}

bool negotiate(Client& c) {
    struct [[gnu::packed]] {
        std::uint64_t magic = htobe64(nbd::kGreeting), option = htobe64(nbd::kOptionMagic);
        std::uint16_t flags = htobe16(3);
    } greeting;
    std::uint32_t flags;
    if (!nbd::write_all(c.fd, &greeting, sizeof greeting) || !nbd::read_all(c.fd, &flags, 4))
        return false;
    for (;;) {
        nbd::OptionHeader header;
        if (!nbd::read_all(c.fd, &header, sizeof header))
            return false;
        std::vector<char> payload(be32toh(header.length));
        if (!payload.empty() && !nbd::read_all(c.fd, payload.data(), payload.size()))
            return false;
        auto option = be32toh(header.option);
        if (option == nbd::kStructured) {
            c.structured = true;
            reply(c.fd, option, nbd::kReplyAck, nullptr, 0);
        } else if (option == nbd::kGo) {
            struct [[gnu::packed]] {
                std::uint16_t type = 0;
                std::uint64_t size = htobe64(kSize);
                std::uint16_t flags = htobe16(0x0d); // HAS_FLAGS, SEND_FLUSH, SEND_FUA
            } info;
            reply(c.fd, option, nbd::kReplyInfo, &info, sizeof info);
            reply(c.fd, option, nbd::kReplyAck, nullptr, 0);
            return true;
        } else {
            reply(c.fd, option, 0x80000001, nullptr, 0);
        }
    }
}

template <class T> void add_header(Client& c, const T& header) {
    auto& room = c.headers.emplace_back();
    static_assert(sizeof header <= sizeof room);
    std::memcpy(room.data(), &header, sizeof header);
    c.parts.push_back({room.data(), sizeof header});
}

void answer(Client& c, const nbd::Request& request) {
    auto length = be32toh(request.length);
    if (be16toh(request.type) != nbd::kRead || !c.structured) {
        add_header(c, nbd::SimpleReply{htobe32(nbd::kSimpleReply), 0, request.cookie});
    } else {
        struct [[gnu::packed]] {
            nbd::Chunk chunk;
            std::uint64_t offset;
        } header{{htobe32(nbd::kStructuredReply), htobe16(nbd::kChunkDone), htobe16(nbd::kChunkData),
                  request.cookie, htobe32(length + 8)},
                 request.offset};
        add_header(c, header);
    }
    if (be16toh(request.type) == nbd::kRead)
        c.parts.push_back({g_zeroes.data(), std::min<std::size_t>(length, kMaxBlock)});
}

bool flush(Client& c) {
    std::size_t at = 0;
    while (at < c.parts.size()) {
        msghdr message{};
        message.msg_iov = &c.parts[at];
        message.msg_iovlen = std::min<std::size_t>(c.parts.size() - at, 1024);
        auto n = sendmsg(c.fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            pollfd p{c.fd, POLLOUT, 0};
            poll(&p, 1, -1);
            continue;
        }
        if (n < 0)
            return false;
        auto left = std::size_t(n);
        while (left && left >= c.parts[at].iov_len)
            left -= c.parts[at++].iov_len;
        if (left) {
            c.parts[at].iov_base = static_cast<char*>(c.parts[at].iov_base) + left;
            c.parts[at].iov_len -= left;
        }
    }
    c.parts.clear();
    c.headers.clear();
    return true;
}

bool serve(Client& c) {
    auto n = recv(c.fd, c.in.data() + c.have, c.in.size() - c.have, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    std::size_t size = c.have + std::size_t(n);
    const char* at = c.in.data();
    c.headers.reserve(size / sizeof(nbd::Request) + 2); // parts point into it
    for (;;) {
        if (c.skip) {
            auto step = std::min<std::uint64_t>(c.skip, size);
            at += step, size -= step, c.skip -= step;
            if (c.skip)
                break;
            answer(c, c.writing);
        }
        nbd::Request request;
        if (size < sizeof request)
            break;
        std::memcpy(&request, at, sizeof request);
        at += sizeof request, size -= sizeof request;
        if (be32toh(request.magic) != nbd::kRequestMagic || be16toh(request.type) == nbd::kDisconnect)
            return false;
        if (be16toh(request.type) == nbd::kWrite) {
            c.writing = request;
            c.skip = be32toh(request.length);
        } else {
            answer(c, request);
        }
    }
    std::memmove(c.in.data(), at, size);
    c.have = size;
    return flush(c);
}

int listen_on(const std::string& path) {
    auto address = nbd::unix_address(path);
    unlink(path.c_str());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || listen(fd, 128) < 0)
        nbd::die_errno(path);
    return fd;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2)
        nbd::die("usage: nbdfloor SOCKET");
    int listener = listen_on(argv[1]);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    std::array<epoll_event, 64> events;
    for (;;) {
        int n = epoll_wait(epoll, events.data(), int(events.size()), -1);
        for (int i = 0; i < n; ++i) {
            auto* c = static_cast<Client*>(events[std::size_t(i)].data.ptr);
            if (!c) {
                auto made = std::make_unique<Client>(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
                if (!negotiate(*made)) {
                    close(made->fd);
                    continue;
                }
                fcntl(made->fd, F_SETFL, O_NONBLOCK);
                event.data.ptr = made.get();
                epoll_ctl(epoll, EPOLL_CTL_ADD, made.release()->fd, &event);
            } else if (!serve(*c)) {
                close(c->fd);
                delete c;
            }
        }
    }
}
