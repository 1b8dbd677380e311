// SPDX-License-Identifier: Apache-2.0
// All exports of the process: their ids, states, checks and events. The types come from plugins.
//
//   created ─► starting ─► running ─► (hidden | soft) ─► shutting-down ─► deleted
//
// Not thread-safe: main loop only. Everything that waits is answered later, on the main loop, never inside
// the call.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outport::block {
class Graph;
}
namespace outport::loop {
class Loop;
}
namespace outport::plugin {
class PluginHost;
}
namespace outport::qmp {
class Dispatcher;
}

namespace outport::exports {

class Export;
class Iothreads;

struct ExportServices {
    qmp::Dispatcher& dispatcher;
    plugin::PluginHost& plugins;
    block::Graph& graph;
    loop::Loop& main_loop;
    Iothreads& iothreads;
};

class Exports {
  public:
    using Done = std::move_only_function<void(Result<>)>;

    // Offers outport.export/1 to plugins.
    explicit Exports(const ExportServices& services);
    ~Exports(); // none may be left: see shutdown()
    Exports(const Exports&) = delete;
    Exports& operator=(const Exports&) = delete;

    // block-export-add. `options`: a validated BlockExportOptions.
    void add(boost::json::object options, Done done);
    // block-export-del. `mode`: a word of BlockExportRemoveMode. Answers at once what can be said at once; a
    // `safe` waits for the plugin's word.
    void remove(std::string_view id, std::string_view mode, Done done);
    // query-block-exports: newest first.
    boost::json::array query() const;
    bool empty() const noexcept { return exports_.empty(); }

    // Stops every export hard, newest first; refuses new ones from now on. `done` gets what did not end
    // within `deadline_ns` (a duration), each as "ID (TYPE)"; empty: all are gone. Called later, once.
    using Stopped = std::move_only_function<void(std::vector<std::string>)>;
    void shutdown(std::uint64_t deadline_ns, Stopped done);

  private:
    friend class Export;
    Export* find(std::string_view id) const noexcept;
    void gone(Export& exported, bool announce, Done adding, std::optional<Error> failure);

    ExportServices services_;
    std::vector<std::unique_ptr<Export>> exports_; // oldest first
    struct Ending;
    std::unique_ptr<Ending> ending_;
};

// block-export-add, block-export-del, query-block-exports.
Result<> add_export_commands(Exports& exports, qmp::Dispatcher& dispatcher);

} // namespace outport::exports
