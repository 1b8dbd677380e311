// SPDX-License-Identifier: Apache-2.0
#include "host/block/root.hpp"

#include "host/block/queue.hpp"
#include "host/block/seat.hpp"

#include <outport/block.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace outport::block {

Root::Root(Graph& graph, Node& node, RootOptions options) : graph_(graph), options_(std::move(options)) {
    edge_.child = &node;
    edge_.root = this;
    edge_.name = "root";
    edge_.perm =
        kPermConsistentRead | (options_.writable ? kPermWrite : 0) | (options_.resizable ? kPermResize : 0);
    edge_.shared = kPermAll;
}

Root::~Root() = default;

void Root::let_go() noexcept {
    if (--notices_ == 0 && unheld_)
        std::exchange(unheld_, nullptr)();
}

void Root::make_seats() {
    for (loop::Loop* loop : options_.loops)
        if (!seat(*loop))
            seats_.push_back(std::make_unique<Seat>(*this, *loop, build_view(node(), *loop)));
    publish_info();
}

Seat* Root::seat(const loop::Loop& loop) const noexcept {
    for (auto& seat : seats_)
        if (&seat->loop() == &loop)
            return seat.get();
    return nullptr;
}

std::size_t Root::open_queues() const noexcept {
    std::size_t sum = 0;
    for (auto& seat : seats_)
        sum += seat->open_queues();
    return sum;
}

bool Root::publish_info() {
    const Limits& limits = node().limits();
    Info info;
    info.size = node().size();
    info.flags = (options_.writable ? OUTPORT_BLOCK_IS_WRITABLE : 0) |
                 (limits.can_discard && node().options().unmap ? OUTPORT_BLOCK_CAN_DISCARD : 0) |
                 (limits.can_fast_zero ? OUTPORT_BLOCK_CAN_FAST_ZERO : 0);
    info.request_alignment = limits.request_alignment;
    info.memory_alignment = limits.memory_alignment;
    info.optimal_transfer = limits.optimal_transfer;
    info.max_transfer = limits.max_transfer;
    std::lock_guard guard(info_mutex_);
    bool changed = info != info_;
    info_ = info;
    return changed;
}

void Root::info(outport_block_info& out) const noexcept {
    outport_block_info info{};
    {
        std::lock_guard guard(info_mutex_);
        info.flags = info_.flags;
        info.size = info_.size;
        info.request_alignment = info_.request_alignment;
        info.memory_alignment = info_.memory_alignment;
        info.optimal_transfer = info_.optimal_transfer;
        info.max_transfer = info_.max_transfer;
    }
    info.request_size = kRequestSize;
    info.struct_size = out.struct_size; // the plugin's own
    std::memcpy(&out, &info, std::min<std::size_t>(out.struct_size, sizeof info));
}

} // namespace outport::block
