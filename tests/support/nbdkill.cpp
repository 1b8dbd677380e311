// SPDX-License-Identifier: Apache-2.0
// Clients that die in the middle of everything: forks one after the other (a few at once), and each kills
// itself with SIGKILL at a point of its own: in the handshake, inside a request's header, inside its payload,
// inside a reply. Those past the handshake have at least 8 requests in flight, and the least of them all is
// printed.
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

// Sends 12 requests, perhaps a piece of a thirteenth, perhaps takes a piece of a reply, and dies.
[[noreturn]] void die_with_requests(const Options& o, unsigned number, unsigned* in_flight) {
    int fd = nbd::connect_to(o.where);
    auto found = nbd::handshake(fd, o.name, number % 2);
    bool writable = !(found.flags & 2);
    auto length = kLengths[number % std::size(kLengths)];
    std::vector<char> payload(length, char(number));
    unsigned sent = 0;
    for (unsigned i = 0; i < 12; ++i) {
        auto type = i % 5 == 4 && writable ? nbd::kFlush : i % 2 && writable ? nbd::kWrite : nbd::kRead;
        // Few bytes of writes while nobody reads: the server may stop reading when its own sends are stuck.
        auto size = type == nbd::kFlush ? 0 : type == nbd::kWrite ? std::min(length, 4096u) : length;
        auto r = request(type, i,
                         type == nbd::kFlush ? 0 : (number * 12 + i) * 7919ull % (found.size - length), size);
        if (!nbd::write_all(fd, &r, sizeof r) ||
            (type == nbd::kWrite && !nbd::write_all(fd, payload.data(), size)))
            break;
        ++sent;
    }
    auto last = request(writable ? nbd::kWrite : nbd::kRead, 99, 0, length);
    switch (number % 4) {
    case 0:
        break;
    case 1:
        nbd::write_all(fd, &last, 13);
        break; // inside a header
    case 2:    // inside a payload
        nbd::write_all(fd, &last, sizeof last);
        if (writable)
            nbd::write_all(fd, payload.data(), std::min(length / 3, 2048u));
        break;
    case 3: { // inside a reply
        std::array<char, 7> some;
        nbd::read_all(fd, some.data(), some.size());
        break;
    }
    }
    *in_flight = sent;
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
