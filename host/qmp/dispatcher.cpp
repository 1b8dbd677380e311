// SPDX-License-Identifier: Apache-2.0
#include "host/qmp/dispatcher.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/qmp/monitor.hpp"
#include "host/schema/registry.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <cassert>
#include <time.h>

namespace outport::qmp {
namespace {

namespace bj = boost::json;

std::string_view view(const bj::string& s) {
    return {s.data(), s.size()};
}

// A request's envelope, taken apart.
struct Envelope {
    std::string command;
    bool oob = false;
    bj::object arguments;
};

Result<Envelope> open_envelope(bj::object& request, bool oob_enabled) {
    Envelope e;
    std::string_view verb;
    for (auto& m : request) {
        std::string_view key(m.key().data(), m.key().size());
        if (key == "execute" || (key == "exec-oob" && oob_enabled)) {
            if (!m.value().is_string())
                return fail(cat("QMP input member '", key, "' must be a string"));
            if (!verb.empty())
                return fail(cat("QMP input member '", key, "' clashes with '", verb, "'"));
            verb = key;
            e.command = view(m.value().get_string());
            e.oob = key == "exec-oob";
        } else if (key == "arguments") {
            if (!m.value().is_object())
                return fail("QMP input member 'arguments' must be an object");
            e.arguments = std::move(m.value().get_object());
        } else if (key != "id") {
            return fail(cat("QMP input member '", key, "' is unexpected"));
        }
    }
    if (verb.empty())
        return fail("QMP input lacks member 'execute'");
    return e;
}

bj::value with_id(bj::object reply, const std::optional<bj::value>& id) {
    if (id)
        reply.emplace("id", *id);
    return reply;
}

bj::value failure(const Error& error, const std::optional<bj::value>& id) {
    bj::object reply;
    reply.emplace("error", error_reply(error));
    return with_id(std::move(reply), id);
}

Error not_found(std::string text) {
    return Error::with_class(ErrorClass::CommandNotFound, std::move(text));
}

} // namespace

bj::object error_reply(const Error& error) {
    bj::object e{{"class", to_string(error.error_class)}, {"desc", error.message}};
    if (!error.hint.empty())
        e["hint"] = error.hint;
    return e;
}

Dispatcher::Dispatcher(const schema::Registry& registry, CommandTable& table)
    : registry_(registry), table_(table) {}
Dispatcher::~Dispatcher() {
    assert(monitors_.empty());
}

void Dispatcher::attach(Monitor* monitor) {
    monitors_.push_back(monitor);
}
void Dispatcher::detach(Monitor* monitor) {
    std::erase(monitors_, monitor);
}

CallPtr Dispatcher::call_validated(std::string_view command, bj::object arguments, std::uint64_t monitor,
                                   Call::Completion done) {
    const std::string* owner = table_.owner(command);
    auto counted = owner ? table_.count(*owner) : nullptr;
    auto call = std::make_shared<Call>(
        std::string(command), std::move(arguments), monitor,
        [done = std::move(done), counted = std::move(counted)](Result<bj::value> result) mutable {
            counted.reset();
            done(std::move(result));
        });
    table_.run(call);
    return call;
}

CallPtr Dispatcher::call(std::string_view command, const bj::object& arguments, schema::InputMode mode,
                         Call::Completion done) {
    auto valid = schema::validate_command(*registry_.schema(), command, arguments, mode);
    if (!valid) {
        done(fail(std::move(valid.error())));
        return nullptr;
    }
    return call_validated(command, std::move(*valid), kNoMonitor, std::move(done));
}

// Members of `enable` that are no capability are the validator's to refuse.
Result<> Dispatcher::negotiate(const Session& session, const bj::object& arguments) {
    auto schema = registry_.schema();
    auto valid = schema::validate_command(*schema, "qmp_capabilities", arguments, schema::InputMode::Json);
    if (!valid)
        return fail(std::move(valid.error()));
    if (!session.negotiating)
        return fail(not_found("Capabilities negotiation is already complete, command ignored"));
    std::vector<std::string> enable;
    if (const bj::value* list = valid->if_contains("enable"))
        for (const bj::value& name : list->get_array())
            enable.emplace_back(view(name.get_string()));
    return session.negotiate(enable);
}

Result<const schema::Command*> Dispatcher::find(const schema::Schema& schema, const Session& session,
                                                const std::string& command, bool oob) const {
    const schema::Command* c = schema.command(command);
    const bool capabilities = command == "qmp_capabilities";
    if (session.negotiating && !(c && capabilities))
        return fail(not_found("Expecting capabilities negotiation with 'qmp_capabilities'"));
    if (!c || (!capabilities && !table_.has(command))) {
        Error e = not_found(cat("The command ", command, " has not been found"));
        e.hint = schema.hints().command(command);
        return fail(std::move(e));
    }
    if (oob && !c->allow_oob)
        return fail(cat("The command ", command, " does not support OOB"));
    return c;
}

CallPtr Dispatcher::dispatch(const Session& session, bj::value request, Reply done) {
    if (!request.is_object()) {
        done(failure(Error("QMP input must be a JSON object"), {}));
        return nullptr;
    }
    std::optional<bj::value> id;
    if (bj::value* given = request.get_object().if_contains("id"))
        id = *given;
    auto refuse = [&](const Error& error) {
        done(failure(error, id));
        return CallPtr();
    };
    auto envelope = open_envelope(request.get_object(), session.oob);
    if (!envelope)
        return refuse(envelope.error());
    auto schema = registry_.schema();
    auto command = find(*schema, session, envelope->command, envelope->oob);
    if (!command)
        return refuse(command.error());
    if (envelope->command == "qmp_capabilities") {
        if (auto negotiated = negotiate(session, envelope->arguments); !negotiated)
            return refuse(negotiated.error());
        done(with_id({{"return", bj::object()}}, id));
        return nullptr;
    }
    auto valid =
        schema::validate_command(*schema, envelope->command, envelope->arguments, schema::InputMode::Json);
    if (!valid)
        return refuse(valid.error());
    const bool silent = !(*command)->success_response;
    return call_validated(
        envelope->command, std::move(*valid), session.monitor,
        [done = std::move(done), id = std::move(id), silent](Result<bj::value> result) mutable {
            if (!result)
                return done(failure(result.error(), id));
            if (silent)
                return done(nullptr);
            bj::object reply;
            reply.emplace("return", std::move(*result));
            done(with_id(std::move(reply), id));
        });
}

Result<> Dispatcher::event(std::string_view name, bj::object data) {
    auto schema = registry_.schema();
    auto valid = schema::validate_event(*schema, name, data);
    if (!valid) {
        log::error("qmp", cat("event ", name, " is not sent: ", valid.error().message));
        return fail(std::move(valid.error()));
    }
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bj::object event{{"timestamp", {{"seconds", now.tv_sec}, {"microseconds", now.tv_nsec / 1000}}},
                     {"event", name}};
    if (schema->event(name)->argument)
        event.emplace("data", std::move(*valid));
    const bj::value message(std::move(event));
    for (std::size_t i = 0; i < monitors_.size(); i++) // a peer that is cut meanwhile leaves later, not here
        monitors_[i]->send_event(message);
    return {};
}

} // namespace outport::qmp
