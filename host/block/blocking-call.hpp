// SPDX-License-Identifier: Apache-2.0
// One control call that may wait, on the blocking pool. Not for requests: it allocates. To be called on a
// loop.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/blocking-pool.hpp"

#include <functional>
#include <string>

namespace outport::block {

// Runs `run` on a thread of the pool, then `done` on the calling thread's loop. `done` gets an error, and
// `run` is not called, if the pool has no thread for it; then `done` is called inside.
void call_blocking(loop::BlockingPool& pool, loop::BlockingOwner& owner, std::string what,
                   std::move_only_function<void()> run, std::move_only_function<void(Result<>)> done);

} // namespace outport::block
