// SPDX-License-Identifier: Apache-2.0
// What a request must look like to be let in. Thread-safe: touches only its arguments.
#pragma once

#include "host/block/io.hpp"

#include <cstdint>

namespace outport::block {

// 0 or a negative errno; `op` is set when the operation is known.
int check_request(const outport_block_request& request, std::uint64_t size, bool writable, Op& op) noexcept;

} // namespace outport::block
