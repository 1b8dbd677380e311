// SPDX-License-Identifier: Apache-2.0
// Raw ring entries with typed owners. Not thread-safe: a Ring is used on its loop's thread.
#pragma once

#include <outport/cpp/host.hpp>

#include <cassert>
#include <linux/io_uring.h>

namespace outport::sdk {

class RingOpBase : public outport_uring_completion {
  public:
    bool running() const noexcept { return running_; }

  protected:
    RingOpBase() noexcept : outport_uring_completion{} {}
    RingOpBase(const RingOpBase&) = delete;
    RingOpBase& operator=(const RingOpBase&) = delete;
    ~RingOpBase() { assert(!running_); }

    bool running_ = false;
    friend class Ring;
};

// A completion that ends in a member function, embedded in its owner. With IORING_CQE_F_MORE it goes on
// running.
template <class Owner, void (Owner::*Method)(std::int32_t, std::uint32_t)>
class RingOp final : public RingOpBase {
  public:
    explicit RingOp(Owner& owner) noexcept : owner_(&owner) { this->complete = &run; }

  private:
    static void run(outport_uring_completion* raw, std::int32_t result, std::uint32_t flags) noexcept {
        auto* op = static_cast<RingOp*>(raw);
        if (!(flags & IORING_CQE_F_MORE))
            op->running_ = false;
        (op->owner_->*Method)(result, flags);
    }
    Owner* owner_;
};

class Ring {
  public:
    Ring() = default;
    Ring(const outport_uring_api* api, outport_loop* loop) noexcept : api_(api), loop_(loop) {}

    // One zeroed entry to fill and commit in this same callback; null when there is no room: then wait().
    io_uring_sqe* reserve() const noexcept {
        void* entry = nullptr;
        return api_->reserve(loop_, 1, &entry) == OUTPORT_OK ? static_cast<io_uring_sqe*>(entry) : nullptr;
    }
    void commit(RingOpBase& op) const noexcept {
        outport_uring_completion* completion = begin(op);
        api_->commit(loop_, 1, &completion);
    }
    // Completes when there may be room again.
    void wait(RingOpBase& waiter) const noexcept { api_->wait(loop_, begin(waiter)); }
    void cancel(RingOpBase& op) const noexcept {
        if (op.running_)
            api_->cancel(loop_, &op);
    }

  private:
    static outport_uring_completion* begin(RingOpBase& op) noexcept {
        assert(!op.running_);
        op.running_ = true;
        return &op;
    }
    const outport_uring_api* api_ = nullptr;
    outport_loop* loop_ = nullptr;
};

} // namespace outport::sdk
