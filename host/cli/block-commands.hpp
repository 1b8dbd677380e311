// SPDX-License-Identifier: Apache-2.0
// The commands over the node graph. Not thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"

namespace outport::block {
class Graph;
}
namespace outport::qmp {
class Dispatcher;
}

namespace outport::cli {

// blockdev-add, blockdev-del, block_resize, query-named-block-nodes.
Result<> add_block_commands(block::Graph& graph, qmp::Dispatcher& dispatcher);
// Those of the drivers for tests; only in builds that have them.
Result<> add_test_commands(block::Graph& graph, qmp::Dispatcher& dispatcher);

} // namespace outport::cli
