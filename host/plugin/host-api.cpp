// SPDX-License-Identifier: Apache-2.0
// What every plugin gets at once, the outport_host, and the two small tables: outport.log/1,
// outport.thread-check/1.
#include "host/base/text.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/loop.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/plugin/plugin.hpp"

#include <outport/log.h>
#include <outport/thread-check.h>

#include <optional>

namespace outport::plugin {

namespace {

std::string_view text(const char* data, std::uint64_t length) {
    return data ? std::string_view(data, length) : std::string_view{};
}

const void* get_extension(const outport_host* host, const char* id) noexcept {
    return id ? plugin_of(host).owner.extension(id) : nullptr;
}

void set_error(outport_error* error, const char* message, std::uint64_t message_length, const char* hint,
               std::uint64_t hint_length) noexcept {
    sdk::put_error(error, text(message, message_length), text(hint, hint_length));
}

std::optional<log::Level> level_of(std::uint32_t level) {
    switch (level) {
    case OUTPORT_LOG_TRACE:
        return log::Level::Trace;
    case OUTPORT_LOG_DEBUG:
        return log::Level::Debug;
    case OUTPORT_LOG_INFO:
        return log::Level::Info;
    case OUTPORT_LOG_WARNING:
        return log::Level::Warning;
    case OUTPORT_LOG_ERROR:
        return log::Level::Error;
    default:
        return std::nullopt;
    }
}

std::int32_t log_enabled(const outport_host* host, std::uint32_t level) noexcept {
    auto known = level_of(level);
    return known && plugin_of(host).logger.enabled(*known) ? 1 : 0;
}

// A level that this host doesn't know is a warning: a line is not dropped for that.
void log_write(const outport_host* host, std::uint32_t level, const char* data,
               std::uint64_t length) noexcept {
    plugin_of(host).logger.write(level_of(level).value_or(log::Level::Warning), text(data, length));
}

} // namespace

const outport_log_api* log_api() noexcept {
    static constexpr outport_log_api table{
        .struct_size = sizeof(outport_log_api), .reserved = 0, .enabled = log_enabled, .write = log_write};
    return &table;
}

const outport_thread_check_api* thread_check_api() noexcept {
    static constexpr outport_thread_check_api table{
        .struct_size = sizeof(outport_thread_check_api),
        .reserved = 0,
        .is_main = [](const outport_host* host) noexcept -> std::int32_t {
            return sdk::context_of(host).main_loop->on_thread() ? 1 : 0;
        },
        .is_loop = [](outport_loop* loop) noexcept -> std::int32_t {
            return sdk::to_loop(loop)->on_thread() ? 1 : 0;
        },
        .is_pool = [](const outport_host*) noexcept -> std::int32_t {
            return loop::BlockingPool::on_pool_thread() ? 1 : 0;
        },
    };
    return &table;
}

void fill_host(Plugin& plugin, const char* version) {
    auto& host = plugin.context.host;
    host.struct_size = sizeof host;
    host.abi_major = OUTPORT_ABI_MAJOR;
    host.abi_minor = OUTPORT_ABI_MINOR;
    host.reserved = 0;
    host.name = "outportd";
    host.version = version;
    host.context = &plugin.context;
    host.get_extension = get_extension;
    host.set_error = set_error;
}

} // namespace outport::plugin
