// SPDX-License-Identifier: Apache-2.0
// Assertions about threads, in debug builds only. Thread-safe: the questions are [any].
#pragma once

#include <outport/cpp/host.hpp>

#include <cassert>

namespace outport::sdk {

class ThreadCheck {
  public:
    ThreadCheck() = default;
    explicit ThreadCheck(const outport_host* host) noexcept
        : host_(host), api_(find_extension<outport_thread_check_api>(host)) {}

    // Nothing is asserted where the host does not tell.
    void assert_main() const noexcept { assert(!api_ || api_->is_main(host_)); }
    void assert_loop([[maybe_unused]] outport_loop* loop) const noexcept {
        assert(!api_ || api_->is_loop(loop));
    }
    void assert_pool() const noexcept { assert(!api_ || api_->is_pool(host_)); }

  private:
    [[maybe_unused]] const outport_host* host_ = nullptr;
    [[maybe_unused]] const outport_thread_check_api* api_ = nullptr;
};

} // namespace outport::sdk
