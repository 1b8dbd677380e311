// SPDX-License-Identifier: Apache-2.0
#include "host/object/objects.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/value.hpp>

namespace outport::object {

Result<> add_object_commands(Objects& objects, qmp::Dispatcher& dispatcher) {
    auto added = dispatcher.table().add(
        "object-add", [&objects](qmp::CallPtr call) { call->answer(objects.add(call->arguments())); });
    if (!added)
        return added;
    return dispatcher.table().add("object-del", [&objects](qmp::CallPtr call) {
        std::string id(call->arguments().at("id").get_string());
        objects.remove(id, [call](Result<> result) { call->answer(std::move(result)); });
    });
}

} // namespace outport::object
