// SPDX-License-Identifier: Apache-2.0
// A host with a block graph and one type of export, whose plugin does what the test says, when the test says
// it.
#pragma once

#include "host/base/sdk-handles.hpp"
#include "host/block/graph.hpp"
#include "host/export/exports.hpp"
#include "host/export/iothreads.hpp"
#include "host/loop/iothread.hpp"
#include "host/schema/validator.hpp"
#include "tests/unit/plugin-fixture.hpp"

#include <outport/export-type.h>

#include <functional>
#include <map>
#include <optional>

namespace outport::exports::test {

namespace bj = boost::json;

// The plugin's side of one export: what it was asked, and the answers that it still owes.
struct Scripted {
    const outport_export_args* args = nullptr;
    std::string id;
    outport_done* starting = nullptr;
    std::vector<std::pair<std::uint32_t, outport_done*>> stopping; // by mode
    bool destroyed = false;
};

// How the plugin behaves; what is not set is answered by the test.
struct Script {
    std::int32_t create = OUTPORT_OK;
    std::optional<std::int32_t> start = OUTPORT_OK, stop;
    std::string message = "the script said so";
    std::map<std::string, Scripted> made; // by id; of the same id the last
    std::function<void()> destroyed;      // called by the plugin in destroy
};
inline Script script;

inline void answer(outport_done*& done, std::int32_t status, std::string_view message = {}) {
    auto* was = std::exchange(done, nullptr);
    if (status != OUTPORT_OK)
        sdk::put_error(was->error, message.empty() ? script.message : message);
    was->complete(was, status);
}

inline const outport_export_type& scripted_type() {
    static const outport_export_type type{
        .struct_size = sizeof(outport_export_type),
        .flags = 0,
        .modes = 0,
        .reserved = 0,
        .name = nullptr,
        .create = [](const outport_export_args* args, void** state,
                     outport_error* error) noexcept -> std::int32_t {
            if (script.create != OUTPORT_OK) {
                sdk::put_error(error, script.message);
                return script.create;
            }
            auto& made = script.made[args->id] = Scripted{};
            made.args = args;
            made.id = args->id;
            *state = &made;
            return OUTPORT_OK;
        },
        .start =
            [](void* state, outport_done* done) noexcept {
                auto& made = *static_cast<Scripted*>(state);
                made.starting = done;
                if (script.start)
                    answer(made.starting, *script.start);
            },
        .stop =
            [](void* state, std::uint32_t mode, outport_done* done) noexcept {
                auto& made = *static_cast<Scripted*>(state);
                made.stopping.emplace_back(mode, done);
                if (script.stop)
                    answer(made.stopping.back().second, *script.stop);
            },
        .destroy =
            [](void* state) noexcept {
                static_cast<Scripted*>(state)->destroyed = true;
                if (script.destroyed)
                    script.destroyed();
            },
    };
    return type;
}

class FakeIothreads final : public Iothreads {
  public:
    loop::Loop* acquire(std::string_view id) override {
        auto it = loops.find(std::string(id));
        if (it == loops.end())
            return nullptr;
        ++uses[std::string(id)];
        return it->second;
    }
    void release(std::string_view id) noexcept override { --uses[std::string(id)]; }

    std::map<std::string, loop::Loop*> loops;
    std::map<std::string, int> uses;
};

class ExportFixture : public plugin::test::HostFixture {
  public:
    static constexpr const char* kType = "__org.outport_fake-scripted";

    ExportFixture() : graph_(std::make_unique<block::Graph>(*loop_, pool_)) {
        script = Script{};
        iothreads_.loops["io0"] = loop_.get();
        iothreads_.loops["io1"] = loop_.get();
        host_->offer("outport.test-type/1", &scripted_type());
        exports_ =
            std::make_unique<Exports>(ExportServices{dispatcher_, *host_, *graph_, *loop_, iothreads_});
        add_fake("fake-scripted");
        EXPECT_EQ(load("fake-scripted"), "");
        add_node(R"({"driver": "null-co", "node-name": "n0", "size": 1048576})");
        add_node(R"({"driver": "null-co", "node-name": "ro", "size": 1048576, "read-only": true})");
        heard_.clear();
    }
    ~ExportFixture() override {
        script.stop = OUTPORT_OK;
        for (auto& [id, made] : script.made)
            answer_all(made);
        bool ended = ended_;
        if (!ended_)
            exports_->shutdown(5'000'000'000, [&](std::vector<std::string> left) {
                EXPECT_TRUE(left.empty()) << left[0];
                ended = true;
            });
        EXPECT_TRUE(until([&] { return ended; }));
        exports_.reset();
        bool closed = false;
        graph_->close_all([&](Result<>) { closed = true; });
        EXPECT_TRUE(until([&] { return closed; }));
        EXPECT_EQ(iothreads_.uses["io0"] + iothreads_.uses["io1"], 0) << "an iothread is still in use";
        graph_.reset();
    }

    static void answer_all(Scripted& made) {
        if (made.starting)
            answer(made.starting, OUTPORT_CANCELLED);
        for (auto& [mode, done] : made.stopping)
            if (done)
                answer(done, OUTPORT_OK);
    }

    void add_node(std::string_view options) {
        auto schema = registry_.schema();
        auto valid = schema::validate(*schema, *schema->type("BlockdevOptions"), plugin::test::parse(options),
                                      schema::InputMode::Json);
        ASSERT_TRUE(valid) << valid.error().message;
        std::optional<Result<>> added;
        graph_->add(valid->get_object(), [&](Result<> result) { added = std::move(result); });
        ASSERT_TRUE(until([&] { return added.has_value(); }));
        ASSERT_TRUE(*added) << added->error().message;
    }

    // Begins to add an export; `more`: further members. The answer goes to answers_[id].
    void begin(const std::string& id, const std::string& more = {}, const std::string& node = "n0") {
        auto text = cat(R"({"type": ")", kType, R"(", "id": ")", id, R"(", "node-name": ")", node, '"',
                        more.empty() ? "" : ", ", more, "}");
        auto schema = registry_.schema();
        auto valid = schema::validate(*schema, *schema->type("BlockExportOptions"), plugin::test::parse(text),
                                      schema::InputMode::Json);
        ASSERT_TRUE(valid) << valid.error().message;
        answers_.erase(id);
        exports_->add(valid->get_object(),
                      [this, id](Result<> result) { answers_[id] = HostFixture::text(result); });
    }
    // What add says; empty: it runs.
    std::string add(const std::string& id, const std::string& more = {}, const std::string& node = "n0") {
        begin(id, more, node);
        return settled(id);
    }
    std::string settled(const std::string& id) {
        return until([&] { return answers_.contains(id); }) ? answers_[id] : "no answer";
    }
    bool answered(const std::string& id) {
        turn(16);
        return answers_.contains(id);
    }
    void begin_remove(const std::string& id, std::string_view mode) {
        removed_.reset();
        exports_->remove(id, mode, [this](Result<> result) { removed_ = HostFixture::text(result); });
    }
    std::string remove(const std::string& id, std::string_view mode) {
        begin_remove(id, mode);
        return until([&] { return removed_.has_value(); }) ? *removed_ : "no answer";
    }
    std::string listed() const {
        std::string all;
        for (const auto& one : exports_->query())
            all += cat(all.empty() ? "" : " ", one.at("id").as_string().c_str(),
                       one.at("shutting-down").as_bool() ? "!" : "");
        return all;
    }
    std::size_t deletions(const std::string& id) const {
        std::size_t count = 0;
        for (const auto& line : heard_)
            count +=
                line.find("BLOCK_EXPORT_DELETED") != line.npos && line.find(cat('"', id, '"')) != line.npos;
        return count;
    }
    bool gone(const std::string& id) {
        return until([&] { return deletions(id) > 0; });
    }

    FakeIothreads iothreads_;
    std::unique_ptr<block::Graph> graph_;
    std::unique_ptr<Exports> exports_;
    std::map<std::string, std::string> answers_;
    std::optional<std::string> removed_;
    bool ended_ = false; // the test has seen to the end
};

} // namespace outport::exports::test
