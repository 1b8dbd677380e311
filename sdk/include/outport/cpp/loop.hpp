// SPDX-License-Identifier: Apache-2.0
// Loop operations with typed owners. Not thread-safe: a Loop is used on its own thread, but for post and now.
#pragma once

#include <outport/cpp/host.hpp>

#include <cassert>
#include <cerrno>
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

    // `offset` kHere: at the file's position, and for what has none.
    static constexpr std::uint64_t kHere = UINT64_MAX;
    void read(LoopOpBase& op, int fd, std::span<const outport_iovec> into,
              std::uint64_t offset) const noexcept {
        api_->read(loop_, begin(op), fd, into.data(), std::uint32_t(into.size()), offset);
    }
    void write(LoopOpBase& op, int fd, std::span<const outport_iovec> from,
               std::uint64_t offset) const noexcept {
        api_->write(loop_, begin(op), fd, from.data(), std::uint32_t(from.size()), offset);
    }
    void recv(LoopOpBase& op, int fd, std::span<std::byte> into, std::uint32_t flags = 0) const noexcept {
        api_->recv(loop_, begin(op), fd, into.data(), into.size(), flags);
    }
    void send(LoopOpBase& op, int fd, std::span<const outport_iovec> iov,
              std::uint32_t flags = 0) const noexcept {
        api_->send(loop_, begin(op), fd, iov.data(), std::uint32_t(iov.size()), flags);
    }
    // The result is a new descriptor, which is the caller's to close.
    void accept(LoopOpBase& op, int fd) const noexcept { api_->accept(loop_, begin(op), fd); }
    // Once; to be told each time, see Watch.
    void poll(LoopOpBase& op, int fd, std::uint32_t events) const noexcept {
        api_->poll(loop_, begin(op), fd, events);
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

// Tells its owner each time that a descriptor is ready, until stop() or an error:
//     Watch<Control, &Control::on_ready> watch_{*this};
// The member function gets the events that came (POLL… values), or a negative errno, which is the last call.
// What is ready and not taken is told again. The descriptor stays open while running(). The owner may stop
// and start the watch, or destroy itself, inside the member function.
template <class Owner, void (Owner::*Method)(std::int32_t)> class Watch {
  public:
    explicit Watch(Owner& owner) noexcept : owner_(&owner) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        if (destroyed_)
            *destroyed_ = true;
    }

    bool running() const noexcept { return wanted_ || poll_.running(); }
    void start(const Loop& loop, int fd, std::uint32_t events) noexcept {
        assert(!running());
        loop_ = loop, fd_ = fd, events_ = events, wanted_ = true;
        if (!destroyed_)
            loop_.poll(poll_, fd_, events_);
    }
    // The last call comes later, with -ECANCELED; inside the member function: the call that stops is the last
    // one.
    void stop() noexcept {
        wanted_ = false;
        loop_.cancel(poll_);
    }

  private:
    void on_polled(std::int32_t result) {
        if (!wanted_)
            result = -ECANCELED;
        if (result < 0)
            wanted_ = false;
        bool destroyed = false;
        destroyed_ = &destroyed;
        (owner_->*Method)(result);
        if (destroyed)
            return;
        destroyed_ = nullptr;
        if (wanted_)
            loop_.poll(poll_, fd_, events_);
    }
    Owner* owner_;
    Loop loop_;
    bool* destroyed_ = nullptr; // set while the member function runs
    int fd_ = -1;
    std::uint32_t events_ = 0;
    bool wanted_ = false;
    LoopOp<Watch, &Watch::on_polled> poll_{*this};
};

} // namespace outport::sdk
