// SPDX-License-Identifier: Apache-2.0
// A block queue of the plugin ABI: (root, loop), the border at which requests are checked, the unit of
// fairness. Belongs to its loop.
//
// A queue may start so many requests and bytes in one turn of the loop; the rest waits in the queue and is
// served in the turns that follow, after the other queues had theirs.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/block/io.hpp"
#include "host/block/range-notice.hpp"
#include "host/loop/completion.hpp"

#include <outport/block.h>

#include <cstdint>

namespace outport::block {

class Queue;
class Seat;

// The host's state of a request, behind it in the plugin's memory.
struct QueueRequest {
    Io io;
    Queue* queue = nullptr;
    bool waiting = false; // in Queue::waiting_
    RangeNotice notice;   // of a range that it has changed
    std::int32_t result = 0;

    outport_block_request* abi() noexcept;
    static QueueRequest* of(outport_block_request* request) noexcept;
};

inline constexpr std::size_t kRequestStateOffset = (sizeof(outport_block_request) + 15) / 16 * 16;
inline constexpr std::uint32_t kRequestSize = kRequestStateOffset + sizeof(QueueRequest);
static_assert(alignof(QueueRequest) <= 16);

inline QueueRequest* QueueRequest::of(outport_block_request* request) noexcept {
    return reinterpret_cast<QueueRequest*>(reinterpret_cast<char*>(request) + kRequestStateOffset);
}
inline outport_block_request* QueueRequest::abi() noexcept {
    return reinterpret_cast<outport_block_request*>(reinterpret_cast<char*>(this) - kRequestStateOffset);
}

class Queue {
  public:
    static constexpr std::int64_t kTurnBytes = 512 * 1024;
    static constexpr std::uint32_t kTurnRequests = 64;

    Queue(Seat& seat, const outport_block_notices* notices, void* data);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue(); // nothing is in flight

    void submit(outport_block_request* const* requests, std::uint32_t count);
    void cancel(outport_block_request* request);
    std::uint32_t in_flight() const noexcept { return in_flight_; }

    // Of one that asked for it.
    void tell_range_changed(outport_range_change& change) noexcept { notices_.range_changed(data_, &change); }

    // The C handle is a Queue, seen from outside.
    outport_block_queue* handle() noexcept { return reinterpret_cast<outport_block_queue*>(this); }
    static Queue* from(outport_block_queue* handle) noexcept { return reinterpret_cast<Queue*>(handle); }

  private:
    friend class LargeTurn;
    friend class Seat;
    friend class QueueResize;

    enum class Turn : std::uint8_t { Now, Later, Called }; // Called: LargeTurn calls serve()
    Turn take_turn(const outport_block_request& request) noexcept;
    void dispatch(QueueRequest& request);
    void begin_resize(QueueRequest& request);
    void fail_soon(QueueRequest& request, std::int32_t result);
    void finish(QueueRequest& request, std::int32_t result);
    void done_below(QueueRequest& request, std::int32_t result);
    void serve();
    void finish_failed();
    void resumed();

    Seat& seat_;
    ListHook hook_; // in Seat::queues_
    outport_block_notices notices_{};
    void* data_;
    ListHook waiting_;
    ListHook large_hook_; // in LargeTurn's list
    ListHook failed_;
    loop::Task serve_task_, failed_task_;
    std::uint64_t turn_ = UINT64_MAX;
    std::int64_t bytes_left_ = 0;
    std::uint32_t requests_left_ = 0;
    std::uint32_t in_flight_ = 0; // lent by the plugin, wherever they are
};

} // namespace outport::block
