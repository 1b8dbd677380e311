// SPDX-License-Identifier: Apache-2.0
// outport.uring/1. Lent entries are memory of the thread's own, copied to the ring at commit: what a plugin
// holds can then neither be sent half filled by somebody else's flush, nor change after it was checked.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/loop/loop.hpp"
#include "host/loop/sdk-tables.hpp"
#include "host/loop/uring-policy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

namespace outport::loop {
namespace {

constexpr std::uint32_t kMaxReservation = 64;
constexpr std::uint32_t kMaxEntrySize = 128;
constexpr std::uint8_t kNoOpcode =
    255; // which the kernel refuses with -EINVAL, and with it the rest of its chain

// A thread has at most one loop. Zero between reservations.
struct Lent {
    alignas(64) unsigned char entries[kMaxReservation][kMaxEntrySize];
    std::uint32_t reserved;
};
thread_local Lent t_lent;

enum class Kind : std::uint64_t { Idle, Ring, Waiter };

// What is in outport_uring_completion.host; see sdk-loop.cpp.
struct HostPart {
    std::uint64_t tag;
    outport_loop* loop; // where it is counted
    union {
        Completion completion;
        Task waiter;
    };
};
static_assert(sizeof(HostPart) <= sizeof(outport_uring_completion::host) && alignof(HostPart) <= 8);

HostPart& host_part(outport_uring_completion* c) {
    return *reinterpret_cast<HostPart*>(c->host);
}

template <class Part> outport_uring_completion* completion_of(Part* part, Part HostPart::* member) {
    char* host = reinterpret_cast<char*>(owner_of(part, member));
    return reinterpret_cast<outport_uring_completion*>(host - offsetof(outport_uring_completion, host));
}

std::uint64_t tag_of(const outport_uring_completion* c, Kind kind) {
    return (reinterpret_cast<std::uint64_t>(c) ^ 0x6f7574706f727431) + static_cast<std::uint64_t>(kind);
}

void ring_done(Completion* part, std::int32_t result, std::uint32_t flags) {
    outport_uring_completion* c = completion_of(part, &HostPart::completion);
    outport_loop* l = host_part(c).loop;
    const bool last = !part->in_flight();
    if (last) {
        std::destroy_at(part);
        host_part(c).tag = tag_of(c, Kind::Idle);
    }
    c->complete(c, result, flags);
    if (last)
        l->end();
}

void begin(outport_loop* l, outport_uring_completion* c, Kind kind) {
    host_part(c).tag = tag_of(c, kind);
    host_part(c).loop = l;
    l->begin();
}

Completion& begin_ring(outport_loop* l, outport_uring_completion* c) {
    begin(l, c, Kind::Ring);
    return *new (&host_part(c).completion) Completion{ring_done};
}

void log_once(const char* why) {
    static thread_local std::array<const char*, 16> t_told{}; // the texts are literals, and fewer
    for (const char*& told : t_told) {
        if (told == why)
            return;
        if (!told) {
            told = why;
            break;
        }
    }
    log::warning("loop", cat("a plugin's ring entry was refused: ", why));
}

void get_info(outport_loop* l, outport_uring_info* info) noexcept {
    const Ring& ring = from_abi(l).ring();
    outport_uring_info full{};
    full.struct_size = info->struct_size;
    full.entry_size = ring.entry_size();
    full.ring_flags = ring.setup_flags();
    full.ring_features = ring.features();
    std::ranges::copy(ring.opcodes(), full.opcodes);
    full.max_reservation = std::min(kMaxReservation, ring.entries());
    std::memcpy(info, &full, std::min<std::size_t>(info->struct_size, sizeof full));
}

std::int32_t reserve(outport_loop* l, std::uint32_t count, void** entries) noexcept {
    Loop& loop = from_abi(l);
    if (count == 0 || count > std::min(kMaxReservation, loop.max_chain()))
        return OUTPORT_INVALID;
    if (t_lent.reserved || !loop.try_room(count))
        return OUTPORT_AGAIN;
    t_lent.reserved = count;
    for (std::uint32_t i = 0; i < count; ++i)
        entries[i] = t_lent.entries[i];
    return OUTPORT_OK;
}

void commit_one(outport_loop* l, unsigned char* lent, outport_uring_completion* c, bool last) {
    Loop& loop = from_abi(l);
    io_uring_sqe* sqe = loop.entry(begin_ring(l, c));
    std::uint64_t user_data = sqe->user_data;
    std::memcpy(static_cast<void*>(sqe), lent, loop.ring().entry_size());
    std::memset(lent, 0, loop.ring().entry_size());
    sqe->user_data = user_data;
    if (const char* why = refusal(*sqe)) {
        log_once(why);
        std::uint8_t links = sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        std::memset(static_cast<void*>(sqe), 0, loop.ring().entry_size());
        sqe->opcode = kNoOpcode;
        sqe->fd = -1;
        sqe->flags = links;
        sqe->user_data = user_data;
    }
    if (last)
        sqe->flags &= static_cast<std::uint8_t>(~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK));
}

void commit(outport_loop* l, std::uint32_t count, outport_uring_completion* const* completions) noexcept {
    Loop& loop = from_abi(l);
    if (count != t_lent.reserved) {
        // Entries that nobody filled in are refused each, so that every completion still comes.
        log_once("commit of another count than was reserved");
        std::memset(t_lent.entries, kNoOpcode, sizeof t_lent.entries);
        count = std::min(count, kMaxReservation);
    }
    t_lent.reserved = 0;
    if (count)
        loop.make_room(count);
    for (std::uint32_t i = 0; i < count; ++i)
        commit_one(l, t_lent.entries[i], completions[i], i + 1 == count);
}

void wait(outport_loop* l, outport_uring_completion* c) noexcept {
    begin(l, c, Kind::Waiter);
    Task* task = new (&host_part(c).waiter) Task{[](Task* t) {
        outport_uring_completion* self = completion_of(t, &HostPart::waiter);
        std::destroy_at(t);
        host_part(self).tag = tag_of(self, Kind::Idle);
        outport_loop* counted = host_part(self).loop;
        self->complete(self, 0, 0);
        counted->end();
    }};
    from_abi(l).yield(
        *task); // the queue goes to the kernel in between, and waiters have their turns in order
}

void cancel(outport_loop* l, outport_uring_completion* c) noexcept {
    if (host_part(c).tag == tag_of(c, Kind::Ring))
        from_abi(l).cancel(host_part(c).completion);
}

} // namespace

const outport_uring_api kUringTable = {sizeof(outport_uring_api), 0, get_info, reserve, commit, wait, cancel};

} // namespace outport::loop
