// SPDX-License-Identifier: Apache-2.0
// The SDK's tables `loop`, `uring` and `blocking` over this library. The tables are constant and their
// functions may be called as the SDK's headers say; provide_sdk_services() comes once, before the first
// plugin.
#pragma once

#include "host/loop/loop.hpp"

#include <outport/blocking.h>
#include <outport/loop.h>
#include <outport/uring.h>

#include <atomic>
#include <cstdint>

struct outport_host;

namespace outport::loop {

class BlockingOwner;
class BlockingPool;

// A loop as nobody in particular sees it, and back.
inline outport_loop* to_abi(Loop& loop) noexcept {
    return loop.handle();
}
inline Loop& from_abi(outport_loop* loop) noexcept {
    return *loop->loop;
}

struct SdkServices {
    Loop* main_loop = nullptr;
    BlockingPool* pool = nullptr;
    // Whose share of the blocking threads the jobs of this plugin count for.
    BlockingOwner& (*owner_of)(const outport_host* host) = nullptr;
    // Where to count the plugin's jobs that are not back yet. May be null.
    std::atomic<std::uint32_t>* (*jobs_of)(const outport_host* host) = nullptr;
    // The main loop as that plugin sees it. Null: as nobody in particular does.
    outport_loop* (*main_loop_of)(const outport_host* host) = nullptr;
};

void provide_sdk_services(const SdkServices& services) noexcept;
const SdkServices& sdk_services() noexcept;

extern const outport_loop_api kLoopTable;         // OUTPORT_LOOP_ID
extern const outport_uring_api kUringTable;       // OUTPORT_URING_ID
extern const outport_blocking_api kBlockingTable; // OUTPORT_BLOCKING_ID

} // namespace outport::loop
