// SPDX-License-Identifier: Apache-2.0
// A host without a daemon around it: schema, dispatcher, loop, pool, plugins and one monitor that notes what
// it hears.
#pragma once

#include "host/base/text.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/loop.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/qmp/command-table.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/qmp/monitor.hpp"
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"
#include "schema/base-document.h"
#include "tests/unit/plugin-support.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace outport::plugin::test {

namespace bj = boost::json;

inline bj::value parse(std::string_view text) {
    auto value = json::parse(text);
    if (!value)
        throw std::runtime_error(value.error().message);
    return std::move(*value);
}

class HostFixture : public testing::Test, public qmp::Output {
  public:
    HostFixture()
        : loop_(std::move(*loop::Loop::create())),
          registry_({"CONFIG_TEST_DRIVERS"},
                    *schema::parse_names(parse({outport_names_document, outport_names_document_length})),
                    *schema::parse_hints(parse({outport_hints_document, outport_hints_document_length}))),
          dispatcher_(registry_, table_) {
        auto base = registry_.load_base(parse({outport_base_document, outport_base_document_length}));
        if (!base)
            throw std::runtime_error(base.error().message);
        (void)table_.add_sync("query-version",
                              [](const bj::object&) -> Result<bj::value> { return bj::object{}; });
        monitor_ = std::make_unique<qmp::Monitor>(
            dispatcher_, qmp::MonitorOptions{.pretty = false, .version = "0"}, *this);
        monitor_->open();
        monitor_->feed("{'execute': 'qmp_capabilities'}");
        turn();
        heard_.clear();
        make_host({});
    }
    ~HostFixture() override {
        monitor_.reset();
        host_.reset();
        pool_.shutdown(1'000'000'000);
        turn();
    }

    void make_host(PluginHostConfig config) {
        config.folders = {folder_.path().string()};
        config.version = "0.1.0";
        host_ = std::make_unique<PluginHost>(PluginServices{registry_, dispatcher_, *loop_, pool_},
                                             std::move(config));
    }

    // Copies a plugin into the folder of plugins.
    void add(const fs::path& file) { folder_.copy(file); }
    void add_fake(const std::string& name) { add(fake(name)); }

    // What load says; empty: it loaded.
    std::string load(const std::string& name) {
        std::optional<Result<>> answer;
        host_->load(name, [&](Result<> result) { answer = std::move(result); });
        until([&] { return answer.has_value(); });
        return answer ? text(*answer) : "no answer";
    }
    std::string unload(const std::string& name) { return text(host_->unload(name)); }
    static std::string text(const Result<>& result) {
        return result ? std::string{} : result.error().message;
    }

    bj::object info(std::string_view name) const {
        for (const auto& one : host_->query())
            if (one.at("name").as_string() == name)
                return one.as_object();
        return {};
    }
    std::string member(std::string_view name, std::string_view key) const {
        auto one = info(name);
        const auto* value = one.if_contains(key);
        if (!value)
            return {};
        return value->is_string() ? std::string(value->get_string().c_str()) : bj::serialize(*value);
    }

    void turn(int times = 4) {
        for (int i = 0; i < times; ++i)
            loop_->run_once(false);
    }
    template <class Condition> bool until(Condition condition) {
        for (int i = 0; i < 100000 && !condition(); ++i)
            loop_->run_once(i % 8 == 7);
        return condition();
    }

    // Runs a command and waits for its answer.
    Result<bj::value> call(std::string_view command, std::string_view arguments = "{}") {
        std::optional<Result<bj::value>> answer;
        dispatcher_.call(command, parse(arguments).get_object(), schema::InputMode::Json,
                         [&](Result<bj::value> result) { answer = std::move(result); });
        until([&] { return answer.has_value(); });
        return answer ? std::move(*answer) : Result<bj::value>(fail("no answer"));
    }
    bool knows_command(std::string_view name) const { return registry_.schema()->command(name) != nullptr; }
    bool heard(std::string_view part) const {
        for (const auto& line : heard_)
            if (line.find(part) != line.npos)
                return true;
        return false;
    }

    void write(std::string line) override { heard_.push_back(std::move(line)); }
    bool congested() const noexcept override { return false; }
    void want_input() override {}

    TempFolder folder_;
    std::unique_ptr<loop::Loop> loop_;
    loop::BlockingPool pool_;
    schema::Registry registry_;
    qmp::CommandTable table_;
    qmp::Dispatcher dispatcher_;
    std::unique_ptr<qmp::Monitor> monitor_;
    std::unique_ptr<PluginHost> host_;
    std::vector<std::string> heard_;
};

} // namespace outport::plugin::test
