// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/plugin-host.hpp"

#include "host/base/text.hpp"
#include "host/plugin/plugin.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::plugin {

namespace {

const char* state_name(State state) {
    switch (state) {
    case State::Loaded:
        return "loaded";
    case State::Failed:
        return "failed";
    case State::Unloaded:
        break;
    }
    return "unloaded";
}

boost::json::array provides(const Provided& p) {
    boost::json::array all;
    for (const auto* list : {&p.export_types, &p.commands, &p.events, &p.options})
        for (const auto& name : *list)
            all.emplace_back(name);
    return all;
}

boost::json::object describe(const Plugin& plugin) {
    boost::json::object info;
    const auto& note = plugin.image.note;
    info["name"] = plugin.name();
    info["path"] = plugin.path;
    if (!note.id.empty()) {
        info["version"] = note.version;
        info["abi"] = cat(note.abi_major, '.', note.abi_minor);
        info["license"] = note.license;
    }
    info["state"] = state_name(plugin.state);
    if (plugin.state == State::Failed)
        info["reason"] = plugin.reason;
    if (auto why = plugin.unusable(); !why.empty())
        info["unusable"] = why;
    info["provides"] = provides(plugin.provided);
    info["exports"] = static_cast<std::int64_t>(plugin.exports.size());
    return info;
}

std::string_view name_of(const qmp::CallPtr& call) {
    const auto& name = call->arguments().at("name").get_string();
    return {name.data(), name.size()};
}

} // namespace

boost::json::array PluginHost::query() const {
    std::vector<const Plugin*> sorted;
    for (const auto& plugin : plugins_)
        sorted.push_back(plugin.get());
    std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name() < b->name(); });
    boost::json::array all;
    for (const auto* plugin : sorted)
        all.push_back(describe(*plugin));
    return all;
}

Result<> add_plugin_commands(PluginHost& host) {
    auto& table = host.services().dispatcher.table();
    auto query = [&host](const qmp::CallPtr& call) { call->succeed(host.query()); };
    auto load = [&host](const qmp::CallPtr& call) {
        host.load(name_of(call), [call](Result<> result) { call->answer(std::move(result)); });
    };
    auto unload = [&host](const qmp::CallPtr& call) { call->answer(host.unload(name_of(call))); };
    if (auto ok = table.add("query-plugins", query); !ok)
        return ok;
    if (auto ok = table.add("plugin-load", load); !ok)
        return ok;
    return table.add("plugin-unload", unload);
}

} // namespace outport::plugin
