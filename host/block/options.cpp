// SPDX-License-Identifier: Apache-2.0
#include "host/block/options.hpp"

#include "host/base/text.hpp"

#include <boost/json/object.hpp>

namespace outport::block {

namespace {

using boost::json::object;

// The value has been validated: it has the right type where it is there.
std::optional<bool> flag(const object& options, std::string_view key) {
    const auto* value = options.if_contains(key);
    return value ? std::optional(value->as_bool()) : std::nullopt;
}

std::string_view word(const object& options, std::string_view key, std::string_view otherwise) {
    const auto* value = options.if_contains(key);
    return value ? std::string_view(value->as_string()) : otherwise;
}

Result<std::uint64_t> number(const object& options, std::string_view key, std::uint64_t otherwise) {
    const auto* value = options.if_contains(key);
    if (!value)
        return otherwise;
    if (value->is_uint64())
        return value->as_uint64();
    if (value->as_int64() < 0)
        return fail(cat("Parameter '", key, "' must not be negative"));
    return static_cast<std::uint64_t>(value->as_int64());
}

DetectZeroes detect_zeroes(std::string_view word) {
    return word == "on" ? DetectZeroes::On : word == "unmap" ? DetectZeroes::Unmap : DetectZeroes::Off;
}

} // namespace

Result<NodeOptions> node_options(const object& options, const NodeOptions* parent) {
    NodeOptions inherited = parent ? *parent : NodeOptions{};
    NodeOptions result;
    result.read_only = flag(options, "read-only").value_or(inherited.read_only);
    result.auto_read_only = flag(options, "auto-read-only").value_or(inherited.auto_read_only);
    result.force_share = flag(options, "force-share").value_or(inherited.force_share);
    static const object none;
    const auto* cache = options.if_contains("cache");
    const object& cache_options = cache ? cache->as_object() : none;
    result.cache_direct = flag(cache_options, "direct").value_or(inherited.cache_direct);
    result.cache_no_flush = flag(cache_options, "no-flush").value_or(inherited.cache_no_flush);
    // Whether a hole is punched is the parent's decision, where there is one.
    result.unmap = word(options, "discard", parent ? "unmap" : "ignore") == "unmap";
    result.detect_zeroes = detect_zeroes(word(options, "detect-zeroes", "off"));
    if (result.detect_zeroes == DetectZeroes::Unmap && !result.unmap)
        return fail(
            "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    if (result.force_share && !result.read_only)
        return fail("force-share=on can only be used with read-only images");
    return result;
}

Result<NullOptions> null_options(const object& options) {
    NullOptions result;
    auto size = number(options, "size", result.size);
    auto latency = number(options, "latency-ns", 0);
    if (!size)
        return fail(std::move(size.error()));
    if (!latency)
        return fail("latency-ns is invalid");
    result.size = *size;
    result.latency_ns = *latency;
    result.read_zeroes = flag(options, "read-zeroes").value_or(false);
    return result;
}

Result<FileOptions> file_options(const object& options) {
    FileOptions result;
    result.filename = word(options, "filename", "");
    std::string_view locking = word(options, "locking", "auto");
    result.locking = locking == "on" ? Locking::On : locking == "off" ? Locking::Off : Locking::Auto;
    result.native_aio = word(options, "aio", "threads") == "native";
    return result;
}

Result<RawOptions> raw_options(const object& options) {
    RawOptions result;
    auto offset = number(options, "offset", 0);
    auto size = number(options, "size", 0);
    if (!offset)
        return fail(std::move(offset.error()));
    if (!size)
        return fail(std::move(size.error()));
    result.offset = *offset;
    if (options.if_contains("size"))
        result.size = *size;
    result.windowed = result.size || result.offset;
    return result;
}

} // namespace outport::block
