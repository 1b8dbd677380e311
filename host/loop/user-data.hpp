// SPDX-License-Identifier: Apache-2.0
// What stands in user_data of a ring's entries. Constants.
#pragma once

#include <cstdint>

namespace outport::loop {

// user_data of an entry is the address of its Completion, or one of these.
inline constexpr std::uint64_t kNobody = 0; // an entry whose result nobody waits for
inline constexpr std::uint64_t kWake = 1;   // the poll on wake_fd_

} // namespace outport::loop
