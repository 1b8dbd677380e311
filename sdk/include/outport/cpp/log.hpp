// SPDX-License-Identifier: Apache-2.0
// Log lines out of pieces. Thread-safe: the host's log is [any].
#pragma once

#include <outport/cpp/host.hpp>
#include <outport/cpp/text.hpp>

namespace outport::sdk {

class Log {
  public:
    Log() = default;
    explicit Log(const outport_host* host) noexcept
        : host_(host), api_(find_extension<outport_log_api>(host)) {}

    template <class... Pieces> void debug(const Pieces&... p) const noexcept {
        line(OUTPORT_LOG_DEBUG, p...);
    }
    template <class... Pieces> void info(const Pieces&... p) const noexcept { line(OUTPORT_LOG_INFO, p...); }
    template <class... Pieces> void warning(const Pieces&... p) const noexcept {
        line(OUTPORT_LOG_WARNING, p...);
    }
    template <class... Pieces> void error(const Pieces&... p) const noexcept {
        line(OUTPORT_LOG_ERROR, p...);
    }

  private:
    // The pieces are put together only when somebody will read them.
    template <class... Pieces> void line(std::uint32_t level, const Pieces&... pieces) const noexcept {
        if (!api_ || !api_->enabled(host_, level))
            return;
        try {
            const std::string text = cat(pieces...);
            api_->write(host_, level, text.data(), text.size());
        } catch (...) { // no memory for a log line is no reason to fail
        }
    }

    const outport_host* host_ = nullptr;
    const outport_log_api* api_ = nullptr;
};

} // namespace outport::sdk
