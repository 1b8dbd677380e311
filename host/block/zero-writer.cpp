// SPDX-License-Identifier: Apache-2.0
#include "host/block/zero-writer.hpp"

#include "host/block/stage.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace outport::block {

using loop::owner_of;

namespace {

constexpr std::size_t kZeroBytes = 64 * 1024;
constexpr std::size_t kZeroParts = 16;
alignas(4096) const std::array<std::byte, kZeroBytes> zeroes{};

struct ZeroParts {
    std::array<iovec, kZeroParts> parts;
    ZeroParts() { parts.fill({const_cast<std::byte*>(zeroes.data()), kZeroBytes}); }
};
const ZeroParts whole_parts;

} // namespace

void ZeroWriter::run(const Stage& stage, Io& parent) {
    stage_ = &stage;
    parent_ = &parent;
    position_ = parent.offset;
    flushing_ = false;
    std::uint64_t mask = stage.limits.zero_alignment - 1;
    driver_start_ = (parent.offset + mask) & ~mask;
    driver_end_ = std::max(driver_start_, end() & ~mask);
    if (driver_start_ >= end())
        driver_start_ = driver_end_ = end();
    bool ends = driver_start_ != parent.offset || driver_end_ != end();
    if (ends && (parent.flags & kNoFallback)) {
        stage.context->zero_writers.give_back(this);
        return stage.context->complete_soon(parent, -EOPNOTSUPP);
    }
    parent.work = this;
    parent.cancel = [](Io& io) { static_cast<ZeroWriter*>(io.work)->sub_.ask_cancel(); };
    sub_.done = [](Io& sub, std::int32_t result) { owner_of(&sub, &ZeroWriter::sub_)->on_done(result); };
    next();
}

void ZeroWriter::next() {
    sub_.cancelled = false;
    sub_.cancel = nullptr;
    sub_.offset = position_;
    by_driver_ = false;
    if (position_ == end()) {
        flushing_ = true;
        sub_.op = Op::Flush;
        sub_.flags = 0;
        sub_.length = 0;
        return stage_->driver->start(*stage_, sub_);
    }
    if (position_ == driver_start_ && driver_end_ > driver_start_) {
        sub_.op = Op::WriteZeroes;
        sub_.flags = parent_->flags & ~kFua;
        sub_.length = piece_ = driver_end_ - driver_start_;
        by_driver_ = true;
        return start_locked(*stage_, sub_);
    }
    std::uint64_t bound = position_ < driver_start_ ? driver_start_ : end();
    sub_.op = Op::Write;
    sub_.flags = 0;
    sub_.length = std::min<std::uint64_t>(bound - position_, kZeroBytes * kZeroParts);
    if (sub_.length < kZeroBytes) {
        // One part that is shorter: the last of a list that this object has.
        tail_ = {const_cast<std::byte*>(zeroes.data()), sub_.length};
        sub_.iov = &tail_;
        sub_.iov_count = 1;
    } else {
        sub_.length -= sub_.length % kZeroBytes;
        sub_.iov = whole_parts.parts.data();
        sub_.iov_count = static_cast<std::uint32_t>(sub_.length / kZeroBytes);
    }
    piece_ = sub_.length;
    start_data(*stage_, sub_);
}

void ZeroWriter::on_done(std::int32_t result) {
    if (flushing_)
        return finish(result);
    bool can_not = by_driver_ && (result == -EOPNOTSUPP || result == -ENOSYS);
    if (can_not && !(parent_->flags & kNoFallback)) {
        driver_start_ = driver_end_ = end(); // all the rest is written
        return next();
    }
    if (result < 0)
        return finish(can_not ? -EOPNOTSUPP : result);
    position_ += piece_;
    if (position_ < end())
        parent_->cancelled ? finish(-ECANCELED) : next();
    else if (parent_->flags & kFua)
        next();
    else
        finish(0);
}

void ZeroWriter::finish(std::int32_t result) {
    Io& parent = *parent_;
    parent.cancel = nullptr;
    stage_->context->zero_writers.give_back(this);
    parent.done(parent, result);
}

} // namespace outport::block
