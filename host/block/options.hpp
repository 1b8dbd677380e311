// SPDX-License-Identifier: Apache-2.0
// The options of nodes, out of a validated BlockdevOptions. Values; safe from any thread.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace outport::block {

enum class DetectZeroes : std::uint8_t { Off, On, Unmap };
enum class Locking : std::uint8_t { Auto, On, Off };

// What all drivers have. An inline child inherits what it does not set itself.
struct NodeOptions {
    bool read_only = false;
    bool auto_read_only = false;
    bool cache_direct = false;
    bool cache_no_flush = false;
    bool force_share = false;
    bool unmap = false; // discard=unmap
    DetectZeroes detect_zeroes = DetectZeroes::Off;
};

// `parent`: the options of the node for which this is an inline child; null for others.
Result<NodeOptions> node_options(const boost::json::object& options, const NodeOptions* parent);

struct NullOptions {
    std::uint64_t size = std::uint64_t{1} << 30;
    std::uint64_t latency_ns = 0;
    bool read_zeroes = false;
};
Result<NullOptions> null_options(const boost::json::object& options);

struct FileOptions {
    std::string filename;
    Locking locking = Locking::Auto;
    bool native_aio = false;
};
Result<FileOptions> file_options(const boost::json::object& options);

struct RawOptions {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> size;
    bool windowed = false; // not all of the child
};
Result<RawOptions> raw_options(const boost::json::object& options);

} // namespace outport::block
