// SPDX-License-Identifier: Apache-2.0
// From errno to the protocol's error numbers. Thread-safe: pure.
#pragma once

#include <cstdint>

namespace outport::nbd {

// `error` is a positive errno; what the protocol has no number for is EIO.
std::uint32_t wire_error(int error) noexcept;

} // namespace outport::nbd
