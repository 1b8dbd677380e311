// SPDX-License-Identifier: Apache-2.0
// Checks a value against the schema, in QEMU's order and words, and gives it back in the form that the host
// and the plugins read: members in schema order, defaults filled in, integers as int64 or uint64, enums as
// strings, unions flat. Thread-safe: touches only its arguments.
#pragma once

#include "host/base/error.hpp"
#include "host/schema/model.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <string_view>

namespace outport::schema {

enum class InputMode : std::uint8_t {
    Json,  // strict: a number is a number
    Keyval // every scalar is a string, as parse_keyval gives it
};

// `arguments` of a command; of a command that takes none, it must be empty. An unknown command is an error
// of class CommandNotFound.
Result<boost::json::object> validate_command(const Schema& schema, std::string_view command,
                                             const boost::json::object& arguments, InputMode mode);
// The argument of a command-line option.
Result<boost::json::object> validate_option(const Schema& schema, std::string_view option,
                                            const boost::json::object& value, InputMode mode);
// Any value against any type. `owner`: the fragment on whose behalf (words newer than it are refused).
Result<boost::json::value> validate(const Schema& schema, const Type& type, const boost::json::value& value,
                                    InputMode mode, std::string_view owner = {});
// An event's data. An error here is the sender's mistake.
Result<boost::json::object> validate_event(const Schema& schema, std::string_view event,
                                           const boost::json::object& data);

// `size` in the command line's form: "64k", "1.5G", "0x100"; false: it is none.
bool parse_size(std::string_view text, std::uint64_t& bytes);
// "on", "yes", "true", "y", "off", "no", "false", "n"; false: none of them.
bool parse_bool(std::string_view text, bool& value);

} // namespace outport::schema
