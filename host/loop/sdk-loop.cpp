// SPDX-License-Identifier: Apache-2.0
// outport.loop/1: each operation of a plugin carries, in the words it lends to the host, one of the loop's
// own embedded objects.
#include "host/loop/loop.hpp"
#include "host/loop/poison.hpp"
#include "host/loop/sdk-tables.hpp"

#include <cerrno>
#include <climits>
#include <memory>
#include <new>
#include <sys/socket.h>

namespace outport::loop {
namespace {

SdkServices g_services;

// The kernel moves no more at once (MAX_RW_COUNT).
constexpr std::uint64_t kMaxTransfer = 0x7ffff000;
constexpr std::uint32_t kMaxIov = 1024;

enum class Kind : std::uint64_t { Idle, Ring, Timer, Task, Posted };

// An operation of the kernel: the completion, and what must live as long as it.
struct RingPart {
    Completion completion;
    msghdr message{};
    iovec single{};                     // a plain buffer
    const iovec* read_target = nullptr; // what is poisoned meanwhile
    std::uint32_t read_count = 0;
};

struct TaskPart {
    Task task;
    std::int32_t result;
};

// What is in outport_loop_op.host. `tag` tells a running operation from memory that was never initialised.
struct HostPart {
    std::uint64_t tag;
    outport_loop* loop; // where it is counted
    union {
        RingPart ring;
        Timer timer;
        TaskPart task;
        Posted posted;
    };
};
static_assert(sizeof(HostPart) <= sizeof(outport_loop_op::host) && alignof(HostPart) <= 8);

HostPart& host_part(outport_loop_op* op) {
    return *reinterpret_cast<HostPart*>(op->host);
}

template <class Part> outport_loop_op* op_of(Part* part, Part HostPart::* member) {
    char* host = reinterpret_cast<char*>(owner_of(part, member));
    return reinterpret_cast<outport_loop_op*>(host - offsetof(outport_loop_op, host));
}

std::uint64_t tag_of(const outport_loop_op* op, Kind kind) {
    return (reinterpret_cast<std::uint64_t>(op) ^ 0x6f7574706f727430) + static_cast<std::uint64_t>(kind);
}

Kind kind_of(outport_loop_op* op) {
    std::uint64_t kind = host_part(op).tag - tag_of(op, Kind::Idle);
    return kind <= static_cast<std::uint64_t>(Kind::Posted) ? static_cast<Kind>(kind) : Kind::Idle;
}

void set_kind(outport_loop_op* op, Kind kind) {
    host_part(op).tag = tag_of(op, kind);
}

void begin(outport_loop* l, outport_loop_op* op, Kind kind) {
    set_kind(op, kind);
    host_part(op).loop = l;
    kind == Kind::Posted ? l->begin_post() : l->begin();
}

// It counts as long as its callback runs, after which its memory may be gone.
void finish(outport_loop_op* op, std::int32_t result) {
    outport_loop* l = host_part(op).loop;
    bool posted = kind_of(op) == Kind::Posted;
    set_kind(op, Kind::Idle);
    op->complete(op, result);
    posted ? l->end_post() : l->end();
}

void ring_done(Completion* c, std::int32_t result, std::uint32_t) {
    RingPart* part = owner_of(c, &RingPart::completion);
    unpoison_read_target({part->read_target, part->read_count});
    outport_loop_op* op = op_of(part, &HostPart::ring);
    std::destroy_at(part);
    finish(op, result);
}

void task_done(Task* task) {
    TaskPart* part = owner_of(task, &TaskPart::task);
    std::int32_t result = part->result;
    outport_loop_op* op = op_of(part, &HostPart::task);
    std::destroy_at(part);
    finish(op, result);
}

RingPart& begin_ring(outport_loop* l, outport_loop_op* op) {
    begin(l, op, Kind::Ring);
    RingPart* part = new (&host_part(op).ring) RingPart;
    part->completion.fn = ring_done;
    return *part;
}

Task& begin_task(outport_loop* l, outport_loop_op* op, std::int32_t result) {
    begin(l, op, Kind::Task);
    TaskPart* part = new (&host_part(op).task) TaskPart{Task{task_done}, result};
    return part->task;
}

// Never inside the call that starts it.
void complete_later(outport_loop* l, outport_loop_op* op, std::int32_t result) {
    from_abi(l).make_ready(begin_task(l, op, result));
}

const iovec* as_iovec(const outport_iovec* iov) {
    return reinterpret_cast<const iovec*>(iov);
}

void poison(RingPart& part, const iovec* iov, std::uint32_t count) {
    part.read_target = iov;
    part.read_count = count;
    poison_read_target({iov, count});
}

void op_read(outport_loop* l, outport_loop_op* op, std::int32_t fd, const outport_iovec* iov,
             std::uint32_t count, std::uint64_t offset) noexcept {
    if (count > kMaxIov)
        return complete_later(l, op, -EINVAL);
    RingPart& part = begin_ring(l, op);
    from_abi(l).readv(part.completion, fd, as_iovec(iov), count, offset);
    poison(part, as_iovec(iov), count);
}

void op_write(outport_loop* l, outport_loop_op* op, std::int32_t fd, const outport_iovec* iov,
              std::uint32_t count, std::uint64_t offset) noexcept {
    if (count > kMaxIov)
        return complete_later(l, op, -EINVAL);
    from_abi(l).writev(begin_ring(l, op).completion, fd, as_iovec(iov), count, offset);
}

void op_recv(outport_loop* l, outport_loop_op* op, std::int32_t fd, void* buffer, std::uint64_t length,
             std::uint32_t flags) noexcept {
    if (flags > INT_MAX)
        return complete_later(l, op, -EINVAL);
    RingPart& part = begin_ring(l, op);
    part.single = {buffer, length < kMaxTransfer ? length : kMaxTransfer};
    from_abi(l).recv(part.completion, fd, buffer, static_cast<std::uint32_t>(part.single.iov_len),
                     static_cast<int>(flags));
    poison(part, &part.single, 1);
}

void op_send(outport_loop* l, outport_loop_op* op, std::int32_t fd, const outport_iovec* iov,
             std::uint32_t count, std::uint32_t flags) noexcept {
    if (flags > INT_MAX || count > kMaxIov)
        return complete_later(l, op, -EINVAL);
    RingPart& part = begin_ring(l, op);
    part.message.msg_iov = const_cast<iovec*>(as_iovec(iov));
    part.message.msg_iovlen = count;
    from_abi(l).sendmsg(part.completion, fd, &part.message, static_cast<int>(flags));
}

void op_accept(outport_loop* l, outport_loop_op* op, std::int32_t fd) noexcept {
    from_abi(l).accept(begin_ring(l, op).completion, fd);
}

// Bits above the POLL… values steer how the kernel waits (EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE).
void op_poll(outport_loop* l, outport_loop_op* op, std::int32_t fd, std::uint32_t events) noexcept {
    if (events > 0xffff)
        return complete_later(l, op, -EINVAL);
    from_abi(l).poll(begin_ring(l, op).completion, fd, events);
}

void op_timer(outport_loop* l, outport_loop_op* op, std::uint64_t nanoseconds) noexcept {
    begin(l, op, Kind::Timer);
    Timer* timer = new (&host_part(op).timer) Timer{[](Timer* t) {
        outport_loop_op* self = op_of(t, &HostPart::timer);
        std::destroy_at(t);
        finish(self, 0);
    }};
    std::uint64_t now = now_ns();
    from_abi(l).arm(*timer, nanoseconds > UINT64_MAX - now ? UINT64_MAX : now + nanoseconds);
}

void op_post(outport_loop* l, outport_loop_op* op) noexcept {
    begin(l, op, Kind::Posted);
    Posted* posted = new (&host_part(op).posted) Posted{[](Posted* p) {
        outport_loop_op* self = op_of(p, &HostPart::posted);
        std::destroy_at(p);
        finish(self, 0);
    }};
    from_abi(l).post(*posted);
}

void op_defer(outport_loop* l, outport_loop_op* op) noexcept {
    from_abi(l).defer(begin_task(l, op, 0));
}

void op_yield(outport_loop* l, outport_loop_op* op) noexcept {
    from_abi(l).yield(begin_task(l, op, 0));
}

void op_cancel(outport_loop* l, outport_loop_op* op) noexcept {
    Loop& loop = from_abi(l);
    outport_loop* counted = nullptr;
    switch (kind_of(op)) {
    case Kind::Ring:
        loop.cancel(host_part(op).ring.completion);
        break;
    case Kind::Timer:
        loop.disarm(host_part(op).timer);
        std::destroy_at(&host_part(op).timer);
        counted = host_part(op).loop;
        complete_later(l, op, -ECANCELED);
        counted->end(); // only now, so that it counts all the time
        break;
    case Kind::Task: // comes at once anyway
    case Kind::Posted:
    case Kind::Idle:
        break;
    }
}

std::uint64_t op_now(outport_loop* l) noexcept {
    Loop& loop = from_abi(l);
    return loop.on_thread() ? loop.turn_time_ns() : now_ns();
}

outport_loop* op_main_loop(const outport_host* host) noexcept {
    return g_services.main_loop_of ? g_services.main_loop_of(host) : to_abi(*g_services.main_loop);
}

} // namespace

void provide_sdk_services(const SdkServices& services) noexcept {
    g_services = services;
}
const SdkServices& sdk_services() noexcept {
    return g_services;
}

const outport_loop_api kLoopTable = {
    sizeof(outport_loop_api),
    0,
    op_read,
    op_write,
    op_recv,
    op_send,
    op_accept,
    op_poll,
    op_timer,
    op_post,
    op_defer,
    op_yield,
    op_cancel,
    op_now,
    op_main_loop,
};

} // namespace outport::loop
