// SPDX-License-Identifier: Apache-2.0
#include "host/loop/io-flusher.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/loop/iothread.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/prctl.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace outport::loop {

bool set_io_flusher() noexcept {
    if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0)
        return true;
    static std::atomic<bool> told{false};
    if (!told.exchange(true)) {
        log::warning(
            "loop",
            cat("PR_SET_IO_FLUSHER: ", std::strerror(errno),
                "; exports that serve the kernel may stall when memory is short (needs CAP_SYS_RESOURCE)"));
    }
    return false;
}

void set_io_flusher_on(Loop& loop) {
    run_on(loop, [] { set_io_flusher(); });
}

} // namespace outport::loop
