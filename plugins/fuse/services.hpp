// SPDX-License-Identifier: Apache-2.0
// What this plugin uses of the host. Thread-safe: filled by init, then only read.
#pragma once

#include <outport/cpp/log.hpp>
#include <outport/cpp/loop.hpp>
#include <outport/cpp/threads.hpp>

namespace outport::fuse {

struct Services {
    explicit Services(const outport_host* h)
        : host(h), block(sdk::require_extension<outport_block_api>(h)),
          blocking(sdk::require_extension<outport_blocking_api>(h)),
          exports(sdk::require_extension<outport_export_api>(h)),
          loop(sdk::require_extension<outport_loop_api>(h)),
          uring(sdk::require_extension<outport_uring_api>(h)),
          values(sdk::require_extension<outport_values_api>(h)), log(h), threads(h),
          main(loop, loop->main_loop(h)) {}

    const outport_host* host;
    const outport_block_api* block;
    const outport_blocking_api* blocking;
    const outport_export_api* exports;
    const outport_loop_api* loop;
    const outport_uring_api* uring;
    const outport_values_api* values;
    sdk::Log log;
    sdk::ThreadCheck threads;
    sdk::Loop main;
};

} // namespace outport::fuse
