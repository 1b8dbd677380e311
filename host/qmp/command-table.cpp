// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/command-table.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <utility>

namespace outport::qmp {

// Shared with the calls that run, so that a handler may take its own command away.
struct CommandTable::Entry {
    Handler handler;
    std::string owner;
};

Result<> CommandTable::add(std::string name, Handler handler, std::string owner) {
    if (entries_.contains(name))
        return fail(cat("command '", name, "' has a handler already"));
    entries_.emplace(std::move(name), std::make_shared<Entry>(Entry{std::move(handler), std::move(owner)}));
    return {};
}

Result<> CommandTable::add_sync(
    std::string name, std::move_only_function<Result<boost::json::value>(const boost::json::object&)> handler,
    std::string owner) {
    return add(
        std::move(name),
        [handler = std::move(handler)](CallPtr call) mutable { call->answer(handler(call->arguments())); },
        std::move(owner));
}

void CommandTable::remove(std::string_view name) {
    entries_.erase(std::string(name));
}

void CommandTable::remove_owner(std::string_view owner) {
    std::erase_if(entries_, [&](const auto& e) { return e.second->owner == owner; });
}

bool CommandTable::has(std::string_view name) const noexcept {
    return entries_.contains(std::string(name));
}

std::size_t CommandTable::pending(std::string_view owner) const noexcept {
    auto i = pending_.find(std::string(owner));
    return i == pending_.end() ? 0 : *i->second;
}

const std::string* CommandTable::owner(std::string_view name) const {
    auto i = entries_.find(std::string(name));
    return i == entries_.end() ? nullptr : &i->second->owner;
}

// Counts one call until it is answered.
std::shared_ptr<void> CommandTable::count(const std::string& owner) {
    std::shared_ptr<std::size_t>& counter = pending_[owner];
    if (!counter)
        counter = std::make_shared<std::size_t>(0);
    ++*counter;
    return std::shared_ptr<void>(nullptr, [counter](void*) { --*counter; });
}

void CommandTable::run(const CallPtr& call) {
    auto i = entries_.find(call->command());
    if (i == entries_.end())
        return call->fail(Error::with_class(ErrorClass::CommandNotFound,
                                            cat("The command ", call->command(), " has not been found")));
    std::shared_ptr<Entry> entry = i->second;
    entry->handler(call);
}

} // namespace outport::qmp
