// SPDX-License-Identifier: Apache-2.0
#include "shard.hpp"

#include "export.hpp"

#include <cerrno>
#include <unistd.h>

namespace outport::fuse {

Shard::Shard(const Services& services, Export& parent, outport_export* handle, outport_loop* loop, File& file,
             int fd, std::uint32_t request_size) noexcept
    : services_(services), parent_(parent), loop_(services.loop, loop), fd_(fd),
      operations_(services, handle, loop, file),
      device_(services, loop, operations_, *this, fd, request_size) {}

Shard::~Shard() {
    ::close(fd_);
}

void Shard::on_start(std::int32_t) {
    const std::int32_t status = operations_.open();
    if (status != OUTPORT_OK)
        return on_end(ENOMEM, {});
    device_.start();
}

void Shard::on_refuse(std::int32_t) {
    operations_.refuse();
}

void Shard::on_cut(std::int32_t) {
    cutting_ = true;
    operations_.cut();
    if (idle_)
        close();
    else
        device_.stop();
}

// --- From the device.

Fault Shard::on_init(const Request& init, fuse_init_out& out) noexcept {
    const Fault fault = parent_.negotiate(init, out);
    if (fault.empty())
        services_.main.post(initialised_); // whatever the kernel asks next, it asks after the answer
    return fault;
}

void Shard::on_interrupt(std::uint64_t) noexcept {} // it completes some time, or not

void Shard::on_end(int error, Fault fault) noexcept {
    end_error_ = error;
    end_fault_ = fault;
    services_.main.post(told_end_);
}

void Shard::on_idle() noexcept {
    idle_ = true;
    if (cutting_)
        close();
}

void Shard::close() noexcept {
    operations_.close();
    services_.main.post(closed_); // behind what was posted before; then this may end at any moment
}

// --- On the main loop.

void Shard::on_initialised(std::int32_t) {
    parent_.initialised();
}

void Shard::on_ended(std::int32_t) {
    parent_.shard_ended(end_error_, end_fault_);
}

void Shard::on_closed(std::int32_t) {
    parent_.shard_closed();
}

} // namespace outport::fuse
