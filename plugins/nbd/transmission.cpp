// SPDX-License-Identifier: Apache-2.0
// From received bytes to block requests, and from their completions to answers.
#include "connection.hpp"
#include "errors.hpp"
#include "export.hpp"

#include <cerrno>

namespace outport::nbd {

namespace {

// What the person at the other end reads when a command fails.
const char* failure_text(Command command) noexcept {
    switch (command) {
    case Command::Read:
        return "reading from file failed";
    case Command::Write:
    case Command::WriteZeroes:
        return "writing to file failed";
    case Command::Flush:
        return "flush failed";
    case Command::Trim:
        return "discard failed";
    case Command::Cache:
        return "caching data failed";
    case Command::BlockStatus:
        return "can't get block status";
    case Command::Disconnect:
        break;
    }
    return "request failed";
}

} // namespace

// --- From bytes to requests.

void Connection::parse() noexcept {
    paused_ = false;
    while (!ended_ && !filling_) {
        const auto bytes = receiver_.ready();
        if (bytes.size() < kRequestSize)
            break;
        const WireRequest wire = decode_request(bytes.data());
        if (!has_room(wire)) {
            paused_ = true;
            break;
        }
        receiver_.consume(kRequestSize);
        if (!begin_request(wire))
            break;
    }
    submit();
    if (filling_ || idle())
        receive();
    else
        receive_behind_answers();
}

// False when nothing more can be read.
bool Connection::begin_request(const WireRequest& wire) noexcept {
    InFlight* request = requests_.take();
    if (!request) {
        broken(ENOMEM);
        return false;
    }
    request->connection = this;
    request->wire = wire;
    request->payload.count = 0;
    request->error = 0;
    request->flush_first = false;
    request->what = nullptr;
    if (const Verdict verdict = validate(wire, session_); !verdict) {
        refuse(*request, verdict);
        return !ended_;
    }
    if (wire.command() == Command::Disconnect) {
        ended_ = disconnected_ = true;
        requests_.give_back(request);
        return false;
    }
    if (shard_.refusing()) {
        request->error = kESHUTDOWN;
        request->what = "the export is being removed";
        if (wire.has_payload())
            refuse_payload(*request);
        else
            finish(*request);
        return true;
    }
    execute(*request);
    return true;
}

void Connection::refuse(InFlight& request, const Verdict& verdict) noexcept {
    try {
        request.details = describe(verdict.fault, request.wire, session_);
    } catch (...) {
        request.what = "request refused";
    }
    shard_.services().log.debug("request refused: ", request.text());
    request.error = verdict.error;
    if (verdict.fatal)
        ended_ = true;
    else if (request.wire.has_payload())
        return refuse_payload(request);
    finish(request);
}

// Clients take an answer to a request that they are still sending for one to a request that they don't know.
void Connection::refuse_payload(InFlight& request) noexcept {
    receiver_.discard(request.wire.length);
    if (receiver_.payload_complete())
        finish(request);
    else
        filling_ = &request;
}

void Connection::payload_arrived() noexcept {
    InFlight& request = *std::exchange(filling_, nullptr);
    if (request.error)
        finish(request);
    else
        batch_[batched_++] = &request.block();
}

void Connection::execute(InFlight& request) noexcept {
    const WireRequest& wire = request.wire;
    const std::uint32_t fua = wire.flags & kFlagFua ? OUTPORT_BLOCK_FUA : 0;
    bool ready = true;
    switch (wire.command()) {
    case Command::Read:
        ready = prepare_read(request);
        break;
    case Command::Write:
        ready = prepare_write(request);
        break;
    case Command::Flush:
        prepare_range(request, OUTPORT_BLOCK_FLUSH, 0);
        break;
    case Command::Trim:
        prepare_range(request, OUTPORT_BLOCK_DISCARD, fua);
        break;
    case Command::Cache:
        prepare_range(request, OUTPORT_BLOCK_CACHE, 0);
        break;
    case Command::WriteZeroes:
        prepare_range(request, OUTPORT_BLOCK_WRITE_ZEROES,
                      fua | (wire.flags & kFlagNoHole ? 0 : OUTPORT_BLOCK_MAY_UNMAP) |
                          (wire.flags & kFlagFastZero ? OUTPORT_BLOCK_NO_FALLBACK : 0));
        break;
    case Command::BlockStatus:
        ready = prepare_status(request);
        break;
    case Command::Disconnect:
        return;
    }
    if (ready)
        batch_[batched_++] = &request.block();
}

void Connection::prepare_range(InFlight& request, std::uint32_t op, std::uint32_t flags) noexcept {
    outport_block_request& block = request.block();
    block.op = op;
    block.flags = flags;
    block.offset = request.wire.offset;
    block.length = request.wire.length;
    block.iov = request.payload.pieces;
    block.iov_count = request.payload.count;
    block.extents = nullptr;
    block.extent_count = 0;
    block.complete = &on_block;
}

bool Connection::prepare_read(InFlight& request) noexcept {
    const std::uint32_t length = request.wire.length;
    if (length == 0) {
        finish(request);
        return false;
    }
    Buffer* buffer = shard_.pool().take(length);
    if (!buffer) {
        fail(request, kENOMEM, nullptr);
        return false;
    }
    charge(request, length);
    request.payload.buffers[0] = buffer;
    request.payload.pieces[0] = {reinterpret_cast<std::uint64_t>(buffer->data()), length};
    request.payload.count = 1;
    prepare_range(request, OUTPORT_BLOCK_READ, 0);
    if (request.wire.flags & kFlagFua) { // all that was written before has to be stable when it is answered
        request.flush_first = true;
        request.block().op = OUTPORT_BLOCK_FLUSH;
    }
    return true;
}

bool Connection::prepare_write(InFlight& request) noexcept {
    const std::uint32_t length = request.wire.length;
    if (length > 0 && !receiver_.take_payload(length, request.payload)) {
        request.error = kENOMEM;
        request.what = "out of memory";
        refuse_payload(request);
        return false;
    }
    charge(request, length);
    prepare_range(request, OUTPORT_BLOCK_WRITE, request.wire.flags & kFlagFua ? OUTPORT_BLOCK_FUA : 0);
    if (receiver_.payload_complete())
        return true;
    filling_ = &request;
    return false;
}

bool Connection::prepare_status(InFlight& request) noexcept {
    const std::uint32_t extents = request.wire.flags & kFlagReqOne ? 1 : kMostExtents;
    Buffer* buffer = shard_.pool().take(extents * sizeof(outport_extent));
    if (!buffer) {
        fail(request, kENOMEM, nullptr);
        return false;
    }
    charge(request, std::uint32_t(extents * sizeof(outport_extent)));
    prepare_range(request, OUTPORT_BLOCK_STATUS, 0);
    request.payload.buffers[0] = buffer;
    request.payload.count = 1;
    request.block().extents = reinterpret_cast<outport_extent*>(buffer->data());
    request.block().extent_count = extents;
    return true;
}

void Connection::submit() noexcept {
    if (batched_ == 0)
        return;
    while (broken_ && batched_ > 0) // by a request behind them: nobody hears of these
        release(InFlight::from(batch_[--batched_]));
    for (std::uint32_t i = 0; i < batched_; ++i)
        lend(InFlight::from(batch_[i]));
    queue_.submit(batch_, std::exchange(batched_, 0));
}

void Connection::lend(InFlight& request) noexcept {
    request.next = lent_;
    request.link = &lent_;
    if (lent_)
        lent_->link = &request.next;
    lent_ = &request;
}

void Connection::take_back(InFlight& request) noexcept {
    *request.link = request.next;
    if (request.next)
        request.next->link = request.link;
}

// --- From completions to answers.

void Connection::on_block(outport_block_request* raw, std::int32_t result) noexcept {
    InFlight& request = InFlight::from(raw);
    request.connection->completed(request, result);
}

void Connection::completed(InFlight& request, std::int32_t result) noexcept {
    ++moved_;
    if (result == 0 && request.flush_first && !broken_) {
        request.flush_first = false;
        request.block().op = OUTPORT_BLOCK_READ;
        outport_block_request* const block = &request.block();
        return queue_.submit(&block, 1);
    }
    take_back(request);
    if (result < 0) {
        if (result == -ENOSPC)
            shard_.services().exports->no_space(shard_.parent().handle());
        fail(request, wire_error(-result), failure_text(request.wire.command()));
    } else {
        if (request.wire.command() == Command::BlockStatus)
            finish_status(request);
        finish(request);
    }
    settle();
}

void Connection::fail(InFlight& request, std::uint32_t error, const char* what) noexcept {
    request.error = error;
    request.what = what ? what : "out of memory";
    finish(request);
}

// The extents become the descriptors of the reply in the same memory, each half as long; equal neighbours
// become one.
void Connection::finish_status(InFlight& request) noexcept {
    std::byte* const base = request.payload.buffers[0]->data();
    std::uint32_t count = 0;
    std::uint64_t length = 0;
    std::uint32_t state = 0;
    const auto put = [&] {
        store_be(store_be(base + 8 * count, std::uint32_t(length)), state);
        ++count;
    };
    for (std::uint32_t i = 0; i < request.block().extent_count; ++i) {
        outport_extent extent;
        std::memcpy(&extent, base + i * sizeof extent, sizeof extent);
        const std::uint32_t next = (extent.flags & OUTPORT_EXTENT_DATA ? 0 : kStateHole) |
                                   (extent.flags & OUTPORT_EXTENT_ZERO ? kStateZero : 0);
        if (length > 0 && next != state) {
            put();
            length = 0;
        }
        state = next;
        length += extent.length;
    }
    if (length > 0)
        put();
    if (count == 0) { // a host that says nothing
        request.error = kEIO;
        request.what = failure_text(Command::BlockStatus);
    }
    request.extents = count;
    request.payload.pieces[0] = {reinterpret_cast<std::uint64_t>(base), 8 * count};
}

void Connection::finish(InFlight& request) noexcept {
    if (broken_)
        return release(request);
    if (!request.has_data())
        give_up(request); // what is not sent is free at once
    request.next = nullptr;
    *answers_end_ = &request;
    answers_end_ = &request.next;
    flush_soon();
}

void Connection::release(InFlight& request) noexcept {
    give_up(request);
    requests_.give_back(&request);
}

} // namespace outport::nbd
