// SPDX-License-Identifier: Apache-2.0
// What negotiation settled for the rest of a connection's life. Thread-safe: a value.
#pragma once

#include <cstdint>

namespace outport::nbd {

struct Session {
    std::uint64_t size = 0;       // bytes; stays what the client was told, whatever happens to the node
    std::uint16_t flags = 0;      // transmission flags
    bool structured = false;      // structured replies
    bool base_allocation = false; // the context base:allocation
};

} // namespace outport::nbd
