// SPDX-License-Identifier: Apache-2.0
#include "host/block/node-context.hpp"

#include "host/loop/loop.hpp"

#include <algorithm>

namespace outport::block {

NodeContext::NodeContext(const Services& services, std::size_t buffer_alignment)
    : bounce(std::max<std::size_t>(buffer_alignment, 4096)), services_(services),
      task_(loop::task_fn<&NodeContext::task_, &NodeContext::complete_all>) {}

NodeContext::~NodeContext() = default;

void NodeContext::complete_soon(Io& io, std::int32_t result) {
    io.result = result;
    io.cancel = nullptr;
    io.hook.insert_before(finished_);
    loop().make_ready(task_);
}

void NodeContext::complete_all() {
    // What is completed meanwhile waits for the next turn.
    ListHook batch;
    batch.insert_before(finished_);
    finished_.unlink();
    while (batch.linked()) {
        Io& io = *loop::owner_of(batch.next, &Io::hook);
        io.hook.unlink();
        io.done(io, io.result);
    }
}

} // namespace outport::block
