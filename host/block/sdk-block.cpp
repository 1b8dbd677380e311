// SPDX-License-Identifier: Apache-2.0
#include "host/block/sdk-block.hpp"

#include "host/block/queue.hpp"
#include "host/block/root.hpp"
#include "host/block/seat.hpp"

#include <algorithm>
#include <new>

namespace outport::block {

namespace {

void get_info(outport_export* handle, outport_block_info* info) noexcept {
    handle->root->info(*info);
}

// Whether `notices` asks for one that this host has not: who asks relies on being told.
bool has_unknown(const outport_block_notices* notices) noexcept {
    if (!notices || notices->struct_size <= sizeof *notices)
        return false;
    auto* bytes = reinterpret_cast<const unsigned char*>(notices);
    return std::any_of(bytes + sizeof *notices, bytes + notices->struct_size, [](auto b) { return b != 0; });
}

std::int32_t queue_open(outport_export* handle, outport_loop* loop, const outport_block_notices* notices,
                        void* data, outport_block_queue** queue, outport_error* error) noexcept {
    Seat* seat = handle->root->seat(*sdk::to_loop(loop));
    if (!seat) {
        sdk::put_error(error, "A block queue was asked for on a loop that is not one of the export's");
        return OUTPORT_INVALID;
    }
    if (has_unknown(notices)) {
        sdk::put_error(error, "A block queue was asked for with a notice that this host does not have");
        return OUTPORT_UNSUPPORTED;
    }
    const bool told = notices && OUTPORT_HAS(notices, range_changed);
    if (told && &seat->loop() != handle->root->options().loops.front()) {
        sdk::put_error(error, "Changes of ranges are told on the first of an export's loops");
        return OUTPORT_INVALID;
    }
    auto* opened = new (std::nothrow) Queue(*seat, notices, data);
    if (!opened) {
        sdk::put_error(error, "No memory for a block queue");
        return OUTPORT_NO_MEMORY;
    }
    *queue = opened->handle();
    return OUTPORT_OK;
}

void queue_close(outport_block_queue* queue) noexcept {
    delete Queue::from(queue);
}

void submit(outport_block_queue* queue, outport_block_request* const* requests,
            std::uint32_t count) noexcept {
    Queue::from(queue)->submit(requests, count);
}

void cancel(outport_block_queue* queue, outport_block_request* request) noexcept {
    Queue::from(queue)->cancel(request);
}

void range_done(outport_block_queue*, outport_range_change* change) noexcept {
    RangeNotice::answered(change);
}

constexpr outport_block_api kApi{
    sizeof(outport_block_api), 0, get_info, queue_open, queue_close, submit, cancel, range_done};

} // namespace

const outport_block_api& block_api() noexcept {
    return kApi;
}

} // namespace outport::block
