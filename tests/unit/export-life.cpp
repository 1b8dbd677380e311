// SPDX-License-Identifier: Apache-2.0
// The life of an export: who is asked what and in which order, who hears of it, and that it ends once.
#include "host/plugin/plugin.hpp"
#include "tests/unit/export-fixture.hpp"

namespace outport::exports::test {
namespace {

using ExportTest = ExportFixture;

TEST_F(ExportTest, RunsWhenThePluginSaysSo) {
    script.start = std::nullopt;
    begin("e0", R"("writable": true)");
    EXPECT_FALSE(answered("e0"));
    EXPECT_EQ(listed(), "") << "nobody was told of it yet";
    auto& made = script.made["e0"];
    ASSERT_NE(made.starting, nullptr);
    EXPECT_EQ(std::string(made.args->id), "e0");
    EXPECT_EQ(std::string(made.args->node_name), "n0");
    EXPECT_EQ(made.args->flags, OUTPORT_EXPORT_WRITABLE);
    EXPECT_EQ(made.args->loop_count, 1u);
    EXPECT_NE(made.args->handle->root, nullptr);
    answer(made.starting, OUTPORT_OK);
    EXPECT_EQ(settled("e0"), "");
    EXPECT_EQ(listed(), "e0");
    EXPECT_FALSE(heard("BLOCK_EXPORT_DELETED"));
}

TEST_F(ExportTest, ChecksComeInQemusOrder) {
    ASSERT_EQ(add("used"), "");
    EXPECT_EQ(add("1", R"("writable": true, "iothread": "no")", "none"), "Invalid block export id");
    for (auto id : {"", "-a", "a b", "a/b", "\xc3\xa4"})
        EXPECT_EQ(add(id), "Invalid block export id") << id;
    EXPECT_EQ(add("used", R"("writable": true, "iothread": "no")", "none"),
              "Block export id 'used' is already in use");
    EXPECT_EQ(add("e0", R"("writable": true, "iothread": "no")", "none"),
              "Cannot find device='' nor node-name='none'");
    EXPECT_EQ(add("e0", R"("writable": true, "iothread": "no")", "ro"),
              "Cannot export read-only node as writable");
    EXPECT_EQ(add("e0", R"("iothread": "no")", "ro"), "iothread \"no\" not found");
    script.create = OUTPORT_FAILED;
    EXPECT_EQ(add("e0"), "the script said so");
    EXPECT_EQ(listed(), "used");
    EXPECT_FALSE(heard("BLOCK_EXPORT_DELETED"));
}

TEST_F(ExportTest, IothreadsAreHeldWhileItLives) {
    EXPECT_EQ(add("e0", R"("iothread": [], "fixed-iothread": true)"),
              "Cannot use fixed-iothread for a multi-threaded export");
    EXPECT_EQ(add("e0", R"("iothread": [])"), "The set of I/O threads must not be empty");
    EXPECT_EQ(add("e0", R"("iothread": ["io0", "no"])"), "iothread \"no\" not found");
    EXPECT_EQ(iothreads_.uses["io0"], 0);
    EXPECT_EQ(add("e0", R"("iothread": "io0", "fixed-iothread": true)"), "");
    EXPECT_EQ(add("e1", R"("iothread": ["io0", "io1"])"), "");
    EXPECT_EQ(script.made["e1"].args->loop_count, 2u);
    EXPECT_EQ(iothreads_.uses["io0"], 2);
    script.stop = OUTPORT_OK;
    EXPECT_EQ(remove("e0", "hard"), "");
    ASSERT_TRUE(gone("e0"));
    EXPECT_EQ(iothreads_.uses["io0"], 1);
}

TEST_F(ExportTest, AFailedStartLeavesNothing) {
    script.start = OUTPORT_FAILED;
    EXPECT_EQ(add("e0"), "the script said so");
    EXPECT_TRUE(script.made["e0"].destroyed);
    EXPECT_TRUE(script.made["e0"].stopping.empty());
    script.start = OUTPORT_OK;
    EXPECT_EQ(add("e0"), "") << "the id is free again";
    EXPECT_EQ(deletions("e0"), 0u);
    EXPECT_EQ(unload("fake-scripted"), "Plugin 'fake-scripted' is in use by export 'e0'");
}

TEST_F(ExportTest, SafeIsRefusedWhileAClientIsThere) {
    ASSERT_EQ(add("e0"), "");
    EXPECT_EQ(remove("zz", "safe"), "Export 'zz' is not found");
    script.stop = OUTPORT_BUSY;
    EXPECT_EQ(remove("e0", "safe"), "export 'e0' still in use");
    EXPECT_EQ(remove("e0", "safe"), "export 'e0' still in use");
    EXPECT_EQ(listed(), "e0");
    EXPECT_FALSE(script.made["e0"].destroyed);
    script.stop = OUTPORT_OK;
    EXPECT_EQ(remove("e0", "safe"), "");
    EXPECT_TRUE(gone("e0"));
    EXPECT_EQ(script.made["e0"].stopping.size(), 3u);
    EXPECT_EQ(listed(), "");
}

TEST_F(ExportTest, HardAnswersAtOnceAndTheIdStaysTakenUntilTheEvent) {
    ASSERT_EQ(add("e0"), "");
    ASSERT_EQ(add("e1"), "");
    EXPECT_EQ(listed(), "e1 e0") << "newest first";
    EXPECT_EQ(remove("e0", "hard"), "");
    turn(16);
    EXPECT_EQ(deletions("e0"), 0u);
    EXPECT_EQ(listed(), "e1 e0!");
    EXPECT_EQ(remove("e0", "hard"), "Export 'e0' is already shutting down");
    EXPECT_EQ(remove("e0", "safe"), "Export 'e0' is already shutting down");
    EXPECT_EQ(add("e0"), "Block export id 'e0' is already in use");
    auto& made = script.made["e0"];
    ASSERT_EQ(made.stopping.size(), 1u);
    EXPECT_EQ(made.stopping[0].first, OUTPORT_STOP_HARD);
    answer(made.stopping[0].second, OUTPORT_OK);
    EXPECT_TRUE(gone("e0"));
    turn(16);
    EXPECT_EQ(deletions("e0"), 1u);
    EXPECT_TRUE(made.destroyed);
    EXPECT_EQ(add("e0"), "");
}

TEST_F(ExportTest, RemovedWhileItStarts) {
    script.start = std::nullopt;
    begin("e0");
    turn(16);
    auto& made = script.made["e0"];
    ASSERT_NE(made.starting, nullptr);
    EXPECT_EQ(remove("e0", "hard"), "");
    ASSERT_EQ(made.stopping.size(), 1u);
    EXPECT_FALSE(answered("e0"));
    answer(made.starting, OUTPORT_CANCELLED);
    turn(16);
    EXPECT_FALSE(made.destroyed) << "stop was not answered yet";
    answer(made.stopping[0].second, OUTPORT_OK);
    EXPECT_EQ(settled("e0"), "Export 'e0' was removed while it was being started");
    EXPECT_TRUE(made.destroyed);
    EXPECT_EQ(deletions("e0"), 0u);
}

TEST_F(ExportTest, RemovedBeforeItIsCreated) {
    begin("e0");
    EXPECT_EQ(remove("e0", "hard"), "");
    EXPECT_EQ(settled("e0"), "Export 'e0' was removed before it was started");
    EXPECT_FALSE(script.made.contains("e0"));
}

TEST_F(ExportTest, ASoftStopEndsWithTheLastClientOrWithAHardOne) {
    ASSERT_EQ(add("e0"), "");
    EXPECT_EQ(remove("e0", "hide"), cat("Export type '", kType, "' does not support mode 'hide'"));
    EXPECT_EQ(remove("e0", "soft"), "");
    EXPECT_EQ(listed(), "e0!");
    EXPECT_EQ(remove("e0", "soft"), "Export 'e0' is already shutting down");
    EXPECT_EQ(remove("e0", "safe"), "Export 'e0' is already shutting down");
    EXPECT_EQ(remove("e0", "hard"), "");
    EXPECT_EQ(remove("e0", "hard"), "Export 'e0' is already shutting down");
    auto& made = script.made["e0"];
    ASSERT_EQ(made.stopping.size(), 2u);
    answer(made.stopping[0].second, OUTPORT_OK);
    turn(16);
    EXPECT_FALSE(made.destroyed) << "both have to be answered";
    answer(made.stopping[1].second, OUTPORT_OK);
    EXPECT_TRUE(gone("e0"));
    EXPECT_EQ(deletions("e0"), 1u);

    ASSERT_EQ(add("e1"), "");
    EXPECT_EQ(remove("e1", "soft"), "");
    answer(script.made["e1"].stopping[0].second, OUTPORT_OK);
    EXPECT_TRUE(gone("e1"));
}

TEST_F(ExportTest, HardWaitsForTheAnswerToSafe) {
    ASSERT_EQ(add("e0"), "");
    std::optional<std::string> safe;
    exports_->remove("e0", "safe", [&](Result<> result) { safe = text(result); });
    EXPECT_EQ(remove("e0", "hard"), "");
    auto& made = script.made["e0"];
    ASSERT_EQ(made.stopping.size(), 1u);
    answer(made.stopping[0].second, OUTPORT_BUSY);
    ASSERT_TRUE(until([&] { return safe.has_value(); }));
    EXPECT_EQ(*safe, "export 'e0' still in use");
    ASSERT_EQ(made.stopping.size(), 2u);
    EXPECT_EQ(made.stopping[1].first, OUTPORT_STOP_HARD);
    answer(made.stopping[1].second, OUTPORT_OK);
    EXPECT_TRUE(gone("e0"));
}

TEST_F(ExportTest, OneThatHasEndedByItselfIsDeleted) {
    const auto* api = static_cast<const outport_export_api*>(host_->extension(OUTPORT_EXPORT_ID));
    ASSERT_EQ(add("e0"), "");
    script.stop = OUTPORT_OK;
    api->ended(script.made["e0"].args->handle, "unmounted", 9);
    EXPECT_TRUE(gone("e0"));
    EXPECT_EQ(script.made["e0"].stopping[0].first, OUTPORT_STOP_HARD);
}

TEST_F(ExportTest, NoSpaceIsToldOnceASecond) {
    const auto* api = static_cast<const outport_export_api*>(host_->extension(OUTPORT_EXPORT_ID));
    ASSERT_EQ(add("e0"), "");
    for (int i = 0; i < 100; ++i)
        api->no_space(script.made["e0"].args->handle);
    ASSERT_TRUE(until([&] { return heard("BLOCK_EXPORT_NO_SPACE"); }));
    turn(16);
    EXPECT_EQ(heard_.size(), 1u);
    EXPECT_TRUE(heard(R"("id": "e0")") && heard(R"("node-name": "n0")")) << heard_[0];
}

// Who stops a server learns of it when its exports are gone, after their events.
TEST_F(ExportTest, AnAnswerWaitsForTheExportsThatGo) {
    ASSERT_EQ(add("e0"), "");
    outport_qmp_call* held = nullptr;
    auto handler = [](outport_qmp_call* call, void* data) noexcept {
        *static_cast<outport_qmp_call**>(data) = call;
    };
    auto& plugin = *host_->export_type(kType).plugin;
    std::string order;
    auto call = std::make_shared<qmp::Call>("x", bj::object{}, qmp::kNoMonitor, [&](Result<bj::value>) {
        order = deletions("e0") ? "event, answer" : "answer, event";
    });
    plugin::run_handler(plugin, {handler, &held}, std::move(call));
    script.destroyed = [&] { held->complete(held, OUTPORT_OK); };
    script.stop = OUTPORT_OK;
    EXPECT_EQ(remove("e0", "hard"), "");
    ASSERT_TRUE(until([&] { return !order.empty(); }));
    EXPECT_EQ(order, "event, answer");
    script.destroyed = nullptr;
}

TEST_F(ExportTest, ASecondAnswerIsIgnored) {
    script.start = std::nullopt;
    begin("e0");
    turn(16);
    auto* done = script.made["e0"].starting;
    done->complete(done, OUTPORT_OK);
    done->complete(done, OUTPORT_FAILED);
    EXPECT_EQ(settled("e0"), "");
    done->complete(done, OUTPORT_FAILED);
    turn(16);
    EXPECT_EQ(listed(), "e0");
    script.made["e0"].starting = nullptr;
}

TEST_F(ExportTest, TheEndStopsAllAndNamesWhatHangs) {
    for (auto id : {"e0", "e1", "e2"})
        ASSERT_EQ(add(id), "");
    std::optional<std::vector<std::string>> left;
    exports_->shutdown(20'000'000, [&](std::vector<std::string> names) { left = std::move(names); });
    EXPECT_NE(add("e3").find("the host is shutting down"), std::string::npos);
    for (auto id : {"e0", "e2"})
        answer(script.made[id].stopping[0].second, OUTPORT_OK);
    ASSERT_TRUE(until([&] { return left.has_value(); }));
    EXPECT_EQ(*left, std::vector<std::string>{cat("e1 (", kType, ")")});
    EXPECT_EQ(deletions("e0") + deletions("e2"), 2u);
    answer(script.made["e1"].stopping[0].second, OUTPORT_OK);
    EXPECT_TRUE(gone("e1"));
    ended_ = true;
}

TEST_F(ExportTest, CommandsGoThroughQmp) {
    ASSERT_TRUE(add_export_commands(*exports_, dispatcher_));
    auto arguments = cat(R"({"type": ")", kType, R"(", "id": "e0", "node-name": "n0"})");
    ASSERT_TRUE(call("block-export-add", arguments));
    auto all = call("query-block-exports");
    ASSERT_TRUE(all);
    EXPECT_EQ(bj::serialize(*all),
              cat(R"([{"id":"e0","type":")", kType, R"(","node-name":"n0","shutting-down":false}])"));
    script.stop = OUTPORT_BUSY;
    auto refused = call("block-export-del", R"({"id": "e0"})");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "export 'e0' still in use");
    script.stop = OUTPORT_OK;
    EXPECT_TRUE(call("block-export-del", R"({"id": "e0", "mode": "hard"})"));
    EXPECT_TRUE(gone("e0"));
}

} // namespace
} // namespace outport::exports::test
