// SPDX-License-Identifier: Apache-2.0
// From a request object to an answer object: QMP's envelope, its rules and its words; and events to every
// monitor. Not thread-safe: main loop only. Other threads post to the main loop first.
#pragma once

#include "host/qmp/command-table.hpp"
#include "host/schema/validator.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace outport::schema {
class Registry;
}

namespace outport::qmp {

class Monitor;

class Dispatcher {
  public:
    Dispatcher(const schema::Registry& registry, CommandTable& table);
    ~Dispatcher();
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    const schema::Registry& registry() const noexcept { return registry_; }
    CommandTable& table() noexcept { return table_; }

    // Validates and runs one command for the command line or the host itself. `done` runs once, possibly
    // before this returns.
    CallPtr call(std::string_view command, const boost::json::object& arguments, schema::InputMode mode,
                 Call::Completion done);
    // The same with arguments that are validated already.
    CallPtr call_validated(std::string_view command, boost::json::object arguments, std::uint64_t monitor,
                           Call::Completion done);

    // Sends an event to every monitor past negotiation. Unknown or malformed events are not sent (the log
    // says so, debug builds stop); data of an event that a plugin owns comes through here too.
    Result<> event(std::string_view name, boost::json::object data = {});

    // For a monitor. `negotiating`: only qmp_capabilities is known. `done` gets the whole answer, id
    // included; or nothing (null) for a command without a success response.
    struct Session {
        std::uint64_t monitor = kNoMonitor;
        bool negotiating = false, oob = false;
        // Runs qmp_capabilities: gets the capabilities asked for, by name.
        std::function<Result<>(const std::vector<std::string>&)> negotiate;
    };
    using Reply = std::move_only_function<void(boost::json::value)>;
    CallPtr dispatch(const Session& session, boost::json::value request, Reply done);

    // Monitors come and go; the dispatcher only sends events to them.
    void attach(Monitor* monitor);
    void detach(Monitor* monitor);
    std::uint64_t next_monitor_id() noexcept { return ++last_monitor_id_; }

  private:
    Result<> negotiate(const Session& session, const boost::json::object& arguments);
    Result<const schema::Command*> find(const schema::Schema& schema, const Session& session,
                                        const std::string& command, bool oob) const;

    const schema::Registry& registry_;
    CommandTable& table_;
    std::vector<Monitor*> monitors_;
    std::uint64_t last_monitor_id_ = 0;
};

// {"class": C, "desc": D, "hint": H} inside {"error": …}.
boost::json::object error_reply(const Error& error);

// qmp_capabilities is the monitors' own. These add the rest of what belongs to the control channel itself:
// query-version, query-commands, query-qmp-schema, quit. `version` is Outport's own, "0.1.0".
Result<> add_control_commands(Dispatcher& dispatcher, std::string version,
                              std::move_only_function<void()> shutdown);
// What query-version answers and the greeting shows.
boost::json::object version_info(std::string_view version);

} // namespace outport::qmp
