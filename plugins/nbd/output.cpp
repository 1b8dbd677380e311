// SPDX-License-Identifier: Apache-2.0
#include "output.hpp"

#include "reply.hpp"

#include <algorithm>
#include <cassert>

namespace outport::nbd {

// Neighbours in memory become one piece.
void Output::put(const std::byte* at, std::size_t length) noexcept {
    const auto address = reinterpret_cast<std::uint64_t>(at);
    bytes_ += length;
    if (count_ > 0 && pieces_[count_ - 1].base + pieces_[count_ - 1].length == address)
        pieces_[count_ - 1].length += length;
    else
        pieces_[count_++] = {address, length};
}

bool Output::add(InFlight& request, bool structured) noexcept {
    if (count_ == kMostPieces)
        return false;
    if (!request.has_data())
        return add_head_only(request, structured);
    add_data(request, structured);
    return true;
}

bool Output::add_head_only(const InFlight& request, bool structured) noexcept {
    const std::string_view text = request.text().substr(0, kMostText);
    if (kHeads - heads_used_ < kChunkSize + 6 + text.size())
        return false;
    std::byte* const head = heads_ + heads_used_;
    std::byte* end;
    if (request.error != 0 && structured)
        end = put_error(head, request.wire.cookie, request.error, text);
    else if (structured &&
             request.wire.command() == Command::Read) // of no bytes; a simple reply is not allowed
        end = put_chunk(head, request.wire.cookie, kChunkDone, kChunkNone, 0);
    else
        end = put_simple(head, request.wire.cookie, request.error);
    heads_used_ += std::size_t(end - head);
    put(head, std::size_t(end - head));
    return true;
}

void Output::add_data(InFlight& request, bool structured) noexcept {
    Buffer* buffer = request.payload.buffers[0];
    const outport_iovec data = request.payload.pieces[0];
    std::byte head[kMaxHead];
    std::byte* end;
    if (request.wire.command() == Command::BlockStatus)
        end = put_status_head(head, request.wire.cookie, request.extents);
    else if (structured)
        end = put_data_head(head, request.wire.cookie, request.wire.offset, request.wire.length);
    else
        end = put_simple(head, request.wire.cookie, 0);
    const auto length = std::size_t(end - head);
    static_assert(kMaxHead <= Buffer::kHeadroom);
    std::byte* const start = buffer->data() - length;
    std::memcpy(start, head, length);
    put(start, length + data.length);
    request.payload.count = 0;
    buffer->next = buffers_;
    buffers_ = buffer;
}

Output::Step Output::next(std::uint64_t most) noexcept {
    std::uint32_t end = first_ + 1;
    std::uint64_t total = pieces_[first_].length;
    while (end < count_ && pieces_[end].length <= most - std::min(total, most))
        total += pieces_[end++].length;
    return {{pieces_ + first_, end - first_}, std::min(total, most)};
}

void Output::sent(std::uint64_t bytes) noexcept {
    assert(bytes <= bytes_);
    bytes_ -= bytes;
    if (bytes_ == 0)
        return clear();
    while (bytes > 0) {
        outport_iovec& piece = pieces_[first_];
        const std::uint64_t step = std::min(bytes, piece.length);
        piece.base += step;
        piece.length -= step;
        bytes -= step;
        if (piece.length == 0)
            ++first_;
    }
}

void Output::clear() noexcept {
    while (Buffer* buffer = buffers_) {
        buffers_ = buffer->next;
        pool_.drop(buffer);
    }
    first_ = count_ = 0;
    heads_used_ = 0;
    bytes_ = 0;
}

} // namespace outport::nbd
