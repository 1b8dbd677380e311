// SPDX-License-Identifier: Apache-2.0
// The command line's `key=value,a.b=c` syntax, and the choice between it and JSON. Thread-safe: touches only
// its arguments.
#pragma once

#include "host/base/error.hpp"
#include "host/schema/validator.hpp"

#include <boost/json/object.hpp>

#include <string_view>

namespace outport::schema {

// `text` as an object whose leaves are strings. With `implied_key`, the first `key=` may be left out.
// `help`, where not null, is set when the text asks for help ("help" or "?" instead of a pair); where null,
// that is an error.
Result<boost::json::object> parse_keyval(std::string_view text, std::string_view implied_key = {},
                                         bool* help = nullptr);

struct OptionArgument {
    boost::json::object value;
    InputMode mode = InputMode::Keyval;
    bool help = false;
};

// What begins with `{` is JSON, all else is keyval.
Result<OptionArgument> parse_option_argument(std::string_view text, std::string_view implied_key = {},
                                             bool help_allowed = false);

// Length of the QAPI name (with or without a downstream prefix) at the start of `text`; 0: there is none.
std::size_t qapi_name_length(std::string_view text) noexcept;

} // namespace outport::schema
