// SPDX-License-Identifier: Apache-2.0
// The commands that steer the nodes for tests, in builds with -Dtest-drivers=true only. Main loop only.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/fwd.hpp>

#include <functional>
#include <span>
#include <string_view>

namespace outport::block {

class Graph;

std::span<const std::string_view> test_commands() noexcept; // their names

using TestAnswer = std::move_only_function<void(Result<boost::json::value>)>;

// Runs one of them with validated arguments; `answer` comes once, then or later.
void run_test_command(Graph& graph, std::string_view command, const boost::json::object& arguments,
                      TestAnswer answer);

} // namespace outport::block
