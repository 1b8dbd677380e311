// SPDX-License-Identifier: Apache-2.0
// The table `outport.block/1` over queues. Thread-safe as the comments of block.h say.
#pragma once

#include <outport/block.h>

namespace outport::block {

class Root;

// The table; the same for every plugin.
const outport_block_api& block_api() noexcept;

} // namespace outport::block

// What a plugin holds as the handle of an export. host/export's class derives from it and sets `root` before the
// plugin's create is called, until destroy has returned.
struct outport_export {
    outport::block::Root* root = nullptr;
};
