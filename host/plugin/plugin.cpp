// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/plugin.hpp"

#include "host/base/text.hpp"
#include "host/plugin/plugin-host.hpp"

namespace outport::plugin {

namespace {

constexpr std::size_t kNamed = 3; // how many of many things a message names

std::string list_some(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < kNamed; ++i)
        text += cat(i ? ", '" : "'", names[i], '\'');
    if (names.size() > kNamed)
        text += cat(" and ", names.size() - kNamed, " more");
    return text;
}

} // namespace

Plugin::Plugin(PluginHost& host, std::string name)
    : owner(host), blocking(cat("plugin ", name)), logger(log::source(name)) {
    context.plugin = std::move(name);
    context.main_loop = &host.services().main_loop;
    context.main_handle = context.handle_of(context.main_loop);
    context.blocking = &host.services().blocking;
    context.blocking_owner = &blocking;
    context.owner = this;
}

std::unexpected<Error> Plugin::short_table(const char* id) const {
    return fail(cat("plugin '", name(), "' offers ", id, " with a table that is too short"));
}

std::optional<Error> Plugin::held_by() const {
    if (!exports.empty())
        return Error{cat(exports.size() == 1 ? "export " : "exports ", list_some(exports))};
    if (status && status->idle) {
        outport_error error;
        if (auto code = status->idle(&error); code != OUTPORT_OK)
            return sdk::to_error(code, error, "something of its own");
    }
    if (calls > 0)
        return Error{cat(calls, " command(s) that it has not answered")};
    if (events > 0)
        return Error{cat(events, " event(s) that it has begun")};
    if (context.listeners > 0)
        return Error{cat(context.listeners, " listener(s)")};
    if (auto jobs = context.jobs.load(std::memory_order_acquire); jobs > 0)
        return Error{cat(jobs, " blocking job(s) that have not come back")};
    if (auto operations = context.operations(); operations > 0)
        return Error{cat(operations, " operation(s) of event loops that have not come back")};
    return std::nullopt;
}

std::string Plugin::unusable() const {
    if (state != State::Loaded || !status || !status->usable)
        return {};
    outport_error error;
    auto code = status->usable(&error);
    return code == OUTPORT_OK ? std::string{} : sdk::to_error(code, error, "it does not say why").message;
}

} // namespace outport::plugin
