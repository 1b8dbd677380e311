// SPDX-License-Identifier: Apache-2.0
// The objects that a caller embeds in its own to be called back by a loop: Completion (an operation of the
// kernel), Task (something to do on this loop, soon), Posted (something for another thread's loop to do).
// Nothing is allocated for any of them. Not thread-safe, except where Loop::post() says so.
#pragma once

#include "host/base/intrusive-list.hpp"

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace outport::loop {

// The object that contains `part` as its member `field`:  auto* self = owner_of(c, &Request::completion);
template <class Owner, class Base, class Part> Owner* owner_of(Part* part, Base Owner::* field) noexcept {
    static_assert(sizeof field == sizeof(std::ptrdiff_t), "a pointer to a data member is an offset");
    auto offset = std::bit_cast<std::ptrdiff_t>(field);
    return reinterpret_cast<Owner*>(reinterpret_cast<char*>(static_cast<Base*>(part)) - offset);
}

// What the kernel calls back. It belongs to the loop from the moment that an entry is made for it until its
// last call; in between it must not move, die or be used for another entry. Most operations call once.
// Multishot operations and zero-copy sends call several times: each call but the last has IORING_CQE_F_MORE
// in `flags`. The last call has released it: `fn` may use it again at once, or destroy what contains it.
struct Completion {
    // `result` is what the system call would return, or a negative errno. `flags` are the kernel's
    // IORING_CQE_F_*.
    using Fn = void (*)(Completion*, std::int32_t result, std::uint32_t flags);

    Fn fn = nullptr;
    std::uint32_t pending = 0;  // the loop's: 1 while an entry for it is with the loop or the kernel
    std::uint32_t gathered = 0; // the loop's: see Loop::gather

    constexpr Completion() = default;
    constexpr explicit Completion(Fn function) : fn(function) {}
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;
    ~Completion() { assert(!pending); }

    bool in_flight() const noexcept { return pending != 0; }
};

static_assert(sizeof(Completion) == 16);

// Completion::Fn that calls a method of the owner:  rx{completion_fn<&Conn::rx, &Conn::on_rx>}
// with  void Conn::on_rx(std::int32_t result, std::uint32_t flags).
template <auto Field, auto Method>
inline constexpr Completion::Fn completion_fn = [](Completion* c, std::int32_t result, std::uint32_t flags) {
    (owner_of(c, Field)->*Method)(result, flags);
};

// Something to do on this loop: see Loop::make_ready, yield and defer. In one queue at a time; it leaves the
// queue before `fn` is called, so `fn` may queue it again or destroy it. Destroying a queued task takes it
// out.
struct Task {
    using Fn = void (*)(Task*);

    ListHook hook;
    Fn fn = nullptr;
    std::uint64_t last_turn = 0; // the loop's: when it was last called

    Task() = default;
    explicit Task(Fn function) : fn(function) {}

    bool queued() const noexcept { return hook.linked(); }
    void dequeue() noexcept { hook.unlink(); }
};

using Ready = Task; // as a block queue or a connection calls its own

// Something for a loop to do, handed over from any thread: see Loop::post. It is the poster's until post()
// and the loop's until `fn` is called; posting it again before that is an error.
struct Posted {
    using Fn = void (*)(Posted*);

    Posted* next = nullptr; // the queue's
    Fn fn = nullptr;

    Posted() = default;
    explicit Posted(Fn function) : fn(function) {}
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
};

// Task::Fn, Posted::Fn and Timer::Fn that call a method of the owner:  task{task_fn<&Conn::task,
// &Conn::serve>}.
namespace detail {
template <class Part, class Owner> Part part_type(Part Owner::*);
}
template <auto Field, auto Method>
inline constexpr auto task_fn =
    [](decltype(&*static_cast<decltype(detail::part_type(Field))*>(nullptr)) part) {
        (owner_of(part, Field)->*Method)();
    };

} // namespace outport::loop
