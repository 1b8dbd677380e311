// SPDX-License-Identifier: Apache-2.0
// The members of Daemon, in the order in which they are made; they go in the opposite one. Main loop only.
#pragma once

#include "host/block/graph.hpp"
#include "host/cli/daemon.hpp"
#include "host/export/exports.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/loop.hpp"
#include "host/loop/signals.hpp"
#include "host/net/listener.hpp"
#include "host/object/objects.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/qmp/server.hpp"
#include "host/schema/registry.hpp"

namespace outport::cli {

struct Daemon::Parts {
    explicit Parts(const Settings& s) : settings(s) {}

    Settings settings;
    std::unique_ptr<loop::Loop> loop;
    std::unique_ptr<loop::SignalRouter> signals;
    std::unique_ptr<loop::BlockingPool> pool;
    std::unique_ptr<schema::Registry> registry;
    qmp::CommandTable table;
    std::unique_ptr<qmp::Dispatcher> dispatcher;
    std::unique_ptr<block::Graph> graph;
    std::unique_ptr<object::Objects> objects;
    std::unique_ptr<net::Net> net;
    std::unique_ptr<plugin::PluginHost> plugins;
    std::unique_ptr<exports::Exports> exports;
    std::unique_ptr<qmp::Server> server;
    bool ending = false;     // a signal, or quit
    bool loop_ended = false; // it won't turn any more
};

} // namespace outport::cli
