// SPDX-License-Identifier: Apache-2.0
// The few lines that loops and pools have to say. Thread-safe.
#pragma once

#include <string_view>

namespace outport::loop {

void log_warning(std::string_view text);
void log_error(std::string_view text);

} // namespace outport::loop
