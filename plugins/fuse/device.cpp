// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

#include <algorithm>
#include <cerrno>

namespace outport::fuse {

Device::Device(const Services& services, outport_loop* loop, Operations& operations, DeviceOwner& owner,
               int fd, std::uint32_t request_size) noexcept
    : services_(services), loop_(services.loop, loop), ring_(services.uring, loop), operations_(operations),
      owner_(owner), fd_(fd), slots_(request_size, kSlots, kSlots) {}

bool Device::allocate(std::uint32_t max_transfer) noexcept {
    // The head stands at the end of the page in front of the data, so that a WRITE's bytes begin on a page.
    if (!buffers_.allocate(kSlots, kPageSize + max_transfer))
        return false;
    for (std::uint32_t i = 0; i < kSlots; ++i) {
        Slot* const slot = all_[i] = slots_.take();
        if (!slot) // it is the first: all are made at once
            return false;
        slot->transport = this;
        slot->data = buffers_[i].data() + kPageSize;
        slot->capacity = max_transfer;
    }
    for (Slot* slot : all_)
        slots_.give_back(slot);
    return true;
}

void Device::stop() noexcept {
    stopping_ = true;
    for (Slot* slot : all_)
        if (slot)                        // there are none when allocate() failed
            ring_.cancel(slot->arrival); // those that are with a read
    settle();
}

// --- Reading.

void Device::read_soon() noexcept {
    if (!turn_.running())
        loop_.defer(turn_);
}

void Device::on_turn(std::int32_t) {
    read();
    settle();
}

// The descriptor is O_NONBLOCK, so the ring waits for it and never blocks, also when another loop's
// descriptor was faster.
void Device::read() noexcept {
    if (stopping_ || ended_)
        return;
    const std::uint32_t wanted = std::clamp(slots_.in_use() - reading_, 1u, kMostReads);
    while (reading_ < wanted) {
        if (slots_.in_use() == kSlots) {
            full_ = true;
            return;
        }
        io_uring_sqe* const sqe = ring_.reserve();
        if (!sqe)
            return wait_for_room();
        ring_.commit(prepare_read(*sqe)->arrival);
    }
}

// What comes begins so far in front of the data that a WRITE's bytes, for direct I/O below, begin on a page.
Slot* Device::prepare_read(io_uring_sqe& sqe) noexcept {
    Slot* const slot = slots_.take();
    sqe.opcode = IORING_OP_READ;
    sqe.fd = fd_;
    sqe.addr = reinterpret_cast<std::uint64_t>(slot->data - kWriteHead);
    sqe.len = std::uint32_t(kWriteHead) + slot->capacity;
    ++reading_;
    return slot;
}

void Device::on_arrival(Slot& slot, std::int32_t result) noexcept {
    --reading_;
    if (result > 0 && !ended_) {
        received(slot, std::size_t(result));
    } else {
        release(slot);
        // EAGAIN: another was faster; ENOENT: what was there has been interrupted; ECANCELED: we stop.
        if (result != -EAGAIN && result != -EINTR && result != -ENOENT && result != -ECANCELED)
            end(result == 0 ? EIO : -result, {});
    }
    read_soon();
    settle();
}

void Device::received(Slot& slot, std::size_t size) noexcept {
    std::byte* const head = slot.data - kWriteHead;
    const auto& header = *reinterpret_cast<const fuse_in_header*>(head);
    if (size < sizeof header || header.len != size)
        return end(EPROTO, "a request whose length is not what has arrived"), release(slot);
    const std::size_t before_data = header.opcode == FUSE_WRITE ? std::min(size, kWriteHead) : size;
    const Fault fault = parse(header, {head + sizeof header, before_data - sizeof header},
                              {head + before_data, size - before_data}, slot.request);
    if (!fault.empty())
        return end(EPROTO, fault), release(slot);
    switch (header.opcode) {
    case FUSE_INIT:
        return init(slot);
    case FUSE_INTERRUPT: {
        const std::uint64_t unique = slot.request.arg<fuse_interrupt_in>().unique;
        if (!operations_.interrupt(unique))
            owner_.on_interrupt(unique);
        return release(slot);
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_NOTIFY_REPLY: // have no answer
        return release(slot);
    default:
        return operations_.begin(slot);
    }
}

void Device::init(Slot& slot) noexcept {
    fuse_init_out out{};
    const Fault fault = owner_.on_init(slot.request, out);
    if (!fault.empty())
        return end(EPROTO, fault), release(slot);
    slot.error = 0;
    slot.answer_in_data = false;
    slot.put(out);
    init_ = &slot;
    answer(slot);
}

// --- Answering.

void Device::answer(Slot& slot) noexcept {
    slot.out.unique = slot.request.header.unique;
    slot.out.error = -slot.error;
    slot.out.len = std::uint32_t(sizeof slot.out) + slot.answer_size;
    slot.next = nullptr;
    if (ended_) {
        release(slot);
        return read_soon(); // which settles
    }
    if (unsent_ || !submit(slot))
        slot.next = std::exchange(unsent_, &slot);
}

bool Device::submit(Slot& slot) noexcept {
    io_uring_sqe* const sqe = ring_.reserve();
    if (!sqe) {
        wait_for_room();
        return false;
    }
    sqe->fd = fd_;
    if (slot.answer_in_data && slot.answer_size > 0) {
        slot.pieces[0] = {&slot.out, sizeof slot.out};
        slot.pieces[1] = {slot.data, slot.answer_size};
        sqe->opcode = IORING_OP_WRITEV;
        sqe->addr = reinterpret_cast<std::uint64_t>(slot.pieces);
        sqe->len = 2;
    } else {
        sqe->opcode = IORING_OP_WRITE;
        sqe->addr = reinterpret_cast<std::uint64_t>(&slot.out);
        sqe->len = slot.out.len;
    }
    ring_.commit(slot.sent);
    return true;
}

void Device::on_sent(Slot& slot, std::int32_t result) noexcept {
    // ENOENT: nobody waits for it any more. The others tell of an end that the read sees as well.
    if (result < 0 && result != -ENOENT && result != -ENODEV && result != -ECONNABORTED)
        services_.log.warning("fuse: the kernel refused an answer: errno ", -result);
    if (&slot == init_) {
        init_ = nullptr;
        if (result > 0)
            owner_.on_ready();
    }
    release(slot);
    settle();
}

void Device::wait_for_room() noexcept {
    if (!room_.running())
        ring_.wait(room_);
}

void Device::on_room(std::int32_t, std::uint32_t) {
    while (unsent_ && submit(*unsent_))
        unsent_ = unsent_->next;
    if (!unsent_)
        read_soon();
    settle();
}

// --- The end.

void Device::release(Slot& slot) noexcept {
    slots_.give_back(&slot);
    if (std::exchange(full_, false))
        read_soon();
}

void Device::end(int error, Fault fault) noexcept {
    if (std::exchange(ended_, true))
        return;
    if (!stopping_)
        owner_.on_end(error, fault);
}

void Device::settle() noexcept {
    if (!(stopping_ || ended_) || slots_.in_use() > 0 || room_.running() || turn_.running() ||
        std::exchange(idle_told_, true))
        return;
    owner_.on_idle();
}

} // namespace outport::fuse
