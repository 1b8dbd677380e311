// SPDX-License-Identifier: Apache-2.0
// The table `outport.block/1` over queues. Thread-safe as the comments of block.h say.
#pragma once

#include "host/base/sdk-handles.hpp"

#include <outport/block.h>

namespace outport::block {

// The table; the same for every plugin. A handle's `root` must be set before the plugin's create is called.
const outport_block_api& block_api() noexcept;

} // namespace outport::block
