// SPDX-License-Identifier: Apache-2.0
// A lean NBD load generator: one thread, plain sockets and epoll, no client library, payload never looked at,
// so that what it measures is the server. Prints one JSON line.
#include "nbd-wire.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kReadBit = 1ull << 32; // in a cookie: the reply carries data

// What --op may name.
struct Kind {
    const char* word;
    nbd::Command command;
    std::uint16_t flags;
    bool random;
};
constexpr Kind kKinds[] = {
    {"read", nbd::kRead, 0, false},        {"write", nbd::kWrite, 0, false},
    {"randread", nbd::kRead, 0, true},     {"randwrite", nbd::kWrite, 0, true},
    {"mixed", nbd::kRead, 0, true}, // three of ten are writes
    {"fua", nbd::kWrite, nbd::kFua, true}, {"flush", nbd::kFlush, 0, false},
    {"trim", nbd::kTrim, 0, true},         {"zeroes", nbd::kZeroes, 0, true},
    {"status", nbd::kStatus, 0, true},     {"cache", nbd::kCache, 0, true},
};

struct Options {
    std::string where, name, op = "randread";
    Kind kind = kKinds[2];
    unsigned connections = 1, depth = 1, block = 4096;
    double seconds = 0;
    std::uint64_t requests = 0, range = 0, warm_up = 0;
    bool structured = false, until_told = false;
};

// Latencies in buckets of 1/16 of a power of two of nanoseconds.
struct Histogram {
    std::array<std::uint64_t, 64 * 16> counts{};
    std::uint64_t total = 0;

    void add(std::uint64_t ns) {
        ns = std::max<std::uint64_t>(ns, 16);
        unsigned top = 63 - unsigned(std::countl_zero(ns));
        ++counts[top * 16 + ((ns >> (top - 4)) & 15)];
        ++total;
    }
    double quantile_us(double q) const {
        std::uint64_t seen = 0;
        for (std::size_t i = 4 * 16; i < counts.size(); ++i) { // nothing is below 16 ns
            seen += counts[i];
            if (double(seen) >= q * double(total))
                return double((16 + i % 16) << (i / 16 - 4)) / 1000;
        }
        return 0;
    }
};

struct Connection {
    int fd = -1;
    std::vector<char> in;
    std::size_t have = 0;   // bytes of headers not yet parsed, at the start of `in`
    std::uint64_t skip = 0; // payload bytes still to pass over
    bool finish_after_skip = false;
    std::uint32_t finishing = 0;
    std::vector<nbd::Request> out;
    std::vector<Clock::time_point> started;
    std::vector<std::uint32_t> idle; // slots without a request
    std::uint64_t next_offset = 0;
    bool answered = false;
};

class Load {
  public:
    explicit Load(const Options& options) : o_(options), payload_(options.block, 'x') {}

    void run();

  private:
    void open();
    void go(std::uint64_t requests);
    void close_all();
    void submit(Connection& c, std::uint32_t slot);
    void push(Connection& c);
    void refill(Connection& c);
    void pull(Connection& c);
    std::size_t parse(Connection& c, std::size_t size, Clock::time_point now);
    bool header(Connection& c, const char* at, std::size_t left, std::size_t& used);
    void finished(Connection& c, std::uint32_t slot, Clock::time_point now);
    void say_running();
    void report(double seconds);
    std::uint64_t random() {
        seed_ ^= seed_ << 13, seed_ ^= seed_ >> 7, seed_ ^= seed_ << 17;
        return seed_;
    }

    Options o_;
    std::vector<char> payload_;
    std::vector<std::unique_ptr<Connection>> connections_;
    Histogram latencies_;
    std::uint64_t seed_ = 88172645463325252, blocks_ = 0, done_ = 0, issued_ = 0, in_flight_ = 0, errors_ = 0,
                  silent_ = 0; // connections that had no answer yet
    Clock::time_point limit_;
    bool stopping_ = false;
    int epoll_ = -1;
};

void Load::open() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < o_.connections; ++i) {
        auto c = std::make_unique<Connection>();
        c->fd = nbd::connect_to(o_.where);
        auto found = nbd::handshake(c->fd, o_.name, o_.structured, o_.kind.command == nbd::kStatus);
        auto range = o_.range ? std::min(o_.range, found.size) : found.size;
        blocks_ = range / o_.block;
        if (!blocks_)
            nbd::die("the export is smaller than a block");
        c->next_offset = blocks_ / o_.connections * i;
        c->in.resize(std::max<std::size_t>(256 << 10, std::size_t(o_.block) + 4096));
        c->started.resize(o_.depth);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = c.get();
        epoll_ctl(epoll_, EPOLL_CTL_ADD, c->fd, &event);
        connections_.push_back(std::move(c));
    }
    silent_ = o_.connections;
    epoll_event told{};
    told.events = EPOLLIN;
    if (o_.until_told && epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &told) < 0)
        nbd::die_errno("epoll_ctl");
}

void Load::submit(Connection& c, std::uint32_t slot) {
    if (stopping_ || (o_.requests && issued_ >= o_.requests))
        return;
    auto command = o_.kind.command;
    if (o_.op == "mixed" && (random() >> 32) % 10 < 3)
        command = nbd::kWrite;
    bool whole = command == nbd::kFlush;
    auto block = o_.kind.random ? (random() >> 16) % blocks_ : c.next_offset++ % blocks_;
    c.out.push_back({htobe32(nbd::kRequestMagic), htobe16(o_.kind.flags), htobe16(command),
                     htobe64(slot | (command == nbd::kRead ? kReadBit : 0)),
                     htobe64(whole ? 0 : block * o_.block), htobe32(whole ? 0 : o_.block)});
    ++issued_;
    ++in_flight_;
}

// Sends what is queued, all at once: the server sees full batches.
void Load::push(Connection& c) {
    if (c.out.empty())
        return;
    auto now = Clock::now();
    stopping_ = now > limit_;
    std::vector<iovec> parts;
    parts.reserve(c.out.size() * 2);
    for (auto& request : c.out) {
        c.started[std::uint32_t(be64toh(request.cookie))] = now;
        parts.push_back({&request, sizeof request});
        if (request.type == htobe16(nbd::kWrite))
            parts.push_back({payload_.data(), payload_.size()});
    }
    std::size_t at = 0;
    while (at < parts.size()) {
        msghdr message{};
        message.msg_iov = &parts[at];
        message.msg_iovlen = std::min<std::size_t>(parts.size() - at, 1024);
        auto n = sendmsg(c.fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            pull(c); // the server may wait for us to read
            continue;
        }
        if (n < 0)
            nbd::die_errno("send");
        auto left = std::size_t(n);
        while (left && left >= parts[at].iov_len)
            left -= parts[at++].iov_len;
        if (left) {
            parts[at].iov_base = static_cast<char*>(parts[at].iov_base) + left;
            parts[at].iov_len -= left;
        }
    }
    c.out.clear();
}

// A new request for each idle slot; again while replies arrive during the sending.
void Load::refill(Connection& c) {
    while (!c.idle.empty()) {
        auto slots = std::move(c.idle);
        c.idle.clear();
        for (auto slot : slots)
            submit(c, slot);
        push(c);
    }
}

void Load::finished(Connection& c, std::uint32_t slot, Clock::time_point now) {
    latencies_.add(std::uint64_t((now - c.started[slot]).count()));
    ++done_;
    --in_flight_;
    c.idle.push_back(slot); // issued again by refill(): push() may be sending its queue just now
    if (!std::exchange(c.answered, true) && --silent_ == 0 && o_.until_told)
        say_running();
}

// What comes after this counts, until it is told to stop by the end of its standard input.
void Load::say_running() {
    std::puts("running");
    std::fflush(stdout);
    latencies_ = {};
    done_ = 0;
}

// One reply header; false when there is not enough of it yet.
bool Load::header(Connection& c, const char* at, std::size_t left, std::size_t& used) {
    if (left < 16)
        return false;
    std::uint32_t magic;
    std::memcpy(&magic, at, 4);
    if (be32toh(magic) == nbd::kSimpleReply) {
        nbd::SimpleReply reply;
        std::memcpy(&reply, at, sizeof reply);
        used = sizeof reply;
        c.finishing = std::uint32_t(be64toh(reply.cookie));
        c.finish_after_skip = true;
        bool is_read = be64toh(reply.cookie) & kReadBit;
        c.skip = reply.error || !is_read || o_.structured ? 0 : o_.block;
        errors_ += reply.error != 0;
        return true;
    }
    if (be32toh(magic) != nbd::kStructuredReply)
        nbd::die("a reply without its magic number");
    nbd::Chunk chunk;
    if (left < sizeof chunk)
        return false;
    std::memcpy(&chunk, at, sizeof chunk);
    used = sizeof chunk;
    c.finishing = std::uint32_t(be64toh(chunk.cookie));
    c.finish_after_skip = be16toh(chunk.flags) & nbd::kChunkDone;
    c.skip = be32toh(chunk.length);
    errors_ += (be16toh(chunk.type) & nbd::kChunkErrorBit) != 0;
    return true;
}

// Goes through `size` bytes; returns how many at the end could not be used yet.
std::size_t Load::parse(Connection& c, std::size_t size, Clock::time_point now) {
    const char* at = c.in.data();
    for (;;) {
        auto step = std::min<std::uint64_t>(c.skip, size);
        at += step, size -= step, c.skip -= step;
        if (c.skip)
            return 0;
        if (c.finish_after_skip) {
            c.finish_after_skip = false;
            finished(c, c.finishing, now);
        }
        std::size_t used = 0;
        if (!header(c, at, size, used)) {
            std::memmove(c.in.data(), at, size);
            return size;
        }
        at += used, size -= used;
    }
}

void Load::pull(Connection& c) {
    auto n = recv(c.fd, c.in.data() + c.have, c.in.size() - c.have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        nbd::die("the server closed the connection");
    c.have = parse(c, c.have + std::size_t(n), Clock::now());
}

void Load::report(double seconds) {
    std::printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"iops\": %.1f, \"mib_s\": %.1f, "
                "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
                static_cast<unsigned long long>(done_), static_cast<unsigned long long>(errors_), seconds,
                double(done_) / seconds, double(done_) * o_.block / seconds / (1 << 20),
                latencies_.quantile_us(0.5), latencies_.quantile_us(0.99), latencies_.quantile_us(0.999));
}

// So many requests, or as long as there is time; until each is answered.
void Load::go(std::uint64_t requests) {
    o_.requests = requests;
    issued_ = 0;
    for (auto& c : connections_) {
        c->idle.clear();
        for (std::uint32_t slot = 0; slot < o_.depth; ++slot)
            c->idle.push_back(slot);
        refill(*c);
    }
    std::array<epoll_event, 64> events;
    while (in_flight_) {
        int n = epoll_wait(epoll_, events.data(), int(events.size()), -1);
        for (int i = 0; i < n; ++i) {
            auto* c = static_cast<Connection*>(events[std::size_t(i)].data.ptr);
            if (!c) { // told
                limit_ = {};
                epoll_ctl(epoll_, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
                continue;
            }
            pull(*c);
            refill(*c);
        }
    }
}

void Load::close_all() {
    for (auto& c : connections_) {
        nbd::Request bye{htobe32(nbd::kRequestMagic), 0, htobe16(nbd::kDisconnect), 0, 0, 0};
        nbd::write_all(c->fd, &bye, sizeof bye);
        close(c->fd);
    }
}

// Whoever looks at the server from outside does it now: after the warm-up, and before the connections end.
void wait_for_a_line(const char* said) {
    std::puts(said);
    std::fflush(stdout);
    while (int c = std::getchar())
        if (c == '\n' || c == EOF)
            return;
}

void Load::run() {
    open();
    auto begin = Clock::now();
    limit_ = begin + std::chrono::milliseconds(o_.seconds > 0 ? std::int64_t(o_.seconds * 1000) : 1ll << 40);
    if (auto measured = o_.requests; o_.warm_up) {
        go(o_.warm_up);
        wait_for_a_line("warm");
        begin = Clock::now();
        latencies_ = {};
        done_ = 0;
        go(measured);
        wait_for_a_line("done");
    } else {
        go(measured);
    }
    report(std::chrono::duration<double>(Clock::now() - begin).count());
    close_all();
    if (errors_)
        std::exit(2);
}

Options parse_arguments(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; ++i) {
        std::string key = argv[i];
        if (key == "--structured" || key == "--until-told") {
            (key == "--structured" ? o.structured : o.until_told) = true;
            continue;
        }
        if (i + 1 == argc)
            nbd::die("usage: nbdload --to unix:PATH|tcp:HOST:PORT --export NAME [--op "
                     "read|write|randread|randwrite|"
                     "mixed|fua|flush|trim|zeroes|status|cache] [--connections N] [--depth N] [--block "
                     "BYTES] [--range BYTES] [--structured] "
                     "[--warm-up N] "
                     "--seconds S|--requests N|--until-told");
        std::string value = argv[++i];
        if (key == "--to")
            o.where = value;
        else if (key == "--export")
            o.name = value;
        else if (key == "--op")
            o.op = value;
        else if (key == "--connections")
            o.connections = unsigned(std::stoul(value));
        else if (key == "--depth")
            o.depth = unsigned(std::stoul(value));
        else if (key == "--block")
            o.block = unsigned(std::stoul(value));
        else if (key == "--seconds")
            o.seconds = std::stod(value);
        else if (key == "--requests")
            o.requests = std::stoull(value);
        else if (key == "--warm-up")
            o.warm_up = std::stoull(value);
        else if (key == "--range")
            o.range = std::stoull(value);
        else
            nbd::die("unknown option " + key);
    }
    auto found =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return o.op == k.word; });
    if (found == std::end(kKinds))
        nbd::die("no such load: " + o.op);
    o.kind = *found;
    o.structured |= o.kind.command == nbd::kStatus;
    if (o.where.empty() || (o.seconds <= 0 && !o.requests && !o.until_told))
        nbd::die("--to and one of --seconds, --requests, --until-told are needed");
    return o;
}

} // namespace

int main(int argc, char** argv) {
    Load(parse_arguments(argc, argv)).run();
}
