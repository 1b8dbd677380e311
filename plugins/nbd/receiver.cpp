// SPDX-License-Identifier: Apache-2.0
#include "receiver.hpp"

#include <algorithm>
#include <cassert>

namespace outport::nbd {

void Receiver::add_piece(Payload& payload, Buffer* buffer, std::byte* at, std::size_t length) noexcept {
    payload.pieces[payload.count] = {reinterpret_cast<std::uint64_t>(at), length};
    payload.buffers[payload.count++] = buffer;
}

bool Receiver::take_payload(std::size_t length, Payload& payload) noexcept {
    payload.count = 0;
    assert(slab_ && begin_ <= end_);
    if (pool_.page_aligned() && length >= kAlignedPayload && end_ - begin_ < length)
        return take_payload_aligned(length, payload);
    if (length > slab_->capacity() - begin_)
        return take_payload_beyond(length, payload);
    ++slab_->references;
    add_piece(payload, slab_, slab_->data() + begin_, length);
    begin_ += length;
    return true;
}

// Direct I/O wants whole aligned buffers: what came with the head moves to the front of one, the long rest is
// received in its place. Otherwise the host would have to bounce all of it.
bool Receiver::take_payload_aligned(std::size_t length, Payload& payload) noexcept {
    Buffer* target = pool_.take(length);
    if (!target)
        return false;
    const std::size_t here = end_ - begin_;
    std::memcpy(target->data(), slab_->data() + begin_, here);
    add_piece(payload, target, target->data(), length);
    direct_ = {target->data() + here, length - here};
    begin_ = end_;
    return true;
}

// The part that is here stays here; the rest will go to the start of a new slab, or to a buffer of its own.
bool Receiver::take_payload_beyond(std::size_t length, Payload& payload) noexcept {
    const std::size_t here = end_ - begin_;
    const std::size_t rest = length - here;
    const bool long_rest = rest > slab_size_ / 2;
    Buffer* target = pool_.take(long_rest ? rest : slab_size_);
    if (!target)
        return false;
    if (here > 0) {
        ++slab_->references;
        add_piece(payload, slab_, slab_->data() + begin_, here);
    }
    add_piece(payload, target, target->data(), rest);
    begin_ += here;
    if (long_rest) {
        direct_ = {target->data(), rest};
        return true;
    }
    pool_.drop(slab_);
    slab_ = target;
    ++target->references;
    begin_ = rest;
    end_ = 0;
    return true;
}

void Receiver::discard(std::size_t length) noexcept {
    discard_ = length;
    drop_discarded();
}

void Receiver::drop_discarded() noexcept {
    const std::size_t passed = begin_ < end_ ? std::min(discard_, end_ - begin_) : 0;
    begin_ += passed;
    discard_ -= passed;
}

bool Receiver::new_slab() noexcept {
    Buffer* fresh = pool_.take(slab_size_);
    if (!fresh)
        return false;
    const std::size_t unread = slab_ ? end_ - begin_ : 0;
    assert(unread < kRequestSize);
    if (slab_) {
        std::memcpy(fresh->data(), slab_->data() + begin_, unread);
        pool_.drop(slab_);
    }
    slab_ = fresh;
    begin_ = 0;
    end_ = unread;
    return true;
}

std::span<std::byte> Receiver::space() noexcept {
    if (!direct_.empty())
        return direct_;
    if (!slab_) {
        if (!new_slab())
            return {};
    } else if (begin_ <= end_) { // else the slab has to take the rest of a payload
        const bool ours_alone = slab_->references == 1;
        if (ours_alone && begin_ == end_)
            begin_ = end_ = 0;
        const bool used_up = slab_->capacity() - end_ < slab_->capacity() / 4;
        const bool wrong_size = ours_alone && end_ == 0 && slab_->capacity() != slab_size_;
        if ((used_up || wrong_size) && !new_slab())
            return {};
    }
    return {slab_->data() + end_, slab_->capacity() - end_};
}

void Receiver::filled(std::size_t bytes) noexcept {
    if (!direct_.empty()) {
        direct_ = direct_.subspan(bytes);
        return;
    }
    learn(bytes, slab_->capacity() - end_);
    end_ += bytes;
    drop_discarded();
}

// A client that fills the slab gets a larger one; one that has long sent little goes back to a small one.
void Receiver::learn(std::size_t bytes, std::size_t room) noexcept {
    if (bytes == room && slab_size_ < kLargeSlab && !pool_.page_aligned()) {
        slab_size_ *= 4;
        modest_ = 0;
    } else if (bytes > kSmallSlab / 4) {
        modest_ = 0;
    } else if (++modest_ == 256) {
        slab_size_ = kSmallSlab;
        modest_ = 0;
    }
}

void Receiver::release() noexcept {
    if (slab_)
        pool_.drop(slab_);
    slab_ = nullptr;
    begin_ = end_ = discard_ = 0;
    direct_ = {};
}

} // namespace outport::nbd
