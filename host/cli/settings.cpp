// SPDX-License-Identifier: Apache-2.0
#include "host/cli/settings.hpp"

#include "host/base/text.hpp"

#include <charconv>

namespace outport::cli {

namespace {

// All of `text` as a number of that base.
template <class Number> bool to_number(const std::string& text, Number& value, int base = 10) {
    const char* end = text.data() + text.size();
    auto [stop, ec] = std::from_chars(text.data(), end, value, base);
    return ec == std::errc{} && stop == end && !text.empty();
}

Result<> take(Settings& s, const Word& word) {
    switch (word.id) {
    case Id::AllowPluginPath:
        s.allow_plugin_path = true;
        break;
    case Id::Daemonize:
        s.daemonize = true;
        break;
    case Id::Help:
        s.help = true;
        break;
    case Id::Pidfile:
        s.pidfile = word.argument;
        s.has_pidfile = true;
        break;
    case Id::Plugin:
        s.plugins.push_back(word.argument);
        break;
    case Id::PluginDir:
        s.plugin_dirs.push_back(word.argument);
        break;
    case Id::ShutdownTimeout:
        if (!to_number(word.argument, s.shutdown_timeout_s) || s.shutdown_timeout_s > 86400)
            return fail("Expected a number of seconds, 86400 at most");
        break;
    case Id::SocketGroup:
        s.socket_group = word.argument;
        break;
    case Id::SocketMode:
        if (!to_number(word.argument, s.socket_mode, 8) || s.socket_mode > 0777 || s.socket_mode == 0)
            return fail("Expected a file mode in octal, for example 0660");
        break;
    case Id::Trace:
        s.traces.push_back(word);
        break;
    default:
        break;
    }
    return {};
}

} // namespace

std::expected<Settings, OptionError> read_settings(std::span<const Word> words) {
    Settings settings;
    for (const Word& word : words) {
        if (word.id == Id::Version) {
            settings.version = !settings.help; // whichever comes first
            break;
        }
        if (auto taken = take(settings, word); !taken)
            return std::unexpected(OptionError{word.where, std::move(taken.error())});
    }
    return settings;
}

} // namespace outport::cli
