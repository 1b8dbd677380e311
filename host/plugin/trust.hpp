// SPDX-License-Identifier: Apache-2.0
// Whether others could have written a file that is about to be loaded as code. Thread-safe: touches the file
// system only.
#pragma once

#include "host/base/error.hpp"

#include <string>

namespace outport::plugin {

// Opens the plugin file at `path`, read-only, following symbolic links; refuses what is no regular file, what
// is owned by another than root and ourselves, and what others than its owner may write to; and so for each
// folder on its way, also on the way of each link. The caller closes the descriptor.
Result<int> open_trusted(const std::string& path);

} // namespace outport::plugin
