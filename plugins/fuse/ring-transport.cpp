// SPDX-License-Identifier: Apache-2.0
#include "ring-transport.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace outport::fuse {

RingTransport::RingTransport(const Services& services, outport_loop* loop, Operations& operations,
                             RingOwner& owner, int fd, std::uint32_t request_size) noexcept
    : ring_(services.uring, loop), operations_(operations), owner_(owner), fd_(fd),
      slots_(request_size, kMostEntries, kMostEach) {}

bool RingTransport::possible(const Services& services, outport_loop* loop) noexcept {
    outport_uring_info info{};
    info.struct_size = sizeof info;
    services.uring->get_info(loop, &info);
    constexpr unsigned kOpcode = IORING_OP_URING_CMD;
    return info.entry_size == 128 && (info.opcodes[kOpcode / 64] >> (kOpcode % 64) & 1);
}

bool RingTransport::allocate(std::uint32_t max_transfer, std::uint32_t queues, std::uint32_t first,
                             std::uint32_t step) noexcept {
    const std::uint32_t own = first < queues ? (queues - first + step - 1) / step : 0;
    if (own == 0)
        return true;
    if (own > kMostEntries)
        return false;
    max_transfer_ = max_transfer;
    first_ = first;
    step_ = step;
    each_ = std::min(kMostEach, kMostEntries / own);
    entries_ = own * each_;
    // The payload begins on a page, for direct I/O below.
    return buffers_.allocate(entries_, kPageSize + max_transfer);
}

void RingTransport::start() noexcept {
    for (std::uint32_t entry = 0; entry < entries_; ++entry) {
        Slot* const slot = take(entry);
        if (!slot)
            return owner_.on_ring_refused(ENOMEM);
        send(*slot, FUSE_IO_URING_CMD_REGISTER);
    }
}

Slot* RingTransport::take(std::uint32_t entry) noexcept {
    Slot* const slot = slots_.take();
    if (!slot)
        return nullptr;
    slot->transport = this;
    slot->index = first_ + entry / each_ * step_; // the queue's number
    slot->data = buffers_[entry].data() + kPageSize;
    slot->capacity = max_transfer_;
    slot->pieces[0] = {slot->data - kHeaderRoom, sizeof(fuse_uring_req_header)};
    slot->pieces[1] = {slot->data, slot->capacity};
    return slot;
}

fuse_uring_req_header& RingTransport::header(Slot& slot) noexcept {
    return *reinterpret_cast<fuse_uring_req_header*>(slot.data - kHeaderRoom);
}

// --- Arrival.

void RingTransport::on_arrival(Slot& slot, std::int32_t result) noexcept {
    if (result >= 0) {
        const Fault fault = received(slot);
        if (fault.empty())
            return operations_.begin(slot);
        owner_.on_ring_fault(fault);
        slot.error = EIO;
        slot.answer_size = 0;
        return answer(slot);
    }
    if (result == -EAGAIN || result == -EINTR) // the kernel had no memory for a moment
        return send(slot, slot.command);
    slots_.give_back(&slot);
    if (result != -ENOTCONN && result != -ECONNABORTED && result != -ENODEV)
        owner_.on_ring_refused(-result);
    if (idle())
        owner_.on_ring_idle();
}

Fault RingTransport::received(Slot& slot) noexcept {
    fuse_uring_req_header& entry = header(slot);
    fuse_in_header in;
    std::memcpy(&in, entry.in_out, sizeof in);
    const std::size_t payload = entry.ring_ent_in_out.payload_sz;
    if (payload > slot.capacity || in.len < sizeof in + payload ||
        in.len - sizeof in - payload > sizeof entry.op_in)
        return "a request whose length is not what has arrived";
    return parse(in, {reinterpret_cast<std::byte*>(entry.op_in), in.len - sizeof in - payload},
                 {slot.data, payload}, slot.request);
}

// --- Answers, each of which asks for the next request.

void RingTransport::answer(Slot& slot) noexcept {
    fuse_uring_req_header& entry = header(slot);
    fuse_out_header out{};
    out.len = std::uint32_t(sizeof out) + slot.answer_size;
    out.error = -slot.error;
    out.unique = slot.request.header.unique;
    std::memcpy(entry.in_out, &out, sizeof out);
    entry.ring_ent_in_out.payload_sz = slot.answer_size;
    if (!slot.answer_in_data)
        std::memcpy(slot.data, slot.small, slot.answer_size);
    send(slot, FUSE_IO_URING_CMD_COMMIT_AND_FETCH);
}

void RingTransport::send(Slot& slot, std::uint32_t command) noexcept {
    slot.command = command;
    slot.next = nullptr;
    if (unsent_ || !submit(slot))
        slot.next = std::exchange(unsent_, &slot);
}

bool RingTransport::submit(Slot& slot) noexcept {
    io_uring_sqe* const sqe = ring_.reserve();
    if (!sqe) {
        if (!room_.running())
            ring_.wait(room_);
        return false;
    }
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd_;
    sqe->cmd_op = slot.command;
    if (slot.command == FUSE_IO_URING_CMD_REGISTER) {
        sqe->addr = reinterpret_cast<std::uint64_t>(slot.pieces);
        sqe->len = 2;
    }
    fuse_uring_cmd_req command{};
    command.qid = std::uint16_t(slot.index);
    command.commit_id =
        slot.command == FUSE_IO_URING_CMD_REGISTER ? 0 : header(slot).ring_ent_in_out.commit_id;
    std::memcpy(sqe->cmd, &command, sizeof command);
    ring_.commit(slot.arrival);
    return true;
}

void RingTransport::on_room(std::int32_t, std::uint32_t) {
    while (unsent_ && submit(*unsent_))
        unsent_ = unsent_->next;
    if (idle()) // all came back while this was waited for
        owner_.on_ring_idle();
}

} // namespace outport::fuse
