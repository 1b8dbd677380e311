// SPDX-License-Identifier: Apache-2.0
#include "host/cli/options.hpp"

#include "host/base/text.hpp"

#include <optional>

namespace outport::cli {

namespace {

class Scanner {
  public:
    Scanner(std::span<const std::string> arguments, std::span<const Option> options, Mode mode)
        : arguments_(arguments), options_(options), mode_(mode) {}

    Scanned run() {
        while (at_ < arguments_.size() && result_.error.empty()) {
            const std::string& word = arguments_[at_++];
            if (only_words_ || word.size() < 2 || word[0] != '-')
                result_.words.push_back({Id::Stray, {}, word, word});
            else if (word == "--")
                only_words_ = true;
            else if (word[1] == '-')
                long_option(word);
            else
                letters(word);
        }
        return std::move(result_);
    }

  private:
    std::optional<std::string> next() {
        if (at_ == arguments_.size())
            return std::nullopt;
        return arguments_[at_++];
    }

    // The option meant by `name`; null: none, or several, and then error is set.
    const Option* find(const std::string& name, const std::string& typed) {
        for (const Option& o : options_)
            if (o.name == name)
                return &o;
        for (Origin origin : {Origin::Qemu, Origin::Host, Origin::Plugin}) {
            const Option* found = nullptr;
            std::string possible;
            for (const Option& o : options_) {
                if (o.origin != origin || !o.name.starts_with(name))
                    continue;
                possible += cat(" '--", o.name, "'");
                found = found ? found : &o;
                if (found != &o)
                    result_.error = "several";
            }
            if (!result_.error.empty()) {
                result_.error = cat("option '--", typed, "' is ambiguous; possibilities:", possible);
                return nullptr;
            }
            if (found)
                return found;
        }
        return nullptr;
    }

    void long_option(const std::string& word) {
        std::string typed = word.substr(2);
        auto equals = typed.find('=');
        std::string name = typed.substr(0, equals);
        bool attached = equals != std::string::npos;
        std::string value = attached ? typed.substr(equals + 1) : std::string();
        const Option* option = find(name, typed);
        if (!result_.error.empty())
            return;
        if (!option)
            return unknown(name, typed, attached);
        if (!option->takes_argument) {
            if (attached)
                result_.error = cat("option '--", option->name, "' doesn't allow an argument");
            else
                result_.words.push_back({option->id, option->name, {}, word});
            return;
        }
        std::string where = word;
        if (!attached) {
            auto following = next();
            if (!following) {
                result_.error = cat("option '--", option->name, "' requires an argument");
                return;
            }
            value = std::move(*following);
            where += cat(' ', value);
        }
        result_.words.push_back({option->id, option->name, std::move(value), std::move(where)});
    }

    void unknown(const std::string& name, const std::string& typed, bool attached) {
        if (mode_ == Mode::Strict) {
            result_.error = cat("unrecognized option '--", typed, "'");
            result_.unknown = name;
            return;
        }
        auto value = attached ? std::optional<std::string>() : next();
        result_.words.push_back({Id::Unknown, name, value.value_or(""), cat("--", typed)});
    }

    void letters(const std::string& word) {
        for (std::size_t i = 1; i < word.size(); ++i) {
            const Option* option = nullptr;
            for (const Option& o : options_)
                if (o.letter == word[i])
                    option = &o;
            if (!option) {
                result_.error = cat("invalid option -- '", word[i], "'");
                return;
            }
            if (!option->takes_argument) {
                result_.words.push_back({option->id, option->name, {}, word});
                continue;
            }
            std::string value = word.substr(i + 1), where = word;
            if (value.empty()) {
                auto following = next();
                if (!following) {
                    result_.error = cat("option requires an argument -- '", word[i], "'");
                    return;
                }
                value = std::move(*following);
                where += cat(' ', value);
            }
            result_.words.push_back({option->id, option->name, std::move(value), std::move(where)});
            return;
        }
    }

    std::span<const std::string> arguments_;
    std::span<const Option> options_;
    Mode mode_;
    std::size_t at_ = 0;
    bool only_words_ = false;
    Scanned result_;
};

} // namespace

std::vector<Option> host_options() {
    return {
        {"blockdev", Id::Blockdev, Origin::Qemu, true},
        {"chardev", Id::Chardev, Origin::Qemu, true},
        {"daemonize", Id::Daemonize, Origin::Qemu, false},
        {"export", Id::Export, Origin::Qemu, true},
        {"help", Id::Help, Origin::Qemu, false, 'h'},
        {"monitor", Id::Monitor, Origin::Qemu, true},
        {"object", Id::Object, Origin::Qemu, true},
        {"pidfile", Id::Pidfile, Origin::Qemu, true},
        {"trace", Id::Trace, Origin::Qemu, true, 'T'},
        {"version", Id::Version, Origin::Qemu, false, 'V'},
        {"allow-plugin-path", Id::AllowPluginPath, Origin::Host, false},
        {"plugin", Id::Plugin, Origin::Host, true},
        {"plugin-dir", Id::PluginDir, Origin::Host, true},
        {"shutdown-timeout", Id::ShutdownTimeout, Origin::Host, true},
        {"socket-group", Id::SocketGroup, Origin::Host, true},
        {"socket-mode", Id::SocketMode, Origin::Host, true},
    };
}

Scanned scan(std::span<const std::string> arguments, std::span<const Option> options, Mode mode) {
    return Scanner(arguments, options, mode).run();
}

} // namespace outport::cli
