// SPDX-License-Identifier: Apache-2.0
// One plugin: its state, what it offers, and all of the host's that it holds. Not thread-safe: main loop
// only, but for `context`, whose constant members any thread may read.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/base/log.hpp"
#include "host/base/sdk-handles.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/completion.hpp"
#include "host/plugin/image.hpp"
#include "host/qmp/call.hpp"

#include <outport/export-type.h>
#include <outport/log.h>
#include <outport/qmp.h>
#include <outport/thread-check.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace outport::plugin {

class PluginHost;

enum class State : std::uint8_t { Loaded, Failed, Unloaded };

// What a plugin's fragment brings, for query-plugins and for the checks after init.
struct Provided {
    std::vector<std::string> export_types, commands, events, options;
};

struct PluginCall; // qmp-api.cpp

struct OptionHandler {
    outport_qmp_handler function = nullptr;
    void* data = nullptr;
};

class Plugin {
  public:
    Plugin(PluginHost& host, std::string name);
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    const std::string& name() const noexcept { return context.plugin; }

    // What it may not be unloaded for now, as it follows "in use by"; nothing: it may. Asks the plugin too.
    std::optional<Error> held_by() const;
    // outport.status/1's word on whether it can work here; empty: it can, or doesn't say.
    std::string unusable() const;
    // Asks the plugin for a table and copies it. Nothing when it has none; an error when it is too short.
    template <class Table>
    Result<std::optional<Table>> extension(const char* id, std::uint32_t required) const {
        const void* given = image.entry.get_extension ? image.entry.get_extension(id) : nullptr;
        if (!given)
            return std::nullopt;
        Table copy{};
        if (!copy_table(&copy, given, sizeof copy, required))
            return short_table(id);
        return copy;
    }

    void send_answers_now();

    PluginHost& owner;
    sdk::HostContext context;
    loop::BlockingOwner blocking;
    log::Source& logger;

    State state = State::Unloaded;
    std::string path, reason; // reason: of Failed
    Image image;              // of the last file that could be opened
    Provided provided;
    std::optional<outport_export_type> type;
    std::optional<outport_status> status;

    bool initialising = false; // in init: handlers may be added
    bool has_fragment = false;
    std::unordered_map<std::string, OptionHandler> options;
    std::vector<std::string> exports;                  // ids
    std::size_t calls = 0;                             // of its commands and options, not answered yet
    std::size_t events = 0;                            // begun, not sent yet
    std::size_t departing = 0;                         // exports that are destroyed and not deleted yet
    std::vector<std::shared_ptr<PluginCall>> answered; // wait for the loop's task, and for `departing`
    loop::Task answer_task{loop::task_fn<&Plugin::answer_task, &Plugin::send_answers_now>};

  private:
    std::unexpected<Error> short_table(const char* id) const;
};

inline Plugin& plugin_of(const outport_host* host) noexcept {
    return *sdk::context_of(host).owner;
}

// The tables of this concern: outport.qmp/1, outport.log/1, outport.thread-check/1.
const outport_qmp_api* qmp_api() noexcept;
const outport_log_api* log_api() noexcept;
const outport_thread_check_api* thread_check_api() noexcept;

// Fills `context.host` with the functions that every plugin gets.
void fill_host(Plugin& plugin, const char* version);

// Hands a call to a plugin's handler.
void run_handler(Plugin& plugin, OptionHandler handler, qmp::CallPtr call);
// Has the answers that wait sent, later in this turn of the loop.
void send_answers(Plugin& plugin);

} // namespace outport::plugin
