// SPDX-License-Identifier: Apache-2.0
#include "host/cli/block-commands.hpp"

#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace outport::cli {

namespace {

std::string string_of(const boost::json::object& arguments, std::string_view name) {
    const auto* value = arguments.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

block::Graph::Done answer(const qmp::CallPtr& call) {
    return [call](Result<> result) { call->answer(std::move(result)); };
}

void resize(block::Graph& graph, const qmp::CallPtr& call) {
    const auto* size = call->arguments().if_contains("size");
    std::int64_t bytes = size && size->is_int64() ? size->get_int64() : -1;
    if (bytes < 0)
        return call->fail(Error{"Parameter 'size' expects a >0 size"});
    graph.resize(string_of(call->arguments(), "node-name"), static_cast<std::uint64_t>(bytes),
                 block::ResizeTo::Exactly, nullptr, answer(call));
}

void describe(block::Graph& graph, const qmp::CallPtr& call) {
    const auto* flat = call->arguments().if_contains("flat");
    graph.describe_nodes(flat && flat->is_bool() && flat->get_bool(),
                         [call](boost::json::array nodes) { call->succeed(std::move(nodes)); });
}

} // namespace

Result<> add_block_commands(block::Graph& graph, qmp::Dispatcher& dispatcher) {
    qmp::CommandTable& table = dispatcher.table();
    auto added = table.add("blockdev-add", [&graph](const qmp::CallPtr& call) {
        graph.add(std::move(call->arguments()), answer(call));
    });
    if (added)
        added = table.add("blockdev-del", [&graph](const qmp::CallPtr& call) {
            graph.del(string_of(call->arguments(), "node-name"), answer(call));
        });
    if (added)
        added = table.add("block_resize", [&graph](const qmp::CallPtr& call) { resize(graph, call); });
    if (added)
        added = table.add("query-named-block-nodes",
                          [&graph](const qmp::CallPtr& call) { describe(graph, call); });
    return added;
}

} // namespace outport::cli
