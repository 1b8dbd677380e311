// SPDX-License-Identifier: Apache-2.0
#include "host/block/align-op.hpp"

#include "host/block/iovecs.hpp"
#include "host/block/stage.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace outport::block {

using loop::owner_of;

namespace {

constexpr std::uint64_t down(std::uint64_t value, std::uint64_t alignment) {
    return value & ~(alignment - 1);
}
constexpr std::uint64_t up(std::uint64_t value, std::uint64_t alignment) {
    return down(value + alignment - 1, alignment);
}

bool offsets_fit(const Limits& limits, const Io& io) noexcept {
    return ((io.offset | io.length) & (limits.request_alignment - 1)) == 0;
}

} // namespace

void start_data(const Stage& stage, Io& io) {
    const Limits& limits = stage.limits;
    bool fits = offsets_fit(limits, io) && io.length <= limits.max_transfer && buffers_aligned(io, limits);
    if (fits && (io.op == Op::Read || !stage.ranges))
        stage.driver->start(stage, io);
    else
        stage.context->align_ops.take()->run(stage, io, fits);
}

void start_locked(const Stage& stage, Io& io) {
    if (stage.ranges)
        stage.context->align_ops.take()->run(stage, io, true);
    else
        stage.driver->start(stage, io);
}

void AlignOp::run(const Stage& stage, Io& parent, bool whole) {
    stage_ = &stage;
    parent_ = &parent;
    whole_ = whole;
    locked_ = active_ = false;
    buffer_ = nullptr;
    parent.work = this;
    parent.cancel = [](Io& io) { static_cast<AlignOp*>(io.work)->cancel(); };
    sub_.done = [](Io& sub, std::int32_t result) { owner_of(&sub, &AlignOp::sub_)->on_done(result); };
    if (parent.op == Op::Read || !stage.ranges)
        return proceed();

    std::uint64_t alignment = stage.limits.request_alignment;
    range_.start = down(parent.offset, alignment);
    range_.end = up(end(), alignment);
    range_.exclusive = parent.op == Op::Write && !offsets_fit(stage.limits, parent);
    range_.granted = [](RangeLock::Range& r) {
        AlignOp* self = owner_of(&r, &AlignOp::range_);
        self->parent_->cancelled ? self->finish(-ECANCELED) : self->proceed();
    };
    locked_ = true;
    if (stage.ranges->acquire(range_, stage.context->loop()))
        proceed();
}

// What waits for its range waits on: others are counted behind it. It ends when it would have begun.
void AlignOp::cancel() {
    if (active_)
        return sub_.ask_cancel();
    if (!waiter_.hook.linked())
        return;
    waiter_.hook.unlink();
    NodeContext& context = *stage_->context;
    Io& parent = *parent_;
    let_go();
    context.complete_soon(parent, -ECANCELED);
}

void AlignOp::proceed() {
    parent_->moved = 0;
    parent_->part = 0;
    parent_->part_done = 0;
    if (whole_) {
        step_ = Step::Whole;
        sub_.iov = parent_->iov;
        sub_.iov_count = parent_->iov_count;
        return issue(parent_->op, parent_->offset, parent_->length);
    }
    if (offsets_fit(stage_->limits, *parent_) && buffers_aligned(*parent_, stage_->limits)) {
        step_ = Step::Split;
        return next_piece();
    }
    start_bouncing();
}

void AlignOp::start_bouncing() {
    step_ = parent_->op == Op::Read ? Step::ReadOut : Step::Write;
    waiter_.ready = [](BouncePool::Waiter& w, std::byte* buffer) {
        auto* self = owner_of(&w, &AlignOp::waiter_);
        self->buffer_ = buffer;
        self->next_piece();
    };
    buffer_ = stage_->context->bounce.take(waiter_);
    if (buffer_)
        next_piece();
}

void AlignOp::next_piece() {
    if (step_ == Step::Split)
        next_split();
    else
        next_bounced();
}

// As many of the caller's own buffers as go at once.
void AlignOp::next_split() {
    std::uint64_t limit = down(stage_->limits.max_transfer, stage_->limits.request_alignment);
    std::uint64_t length = 0;
    std::uint32_t count = 0;
    std::size_t skip = parent_->part_done;
    for (std::uint32_t i = parent_->part; i < parent_->iov_count && count < parts_.size() && length < limit;
         ++i) {
        std::size_t bytes = std::min<std::uint64_t>(parent_->iov[i].iov_len - skip, limit - length);
        if (bytes)
            parts_[count++] = {static_cast<std::byte*>(parent_->iov[i].iov_base) + skip, bytes};
        length += bytes;
        skip = 0;
    }
    // Buffers are aligned, their lengths add up to aligned pieces only together.
    std::uint64_t excess = length & (stage_->limits.request_alignment - 1);
    for (length -= excess; excess;) {
        std::size_t cut = std::min<std::uint64_t>(excess, parts_[count - 1].iov_len);
        parts_[count - 1].iov_len -= cut;
        excess -= cut;
        count -= parts_[count - 1].iov_len == 0;
    }
    if (length == 0)
        return start_bouncing(); // crumbs: no run of these buffers makes a block
    sub_.iov = parts_.data();
    sub_.iov_count = count;
    issue(parent_->op, position(), length);
}

void AlignOp::next_bounced() {
    std::uint64_t alignment = stage_->limits.request_alignment;
    std::uint64_t room = std::min<std::uint64_t>(BouncePool::kBufferBytes, stage_->limits.max_transfer);
    chunk_start_ = down(position(), alignment);
    chunk_end_ = std::min(up(end(), alignment), chunk_start_ + down(room, alignment));
    sub_.iov = parts_.data();
    sub_.iov_count = 1;
    if (parent_->op == Op::Write)
        return fill_head();
    step_ = Step::ReadOut;
    parts_[0] = {buffer_, chunk_end_ - chunk_start_};
    issue(Op::Read, chunk_start_, chunk_end_ - chunk_start_);
}

// What a misaligned write leaves alone in its first block must be written back as it is.
void AlignOp::fill_head() {
    std::uint64_t alignment = stage_->limits.request_alignment;
    bool one_block = chunk_end_ - chunk_start_ == alignment;
    if (position() == chunk_start_ && !(one_block && end() < chunk_end_))
        return fill_tail();
    step_ = Step::ReadHead;
    parts_[0] = {buffer_, alignment};
    issue(Op::Read, chunk_start_, alignment);
}

void AlignOp::fill_tail() {
    std::uint64_t alignment = stage_->limits.request_alignment;
    bool one_block = chunk_end_ - chunk_start_ == alignment;
    if (end() >= chunk_end_ || one_block)
        return write_back();
    step_ = Step::ReadTail;
    std::uint64_t last = chunk_end_ - alignment;
    parts_[0] = {buffer_ + (last - chunk_start_), alignment};
    issue(Op::Read, last, alignment);
}

void AlignOp::write_back() {
    std::uint64_t bytes = std::min(end(), chunk_end_) - position();
    copy_from_buffers(*parent_, buffer_ + (position() - chunk_start_), bytes);
    step_ = Step::Write;
    parts_[0] = {buffer_, chunk_end_ - chunk_start_};
    issue(Op::Write, chunk_start_, chunk_end_ - chunk_start_);
}

void AlignOp::issue(Op op, std::uint64_t offset, std::uint64_t length) {
    sub_.op = op;
    sub_.cancelled = false;
    sub_.flags = op == Op::Read ? 0 : parent_->flags;
    sub_.offset = offset;
    sub_.length = piece_ = length;
    sub_.cancel = nullptr;
    active_ = true;
    stage_->driver->start(*stage_, sub_);
}

void AlignOp::on_done(std::int32_t result) {
    active_ = false;
    if (result < 0 || step_ == Step::Whole)
        return finish(result);
    if (parent_->cancelled && (step_ == Step::ReadHead || step_ == Step::ReadTail))
        return finish(-ECANCELED); // nothing of this piece is written
    switch (step_) {
    case Step::ReadHead:
        return fill_tail();
    case Step::ReadTail:
        return write_back();
    case Step::ReadOut: {
        std::uint64_t bytes = std::min(end(), chunk_end_) - position();
        copy_to_buffers(*parent_, buffer_ + (position() - chunk_start_), bytes);
        break;
    }
    case Step::Split:
        parent_->advance(piece_);
        break;
    case Step::Write: // the copy has moved on
    case Step::Whole:
        break;
    }
    if (position() == end())
        finish(0);
    else if (parent_->cancelled)
        finish(-ECANCELED);
    else
        next_piece();
}

// Gives back the range and this object; the buffer is the caller's.
std::byte* AlignOp::let_go() {
    if (locked_)
        stage_->ranges->release(range_);
    std::byte* buffer = std::exchange(buffer_, nullptr);
    parent_->cancel = nullptr;
    stage_->context->align_ops.give_back(this);
    return buffer;
}

void AlignOp::finish(std::int32_t result) {
    NodeContext& context = *stage_->context;
    Io& parent = *parent_;
    std::byte* buffer = let_go();
    if (buffer)
        context.bounce.give_back(buffer); // may start another; it doesn't complete inside
    parent.done(parent, result);
}

} // namespace outport::block
