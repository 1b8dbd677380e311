// SPDX-License-Identifier: Apache-2.0
// Block requests with a plugin's own state in front of them, kept for reuse so that the steady state
// allocates nothing. Not thread-safe: a queue and its requests belong to one loop.
#pragma once

#include <outport/cpp/host.hpp>

#include <cassert>
#include <cstdlib>
#include <memory>
#include <vector>

namespace outport::sdk {

inline outport_block_info block_info(const outport_block_api* api, outport_export* handle) noexcept {
    outport_block_info info{};
    info.struct_size = sizeof info;
    api->get_info(handle, &info);
    return info;
}

namespace detail {
constexpr std::size_t align16(std::size_t n) {
    return (n + 15) & ~std::size_t(15);
}
} // namespace detail

// State derives from this: `struct Request : BlockRequest<Request> {…}`. Lives in a RequestPool<State> only,
// where the request that the host knows follows it in memory.
template <class State> struct BlockRequest {
    outport_block_request& block() noexcept {
        return *reinterpret_cast<outport_block_request*>(reinterpret_cast<char*>(static_cast<State*>(this)) +
                                                         detail::align16(sizeof(State)));
    }
    static State& from(outport_block_request* request) noexcept {
        return *std::launder(
            reinterpret_cast<State*>(reinterpret_cast<char*>(request) - detail::align16(sizeof(State))));
    }
    State* next_free = nullptr;
};

// Grows in steps up to a limit, never shrinks. Elements are constructed once and reused as they are.
template <class State> class RequestPool {
  public:
    static_assert(alignof(State) <= 16);

    // `request_size` as outport_block_info says for the queue.
    RequestPool(std::uint32_t request_size, std::uint32_t limit, std::uint32_t step = 16) noexcept
        : stride_(detail::align16(sizeof(State)) + detail::align16(request_size)), limit_(limit),
          step_(step) {}
    RequestPool(const RequestPool&) = delete;
    RequestPool& operator=(const RequestPool&) = delete;
    ~RequestPool() {
        assert(in_use_ == 0);
        for (auto& chunk : chunks_)
            for (std::uint32_t i = 0; i < chunk.count; ++i)
                std::destroy_at(reinterpret_cast<State*>(chunk.memory.get() + i * stride_));
    }

    std::uint32_t in_use() const noexcept { return in_use_; }

    // Null at the limit, or when there is no memory.
    State* take() noexcept {
        if (!free_ && !grow())
            return nullptr;
        State* state = free_;
        free_ = state->next_free;
        ++in_use_;
        return state;
    }
    void give_back(State* state) noexcept {
        state->next_free = free_;
        free_ = state;
        --in_use_;
    }

  private:
    struct Release {
        void operator()(char* memory) const noexcept { std::free(memory); }
    };
    struct Chunk {
        std::unique_ptr<char, Release> memory;
        std::uint32_t count;
    };

    bool grow() noexcept {
        const std::uint32_t count = std::min(step_, limit_ - total_);
        if (count == 0)
            return false;
        try {
            chunks_.reserve(chunks_.size() + 1);
        } catch (...) {
            return false;
        }
        auto* memory = static_cast<char*>(std::aligned_alloc(16, stride_ * count));
        if (!memory)
            return false;
        for (std::uint32_t i = count; i-- > 0;) {
            auto* state = new (memory + i * stride_) State();
            new (&state->block()) outport_block_request{};
            state->next_free = free_;
            free_ = state;
        }
        chunks_.push_back({std::unique_ptr<char, Release>(memory), count});
        total_ += count;
        return true;
    }

    std::size_t stride_;
    std::uint32_t limit_, step_, total_ = 0, in_use_ = 0;
    State* free_ = nullptr;
    std::vector<Chunk> chunks_;
};

// A queue that is closed when this ends; no request may be in flight then.
class BlockQueue {
  public:
    BlockQueue() = default;
    BlockQueue(const BlockQueue&) = delete;
    BlockQueue& operator=(const BlockQueue&) = delete;
    ~BlockQueue() { close(); }

    std::int32_t open(const outport_block_api* api, outport_export* handle, outport_loop* loop,
                      const outport_block_notices* notices = nullptr, void* data = nullptr,
                      outport_error* error = nullptr) noexcept {
        api_ = api;
        return api->queue_open(handle, loop, notices, data, &queue_, error);
    }
    void close() noexcept {
        if (queue_)
            api_->queue_close(std::exchange(queue_, nullptr));
    }
    void submit(outport_block_request* const* requests, std::uint32_t count) noexcept {
        api_->submit(queue_, requests, count);
    }
    void cancel(outport_block_request& request) noexcept { api_->cancel(queue_, &request); }
    void range_done(outport_range_change& change) noexcept { api_->range_done(queue_, &change); }

  private:
    const outport_block_api* api_ = nullptr;
    outport_block_queue* queue_ = nullptr;
};

} // namespace outport::sdk
