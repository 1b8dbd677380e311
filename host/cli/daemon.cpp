// SPDX-License-Identifier: Apache-2.0
// How the process is put together.
#include "host/cli/daemon.hpp"

#include "host/base/sdk-handles.hpp"
#include "host/base/text.hpp"
#include "host/block/sdk-block.hpp"
#include "host/cli/block-commands.hpp"
#include "host/cli/config.hpp"
#include "host/cli/parts.hpp"
#include "host/loop/sdk-tables.hpp"
#include "host/net/net-api.hpp"
#include "host/plugin/folders.hpp"
#include "host/schema/json.hpp"
#include "schema/base-document.h"

#include <boost/json/value.hpp>

namespace outport::cli {

namespace {

// The main loop is some export's loop too, so it polls as an iothread does.
constexpr loop::PollLimits kMainPoll{.max_ns = 32768};

// Part of the program: that it can't be read is a mistake in the build.
Result<boost::json::value> embedded(const char* text, std::uint64_t length) {
    auto parsed = json::parse({text, length});
    if (!parsed)
        return fail(cat("the document in the program can't be read: ", parsed.error().message));
    return std::move(*parsed);
}

std::vector<std::string> build_symbols() {
    std::vector<std::string> symbols;
    if (kTestDrivers)
        symbols.emplace_back("CONFIG_TEST_DRIVERS");
    return symbols;
}

Result<std::unique_ptr<schema::Registry>> make_registry() {
    auto base = embedded(outport_base_document, outport_base_document_length);
    auto names_text = embedded(outport_names_document, outport_names_document_length);
    auto hints_text = embedded(outport_hints_document, outport_hints_document_length);
    for (auto* document : {&base, &names_text, &hints_text})
        if (!*document)
            return fail(std::move(document->error()));
    auto names = schema::parse_names(*names_text);
    if (!names)
        return fail(std::move(names.error()));
    auto hints = schema::parse_hints(*hints_text);
    if (!hints)
        return fail(std::move(hints.error()));
    auto registry = std::make_unique<schema::Registry>(build_symbols(), std::move(*names), std::move(*hints));
    if (auto loaded = registry->load_base(*base); !loaded)
        return fail(std::move(loaded.error()));
    return registry;
}

loop::BlockingOwner& blocking_owner(const outport_host* host) {
    return *sdk::context_of(host).blocking_owner;
}

outport_loop* main_loop_of(const outport_host* host) {
    return sdk::context_of(host).main_handle;
}

std::atomic<std::uint32_t>* blocking_jobs(const outport_host* host) {
    return &sdk::context_of(host).jobs;
}

} // namespace

Daemon::Daemon(const Settings& settings) : parts_(std::make_unique<Parts>(settings)) {}
Daemon::~Daemon() {
    // Put together in part only: shutdown() does this for the rest.
    if (parts_->loop && !parts_->loop_ended) {
        if (parts_->signals)
            parts_->signals->close();
        parts_->loop->stop();
        parts_->loop->run();
    }
}

Result<std::unique_ptr<Daemon>> Daemon::create(const Settings& settings) {
    std::unique_ptr<Daemon> daemon(new Daemon(settings));
    Parts& p = *daemon->parts_;
    auto loop = loop::Loop::create({.ring = {}, .poll = kMainPoll});
    if (!loop)
        return fail(std::move(loop.error()));
    p.loop = std::move(*loop);
    auto signals = loop::SignalRouter::start(*p.loop, [&p](int) { p.ending = true; });
    if (!signals)
        return fail(std::move(signals.error()));
    p.signals = std::move(*signals);
    p.pool = std::make_unique<loop::BlockingPool>();
    auto registry = make_registry();
    if (!registry)
        return fail(std::move(registry.error()));
    p.registry = std::move(*registry);
    p.dispatcher = std::make_unique<qmp::Dispatcher>(*p.registry, p.table);
    p.graph = std::make_unique<block::Graph>(*p.loop, *p.pool);
    p.objects = std::make_unique<object::Objects>(*p.loop);
    p.net = std::make_unique<net::Net>(*p.loop, *p.pool);
    plugin::PluginHostConfig plugins{.folders = plugin::choose_folders({settings.plugin_dirs, {}}),
                                     .allow_path = settings.allow_plugin_path,
                                     .version = kVersion};
    p.plugins = std::make_unique<plugin::PluginHost>(
        plugin::PluginServices{*p.registry, *p.dispatcher, *p.loop, *p.pool}, std::move(plugins));
    p.exports = std::make_unique<exports::Exports>(
        exports::ExportServices{*p.dispatcher, *p.plugins, *p.graph, *p.loop, *p.objects});
    p.server = std::make_unique<qmp::Server>(*p.loop, *p.dispatcher,
                                             qmp::ServerConfig{.socket_mode = settings.socket_mode,
                                                               .socket_group = settings.socket_group,
                                                               .version = kVersion,
                                                               .daemonized = settings.daemonize,
                                                               .starting_up = true});
    daemon->offer_tables();
    if (auto added = daemon->add_commands(); !added)
        return fail(std::move(added.error()));
    return daemon;
}

Result<> Daemon::add_commands() {
    Parts& p = *parts_;
    auto added = qmp::add_control_commands(*p.dispatcher, kVersion, [&p] { p.ending = true; });
    if (added)
        added = object::add_object_commands(*p.objects, *p.dispatcher);
    if (added)
        added = add_block_commands(*p.graph, *p.dispatcher);
    if constexpr (kTestDrivers)
        if (added)
            added = add_test_commands(*p.graph, *p.dispatcher);
    if (added)
        added = exports::add_export_commands(*p.exports, *p.dispatcher);
    if (added)
        added = plugin::add_plugin_commands(*p.plugins);
    return added;
}

void Daemon::offer_tables() {
    plugin::PluginHost& plugins = *parts_->plugins;
    loop::provide_sdk_services(
        {parts_->loop.get(), parts_->pool.get(), blocking_owner, blocking_jobs, main_loop_of});
    plugins.offer(OUTPORT_NET_ID, net::net_api(*parts_->net));
    plugins.offer(OUTPORT_BLOCK_ID, &block::block_api());
    plugins.offer(OUTPORT_LOOP_ID, &loop::kLoopTable);
    plugins.offer(OUTPORT_URING_ID, &loop::kUringTable);
    plugins.offer(OUTPORT_BLOCKING_ID, &loop::kBlockingTable);
}

Result<> Daemon::load_plugins() {
    return parts_->plugins->load_all(parts_->settings.plugins);
}

std::shared_ptr<const schema::Schema> Daemon::schema() const {
    return parts_->registry->schema();
}

bool Daemon::ending() const noexcept {
    return parts_->ending;
}

} // namespace outport::cli
