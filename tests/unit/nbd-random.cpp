// SPDX-License-Identifier: Apache-2.0
// Many clients, requests, short transfers, errors and ends in random order. At each step no memory that the
// kernel or the disk may write to is anybody else's; at the end each request of a client that was not cut off
// was answered once, with the right data.
#include "nbd-served.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

namespace outport::nbd {
namespace {

constexpr std::uint64_t kSize = 1u << 20; // of the export

std::uint8_t content(std::uint64_t offset) {
    return std::uint8_t((offset * 2654435761u) >> 11);
}

struct Asked {
    Command command;
    std::uint64_t offset;
    std::uint32_t length;
};

struct Peer {
    int fd = -1;
    bool cut = false; // it need not get all its answers any more
    std::string to_say, heard;
    std::map<std::uint64_t, Asked> open;
};

class NbdRandom : public test::NbdServed, public testing::WithParamInterface<unsigned> {
  protected:
    NbdRandom() : NbdServed(GetParam() % 2 ? 512 : 1), random_(GetParam()) {}

    unsigned below(unsigned bound) { return unsigned(random_() % bound); }

    // --- The client's side.

    void ask(Peer& peer) {
        static constexpr std::uint32_t kLengths[] = {1, 100, 512, 4096, 5000, 20000, 70000, 300000};
        static constexpr Command kCommands[] = {Command::Read, Command::Write, Command::Write,
                                                Command::Flush};
        const Command command = kCommands[below(4)];
        const std::uint32_t length = command == Command::Flush ? 0 : kLengths[below(8)];
        const std::uint64_t offset = below(kSize); // now and then past the end
        peer.to_say += test::request(command, offset, length, ++cookie_);
        if (command == Command::Write)
            for (std::uint32_t i = 0; i < length; ++i)
                peer.to_say += char(content(offset + i));
        peer.open[cookie_] = {command, offset, length};
    }

    void hear(Peer& peer) {
        while (peer.heard.size() >= kSimpleReplySize) {
            const char* at = peer.heard.data();
            ASSERT_EQ(load_be<std::uint32_t>(at), kSimpleReplyMagic);
            const auto error = load_be<std::uint32_t>(at + 4);
            const auto cookie = load_be<std::uint64_t>(at + 8);
            const auto found = peer.open.find(cookie);
            ASSERT_NE(found, peer.open.end()) << "no such request, or answered twice";
            const Asked asked = found->second;
            const bool carries = asked.command == Command::Read && error == 0;
            const std::size_t length = carries ? asked.length : 0;
            if (peer.heard.size() < kSimpleReplySize + length)
                return;
            for (std::size_t i = 0; i < length; ++i)
                ASSERT_EQ(std::uint8_t(at[kSimpleReplySize + i]), content(asked.offset + i));
            peer.open.erase(found);
            peer.heard.erase(0, kSimpleReplySize + length);
        }
    }

    // --- The kernel's and the disk's.

    // The last one: descriptors of those that are gone are used again.
    Peer* peer_of(int fd) {
        return &*std::find_if(peers_.rbegin(), peers_.rend(), [&](const Peer& p) { return p.fd == fd; });
    }

    void transfer(std::size_t index, bool fail) {
        auto* entry = &host.entries[index];
        Peer& peer = *peer_of(entry->fd);
        if (fail) {
            peer.cut = true;
            const int closed = below(2) ? 0 : -ECONNRESET;
            return host.complete(entry, entry->opcode == IORING_OP_RECV ? closed : -EPIPE);
        }
        if (entry->opcode == IORING_OP_RECV) {
            const std::size_t most = std::min<std::size_t>(entry->len, peer.to_say.size());
            if (most == 0)
                return;
            const std::size_t length = below(3) ? most : 1 + below(unsigned(most));
            std::memcpy(reinterpret_cast<void*>(entry->addr), peer.to_say.data(), length);
            peer.to_say.erase(0, length);
            return host.complete(entry, std::int32_t(length));
        }
        std::string sent;
        for (const auto& piece : pieces(*entry))
            sent.append(reinterpret_cast<const char*>(piece.base), piece.length);
        sent.resize(below(3) ? sent.size() : 1 + below(unsigned(sent.size())));
        peer.heard += sent;
        hear(peer);
        host.complete(entry, std::int32_t(sent.size()));
    }

    void finish(outport_block_request* request) {
        const auto* piece = request->iov;
        std::uint64_t offset = request->offset;
        for (std::uint32_t p = 0; p < request->iov_count; ++p, ++piece)
            for (std::uint64_t i = 0; i < piece->length; ++i, ++offset) {
                auto* byte = reinterpret_cast<std::uint8_t*>(piece->base) + i;
                if (request->op == OUTPORT_BLOCK_READ)
                    *byte = content(offset);
                else
                    ASSERT_EQ(*byte, content(offset));
            }
        host.complete(request, below(8) ? 0 : -EIO);
    }

    static std::vector<outport_iovec> pieces(const test::Host::Entry& entry) {
        if (entry.opcode != IORING_OP_SENDMSG)
            return {{entry.addr, entry.len}};
        const auto* message = reinterpret_cast<const msghdr*>(entry.addr);
        const auto* first = reinterpret_cast<const outport_iovec*>(message->msg_iov);
        return {first, first + message->msg_iovlen};
    }

    void check_memory() {
        struct Lent {
            std::uint64_t begin, end;
            bool written;
        };
        std::vector<Lent> all;
        for (const auto& entry : host.entries)
            for (const auto& piece : pieces(entry))
                all.push_back({piece.base, piece.base + piece.length, entry.opcode == IORING_OP_RECV});
        for (const auto* request : host.requests)
            for (std::uint32_t p = 0; p < request->iov_count; ++p)
                all.push_back({request->iov[p].base, request->iov[p].base + request->iov[p].length,
                               request->op == OUTPORT_BLOCK_READ});
        std::sort(all.begin(), all.end(), [](const Lent& a, const Lent& b) { return a.begin < b.begin; });
        for (std::size_t i = 1; i < all.size(); ++i)
            ASSERT_TRUE(all[i - 1].end <= all[i].begin || (!all[i - 1].written && !all[i].written));
    }

    void step() {
        Peer& peer = peers_[below(unsigned(peers_.size()))];
        const unsigned what = below(100);
        if (what < 40 && peer.open.size() < 200)
            ask(peer);
        else if (what < 70 && !host.entries.empty())
            transfer(below(unsigned(host.entries.size())), below(25) == 0);
        else if (what < 98 && !host.requests.empty())
            finish(host.requests[below(unsigned(host.requests.size()))]);
        else if (what == 98 && !host.timers.empty())
            host.fire_timer();
        if (peers_.size() < 100 && below(25) == 0)
            peers_.emplace_back().fd = client();
    }

    bool anything_left() {
        return !host.requests.empty() || std::any_of(host.entries.begin(), host.entries.end(), [&](auto& e) {
            return e.opcode != IORING_OP_RECV || !peer_of(e.fd)->to_say.empty();
        });
    }

    std::mt19937 random_;
    std::uint64_t cookie_ = 0;
    std::vector<Peer> peers_;
};

TEST_P(NbdRandom, NoMemoryIsSharedAndNoAnswerLost) {
    peers_.emplace_back().fd = client();
    for (unsigned i = 0; i < 4000 && !HasFatalFailure(); ++i) {
        step();
        check_memory();
    }
    while (anything_left() && !HasFatalFailure()) {
        for (std::size_t i = host.entries.size(); i-- > 0;)
            if (i < host.entries.size())
                transfer(i, false);
        if (!host.requests.empty())
            finish(host.requests.front());
        check_memory();
    }
    for (const Peer& peer : peers_)
        EXPECT_TRUE(peer.cut || peer.open.empty()) << peer.open.size() << " requests were not answered";
    cut_all();
}

// OUTPORT_NBD_SEEDS=300: more of them.
unsigned seeds() {
    const char* wanted = std::getenv("OUTPORT_NBD_SEEDS");
    return wanted ? unsigned(std::atoi(wanted)) : 16;
}

INSTANTIATE_TEST_SUITE_P(Seeds, NbdRandom, testing::Range(0u, seeds()));

} // namespace
} // namespace outport::nbd
