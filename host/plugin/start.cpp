// SPDX-License-Identifier: Apache-2.0
// How a plugin begins and ends: its fragment into the schema, init, the checks that all it declared is there;
// and back. What fails leaves everything as it was.
#include "host/plugin/plugin-host.hpp"

#include "host/base/text.hpp"
#include "host/plugin/plugin.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>

namespace outport::plugin {

namespace {

std::vector<std::string> keys_of(const boost::json::object& document, std::string_view member) {
    std::vector<std::string> names;
    auto it = document.find(member);
    if (it != document.end() && it->value().is_object())
        for (const auto& entry : it->value().get_object())
            names.emplace_back(entry.key());
    return names;
}

// The `name` of each element of an array of objects, or the elements where they are strings.
std::vector<std::string> names_in(const boost::json::value* list) {
    std::vector<std::string> names;
    if (!list || !list->is_array())
        return names;
    for (const auto& element : list->get_array()) {
        const auto* name = element.is_object() ? element.get_object().if_contains("name") : &element;
        if (name && name->is_string())
            names.emplace_back(name->get_string());
    }
    return names;
}

// What a fragment, which the registry has checked, brings.
Provided provided_by(const boost::json::object& document) {
    Provided p;
    if (const auto* extends = document.if_contains("extends"); extends && extends->is_object())
        p.export_types = names_in(extends->get_object().if_contains("BlockExportType"));
    p.commands = keys_of(document, "commands");
    p.events = keys_of(document, "events");
    p.options = names_in(document.if_contains("options"));
    return p;
}

Error in_plugin(const Plugin& plugin, const Error& error) {
    Error e{cat("plugin '", plugin.name(), "': ", error.message), error.hint};
    return e;
}

Result<> merge_fragment(Plugin& plugin, schema::Registry& registry) {
    plugin.provided = {};
    const auto& entry = plugin.image.entry;
    if (!entry.schema)
        return {};
    auto document = json::parse({entry.schema, entry.schema_length});
    if (!document)
        return fail(cat("its schema is no JSON: ", document.error().message));
    auto name = registry.check_fragment(*document);
    if (!name)
        return fail(cat("its schema is refused: ", name.error().message));
    if (*name != plugin.name())
        return fail(cat("its schema calls itself '", *name, "' instead of '", plugin.name(), "'"));
    if (auto ok = registry.add_fragment(*document); !ok)
        return fail(cat("its schema is refused: ", ok.error().message));
    plugin.has_fragment = true;
    plugin.provided = provided_by(document->get_object());
    return {};
}

Result<> run_init(Plugin& plugin, const std::string& version) {
    fill_host(plugin, version.c_str());
    outport_error error;
    plugin.initialising = true;
    auto code = plugin.image.entry.init(&plugin.context.host, &error);
    plugin.initialising = false;
    if (code == OUTPORT_OK)
        return {};
    return fail(sdk::to_error(code, error, cat("init failed with status ", code)));
}

Result<> check_type(const Plugin& plugin) {
    const auto& declared = plugin.provided.export_types;
    if (!plugin.type)
        return declared.empty() ? Result<>{}
                                : fail(cat("its schema declares the export type '", declared[0],
                                           "', but it does not offer " OUTPORT_EXPORT_TYPE_ID));
    const auto& type = *plugin.type;
    if (!type.name || !type.create || !type.start || !type.stop || !type.destroy)
        return fail("its " OUTPORT_EXPORT_TYPE_ID " lacks a required member");
    constexpr std::uint32_t known =
        OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HIDE | OUTPORT_KNOWS_SOFT | OUTPORT_KNOWS_HARD;
    constexpr std::uint32_t required = OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HARD;
    if ((type.flags & ~(OUTPORT_EXPORT_SERVES_KERNEL | OUTPORT_EXPORT_RESIZES | OUTPORT_EXPORT_KEEPS)) != 0 ||
        (type.modes & ~known) != 0)
        return fail("its " OUTPORT_EXPORT_TYPE_ID " has flags that this host does not know");
    if ((type.modes & required) != required)
        return fail("its " OUTPORT_EXPORT_TYPE_ID " does not know the modes safe and hard");
    if (declared.size() != 1 || declared[0] != type.name)
        return fail(
            cat("it offers the export type '", type.name, "', which its schema does not declare alone"));
    return {};
}

Result<> take_tables(Plugin& plugin) {
    auto type = plugin.extension<outport_export_type>(OUTPORT_EXPORT_TYPE_ID, sizeof(outport_export_type));
    if (!type)
        return fail(type.error());
    plugin.type = *type;
    auto status = plugin.extension<outport_status>(OUTPORT_STATUS_ID, sizeof(std::uint64_t));
    if (!status)
        return fail(status.error());
    plugin.status = *status;
    return check_type(plugin);
}

Result<> check_handlers(const Plugin& plugin, const qmp::CommandTable& table) {
    for (const auto& command : plugin.provided.commands)
        if (!table.has(command))
            return fail(
                cat("its schema declares the command '", command, "', but init added no handler for it"));
    for (const auto& option : plugin.provided.options)
        if (!plugin.options.contains(option))
            return fail(
                cat("its schema declares the option '", option, "', but init added no handler for it"));
    return {};
}

} // namespace

Result<> PluginHost::start(Plugin& plugin) {
    if (auto ok = merge_fragment(plugin, services_.registry); !ok)
        return fail(in_plugin(plugin, ok.error()));
    auto result = run_init(plugin, config_.version);
    bool initialised = result.has_value();
    if (result)
        result = take_tables(plugin);
    if (result)
        result = check_handlers(plugin, services_.dispatcher.table());
    if (result)
        return {};
    take_back(plugin, initialised);
    return fail(in_plugin(plugin, result.error()));
}

void PluginHost::stop(Plugin& plugin) {
    take_back(plugin, true);
    plugin.state = State::Unloaded;
}

void PluginHost::take_back(Plugin& plugin, bool call_fini) {
    if (call_fini)
        plugin.image.entry.fini();
    services_.dispatcher.table().remove_owner(plugin.name());
    plugin.options.clear();
    plugin.type.reset();
    plugin.status.reset();
    plugin.provided = {};
    if (plugin.has_fragment)
        if (auto ok = services_.registry.remove_fragment(plugin.name()); !ok)
            plugin.logger.error(cat("its schema stays: ", ok.error().message));
    plugin.has_fragment = false;
}

} // namespace outport::plugin
