// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/plugin-host.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/plugin/folders.hpp"
#include "host/plugin/plugin.hpp"
#include "host/plugin/values.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/schema/registry.hpp"

#include <outport/log.h>
#include <outport/thread-check.h>

#include <boost/json/object.hpp>

#include <algorithm>
#include <filesystem>

namespace outport::plugin {

namespace {

log::Source& logger() {
    static log::Source& the = log::source("plugin");
    return the;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words)
        text += cat(text.empty() ? "" : ", ", word);
    return text;
}

bool is_path(std::string_view name) {
    return name.find('/') != name.npos;
}

} // namespace

PluginHost::PluginHost(PluginServices services, PluginHostConfig config)
    : services_(services), config_(std::move(config)) {
    offer(OUTPORT_QMP_ID, qmp_api());
    offer(OUTPORT_VALUES_ID, values_api());
    offer(OUTPORT_LOG_ID, log_api());
    offer(OUTPORT_THREAD_CHECK_ID, thread_check_api());
}

PluginHost::~PluginHost() = default;

void PluginHost::offer(std::string id, const void* table) {
    extensions_[std::move(id)] = table;
}

// Plugins ask from any thread; the map doesn't change once the first of them is loaded.
const void* PluginHost::extension(std::string_view id) const noexcept {
    auto it = extensions_.find(id);
    return it == extensions_.end() ? nullptr : it->second;
}

Plugin* PluginHost::find(std::string_view name) const noexcept {
    for (const auto& plugin : plugins_)
        if (plugin->name() == name)
            return plugin.get();
    return nullptr;
}

Plugin& PluginHost::entry(std::string_view name) {
    if (auto* known = find(name))
        return *known;
    plugins_.push_back(std::make_unique<Plugin>(*this, std::string(name)));
    return *plugins_.back();
}

Result<> PluginHost::load_all(const std::vector<std::string>& named) {
    for (const auto& candidate : list_candidates(config_.folders))
        if (auto loaded = load_now(candidate.path, true); !loaded)
            logger().warning(loaded.error().message);
    for (const auto& name : named) {
        auto path = is_path(name) ? name : find_candidate(config_.folders, name);
        auto* known = is_path(name) ? nullptr : find(name);
        if (known && known->state == State::Loaded)
            continue;
        if (known && known->state == State::Failed)
            return fail(known->reason);
        if (path.empty())
            return fail(cat("plugin '", name, "' is not found in ", joined(config_.folders)));
        if (auto loaded = load_now(path, false); !loaded)
            return fail(loaded.error());
    }
    return {};
}

// Whether a plugin of that name can be loaded now. `path`: of its file, if it was named by it.
Result<> PluginHost::may_load(std::string_view name, std::string_view path) const {
    if (!path.empty() && (!valid_plugin_name(name) || !path.ends_with(".so")))
        return fail(cat("'", path, "' is no name for a plugin: letters, digits, '-' and '_', then \".so\""));
    if (loading_.contains(name))
        return fail(cat("Plugin '", name, "' is being loaded"));
    if (auto* known = find(name); known && known->state == State::Loaded)
        return fail(cat("Plugin '", name, "' is already loaded"));
    return {};
}

Result<> PluginHost::load_now(const std::string& path, bool only_ours) {
    auto name = std::filesystem::path(path).stem().string();
    if (auto ok = may_load(name, path); !ok)
        return ok;
    return take_image(name, path, load_image(path), only_ours);
}

// `only_ours`: a file without our note is passed over, since folders may hold a plugin's own libraries.
Result<> PluginHost::take_image(std::string_view name, const std::string& path,
                                Result<std::optional<Image>> image, bool only_ours) {
    if (image && !*image) {
        if (only_ours)
            return {};
        return fail(cat("'", path, "' is no Outport plugin: it has no ELF note \"Outport\""));
    }
    auto& plugin = entry(name);
    std::error_code ec; // a daemonized host goes to "/" later
    auto absolute = std::filesystem::absolute(path, ec).string();
    plugin.path = ec ? path : absolute;
    plugin.reason.clear();
    plugin.image = image ? std::move(**image) : Image{};
    auto started = image ? start(plugin) : fail(image.error());
    plugin.state = started ? State::Loaded : State::Failed;
    if (!started) {
        plugin.reason = started.error().message;
        return started;
    }
    logger().info(cat("loaded plugin '", name, "' ", plugin.image.note.version, " from ", path));
    return {};
}

Result<> PluginHost::unload(std::string_view name) {
    if (loading_.contains(name))
        return fail(cat("Plugin '", name, "' is being loaded"));
    auto* plugin = find(name);
    if (!plugin || plugin->state != State::Loaded)
        return fail(cat("Plugin '", name, "' is not loaded"));
    if (auto held = plugin->held_by())
        return fail(cat("Plugin '", name, "' is in use by ", held->message), held->hint);
    stop(*plugin);
    boost::json::object data;
    data["name"] = plugin->name();
    return services_.dispatcher.event("PLUGIN_UNLOADED", std::move(data));
}

ExportType PluginHost::export_type(std::string_view name) const noexcept {
    for (const auto& plugin : plugins_)
        if (plugin->state == State::Loaded && plugin->type && name == plugin->type->name)
            return {&*plugin->type, plugin.get()};
    return {nullptr, nullptr};
}

void PluginHost::add_export(Plugin& plugin, std::string_view id) {
    plugin.exports.emplace_back(id);
}

void PluginHost::remove_export(Plugin& plugin, std::string_view id) {
    std::erase(plugin.exports, id);
}

void PluginHost::begin_departure(Plugin& plugin) {
    ++plugin.departing;
}

void PluginHost::end_departure(Plugin& plugin) {
    if (--plugin.departing == 0)
        send_answers(plugin);
}

void PluginHost::run_option(std::string_view option, boost::json::object value, qmp::Call::Completion done) {
    auto call =
        std::make_shared<qmp::Call>(std::string(option), std::move(value), qmp::kNoMonitor, std::move(done));
    for (const auto& plugin : plugins_) {
        auto it = plugin->options.find(std::string(option));
        if (plugin->state == State::Loaded && it != plugin->options.end())
            return run_handler(*plugin, it->second, call);
    }
    call->fail(Error{cat("no plugin handles the option --", option)});
}

std::vector<std::string> PluginHost::shutdown() {
    std::vector<std::string> left;
    for (auto it = plugins_.rbegin(); it != plugins_.rend(); ++it) {
        auto& plugin = **it;
        if (plugin.state != State::Loaded)
            continue;
        if (auto held = plugin.held_by())
            left.push_back(cat("plugin '", plugin.name(), "': ", held->message));
        else
            stop(plugin);
    }
    return left;
}

} // namespace outport::plugin
