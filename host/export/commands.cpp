// SPDX-License-Identifier: Apache-2.0
#include "host/export/exports.hpp"

#include "host/qmp/dispatcher.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace outport::exports {

Result<> add_export_commands(Exports& exports, qmp::Dispatcher& dispatcher) {
    auto& table = dispatcher.table();
    auto add = [&exports](const qmp::CallPtr& call) {
        exports.add(std::move(call->arguments()),
                    [call](Result<> result) { call->answer(std::move(result)); });
    };
    auto remove = [&exports](const qmp::CallPtr& call) {
        const auto& arguments = call->arguments();
        exports.remove(arguments.at("id").get_string(), arguments.at("mode").get_string(),
                       [call](Result<> result) { call->answer(std::move(result)); });
    };
    auto query = [&exports](const qmp::CallPtr& call) { call->succeed(exports.query()); };
    if (auto ok = table.add("block-export-add", add); !ok)
        return ok;
    if (auto ok = table.add("block-export-del", remove); !ok)
        return ok;
    return table.add("query-block-exports", query);
}

} // namespace outport::exports
