// SPDX-License-Identifier: Apache-2.0
// The plugins of this process: which there are, which are loaded, what they offer and what holds them.
// Not thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/plugin/image.hpp"
#include "host/qmp/call.hpp"

#include <outport/export-type.h>

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace outport::loop {
class Loop;
}
namespace outport::qmp {
class Dispatcher;
}
namespace outport::schema {
class Registry;
}

namespace outport::plugin {

class Plugin;

struct PluginHostConfig {
    std::vector<std::string> folders; // choose_folders()
    bool allow_path = false;          // --allow-plugin-path: plugin-load takes a path
    std::string version;              // Outport's own, told to plugins
};

struct PluginServices {
    schema::Registry& registry;
    qmp::Dispatcher& dispatcher;
    loop::Loop& main_loop;
    loop::BlockingPool& blocking;
};

// A type of export that a loaded plugin offers. `table` is the host's copy.
struct ExportType {
    const outport_export_type* table;
    Plugin* plugin;
};

class PluginHost {
  public:
    PluginHost(PluginServices services, PluginHostConfig config);
    ~PluginHost(); // shutdown() comes before
    PluginHost(const PluginHost&) = delete;
    PluginHost& operator=(const PluginHost&) = delete;

    // Tables of other concerns, "outport.NAME/REVISION"; before the first plugin is loaded. qmp, log and
    // thread-check are there already. The table is not copied.
    void offer(std::string id, const void* table);

    // At start, and waiting for the disk: everything in the folders, then what --plugin named (a name, or a
    // path). What is in the folders and fails is logged and listed; what was named and fails is the error.
    Result<> load_all(const std::vector<std::string>& named);

    // plugin-load. `word` is a name, or a path where the configuration allows it. `done` is called once,
    // later or at once. While it lasts, neither that plugin nor another of its name can be loaded or
    // unloaded.
    using Done = std::move_only_function<void(Result<>)>;
    void load(std::string_view word, Done done);
    // plugin-unload. Runs the plugin's fini.
    Result<> unload(std::string_view name);
    // query-plugins, by name. Does not look at the disk.
    boost::json::array query() const;

    // The type called `name` in BlockExportType; null table: no loaded plugin offers it.
    ExportType export_type(std::string_view name) const noexcept;
    // An export of the plugin comes and goes; while there is one, the plugin stays.
    void add_export(Plugin& plugin, std::string_view id);
    void remove_export(Plugin& plugin, std::string_view id);
    // From the plugin's `destroy` to the end of an export, answers to its commands wait: who stops a server
    // learns of it when the exports are gone, after their events.
    void begin_departure(Plugin& plugin);
    void end_departure(Plugin& plugin);

    // Runs the handler of a plugin's command-line option, with its validated value. `done` runs once.
    void run_option(std::string_view option, boost::json::object value, qmp::Call::Completion done);

    // Before shutdown(): has every plugin give up what it holds of its own (outport.status/1, quit). `done`
    // is called once, later or at once, when all have; perhaps never.
    void quit(std::move_only_function<void()> done);
    // Ends every plugin that can be ended, the last one first. Returns what couldn't, each with its reason.
    // No export may be left. The main loop must still be able to run, the process ends afterwards.
    std::vector<std::string> shutdown();

    const PluginServices& services() const noexcept { return services_; }
    const std::string& version() const noexcept { return config_.version; }
    const void* extension(std::string_view id) const noexcept;

  private:
    struct LoadJob;
    Result<> may_load(std::string_view name, std::string_view path) const;
    Result<> load_now(const std::string& path, bool only_ours);
    void loaded(LoadJob& job);
    Result<> take_image(std::string_view name, const std::string& path, Result<std::optional<Image>> image,
                        bool only_ours);
    Result<> start(Plugin& plugin);
    void stop(Plugin& plugin);
    void take_back(Plugin& plugin, bool call_fini);
    Plugin* find(std::string_view name) const noexcept;
    Plugin& entry(std::string_view name);

    PluginServices services_;
    PluginHostConfig config_;
    std::map<std::string, const void*, std::less<>> extensions_;
    std::vector<std::unique_ptr<Plugin>> plugins_; // in the order of their first loading
    std::set<std::string, std::less<>> loading_;   // names, while the pool is at work for them
    loop::BlockingOwner blocking_{"plugins"};      // of that work
    bool ending_ = false;
};

// query-plugins, plugin-load, plugin-unload.
Result<> add_plugin_commands(PluginHost& host);

} // namespace outport::plugin
