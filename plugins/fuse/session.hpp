// SPDX-License-Identifier: Apache-2.0
// What the kernel and we agreed on when the mount was made (FUSE_INIT). Thread-safe: plain values, set before
// they are shared.
#pragma once

#include "request.hpp"

#include <string>

namespace outport::fuse {

struct Session {
    // The most that one request moves, in bytes: what the kernel allows (fs.fuse.max_pages_limit).
    std::uint32_t max_transfer = 0;
    bool over_io_uring = false; // both sides want it
};

// The kernel's limit, in bytes; may block, as /proc does.
std::uint32_t read_max_transfer();

// Answers INIT. `session.max_transfer` is what we offer; `want_io_uring`: whether to ask for it. Empty, or
// why there is no talking to this kernel.
Fault negotiate(const Request& init, bool want_io_uring, Session& session, fuse_init_out& out) noexcept;

} // namespace outport::fuse
