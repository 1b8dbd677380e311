// SPDX-License-Identifier: Apache-2.0
#include "shard.hpp"

#include "export.hpp"

#include <cerrno>
#include <unistd.h>

namespace outport::fuse {

Shard::Shard(const Services& services, Export& parent, outport_export* handle, outport_loop* loop, File& file,
             bool first, int fd, std::uint32_t request_size) noexcept
    : services_(services), parent_(parent), loop_(services.loop, loop), first_(first), fd_(fd),
      operations_(services, handle, loop, file),
      device_(services, loop, operations_, *this, fd, request_size),
      ring_(services, loop, operations_, *this, fd, request_size),
      invalidator_(services, loop, operations_.queue(), *this, fd) {}

Shard::~Shard() {
    ::close(fd_);
}

void Shard::on_start(std::int32_t) {
    outport_block_notices notices{};
    notices.struct_size = sizeof notices;
    notices.range_changed = &on_range_changed;
    const std::int32_t status = operations_.open(first_ ? &notices : nullptr, this);
    if (status != OUTPORT_OK)
        return on_end(ENOMEM, {});
    device_.start();
}

void Shard::on_start_ring(std::int32_t) {
    if (!cutting_ && !end_told_)
        ring_.start();
}

void Shard::on_refuse(std::int32_t) {
    operations_.refuse();
}

void Shard::on_cut(std::int32_t) {
    cutting_ = true;
    operations_.cut();
    invalidator_.cut(); // on_invalidator_idle follows, maybe inside
}

// Until then requests are read and refused: an invalidation may wait for one of them.
void Shard::on_invalidator_idle() noexcept {
    if (!device_idle_)
        device_.stop();
    close_when_idle();
}

void Shard::on_range_changed(void* data, outport_range_change* change) noexcept {
    static_cast<Shard*>(data)->invalidator_.add(*change);
}

// --- From the device.

Fault Shard::on_init(const Request& init, fuse_init_out& out) noexcept {
    return parent_.negotiate(init, out);
}

void Shard::on_ready() noexcept {
    services_.main.post(initialised_);
}

// The kernel tells whoever reads first, not the loop that has the request.
void Shard::on_interrupt(std::uint64_t unique) noexcept {
    parent_.interrupt_elsewhere(*this, unique);
}

void Shard::post_interrupt(std::uint64_t unique) noexcept {
    const std::lock_guard guard(interrupts_lock_);
    if (closed_told_ || interrupts_ == interrupted_.size())
        return; // then it completes some time
    interrupted_[interrupts_++] = unique;
    if (interrupts_ == 1)
        loop_.post(told_interrupts_);
}

void Shard::on_interrupts(std::int32_t) {
    {
        const std::lock_guard guard(interrupts_lock_);
        while (interrupts_ > 0)
            operations_.interrupt(interrupted_[--interrupts_]);
    }
    close_when_idle();
}

void Shard::on_end(int error, Fault fault) noexcept {
    if (std::exchange(end_told_, true))
        return;
    end_error_ = error;
    end_fault_ = fault;
    services_.main.post(told_end_);
}

void Shard::on_idle() noexcept {
    device_idle_ = true;
    close_when_idle();
}

// The kernel has turned io_uring off for this connection.
void Shard::on_ring_refused(int error) noexcept {
    services_.log.debug("fuse: the kernel refused entries of FUSE over io_uring: errno ", error);
    if (!told_refused_.running())
        services_.main.post(told_refused_);
}

void Shard::on_ring_fault(Fault fault) noexcept {
    on_end(EPROTO, fault);
}

void Shard::on_ring_idle() noexcept {
    close_when_idle();
}

void Shard::close_when_idle() noexcept {
    if (!cutting_ || !device_idle_ || !ring_.idle() || !invalidator_.idle())
        return;
    {
        const std::lock_guard guard(interrupts_lock_);
        if (interrupts_ > 0 || std::exchange(closed_told_, true))
            return;
    }
    operations_.close();
    services_.main.post(closed_); // behind what was posted before; then this may end at any moment
}

// --- On the main loop.

void Shard::on_initialised(std::int32_t) {
    parent_.initialised();
}

void Shard::on_refused(std::int32_t) {
    parent_.ring_refused();
}

void Shard::on_ended(std::int32_t) {
    parent_.shard_ended(end_error_, end_fault_);
}

void Shard::on_closed(std::int32_t) {
    parent_.shard_closed();
}

} // namespace outport::fuse
