// SPDX-License-Identifier: Apache-2.0
// Clients that die in the middle of everything: forks one after the other (a few at once), and each kills
// itself with SIGKILL at a point of its own: in the handshake, inside a request's header, inside its payload,
// inside a reply. For those past the handshake, the least number of requests that the server had taken and
// not answered is printed: behind them a TRIM was sent and has been answered, while the server (which the
// test sees to) answers everything else late.
#include "nbd-wire.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <sys/mman.h>
#include <sys/wait.h>
#include <vector>

namespace {

struct Options {
    std::string where, name;
    unsigned count = 1000, together = 4, handshakes = 40;
};

constexpr unsigned kLengths[] = {4096, 65536, 262144, 512, 1000};

[[noreturn]] void die_now() {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

// Number `number` dies somewhere in the handshake.
[[noreturn]] void die_in_handshake(const Options& o, unsigned number) {
    int fd = nbd::connect_to(o.where);
    if (number % 4 == 0)
        die_now();
    nbd::take_greeting(fd);
    if (number % 4 == 1)
        die_now();
    nbd::OptionHeader header{htobe64(nbd::kOptionMagic), htobe32(nbd::kGo), htobe32(100)};
    nbd::write_all(fd, &header, number % 4 == 2 ? sizeof header / 2 : sizeof header);
    if (number % 4 == 3)
        nbd::write_all(fd, "half a name", 11);
    die_now();
}

nbd::Request request(nbd::Command type, std::uint64_t cookie, std::uint64_t offset, std::uint32_t length) {
    return {htobe32(nbd::kRequestMagic), 0, htobe16(type), htobe64(cookie), htobe64(offset), htobe32(length)};
}

constexpr unsigned kRequests = 12, kMarker = 77;

struct Sent {
    std::array<std::uint32_t, kRequests> payload{}; // of the simple reply to each
    unsigned count = 0;
};

Sent send_requests(int fd, unsigned number, std::uint64_t size, std::uint32_t length) {
    Sent sent;
    std::vector<char> payload(length, char(number));
    for (unsigned i = 0; i < kRequests; ++i) {
        auto type = i % 5 == 4 ? nbd::kFlush : i % 2 ? nbd::kWrite : nbd::kRead;
        // Few bytes of writes while nobody reads: the server may stop reading when its own sends are stuck.
        auto bytes = type == nbd::kFlush ? 0 : type == nbd::kWrite ? std::min(length, 4096u) : length;
        auto at = type == nbd::kFlush ? 0 : (number * kRequests + i) * 7919ull % (size - length);
        auto r = request(type, i, at, bytes);
        if (!nbd::write_all(fd, &r, sizeof r) ||
            (type == nbd::kWrite && !nbd::write_all(fd, payload.data(), bytes)))
            break;
        sent.payload[sent.count++] = type == nbd::kRead ? bytes : 0;
    }
    return sent;
}

// Takes replies up to the marker's, of which so many bytes are left where they are; how many came before it.
unsigned replies_before_marker(int fd, const Sent& sent, std::size_t leave) {
    std::vector<char> skipped;
    for (unsigned before = 0;; ++before) {
        union {
            nbd::SimpleReply simple;
            nbd::Chunk chunk;
        } reply;
        if (recv(fd, &reply, sizeof reply.simple, MSG_PEEK | MSG_WAITALL) != sizeof reply.simple)
            nbd::die("no reply to the marker");
        bool structured = be32toh(reply.simple.magic) == nbd::kStructuredReply;
        bool marker = be64toh(reply.simple.cookie) == kMarker; // at the same place in both
        auto size = structured ? sizeof reply.chunk : sizeof reply.simple;
        if (!nbd::read_all(fd, &reply, marker ? size - leave : size))
            nbd::die("a reply was cut short");
        if (marker)
            return before;
        skipped.resize(structured ? be32toh(reply.chunk.length) : sent.payload[be64toh(reply.simple.cookie)]);
        if (!skipped.empty() && !nbd::read_all(fd, skipped.data(), skipped.size()))
            nbd::die("a reply was cut short");
    }
}

// Sends requests and the marker, sees it answered, perhaps sends a piece of one more request or takes only a
// piece of that reply, and dies.
[[noreturn]] void die_with_requests(const Options& o, unsigned number, unsigned* in_flight) {
    int fd = nbd::connect_to(o.where);
    auto found = nbd::handshake(fd, o.name, number % 2);
    if (found.flags & 2)
        nbd::die("the export is read-only");
    auto length = kLengths[number % std::size(kLengths)];
    auto sent = send_requests(fd, number, found.size, length);
    auto marker = request(nbd::kTrim, kMarker, 0, 4096);
    nbd::write_all(fd, &marker, sizeof marker);
    bool inside_reply = number % 4 == 3;
    *in_flight = sent.count - replies_before_marker(fd, sent, inside_reply ? 7 : 0);
    auto last = request(nbd::kWrite, 99, 0, length);
    if (number % 4 == 1) { // inside a header
        nbd::write_all(fd, &last, 13);
    } else if (number % 4 == 2) { // inside a payload
        nbd::write_all(fd, &last, sizeof last);
        std::vector<char> payload(std::min(length / 3, 2048u), char(number));
        nbd::write_all(fd, payload.data(), payload.size());
    }
    die_now();
}

} // namespace

int main(int argc, char** argv) {
    Options o;
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string key = argv[i], value = argv[i + 1];
        if (key == "--to")
            o.where = value;
        else if (key == "--export")
            o.name = value;
        else if (key == "--count")
            o.count = unsigned(std::stoul(value));
        else if (key == "--handshakes")
            o.handshakes = unsigned(std::stoul(value));
        else if (key == "--together")
            o.together = unsigned(std::stoul(value));
        else
            nbd::die("unknown option " + key);
    }
    if (o.where.empty())
        nbd::die("usage: nbdkill --to unix:PATH|tcp:HOST:PORT --export NAME [--count N] [--handshakes N] "
                 "[--together N]");
    auto total = o.count + o.handshakes;
    auto* shared = static_cast<unsigned*>(
        mmap(nullptr, total * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    unsigned running = 0, killed = 0, odd = 0;
    auto reap = [&] {
        int status = 0;
        wait(&status);
        --running;
        (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? killed : odd) += 1;
    };
    for (unsigned i = 0; i < total; ++i) {
        if (running == o.together)
            reap();
        if (fork() == 0) {
            if (i < o.handshakes)
                die_in_handshake(o, i);
            die_with_requests(o, i, shared + i);
        }
        ++running;
    }
    while (running)
        reap();
    auto least = o.count ? *std::min_element(shared + o.handshakes, shared + total) : 0;
    std::printf("{\"killed\": %u, \"odd\": %u, \"least_in_flight\": %u}\n", killed, odd, least);
    return odd || killed != total ? 1 : 0;
}
