// SPDX-License-Identifier: Apache-2.0
// Verified load over many NBD connections (libnbd): reads, writes, FUA, zeroes and flushes, aligned and not,
// each connection in a region of its own and the first few also in one that they share. Keeps what was
// acknowledged and what was made durable; `verify` checks an image against that after the server was killed
// or lost its power. Where somebody shrinks and grows the image meanwhile, what lies beyond may be refused,
// or be zeroes, but nothing else.
#include "stress-model.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <libnbd.h>
#include <memory>
#include <poll.h>
#include <unistd.h>

namespace {

struct Options {
    std::string command, uri, state, mode = "acked";
    unsigned connections = 64, shared = 8, depth = 16;
    std::uint64_t base = 0, region = 1 << 20, ops = 0, seed = 1, shrinks_to = UINT64_MAX;
    bool survive_loss = false, no_zeroes = false;
};

volatile std::sig_atomic_t g_stop = 0;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "nbdstress: %s\n", what.c_str());
    std::exit(1);
}
[[noreturn]] void die_nbd(const char* what) {
    const char* why = nbd_get_error();
    die(std::string(what) + ": " + (why ? why : "?"));
}

class Stress;
struct Connection;

enum class Kind { Idle, Read, Write, WriteFua, Zeroes, Flush };

struct Op {
    Stress* stress = nullptr;
    Connection* connection = nullptr;
    Kind kind = Kind::Idle;
    stress::Slot* slot = nullptr;
    std::uint64_t sequence = 0;
    std::vector<unsigned char> buffer;
    std::vector<std::uint64_t> snapshot; // for a flush: what was acknowledged when it was submitted
};

struct Connection {
    nbd_handle* handle = nullptr;
    std::vector<stress::Slot*> slots;
    std::vector<std::unique_ptr<Op>> ops;
    bool lost = false;
};

nbd_handle* open_handle(const Options& o, bool structured) {
    auto* handle = nbd_create();
    if (!handle)
        die_nbd("nbd_create");
    nbd_set_request_structured_replies(handle, structured);
    nbd_set_strict_mode(handle, LIBNBD_STRICT_MASK & ~LIBNBD_STRICT_ALIGN);
    if (nbd_connect_uri(handle, o.uri.c_str()) < 0)
        die_nbd("connect");
    return handle;
}

class Stress {
  public:
    explicit Stress(const Options& o) : o_(o), seed_(o.seed * stamp::kMix | 1) {}

    int run();
    void completed(Op& op, int error);

  private:
    void open();
    void issue(Op& op);
    bool pick(Op& op);
    void send(Op& op);
    void poll_once();
    void lose(Connection& c);
    int finish();
    bool may_be_cut_off(const stress::Slot& slot) const { return slot.address >= o_.shrinks_to; }
    void check(stress::Slot& slot, std::span<const unsigned char> data);
    void complain(const std::string& text) {
        if (++wrong_ <= 10)
            std::fprintf(stderr, "nbdstress: %s\n", text.c_str());
    }
    std::uint64_t random() {
        seed_ ^= seed_ << 13, seed_ ^= seed_ >> 7, seed_ ^= seed_ << 17;
        return seed_ >> 11;
    }
    bool may_issue() const { return !g_stop && !lost_ && (!o_.ops || issued_ < o_.ops); }

    Options o_;
    std::vector<stress::Slot> slots_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::uint64_t seed_, sequence_ = 0, issued_ = 0, refused_ = 0, cut_off_ = 0, counts_[6] = {};
    unsigned in_flight_ = 0, in_flight_at_loss_ = 0, wrong_ = 0;
    bool lost_ = false, multi_ = false;
};

void Stress::open() {
    std::vector<std::size_t> begins;
    for (unsigned i = 0; i <= o_.connections; ++i) {
        begins.push_back(slots_.size());
        stress::cut_region(slots_, o_.base + i * o_.region, o_.region, i);
    }
    begins.push_back(slots_.size());
    for (unsigned i = 0; i < o_.connections; ++i) {
        auto c = std::make_unique<Connection>();
        c->handle = open_handle(o_, i % 2 == 0);
        if (nbd_get_size(c->handle) < std::int64_t(o_.base + (o_.connections + 1) * o_.region))
            die("the export is too small");
        multi_ = nbd_can_multi_conn(c->handle) > 0;
        for (auto region : {i, o_.connections}) {
            if (region == o_.connections && i >= o_.shared)
                continue;
            for (auto s = begins[region]; s < begins[region + 1]; ++s)
                c->slots.push_back(&slots_[s]);
        }
        for (unsigned d = 0; d < o_.depth; ++d) {
            c->ops.push_back(std::make_unique<Op>());
            c->ops.back()->stress = this;
            c->ops.back()->connection = c.get();
        }
        connections_.push_back(std::move(c));
    }
}

// Chooses what to do next; false when every slot tried is busy.
bool Stress::pick(Op& op) {
    auto dice = random() % 100;
    op.kind = dice < 5    ? Kind::Flush
              : dice < 37 ? Kind::Read
              : dice < 80 ? Kind::Write
              : dice < 91 ? Kind::WriteFua
                          : Kind::Zeroes;
    if (op.kind == Kind::Zeroes && o_.no_zeroes)
        op.kind = Kind::Write;
    if (op.kind == Kind::Flush)
        return true;
    auto& all = op.connection->slots;
    for (int tries = 0; tries < 8; ++tries) {
        op.slot = all[random() % all.size()];
        if (!op.slot->busy)
            return true;
    }
    return false;
}

extern "C" int on_complete(void* data, int* error) {
    auto& op = *static_cast<Op*>(data);
    op.stress->completed(op, *error);
    return 1; // retire it
}

void Stress::send(Op& op) {
    auto* h = op.connection->handle;
    nbd_completion_callback done{on_complete, &op, nullptr};
    std::int64_t cookie = -1;
    auto* data = op.buffer.data();
    auto size = op.buffer.size();
    auto at = op.slot ? op.slot->address : 0;
    switch (op.kind) {
    case Kind::Read:
        cookie = nbd_aio_pread(h, data, size, at, done, 0);
        break;
    case Kind::Write:
        cookie = nbd_aio_pwrite(h, data, size, at, done, 0);
        break;
    case Kind::WriteFua:
        cookie = nbd_aio_pwrite(h, data, size, at, done, LIBNBD_CMD_FLAG_FUA);
        break;
    case Kind::Zeroes: {
        std::uint32_t flags =
            (op.sequence & 2 ? LIBNBD_CMD_FLAG_NO_HOLE : 0) | (op.sequence & 4 ? LIBNBD_CMD_FLAG_FUA : 0);
        cookie = nbd_aio_zero(h, size, at, done, flags);
        break;
    }
    case Kind::Flush:
        cookie = nbd_aio_flush(h, done, 0);
        break;
    case Kind::Idle:
        break;
    }
    if (cookie < 0 && !nbd_aio_is_dead(h))
        die_nbd("submit");
    // A dead handle refuses, and the callback is not called (its free function would be): what was asked
    // stays unknown.
}

void Stress::issue(Op& op) {
    op.slot = nullptr;
    if (op.connection->lost || nbd_aio_is_dead(op.connection->handle)) {
        lose(*op.connection);
        return;
    }
    if (!pick(op)) {
        op.kind = Kind::Idle;
        return;
    }
    ++issued_;
    ++in_flight_;
    ++counts_[int(op.kind)];
    if (op.kind == Kind::Flush) {
        op.snapshot.clear();
        for (auto& slot : slots_)
            op.snapshot.push_back(slot.acknowledged);
    } else {
        op.slot->busy = true;
        op.buffer.resize(op.slot->length);
        if (op.kind != Kind::Read) {
            sequence_ += 8;
            op.sequence = sequence_;
            if (op.kind == Kind::Zeroes)
                op.sequence |= 1 | (random() & 6);
            op.slot->submit(op.sequence);
            stamp::make(op.slot->address, op.sequence, op.buffer);
        }
    }
    send(op);
}

void Stress::check(stress::Slot& slot, std::span<const unsigned char> data) {
    auto bad = stress::check(slot, data, stress::allowed_after_kill(slot));
    if (bad && may_be_cut_off(slot) && !stress::check(slot, data, {0})) {
        slot.cut_off();
        ++cut_off_;
        bad.reset();
    }
    if (bad)
        complain(*bad);
}

void Stress::completed(Op& op, int error) {
    if (error == ENOTCONN || (error && (nbd_aio_is_dead(op.connection->handle) ||
                                        nbd_aio_is_closed(op.connection->handle) || lost_))) {
        lose(*op.connection);
        --in_flight_;
        op.kind = Kind::Idle;
        return;
    }
    --in_flight_;
    if (error && op.slot && may_be_cut_off(*op.slot) && (error == EINVAL || error == ENOSPC)) {
        ++refused_;
        if (op.kind != Kind::Read)
            op.slot->refused(op.sequence);
    } else if (error) {
        complain("a request failed: " + std::string(std::strerror(error)));
    } else if (op.kind == Kind::Read) {
        check(*op.slot, op.buffer);
    } else if (op.kind == Kind::Flush) {
        for (std::size_t i = 0; i < slots_.size(); ++i)
            if (op.snapshot[i] && multi_)
                slots_[i].make_durable(op.snapshot[i]);
    } else {
        op.slot->acknowledge(op.sequence);
        if (op.kind == Kind::WriteFua || (op.kind == Kind::Zeroes && (op.sequence & 4)))
            op.slot->make_durable(op.sequence);
    }
    if (op.slot)
        op.slot->busy = false;
    op.kind = Kind::Idle;
}

void Stress::lose(Connection& c) {
    if (!lost_) {
        lost_ = true;
        in_flight_at_loss_ = in_flight_;
    }
    c.lost = true;
}

void Stress::poll_once() {
    std::vector<pollfd> waits;
    std::vector<Connection*> who;
    for (auto& c : connections_) {
        if (c->lost)
            continue;
        auto direction = nbd_aio_get_direction(c->handle);
        short events = short((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                             (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
        waits.push_back({nbd_aio_get_fd(c->handle), events, 0});
        who.push_back(c.get());
    }
    if (waits.empty() || poll(waits.data(), waits.size(), 1000) <= 0)
        return;
    for (std::size_t i = 0; i < waits.size(); ++i) {
        auto* h = who[i]->handle;
        if (waits[i].revents & (POLLIN | POLLHUP | POLLERR))
            nbd_aio_notify_read(h);
        else if (waits[i].revents & POLLOUT)
            nbd_aio_notify_write(h);
        if (nbd_aio_is_dead(h) || nbd_aio_is_closed(h))
            lose(*who[i]);
    }
}

int Stress::finish() {
    if (!lost_) {
        auto* h = connections_[0]->handle;
        std::vector<unsigned char> data;
        for (auto& slot : slots_) {
            data.resize(slot.length);
            if (nbd_pread(h, data.data(), data.size(), slot.address, 0) < 0)
                die_nbd("read");
            check(slot, data);
        }
    }
    if (!o_.state.empty() && !stress::save(slots_, o_.state))
        die("cannot write " + o_.state);
    std::printf("{\"reads\": %llu, \"writes\": %llu, \"fua\": %llu, \"zeroes\": %llu, \"flushes\": %llu, "
                "\"refused\": %llu, \"cut_off\": %llu, \"lost\": %s, \"in_flight\": %u, \"wrong\": %u}\n",
                static_cast<unsigned long long>(counts_[1]), static_cast<unsigned long long>(counts_[2]),
                static_cast<unsigned long long>(counts_[3]), static_cast<unsigned long long>(counts_[4]),
                static_cast<unsigned long long>(counts_[5]), static_cast<unsigned long long>(refused_),
                static_cast<unsigned long long>(cut_off_), lost_ ? "true" : "false", in_flight_at_loss_,
                wrong_);
    return wrong_ || (lost_ && !o_.survive_loss) ? 1 : 0;
}

int Stress::run() {
    open();
    std::puts("running");
    std::fflush(stdout);
    while (may_issue() || (in_flight_ && !lost_)) {
        for (auto& c : connections_)
            for (auto& op : c->ops)
                if (op->kind == Kind::Idle && may_issue())
                    issue(*op);
        poll_once();
    }
    int status = finish();
    for (auto& c : connections_)
        nbd_close(c->handle); // the leak checker looks here too
    return status;
}

int verify(const Options& o) {
    auto* handle = open_handle(o, true);
    auto saved = stress::load(o.state);
    if (saved.empty())
        die("nothing in " + o.state);
    std::vector<unsigned char> data;
    unsigned wrong = 0, written = 0;
    for (auto& s : saved) {
        data.resize(s.slot.length);
        if (nbd_pread(handle, data.data(), data.size(), s.slot.address, 0) < 0)
            die_nbd("read");
        auto& allowed = o.mode == "durable" ? s.durable : s.acknowledged;
        written += allowed.back() != 0;
        if (auto bad = stress::check(s.slot, data, allowed); bad && ++wrong <= 10)
            std::fprintf(stderr, "nbdstress: %s\n", bad->c_str());
    }
    nbd_close(handle);
    std::printf("{\"slots\": %zu, \"written\": %u, \"wrong\": %u}\n", saved.size(), written, wrong);
    return wrong ? 1 : 0;
}

Options parse_arguments(int argc, char** argv) {
    Options o;
    if (argc < 2)
        die("usage: nbdstress run|verify --uri URI [--connections N] [--shared N] [--depth N] [--region "
            "BYTES] [--base OFFSET] "
            "[--ops N] [--seed N] [--state FILE] [--mode acked|durable] [--survive-loss] [--no-zeroes] "
            "[--shrinks-to OFFSET]; "
            "SIGTERM ends a run");
    o.command = argv[1];
    for (int i = 2; i < argc; ++i) {
        std::string key = argv[i];
        if (key == "--survive-loss") {
            o.survive_loss = true;
            continue;
        }
        if (key == "--no-zeroes") {
            o.no_zeroes = true;
            continue;
        }
        if (i + 1 == argc)
            die(key + " needs a value");
        std::string value = argv[++i];
        if (key == "--uri")
            o.uri = value;
        else if (key == "--state")
            o.state = value;
        else if (key == "--mode")
            o.mode = value;
        else if (key == "--connections")
            o.connections = unsigned(std::stoul(value));
        else if (key == "--shared")
            o.shared = unsigned(std::stoul(value));
        else if (key == "--depth")
            o.depth = unsigned(std::stoul(value));
        else if (key == "--region")
            o.region = std::stoull(value);
        else if (key == "--base")
            o.base = std::stoull(value);
        else if (key == "--ops")
            o.ops = std::stoull(value);
        else if (key == "--shrinks-to")
            o.shrinks_to = std::stoull(value);
        else if (key == "--seed")
            o.seed = std::stoull(value);
        else
            die("unknown option " + key);
    }
    return o;
}

} // namespace

int main(int argc, char** argv) {
    auto options = parse_arguments(argc, argv);
    struct sigaction action{};
    action.sa_handler = [](int) { g_stop = 1; };
    sigaction(SIGTERM, &action, nullptr);
    if (options.command == "verify")
        return verify(options);
    return Stress(options).run();
}
