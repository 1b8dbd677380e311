// SPDX-License-Identifier: Apache-2.0
#include "host/block/queue.hpp"

#include "host/block/border.hpp"
#include "host/block/large-turn.hpp"
#include "host/block/queue-resize.hpp"
#include "host/block/root.hpp"
#include "host/block/seat.hpp"
#include "host/loop/loop.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

namespace outport::block {

using loop::owner_of;
using loop::task_fn;

Queue::Queue(Seat& seat, const outport_block_notices* notices, void* data)
    : seat_(seat), data_(data), serve_task_(task_fn<&Queue::serve_task_, &Queue::serve>),
      failed_task_(task_fn<&Queue::failed_task_, &Queue::finish_failed>) {
    if (notices)
        std::memcpy(&notices_, notices, std::min<std::size_t>(notices->struct_size, sizeof notices_));
    seat_.opened(*this);
    if (notices_.range_changed)
        seat_.root().set_keeper(this);
}

Queue::~Queue() {
    assert(in_flight_ == 0);
    if (notices_.range_changed && seat_.root().keeper() == this) // else it is another loop's
        seat_.root().set_keeper(nullptr);
    seat_.closed(*this);
}

void Queue::submit(outport_block_request* const* requests, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        auto* request = new (QueueRequest::of(requests[i])) QueueRequest;
        request->queue = this;
        ++in_flight_;
        bool parked = seat_.parked();
        Turn turn = parked || waiting_.linked() ? Turn::Later : take_turn(*requests[i]);
        if (turn == Turn::Now) {
            dispatch(*request);
            continue;
        }
        request->waiting = true;
        request->io.hook.insert_before(waiting_);
        if (!parked && turn == Turn::Later && !large_hook_.linked() && !serve_task_.queued())
            seat_.loop().yield(serve_task_);
    }
}

// Whether the quantum of this turn has room. A request larger than the rest of it may go, so none waits for
// ever.
Queue::Turn Queue::take_turn(const outport_block_request& request) noexcept {
    if (turn_ != seat_.loop().turn()) {
        turn_ = seat_.loop().turn();
        bytes_left_ = kTurnBytes;
        requests_left_ = kTurnRequests;
    }
    if (requests_left_ == 0 || bytes_left_ <= 0)
        return Turn::Later;
    bool moves_data = request.op == OUTPORT_BLOCK_READ || request.op == OUTPORT_BLOCK_WRITE;
    if (moves_data && request.length > LargeTurn::kLarge &&
        !LargeTurn::of(seat_.loop()).admit(*this, request.length))
        return Turn::Called;
    --requests_left_;
    if (moves_data)
        bytes_left_ -= static_cast<std::int64_t>(std::min<std::uint64_t>(request.length, INT64_MAX / 2));
    return Turn::Now;
}

void Queue::serve() {
    if (seat_.parked())
        return;
    while (waiting_.linked()) {
        auto* io = owner_of(waiting_.next, &Io::hook);
        auto* request = owner_of(io, &QueueRequest::io);
        Turn turn = take_turn(*request->abi());
        if (turn == Turn::Later && !serve_task_.queued())
            seat_.loop().yield(serve_task_);
        if (turn != Turn::Now)
            return;
        io->hook.unlink();
        request->waiting = false;
        dispatch(*request);
    }
}

void Queue::dispatch(QueueRequest& request) {
    const outport_block_request& abi = *request.abi();
    const Stage& top = seat_.top();
    Io& io = request.io;
    if (int error = check_request(abi, top.size, seat_.writable(), io.op))
        return fail_soon(request, error);
    if (io.is(kRangedOps) && abi.length == 0) {
        if (io.op == Op::Status)
            request.abi()->extent_count = 0;
        return fail_soon(request, 0);
    }
    if (io.op == Op::Resize)
        return begin_resize(request);
    io.flags = abi.flags;
    if (seat_.writethrough() && io.is(kStableOps))
        io.flags |= kFua;
    io.offset = abi.offset;
    io.length = abi.length;
    io.iov = reinterpret_cast<const iovec*>(abi.iov); // laid out alike: abi.h
    io.iov_count = abi.iov_count;
    io.extents = abi.extents;
    io.extent_count = abi.extent_count;
    io.done = [](Io& done, std::int32_t result) {
        auto* r = owner_of(&done, &QueueRequest::io);
        if (result == 0 && r->abi()->op == OUTPORT_BLOCK_STATUS)
            r->abi()->extent_count = done.extent_count;
        r->queue->done_below(*r, result);
    };
    seat_.started();
    begin(top, io);
}

void Queue::done_below(QueueRequest& request, std::int32_t result) {
    const bool kept = request.io.is(kStableOps) && seat_.kept_by_others(); // whether it succeeded or not
    seat_.completed(); // first: with the last request back, the main loop may end the seat at any time
    if (!kept)
        return finish(request, result);
    request.io.cancel = nullptr;
    request.result = result;
    request.notice.start(seat_.root(), seat_.loop(), request.abi()->offset, request.abi()->length,
                         [](RangeNotice& notice) {
                             auto* r = owner_of(&notice, &QueueRequest::notice);
                             r->queue->finish(*r, r->result);
                         });
}

void Queue::fail_soon(QueueRequest& request, std::int32_t result) {
    request.io.result = result;
    request.io.cancel = nullptr;
    request.io.hook.insert_before(failed_);
    seat_.loop().make_ready(failed_task_);
}

void Queue::finish_failed() {
    ListHook batch;
    batch.insert_before(failed_);
    failed_.unlink();
    while (batch.linked()) {
        auto* io = owner_of(batch.next, &Io::hook);
        io->hook.unlink();
        finish(*owner_of(io, &QueueRequest::io), io->result); // the last one may close the queue
    }
}

// Gives the request back. Its owner may reuse or free it, and close the queue, before this returns.
void Queue::finish(QueueRequest& request, std::int32_t result) {
    --in_flight_;
    outport_block_request* abi = request.abi();
    request.~QueueRequest();
    abi->complete(abi, result);
}

void Queue::cancel(outport_block_request* abi) {
    QueueRequest& request = *QueueRequest::of(abi);
    if (request.waiting) {
        request.waiting = false;
        request.io.hook.unlink();
        fail_soon(request, -ECANCELED);
    } else {
        request.io.ask_cancel();
    }
}

void Queue::resumed() {
    if (waiting_.linked())
        seat_.loop().make_ready(serve_task_);
}

// The change runs on the main loop and parks this queue too, so the request must not count as in flight below
// it.
void Queue::begin_resize(QueueRequest& request) {
    QueueResize::start(
        seat_, request.abi()->length, request.abi()->flags & kAtLeast,
        [](void* data, std::int32_t result) {
            auto* r = static_cast<QueueRequest*>(data);
            r->queue->finish(*r, result);
        },
        &request);
}

} // namespace outport::block
