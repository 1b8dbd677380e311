// SPDX-License-Identifier: Apache-2.0
// Loop operations with typed owners. Not thread-safe: a Loop is used on its own thread, but for post and now.
#pragma once

#include <outport/cpp/host.hpp>

#include <cassert>
#include <span>

namespace outport::sdk {

// What all operations share: whether the host has it. An operation must not be running when it is destroyed.
class LoopOpBase : public outport_loop_op {
  public:
    bool running() const noexcept { return running_; }

  protected:
    LoopOpBase() noexcept : outport_loop_op{} {}
    LoopOpBase(const LoopOpBase&) = delete;
    LoopOpBase& operator=(const LoopOpBase&) = delete;
    ~LoopOpBase() { assert(!running_); }

    bool running_ = false;
    friend class Loop;
};

// An operation that completes into a member function, embedded in its owner:
//     LoopOp<Handshake, &Handshake::on_received> recv_{*this};
// The owner may start it again, or destroy itself, inside the member function.
template <class Owner, void (Owner::*Method)(std::int32_t)> class LoopOp final : public LoopOpBase {
  public:
    explicit LoopOp(Owner& owner) noexcept : owner_(&owner) { this->complete = &run; }

  private:
    static void run(outport_loop_op* raw, std::int32_t result) noexcept {
        auto* op = static_cast<LoopOp*>(raw);
        op->running_ = false;
        (op->owner_->*Method)(result);
    }
    Owner* owner_;
};

// A loop and its table.
class Loop {
  public:
    Loop() = default;
    Loop(const outport_loop_api* api, outport_loop* loop) noexcept : api_(api), loop_(loop) {}

    outport_loop* raw() const noexcept { return loop_; }
    std::uint64_t now() const noexcept { return api_->now(loop_); }

    void recv(LoopOpBase& op, int fd, std::span<std::byte> into, std::uint32_t flags = 0) const noexcept {
        api_->recv(loop_, begin(op), fd, into.data(), into.size(), flags);
    }
    void send(LoopOpBase& op, int fd, std::span<const outport_iovec> iov,
              std::uint32_t flags = 0) const noexcept {
        api_->send(loop_, begin(op), fd, iov.data(), std::uint32_t(iov.size()), flags);
    }
    void timer(LoopOpBase& op, std::uint64_t nanoseconds) const noexcept {
        api_->timer(loop_, begin(op), nanoseconds);
    }
    // From any thread; see loop.h for the order of posts.
    void post(LoopOpBase& op) const noexcept { api_->post(loop_, begin(op)); }
    void defer(LoopOpBase& op) const noexcept { api_->defer(loop_, begin(op)); }
    void yield(LoopOpBase& op) const noexcept { api_->yield(loop_, begin(op)); }
    void cancel(LoopOpBase& op) const noexcept {
        if (op.running_)
            api_->cancel(loop_, &op);
    }

  private:
    static outport_loop_op* begin(LoopOpBase& op) noexcept {
        assert(!op.running_);
        op.running_ = true;
        return &op;
    }
    const outport_loop_api* api_ = nullptr;
    outport_loop* loop_ = nullptr;
};

} // namespace outport::sdk
