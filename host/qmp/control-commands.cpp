// SPDX-License-Identifier: Apache-2.0
// The commands about the control channel itself.
#include "host/base/text.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/schema/registry.hpp"

#include <boost/json/value.hpp>

namespace outport::qmp {

namespace bj = boost::json;

// Clients decide by this number what they may ask for: it is that of the program whose behaviour we follow.
bj::object version_info(std::string_view version) {
    return {{"qemu", {{"micro", 2}, {"minor", 0}, {"major", 10}}}, {"package", cat("outport ", version)}};
}

Result<> add_control_commands(Dispatcher& dispatcher, std::string version,
                              std::move_only_function<void()> shutdown) {
    CommandTable& table = dispatcher.table();
    auto added = table.add_sync("query-version", [version](const bj::object&) -> Result<bj::value> {
        return bj::value(version_info(version));
    });
    if (added)
        added = table.add_sync("query-commands", [&dispatcher](const bj::object&) -> Result<bj::value> {
            bj::array list;
            for (const schema::Command& c : dispatcher.registry().schema()->commands())
                if (c.name == "qmp_capabilities" || dispatcher.table().has(c.name))
                    list.push_back(bj::object{{"name", c.name}});
            return bj::value(std::move(list));
        });
    if (added)
        added = table.add_sync("query-qmp-schema", [&dispatcher](const bj::object&) -> Result<bj::value> {
            return *dispatcher.registry().introspection();
        });
    if (added)
        added = table.add("quit", [shutdown = std::move(shutdown)](CallPtr call) mutable {
            call->succeed(); // first: the answer is on its way before anything is taken down
            shutdown();
        });
    return added;
}

} // namespace outport::qmp
