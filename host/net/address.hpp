// SPDX-License-Identifier: Apache-2.0
// Where to listen: the schema's SocketAddress and SocketAddressLegacy as one C++ type. Thread-safe: plain
// values.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace outport::net {

struct UnixAddress {
    std::string path; // relative to the folder that the process is in at that time
    bool abstract = false, tight = true;
};

struct InetAddress {
    std::string host, port; // empty host: every address of this machine
    std::optional<std::uint16_t> to;
    std::optional<bool> ipv4, ipv6;
    bool keep_alive = false, numeric = false;
};

struct FdAddress {
    std::string text; // the number of a descriptor that the process was started with
};

using Address = std::variant<UnixAddress, InetAddress, FdAddress>;

// `value`: validated against SocketAddress, or SocketAddressLegacy (`legacy`).
Result<Address> to_address(const boost::json::object& value, bool legacy);
// "unix:/run/x.sock", "inet:localhost:10809", for logs.
std::string to_string(const Address& address);

} // namespace outport::net
