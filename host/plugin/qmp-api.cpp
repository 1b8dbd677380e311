// SPDX-License-Identifier: Apache-2.0
// outport.qmp/1: calls of commands and options to a plugin's handlers, and its events. An answer is noted
// when the plugin gives it and sent later in the loop's turn, so a plugin may answer from anywhere on the
// main loop.
#include "host/base/text.hpp"
#include "host/loop/loop.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/plugin/plugin.hpp"
#include "host/plugin/values.hpp"
#include "host/qmp/dispatcher.hpp"
#include "host/schema/registry.hpp"
#include "host/schema/validator.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace outport::plugin {

struct PluginCall : outport_qmp_call {
    Plugin& plugin;
    qmp::CallPtr call;
    std::shared_ptr<const schema::Schema> schema; // as of the call: the answer must fit that
    boost::json::value values;
    outport_error failure;
    outport_writer writer;
    std::int32_t status = OUTPORT_OK;
    bool answered_once = false;

    PluginCall(Plugin& to, qmp::CallPtr from)
        : outport_qmp_call{}, plugin(to), call(std::move(from)),
          schema(to.owner.services().registry.schema()), values(std::move(call->arguments())) {
        struct_size = sizeof(outport_qmp_call);
        arguments = to_handle(&values);
        error = &failure;
        result = &writer;
        complete = &PluginCall::completed;
    }

    static void completed(outport_qmp_call* handle, std::int32_t status) noexcept;
    void send();

  private:
    Result<boost::json::value> answer();
};

void PluginCall::completed(outport_qmp_call* handle, std::int32_t status) noexcept {
    auto& self = *static_cast<PluginCall*>(handle);
    auto& plugin = self.plugin;
    if (self.answered_once || !plugin.context.main_loop->on_thread())
        return plugin.logger.error(
            cat("answered '", self.call->command(), "' twice, or not on the main loop; ignored"));
    self.answered_once = true;
    self.status = status;
    plugin.answered.emplace_back(&self);
    send_answers(plugin);
}

Result<boost::json::value> PluginCall::answer() {
    if (status != OUTPORT_OK)
        return fail(
            sdk::to_error(status, failure, cat("plugin '", plugin.name(), "' failed with status ", status)));
    auto written = writer.take();
    if (!written) {
        plugin.logger.error(
            cat("the answer to '", call->command(), "' was written wrongly: ", written.error().message));
        return boost::json::value(boost::json::object{});
    }
    auto value = *written ? std::move(**written) : boost::json::value(boost::json::object{});
    const auto* command = schema->command(call->command());
    if (!command || !command->result)
        return value;
    auto fits = schema::validate(*schema, *command->result, value, schema::InputMode::Json, plugin.name());
    if (!fits)
        plugin.logger.error(
            cat("the answer to '", call->command(), "' does not fit its schema: ", fits.error().message));
    return value;
}

void PluginCall::send() {
    --plugin.calls;
    call->answer(answer());
}

void run_handler(Plugin& plugin, OptionHandler handler, qmp::CallPtr from) {
    auto* call = new PluginCall(plugin, std::move(from)); // the plugin's, until it completes
    ++plugin.calls;
    call->call->on_cancel([call] {
        if (call->cancelled && !call->answered_once)
            call->cancelled(call);
    });
    handler.function(call, handler.data);
}

void send_answers(Plugin& plugin) {
    if (!plugin.answered.empty())
        plugin.context.main_loop->make_ready(plugin.answer_task);
}

void Plugin::send_answers_now() {
    if (departing > 0)
        return;
    for (auto& call : std::exchange(answered, {}))
        call->send();
}

namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::int32_t refuse(outport_error* error, std::int32_t status, std::string text) {
    sdk::put_error(error, text);
    return status;
}

std::int32_t add_command(const outport_host* host, const char* name, outport_qmp_handler handler, void* data,
                         outport_error* error) noexcept {
    auto& plugin = plugin_of(host);
    if (!plugin.initialising || !handler)
        return refuse(error, OUTPORT_INVALID, "commands are added in init, with a handler");
    if (!contains(plugin.provided.commands, name))
        return refuse(error, OUTPORT_NOT_FOUND, cat("its schema has no command '", name, "'"));
    auto run = [&plugin, handler, data](qmp::CallPtr call) {
        run_handler(plugin, {handler, data}, std::move(call));
    };
    auto added = plugin.owner.services().dispatcher.table().add(name, std::move(run), plugin.name());
    return added ? OUTPORT_OK : sdk::give_error(error, added.error(), OUTPORT_INVALID);
}

std::int32_t add_option(const outport_host* host, const char* name, outport_qmp_handler handler, void* data,
                        outport_error* error) noexcept {
    auto& plugin = plugin_of(host);
    if (!plugin.initialising || !handler)
        return refuse(error, OUTPORT_INVALID, "options are added in init, with a handler");
    if (!contains(plugin.provided.options, name))
        return refuse(error, OUTPORT_NOT_FOUND, cat("its schema has no option '", name, "'"));
    if (!plugin.options.emplace(name, OptionHandler{handler, data}).second)
        return refuse(error, OUTPORT_INVALID, cat("the option '", name, "' has a handler already"));
    return OUTPORT_OK;
}

struct EventWriter : outport_writer {
    Plugin* plugin;
    std::string name;
};

outport_writer* event_begin(const outport_host* host, const char* name) noexcept {
    auto& plugin = plugin_of(host);
    if (!contains(plugin.provided.events, name))
        return nullptr;
    auto* event = new EventWriter;
    event->plugin = &plugin;
    event->name = name;
    ++plugin.events;
    return event;
}

void event_send(outport_writer* writer) noexcept {
    std::unique_ptr<EventWriter> event(static_cast<EventWriter*>(writer));
    auto& plugin = *event->plugin;
    --plugin.events;
    auto data = event->take();
    if (!data)
        return plugin.logger.error(
            cat("the event ", event->name, " was written wrongly: ", data.error().message));
    auto* object = *data ? (*data)->if_object() : nullptr;
    if (*data && !object)
        return plugin.logger.error(cat("the event ", event->name, " has data that is no object"));
    auto sent = plugin.owner.services().dispatcher.event(event->name,
                                                         object ? std::move(*object) : boost::json::object{});
    if (!sent)
        plugin.logger.error(cat("the event ", event->name, " was not sent: ", sent.error().message));
}

} // namespace

const outport_qmp_api* qmp_api() noexcept {
    static constexpr outport_qmp_api table{
        .struct_size = sizeof(outport_qmp_api),
        .reserved = 0,
        .add_command = add_command,
        .add_option = add_option,
        .event_begin = event_begin,
        .event_send = event_send,
    };
    return &table;
}

} // namespace outport::plugin
