// SPDX-License-Identifier: Apache-2.0
// The options of the second scan: each does what its QMP command does, through the same code, and is awaited.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/cli/parts.hpp"
#include "host/schema/keyval.hpp"
#include "host/schema/validator.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>

namespace outport::cli {

namespace {

// Shared with the callback: it may come when nobody waits any more.
struct Answer {
    bool done = false;
    Result<> result;

    void set(const Result<boost::json::value>& r) {
        if (!r)
            result = fail(r.error());
        done = true;
    }
};

std::string string_of(const boost::json::object& o, std::string_view name) {
    const auto* value = o.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string implied_key(const schema::Schema& schema, std::string_view option) {
    const schema::Option* o = schema.option(option);
    return o ? o->implied_key : std::string();
}

} // namespace

Result<> Daemon::run_command(std::string_view command, std::string_view option, const std::string& text) {
    auto parsed = schema::parse_option_argument(text, implied_key(*schema(), option));
    if (!parsed)
        return fail(std::move(parsed.error()));
    auto answer = std::make_shared<Answer>();
    parts_->dispatcher->call(command, parsed->value, parsed->mode,
                             [answer](Result<boost::json::value> r) { answer->set(r); });
    wait(answer->done, UINT64_MAX, true);
    return answer->result;
}

Result<> Daemon::run_plugin_option(const Word& word) {
    auto current = schema();
    auto parsed = schema::parse_option_argument(word.argument, implied_key(*current, word.name));
    if (!parsed)
        return fail(std::move(parsed.error()));
    auto value = schema::validate_option(*current, word.name, parsed->value, parsed->mode);
    if (!value)
        return fail(std::move(value.error()));
    auto answer = std::make_shared<Answer>();
    parts_->plugins->run_option(word.name, std::move(*value),
                                [answer](Result<boost::json::value> r) { answer->set(r); });
    wait(answer->done, UINT64_MAX, true);
    return answer->result;
}

Result<> Daemon::add_monitor(const std::string& text) {
    auto current = schema();
    auto parsed = schema::parse_option_argument(text, implied_key(*current, "monitor"));
    if (!parsed)
        return fail(std::move(parsed.error()));
    auto value = schema::validate_option(*current, "monitor", parsed->value, parsed->mode);
    if (!value)
        return fail(std::move(value.error()));
    const auto* pretty = value->if_contains("pretty");
    // That there is no such channel is said first, as in QEMU.
    if (string_of(*value, "mode") == "readline" && parts_->server->has_chardev(string_of(*value, "chardev")))
        return fail("Only QMP is supported");
    const bool is_pretty = pretty && pretty->is_bool() && pretty->get_bool();
    return parts_->server->add_monitor(string_of(*value, "chardev"), string_of(*value, "id"), is_pretty);
}

Daemon::Outcome Daemon::add_chardev(const std::string& text) {
    Outcome outcome;
    bool help = false;
    auto options = qmp::parse_chardev(text, outcome.warnings, help);
    if (help)
        outcome.output = qmp::chardev_help();
    else if (!options)
        outcome.result = fail(std::move(options.error()));
    else
        outcome.result = parts_->server->add_chardev(*options);
    return outcome;
}

Daemon::Outcome Daemon::add_object(const std::string& text) {
    Outcome outcome;
    auto current = schema();
    auto parsed = schema::parse_option_argument(text, implied_key(*current, "object"), true);
    if (!parsed) {
        outcome.result = fail(std::move(parsed.error()));
    } else if (parsed->help) {
        auto properties = object::list_properties(*current, string_of(parsed->value, "qom-type"));
        outcome.output = properties ? *properties : object::list_types(*current);
    } else {
        outcome.result = run_command("object-add", "object", text);
    }
    return outcome;
}

Daemon::Outcome Daemon::apply(const Word& word) {
    switch (word.id) {
    case Id::Blockdev:
        return {run_command("blockdev-add", "blockdev", word.argument), {}, {}};
    case Id::Export:
        return {run_command("block-export-add", "export", word.argument), {}, {}};
    case Id::Object:
        return add_object(word.argument);
    case Id::Monitor:
        return {add_monitor(word.argument), {}, {}};
    case Id::Chardev:
        return add_chardev(word.argument);
    case Id::OfPlugin:
        return {run_plugin_option(word), {}, {}};
    case Id::Stray:
        return {fail("Unexpected argument"), {}, {}};
    case Id::Trace:
        if (word.argument == "help" || word.argument == "?")
            return {{}, trace_help(), {}};
        return {{}, {}, trace_warnings(word.argument)};
    default:
        return {};
    }
}

} // namespace outport::cli
