// SPDX-License-Identifier: Apache-2.0
#include "host/block/driver.hpp"

#include "host/block/node.hpp"

#include <cerrno>

namespace outport::block {

std::unique_ptr<NodeContext> Driver::make_context(Node& node, loop::Loop& loop) {
    return std::make_unique<NodeContext>(NodeContext::Services{loop, node.pool(), node.owner()},
                                         node.limits().memory_alignment);
}

void Driver::resize(Node&, std::uint64_t, Done done) {
    done(fail("Image format driver does not support resize"));
}

void resize_node(Node& node, std::uint64_t size, Driver::Done done) {
    if (node.read_only()) {
        Error error{"Image is read-only"};
        error.errno_value = EROFS;
        return done(fail(std::move(error)));
    }
    node.driver().resize(node, size, std::move(done));
}

} // namespace outport::block
