// SPDX-License-Identifier: Apache-2.0
// Scalars as the command line writes them; all of the text must be the number. Thread-safe: touches only its
// arguments.
#pragma once

#include <cstdint>
#include <string_view>

namespace outport::schema {

bool parse_int64(std::string_view text, std::int64_t& value);   // decimal, 0x…, 0… (octal), sign
bool parse_uint64(std::string_view text, std::uint64_t& value); // the same; a minus sign wraps
bool parse_double(std::string_view text, double& value);        // finite

} // namespace outport::schema
