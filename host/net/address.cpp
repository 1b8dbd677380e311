// SPDX-License-Identifier: Apache-2.0
#include "host/net/address.hpp"

#include "host/base/text.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace outport::net {

namespace {

std::string text_of(const boost::json::object& o, std::string_view name) {
    const auto* value = o.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<bool> flag_of(const boost::json::object& o, std::string_view name) {
    const auto* value = o.if_contains(name);
    return value && value->is_bool() ? std::optional(value->get_bool()) : std::nullopt;
}

Result<Address> to_inet(const boost::json::object& o) {
    InetAddress address{.host = text_of(o, "host"), .port = text_of(o, "port")};
    if (const auto* to = o.if_contains("to"))
        if (to->is_int64() || to->is_uint64())
            address.to = static_cast<std::uint16_t>(to->to_number<std::int64_t>());
    address.ipv4 = flag_of(o, "ipv4");
    address.ipv6 = flag_of(o, "ipv6");
    address.keep_alive = flag_of(o, "keep-alive").value_or(false);
    address.numeric = flag_of(o, "numeric").value_or(false);
    if (address.ipv4 == false && address.ipv6 == false)
        return fail("Cannot disable IPv4 and IPv6 at same time");
    return address;
}

} // namespace

Result<Address> to_address(const boost::json::object& value, bool legacy) {
    std::string type = text_of(value, "type");
    const boost::json::object* members = &value;
    if (legacy) {
        const auto* data = value.if_contains("data");
        if (!data || !data->is_object())
            return fail("Parameter 'addr.data' is missing");
        members = &data->get_object();
    }
    if (type == "inet")
        return to_inet(*members);
    if (type == "unix")
        return UnixAddress{text_of(*members, "path"), flag_of(*members, "abstract").value_or(false),
                           flag_of(*members, "tight").value_or(true)};
    if (type == "fd")
        return FdAddress{text_of(*members, "str")};
    return fail(cat("socket family ", type, " unsupported"));
}

std::string to_string(const Address& address) {
    if (const auto* u = std::get_if<UnixAddress>(&address))
        return cat("unix:", u->abstract ? "@" : "", u->path);
    if (const auto* i = std::get_if<InetAddress>(&address)) {
        bool bracket = i->host.find(':') != std::string::npos;
        return cat("inet:", bracket ? "[" : "", i->host, bracket ? "]:" : ":", i->port);
    }
    return cat("fd:", std::get<FdAddress>(address).text);
}

} // namespace outport::net
