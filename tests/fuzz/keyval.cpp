// SPDX-License-Identifier: Apache-2.0
// The command line's syntaxes: key-value pairs, JSON, chardev options.
#include "host/schema/keyval.hpp"
#include "host/qmp/chardev.hpp"
#include "host/schema/json.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace outport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto argument = schema::parse_option_argument(text, "driver", true))
        (void)json::to_string(argument->value);
    std::vector<std::string> warnings;
    bool help = false;
    if (auto options = qmp::parse_chardev(text, warnings, help))
        (void)options->label();
    return 0;
}
