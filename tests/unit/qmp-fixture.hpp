// SPDX-License-Identifier: Apache-2.0
// A small host for the tests of QMP: a schema with a few commands, handlers that answer now or when told.
#pragma once

#include "host/base/text.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/qmp/monitor.hpp"
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"

#include <gtest/gtest.h>

#include <boost/json/value.hpp>

#include <string>
#include <vector>

namespace outport::test {

inline constexpr std::string_view kQmpSchema = R"({'format': 1, 'fragment': 'base', 'types': {
  'QMPCapability': {'kind': 'enum', 'values': [{'name': 'oob'}]},
  'q_obj_qmp_capabilities-arg': {'kind': 'struct', 'members': [
     {'name': 'enable', 'type': '[QMPCapability]', 'optional': true}]},
  'Echo': {'kind': 'struct', 'members': [{'name': 'text', 'type': 'str'}]},
  'Name': {'kind': 'struct', 'members': [{'name': 'name', 'type': 'str'}]}},
 'commands': {
  'qmp_capabilities': {'arg': 'q_obj_qmp_capabilities-arg'},
  'query-version': {}, 'query-commands': {}, 'query-qmp-schema': {}, 'quit': {'allow-preconfig': true},
  'echo': {'arg': 'Echo'}, 'later': {'arg': 'Echo'}, 'silent': {'success-response': false},
  'urgent': {'allow-oob': true}, 'urgent-later': {'allow-oob': true}, 'big': {}, 'no-handler': {}},
 'events': {'HAPPENED': {'arg': 'Name'}, 'BARE': {}}})";

class QmpHost {
  public:
    schema::Registry registry;
    qmp::CommandTable table;
    qmp::Dispatcher dispatcher{registry, table};
    std::vector<qmp::CallPtr> later, urgent; // calls that wait for the test
    int quits = 0, silents = 0, cancels = 0;

    QmpHost() {
        auto must = [](auto result) { ASSERT_TRUE(result) << result.error().message; };
        must(registry.load_base(*json::parse(kQmpSchema)));
        must(qmp::add_control_commands(dispatcher, "1.2.3", [this] { quits++; }));
        must(table.add_sync("echo", [](const boost::json::object& a) -> Result<boost::json::value> {
            if (a.at("text") == "fail")
                return fail("it failed", "try something else");
            return boost::json::value(a);
        }));
        must(table.add(
            "later",
            [this](qmp::CallPtr call) {
                call->on_cancel([this] { cancels++; });
                later.push_back(std::move(call));
            },
            "plug"));
        must(table.add_sync("silent", [this](const boost::json::object&) -> Result<boost::json::value> {
            silents++;
            return nullptr;
        }));
        must(table.add("urgent", [](qmp::CallPtr call) { call->succeed(); }));
        must(table.add("urgent-later", [this](qmp::CallPtr call) { urgent.push_back(std::move(call)); }));
        must(table.add_sync("big", [](const boost::json::object&) -> Result<boost::json::value> {
            return boost::json::value(std::string(1 << 20, 'x'));
        }));
    }
};

// Keeps what a session writes, one message each.
struct Sink : qmp::Output {
    std::vector<std::string> lines;
    int wants = 0;
    bool full = false;

    void write(std::string text) override {
        EXPECT_TRUE(text.ends_with("\r\n"));
        text.resize(text.size() - 2);
        lines.push_back(std::move(text));
    }
    bool congested() const noexcept override { return full; }
    void want_input() override { wants++; }
    std::vector<std::string> take() { return std::exchange(lines, {}); }
};

} // namespace outport::test
