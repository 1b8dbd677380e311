// SPDX-License-Identifier: Apache-2.0
// The words of a command line: which option each is, and its argument, as getopt_long would see them and in
// its words, but in two steps, since what options there are is known only when the plugins are loaded. Not
// thread-safe; touches only its arguments.
#pragma once

#include "host/base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace outport::cli {

enum class Id : std::uint8_t {
    AllowPluginPath,
    Blockdev,
    Chardev,
    Daemonize,
    Export,
    Help,
    Monitor,
    Object,
    Pidfile,
    Plugin,
    PluginDir,
    ShutdownTimeout,
    SocketGroup,
    SocketMode,
    Trace,
    Version,
    OfPlugin, // one that a plugin brought
    Unknown,  // only in a lenient scan
    Stray     // a word that is no option
};

// Whose option it is; an abbreviation means the first of these that has a match.
enum class Origin : std::uint8_t { Qemu, Host, Plugin };

struct Option {
    std::string name; // without the dashes
    Id id;
    Origin origin;
    bool takes_argument;
    char letter = 0; // -h
};

// The host's own.
std::vector<Option> host_options();

struct Word {
    Id id;
    std::string name;     // in full
    std::string argument; // the word itself where it is stray
    std::string where;    // as typed, for messages: "--blockdev null-co,node-name=n0"
};

struct Scanned {
    std::vector<Word> words; // up to the first error
    std::string error;       // getopt's text, without the program's name; empty: none
    std::string unknown;     // the name of the unknown option, if that was the error
};

enum class Mode : std::uint8_t {
    Lenient, // unknown options take an argument and are passed over: plugins may bring them
    Strict
};

Scanned scan(std::span<const std::string> arguments, std::span<const Option> options, Mode mode);

} // namespace outport::cli
