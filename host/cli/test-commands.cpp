// SPDX-License-Identifier: Apache-2.0
// In builds with the drivers for tests only: the commands that steer them.
#include "host/block/test-commands.hpp"

#include "host/base/text.hpp"
#include "host/cli/block-commands.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/value.hpp>

namespace outport::cli {

Result<> add_test_commands(block::Graph& graph, qmp::Dispatcher& dispatcher) {
    for (std::string_view name : block::test_commands()) {
        auto added = dispatcher.table().add(std::string(name), [&graph, name](const qmp::CallPtr& call) {
            block::run_test_command(
                graph, name, call->arguments(),
                [call](Result<boost::json::value> answer) { call->answer(std::move(answer)); });
        });
        if (!added)
            return added;
    }
    return {};
}

} // namespace outport::cli
