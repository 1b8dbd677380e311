// SPDX-License-Identifier: Apache-2.0
#include "host/loop/log.hpp"

#include <spdlog/spdlog.h>

namespace outport::loop {

void log_warning(std::string_view text) {
    spdlog::warn("{}", text);
}
void log_error(std::string_view text) {
    spdlog::error("{}", text);
}

} // namespace outport::loop
