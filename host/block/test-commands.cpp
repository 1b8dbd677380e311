// SPDX-License-Identifier: Apache-2.0
#include "host/block/test-commands.hpp"

#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/block/test-drivers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <memory>

namespace outport::block {

namespace {

namespace json = boost::json;

constexpr std::uint32_t kAllOps = (1u << kOps) - 1;
// As XFaultOp names them.
constexpr std::array<std::pair<std::string_view, Op>, 6> kOpNames{{{"read", Op::Read},
                                                                   {"write", Op::Write},
                                                                   {"flush", Op::Flush},
                                                                   {"discard", Op::Discard},
                                                                   {"write-zeroes", Op::WriteZeroes},
                                                                   {"block-status", Op::Status}}};
constexpr std::array<std::pair<std::string_view, FaultAction>, 5> kActionNames{
    {{"error", FaultAction::Error},
     {"delay", FaultAction::Delay},
     {"hold", FaultAction::Hold},
     {"reorder", FaultAction::Reorder},
     {"short", FaultAction::Short}}};

std::string text(const json::object& arguments, std::string_view name) {
    return std::string(arguments.at(name).as_string());
}

std::uint64_t number(const json::object& object, std::string_view name, std::uint64_t otherwise) {
    const auto* value = object.if_contains(name);
    return value ? value->to_number<std::uint64_t>() : otherwise;
}

FaultRule rule_of(const json::object& options) {
    FaultRule rule;
    rule.ops = kAllOps;
    if (const auto* op = options.if_contains("op"))
        for (auto [name, value] : kOpNames)
            if (op->as_string() == name)
                rule.ops = bit(value);
    for (auto [name, value] : kActionNames)
        if (options.at("action").as_string() == name)
            rule.action = value;
    rule.offset = number(options, "offset", 0);
    rule.length = number(options, "length", UINT64_MAX);
    rule.error = -static_cast<std::int32_t>(number(options, "errno", 5));
    rule.delay_ns = number(options, "latency-ns", 0);
    rule.skip = number(options, "skip", 0);
    rule.count = number(options, "count", 0);
    return rule;
}

Result<json::value> nothing(Result<> result) {
    if (!result)
        return fail(std::move(result.error()));
    return json::object();
}

Result<json::value> set(Driver& driver, const json::object& arguments) {
    std::vector<FaultRule> rules;
    for (const auto& rule : arguments.at("rules").as_array())
        rules.push_back(rule_of(rule.as_object()));
    return nothing(fault_set(driver, std::move(rules)));
}

Result<json::value> query(Driver& driver) {
    auto counts = fault_counts(driver);
    if (!counts)
        return fail(std::move(counts.error()));
    json::array list;
    for (auto [name, op] : kOpNames) {
        auto i = static_cast<unsigned>(op);
        list.push_back({{"op", name}, {"count", counts->ops[i]}, {"bytes", counts->bytes[i]}});
    }
    return json::object{{"counts", std::move(list)}, {"fua", counts->fua}, {"held", counts->held}};
}

Result<json::value> on_node(Graph& graph, std::string_view command, const json::object& arguments) {
    std::string name = text(arguments, "node-name");
    Node* node = graph.find(name);
    if (!node)
        return fail(cat("Failed to find node with node-name='", name, "'"));
    Driver& driver = node->driver();
    if (command == "x-fault-set")
        return set(driver, arguments);
    if (command == "x-fault-release")
        return nothing(fault_release(driver));
    if (command == "x-fault-query")
        return query(driver);
    auto lost = cache_power_loss(driver);
    return lost ? Result<json::value>(json::object()) : fail(std::move(lost.error()));
}

void insert_filter(Graph& graph, const json::object& arguments, TestAnswer answer) {
    std::string name = text(arguments, "node-name"), child = text(arguments, "child");
    json::object options{{"driver", text(arguments, "driver")}, {"node-name", name}, {"file", child}};
    graph.add(std::move(options), [&graph, name, child, answer = std::move(answer)](Result<> added) mutable {
        if (!added)
            return answer(nothing(std::move(added)));
        graph.insert_filter(child, name, [&graph, name, answer = std::move(answer)](Result<> result) mutable {
            if (result)
                return answer(json::object());
            graph.del(name, [result = std::move(result), answer = std::move(answer)](Result<>) mutable {
                answer(nothing(std::move(result)));
            });
        });
    });
}

void remove_filter(Graph& graph, const json::object& arguments, TestAnswer answer) {
    std::string name = text(arguments, "node-name");
    graph.remove_filter(name, [&graph, name, answer = std::move(answer)](Result<> result) mutable {
        if (!result)
            return answer(nothing(std::move(result)));
        graph.del(name,
                  [answer = std::move(answer)](Result<> gone) mutable { answer(nothing(std::move(gone))); });
    });
}

constexpr std::array<std::string_view, 6> kNames{"x-block-insert-filter", "x-block-remove-filter",
                                                 "x-cache-power-loss",    "x-fault-query",
                                                 "x-fault-release",       "x-fault-set"};

} // namespace

std::span<const std::string_view> test_commands() noexcept {
    return kNames;
}

void run_test_command(Graph& graph, std::string_view command, const json::object& arguments,
                      TestAnswer answer) {
    if (command == "x-block-insert-filter")
        return insert_filter(graph, arguments, std::move(answer));
    if (command == "x-block-remove-filter")
        return remove_filter(graph, arguments, std::move(answer));
    answer(on_node(graph, command, arguments));
}

} // namespace outport::block
