// SPDX-License-Identifier: Apache-2.0
// A session, byte by byte. Expected messages are qemu-storage-daemon 10.0.2's for the same input, but for
// `hint`.
#include "tests/unit/qmp-fixture.hpp"

using namespace outport;
using namespace outport::test;

namespace {

using Strings = std::vector<std::string>;

class MonitorTest : public ::testing::Test {
  protected:
    QmpHost host;
    Sink sink;
    std::unique_ptr<qmp::Monitor> monitor = make(false);

    std::unique_ptr<qmp::Monitor> make(bool pretty) {
        return std::make_unique<qmp::Monitor>(host.dispatcher, qmp::MonitorOptions{pretty, "1.2.3"}, sink);
    }
    void negotiate(std::string_view enable = "") {
        feed(cat("{'execute':'qmp_capabilities','arguments':{'enable':[", enable, "]}}"));
        ASSERT_EQ(sink.take(), Strings{R"({"return": {}})"});
    }
    void feed(std::string_view text) { EXPECT_EQ(monitor->feed(text), text.size()) << text; }
    std::string ask(std::string_view text) {
        feed(text);
        auto all = sink.take();
        return all.size() == 1 ? all[0] : cat(all.size(), " answers");
    }
    static std::string error(std::string_view text, std::string_view error_class = "GenericError") {
        boost::json::object e{{"class", error_class}, {"desc", text}};
        return json::to_string(boost::json::object{{"error", e}});
    }
};

const char* kVersion =
    R"({"return": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "outport 1.2.3"}})";

} // namespace

TEST_F(MonitorTest, GreetingAndNegotiation) {
    monitor->open();
    EXPECT_EQ(sink.take(), Strings{R"({"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, )"
                                   R"("package": "outport 1.2.3"}, "capabilities": ["oob"]}})"});
    const std::string expecting =
        error("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound");
    EXPECT_EQ(ask("{'execute':'query-version'}"), expecting);
    EXPECT_EQ(ask("{'execute':'nope'}"), expecting);
    EXPECT_EQ(ask("{'execute':'query-version','arguments':5}"),
              error("QMP input member 'arguments' must be an object"));
    EXPECT_EQ(ask("{'execute':'qmp_capabilities','arguments':{'enable':['foo']}}"),
              error("Parameter 'null' does not accept value 'foo'"));
    EXPECT_FALSE(monitor->negotiated());
    EXPECT_EQ(ask("{'execute':'qmp_capabilities'}"), R"({"return": {}})");
    EXPECT_TRUE(monitor->negotiated());
    EXPECT_EQ(ask("{'execute':'qmp_capabilities'}"),
              error("Capabilities negotiation is already complete, command ignored", "CommandNotFound"));
    EXPECT_EQ(ask("{'execute':'query-version'}"), kVersion);
}

TEST_F(MonitorTest, Envelope) {
    negotiate();
    EXPECT_EQ(ask("[]"), error("QMP input must be a JSON object"));
    EXPECT_EQ(ask("5 "), error("QMP input must be a JSON object"));
    EXPECT_EQ(ask("{}"), error("QMP input lacks member 'execute'"));
    EXPECT_EQ(ask("{'execute':5}"), error("QMP input member 'execute' must be a string"));
    EXPECT_EQ(ask("{'execute':'echo','extra':1}"), error("QMP input member 'extra' is unexpected"));
    EXPECT_EQ(ask("{'execute':'echo','arguments':[]}"),
              error("QMP input member 'arguments' must be an object"));
    EXPECT_EQ(ask("{'exec-oob':'urgent'}"), error("QMP input member 'exec-oob' is unexpected"));
    EXPECT_EQ(ask("{'execute':'nope'}"), error("The command nope has not been found", "CommandNotFound"));
    EXPECT_EQ(ask("{'execute':'no-handler'}"),
              error("The command no-handler has not been found", "CommandNotFound"));
    EXPECT_EQ(ask("{'execute':'echo'}"), error("Parameter 'text' is missing"));
    EXPECT_EQ(ask("{'execute':'query-version','arguments':{'a':1}}"), error("Parameter 'a' is unexpected"));
    EXPECT_EQ(ask("{'a':1,'a':2}"), error("JSON parse error, duplicate key"));
}

TEST_F(MonitorTest, IdIsEchoed) {
    negotiate();
    EXPECT_EQ(ask("{'execute':'echo','arguments':{'text':'a'},'id':{'x':[1,null]}}"),
              R"({"return": {"text": "a"}, "id": {"x": [1, null]}})");
    EXPECT_EQ(
        ask("{'id':null,'execute':'nope'}"),
        R"({"error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}, "id": null})");
    EXPECT_EQ(ask("{'id':1}"),
              R"({"error": {"class": "GenericError", "desc": "QMP input lacks member 'execute'"}, "id": 1})");
    EXPECT_EQ(
        ask("{'execute':'qmp_capabilities','id':7,'arguments':{'enable':5}}"),
        R"({"error": {"class": "GenericError", "desc": "Invalid parameter type for 'enable', expected: array"}, "id": 7})");
}

TEST_F(MonitorTest, HintIsAMember) {
    negotiate();
    EXPECT_EQ(ask("{'execute':'echo','arguments':{'text':'fail'}}"),
              R"({"error": {"class": "GenericError", "desc": "it failed", "hint": "try something else"}})");
}

TEST_F(MonitorTest, InPieces) {
    negotiate();
    for (char c : std::string_view("{'execute':'query-version'}{'execute':'echo','arguments':{'text':'b'}}"))
        feed(std::string_view(&c, 1));
    EXPECT_EQ(sink.take(), (Strings{kVersion, R"({"return": {"text": "b"}})"}));
}

TEST_F(MonitorTest, OneAtATimeWithoutOob) {
    negotiate();
    std::string two = "{'execute':'later','arguments':{'text':'a'},'id':1}{'execute':'query-version'}";
    std::size_t taken = monitor->feed(two);
    EXPECT_LT(taken, two.size()); // the second is not looked at yet
    EXPECT_FALSE(monitor->ready());
    EXPECT_EQ(sink.take(), Strings{});
    EXPECT_EQ(monitor->feed(std::string_view(two).substr(taken)), 0u);
    ASSERT_EQ(host.later.size(), 1u);
    EXPECT_EQ(host.later[0]->monitor(), monitor->id());
    host.later[0]->succeed(boost::json::value("done"));
    EXPECT_EQ(sink.take(), Strings{R"({"return": "done", "id": 1})"});
    EXPECT_EQ(sink.wants, 1);
    feed(std::string_view(two).substr(taken));
    EXPECT_EQ(sink.take(), Strings{kVersion});
}

TEST_F(MonitorTest, CongestionStopsInput) {
    negotiate("'oob'");
    sink.full = true;
    EXPECT_EQ(monitor->feed("{'execute':'query-version'}"), 0u);
    sink.full = false;
    EXPECT_EQ(ask("{'execute':'query-version'}"), kVersion);
}

TEST_F(MonitorTest, OobOvertakes) {
    negotiate("'oob'");
    feed("{'execute':'later','arguments':{'text':'a'},'id':1}{'execute':'query-version'}");
    EXPECT_EQ(sink.take(), Strings{}); // in order: the second waits
    EXPECT_EQ(ask("{'exec-oob':'urgent','id':2}"), R"({"return": {}, "id": 2})");
    EXPECT_EQ(ask("{'exec-oob':'query-version'}"), error("The command query-version does not support OOB"));
    EXPECT_EQ(ask("{'exec-oob':'nope'}"), error("The command nope has not been found", "CommandNotFound"));
    EXPECT_EQ(ask("{'exec-oob':5}"), error("QMP input member 'exec-oob' must be a string"));
    host.later[0]->fail(Error("no"));
    EXPECT_EQ(sink.take(),
              (Strings{R"({"error": {"class": "GenericError", "desc": "no"}, "id": 1})", kVersion}));
    EXPECT_EQ(ask("{'exec-oob':'urgent','execute':'urgent'}"),
              error("QMP input member 'execute' clashes with 'exec-oob'"));
}

TEST_F(MonitorTest, OobQueueIsBounded) {
    negotiate("'oob'");
    std::string one = "{'execute':'later','arguments':{'text':'a'}}";
    std::string many;
    for (int i = 0; i < 20; i++)
        many += one;
    EXPECT_EQ(monitor->feed(many), 9 * one.size()); // one runs, eight wait
    EXPECT_FALSE(monitor->ready());
    ASSERT_EQ(host.later.size(), 1u);
    host.later[0]->succeed();
    EXPECT_EQ(sink.wants, 1);
    EXPECT_EQ(host.later.size(), 2u);
    EXPECT_EQ(monitor->feed(std::string_view(many).substr(9 * one.size())), one.size());
}

TEST_F(MonitorTest, ErrorsKeepTheirPlaceInTheQueue) {
    negotiate("'oob'");
    feed("{'execute':'later','arguments':{'text':'a'}}[1,]{'execute':'nope'}");
    EXPECT_EQ(sink.take(), Strings{});
    host.later[0]->succeed();
    EXPECT_EQ(sink.take(), (Strings{R"({"return": {}})", error("JSON parse error, expecting value"),
                                    error("The command nope has not been found", "CommandNotFound")}));
}

TEST_F(MonitorTest, GoneMonitorCancels) {
    negotiate();
    feed("{'execute':'later','arguments':{'text':'a'}}");
    ASSERT_EQ(host.later.size(), 1u);
    EXPECT_EQ(host.table.pending("plug"), 1u);
    EXPECT_FALSE(host.later[0]->cancelled());
    monitor.reset();
    EXPECT_TRUE(host.later[0]->cancelled());
    EXPECT_EQ(host.cancels, 1);
    host.later[0]->succeed(); // still due, and goes nowhere
    EXPECT_EQ(sink.take(), Strings{});
    EXPECT_EQ(host.table.pending("plug"), 0u);
}

TEST_F(MonitorTest, HungUpPeerCancelsAlsoOutOfBand) {
    negotiate("'oob'");
    feed("{'execute':'later','arguments':{'text':'a'}}{'exec-oob':'urgent-later'}");
    ASSERT_EQ(host.urgent.size(), 1u);
    monitor->cancel_running();
    monitor->cancel_running();
    EXPECT_EQ(host.cancels, 1);
    EXPECT_TRUE(host.urgent[0]->cancelled());
    host.urgent[0]->succeed();
    host.later[0]->succeed();
    EXPECT_EQ(sink.take(), (Strings{R"({"return": {}})", R"({"return": {}})"}));
}

TEST_F(MonitorTest, DroppedCallIsAnswered) {
    negotiate();
    feed("{'execute':'later','arguments':{'text':'a'},'id':1}");
    host.later.clear();
    EXPECT_EQ(
        sink.take(),
        Strings{
            R"({"error": {"class": "GenericError", "desc": "Command 'later' ended without an answer"}, "id": 1})"});
    EXPECT_EQ(ask("{'execute':'query-version'}"), kVersion);
}

TEST_F(MonitorTest, SilentCommand) {
    negotiate();
    feed("{'execute':'silent'}{'execute':'query-version'}");
    EXPECT_EQ(host.silents, 1);
    EXPECT_EQ(sink.take(), Strings{kVersion});
}

TEST_F(MonitorTest, EventsGoToNegotiatedMonitors) {
    Sink other_sink;
    qmp::Monitor other(host.dispatcher, {}, other_sink);
    negotiate();
    EXPECT_TRUE(host.dispatcher.event("HAPPENED", {{"name", "x"}}));
    EXPECT_TRUE(host.dispatcher.event("BARE"));
    EXPECT_TRUE(other_sink.lines.empty());
    auto lines = sink.take();
    ASSERT_EQ(lines.size(), 2u);
    auto event = *json::parse(lines[0]);
    EXPECT_GT(event.at("timestamp").at("seconds").as_int64(), 1'000'000'000);
    EXPECT_LT(event.at("timestamp").at("microseconds").as_int64(), 1'000'000);
    EXPECT_EQ(event.at("event").as_string(), "HAPPENED");
    EXPECT_EQ(event.at("data").at("name").as_string(), "x");
    EXPECT_FALSE(json::parse(lines[1])->as_object().contains("data"));
    EXPECT_FALSE(host.dispatcher.event("HAPPENED"));
    EXPECT_FALSE(host.dispatcher.event("HAPPENED", {{"nam", "x"}}));
    EXPECT_FALSE(host.dispatcher.event("NOPE"));
    EXPECT_TRUE(sink.lines.empty());
}

TEST_F(MonitorTest, Pretty) {
    monitor = make(true);
    feed("{'execute':'qmp_capabilities','id':[1]}");
    EXPECT_EQ(sink.take(),
              Strings{"{\r\n    \"return\": {\r\n    },\r\n    \"id\": [\r\n        1\r\n    ]\r\n}"});
}

TEST_F(MonitorTest, ControlCommands) {
    negotiate();
    std::string commands = ask("{'execute':'query-commands'}");
    EXPECT_NE(commands.find(R"({"name": "qmp_capabilities"})"), std::string::npos);
    EXPECT_NE(commands.find(R"({"name": "echo"})"), std::string::npos);
    EXPECT_EQ(commands.find("no-handler"), std::string::npos);
    EXPECT_EQ(ask("{'execute':'query-qmp-schema'}"),
              cat(R"({"return": )", json::to_string(*host.registry.introspection()), "}"));
    EXPECT_EQ(ask("{'execute':'quit'}"), R"({"return": {}})");
    EXPECT_EQ(host.quits, 1);
}

TEST_F(MonitorTest, CallsWithoutAMonitor) {
    auto run = [&](std::string_view command, std::string_view arguments, schema::InputMode mode) {
        auto shown = std::make_shared<std::string>("nothing"); // the answer may come after us
        host.dispatcher.call(command, json::parse(arguments)->as_object(), mode,
                             [shown](Result<boost::json::value> r) {
                                 *shown = r ? json::to_string(*r)
                                            : cat(to_string(r.error().error_class), " ", r.error().message);
                             });
        return *shown;
    };
    EXPECT_EQ(run("echo", "{'text':'1'}", schema::InputMode::Keyval), R"({"text": "1"})");
    EXPECT_EQ(run("echo", "{'text':1}", schema::InputMode::Json),
              "GenericError Invalid parameter type for 'text', expected: string");
    EXPECT_EQ(run("nope", "{}", schema::InputMode::Json),
              "CommandNotFound The command nope has not been found");
    EXPECT_EQ(run("later", "{'text':'1'}", schema::InputMode::Json), "nothing");
    EXPECT_EQ(host.later[0]->monitor(), qmp::kNoMonitor);
    host.later[0]->succeed();
}

TEST_F(MonitorTest, HandlersComeAndGo) {
    EXPECT_FALSE(host.table.add("echo", [](qmp::CallPtr) {}));
    negotiate();
    host.table.remove_owner("plug");
    EXPECT_EQ(ask("{'execute':'later','arguments':{'text':'a'}}"),
              error("The command later has not been found", "CommandNotFound"));
    ASSERT_TRUE(host.table.add("later", [this](qmp::CallPtr call) {
        host.table.remove("later"); // itself, while it runs
        call->succeed();
    }));
    EXPECT_EQ(ask("{'execute':'later','arguments':{'text':'a'}}"), R"({"return": {}})");
    EXPECT_FALSE(host.table.has("later"));
}
