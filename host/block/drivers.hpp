// SPDX-License-Identifier: Apache-2.0
// The kinds of nodes that this build has. Main loop only.
#pragma once

#include "host/base/error.hpp"
#include "host/block/driver.hpp"
#include "host/block/options.hpp"

#include <boost/json/fwd.hpp>

#include <memory>

namespace outport::block {

// The driver that `options` (a validated BlockdevOptions) names, not opened yet.
Result<std::unique_ptr<Driver>> make_driver(const boost::json::object& options, const NodeOptions& common);

std::unique_ptr<Driver> make_null(const NullOptions& options, bool async);
std::unique_ptr<Driver> make_file(const FileOptions& options, const NodeOptions& common, bool device);
std::unique_ptr<Driver> make_raw(const RawOptions& options);

} // namespace outport::block
