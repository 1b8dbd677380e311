// SPDX-License-Identifier: Apache-2.0
#include "host/block/drivers.hpp"

#include "host/base/text.hpp"
#include "host/block/test-drivers.hpp"

#include <boost/json/object.hpp>

namespace outport::block {

namespace {

template <class Options, class Make>
Result<std::unique_ptr<Driver>> made(Result<Options> options, Make make) {
    if (!options)
        return fail(std::move(options.error()));
    return make(*options);
}

} // namespace

Result<std::unique_ptr<Driver>> make_driver(const boost::json::object& options, const NodeOptions& common) {
    std::string_view name = options.at("driver").as_string();
    if (name == "file" || name == "host_device")
        return made(file_options(options),
                    [&](auto& o) { return make_file(o, common, name == "host_device"); });
    if (name == "null-co" || name == "null-aio")
        return made(null_options(options), [&](auto& o) { return make_null(o, name == "null-aio"); });
    if (name == "raw")
        return made(raw_options(options), [&](auto& o) { return make_raw(o); });
#if OUTPORT_TEST_DRIVERS
    if (name == "x-fault")
        return make_fault(options);
    if (name == "x-cache")
        return make_write_back();
#endif
    return fail(cat("Unknown driver '", name, "'"));
}

} // namespace outport::block
