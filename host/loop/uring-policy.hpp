// SPDX-License-Identifier: Apache-2.0
// Which raw entries a plugin may hand to a ring that it shares with others. Thread-safe: looks at its
// argument.
#pragma once

struct io_uring_sqe;

namespace outport::loop {

// Null if the entry may go to the kernel; else what is wrong with it, for the log.
const char* refusal(const io_uring_sqe& sqe) noexcept;

} // namespace outport::loop
