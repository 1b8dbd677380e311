// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/server.hpp"

#include "host/base/text.hpp"
#include "host/qmp/channel.hpp"

#include <algorithm>
#include <utility>

namespace outport::qmp {
namespace {

constexpr std::uint64_t kLastWordsNs =
    1'000'000'000; // for clients to take what is sent to them at the very end

} // namespace

Server::Server(loop::Loop& loop, Dispatcher& dispatcher, ServerConfig config)
    : loop_(loop), dispatcher_(dispatcher), config_(std::move(config)) {}

Server::~Server() {
    close();
    struct Deadline {
        loop::Timer timer{[](loop::Timer* t) { loop::owner_of(t, &Deadline::timer)->passed = true; }};
        bool passed = false;
    } deadline;
    loop_.arm_after(deadline.timer, kLastWordsNs);
    auto all = [&](auto what) { return std::all_of(channels_.begin(), channels_.end(), what); };
    while (!deadline.passed && !all([](const auto& c) { return c->idle(); }))
        loop_.run_once(true);
    loop_.disarm(deadline.timer);
    for (auto& c : channels_)
        c->abandon();
    while (!all([](const auto& c) { return c->idle(); }))
        loop_.run_once(true);
}

Result<> Server::add_chardev(const ChardevOptions& options) {
    for (const auto& c : channels_) {
        if (c->options().id == options.id)
            return fail(
                cat("attempt to add duplicate property '", options.id, "' to object (type 'container')"));
        if (c->options().backend == ChardevOptions::Backend::Stdio &&
            options.backend == ChardevOptions::Backend::Stdio)
            return fail("cannot use stdio by multiple character devices");
    }
    auto channel = std::make_unique<Channel>(*this, options);
    if (auto opened = channel->open(); !opened)
        return opened;
    channels_.push_back(std::move(channel));
    return {};
}

bool Server::has_chardev(std::string_view id) const noexcept {
    return std::any_of(channels_.begin(), channels_.end(),
                       [&](const auto& c) { return c->options().id == id; });
}

Result<> Server::add_monitor(std::string_view chardev, std::string_view id, bool pretty) {
    auto named = std::find_if(channels_.begin(), channels_.end(),
                              [&](const auto& c) { return c->options().id == chardev; });
    if (named == channels_.end())
        return fail(cat("chardev \"", chardev, "\" not found"));
    (void)id; // names the monitor to nobody: there is no command that takes it
    return (*named)->attach(pretty);
}

void Server::start() {
    if (!std::exchange(config_.starting_up, false))
        return;
    for (auto& c : channels_)
        c->begin();
}

void Server::close() {
    for (auto& c : channels_)
        c->close();
}

bool Server::flushing() const noexcept {
    return std::any_of(channels_.begin(), channels_.end(), [](const auto& c) { return c->flushing(); });
}

} // namespace outport::qmp
