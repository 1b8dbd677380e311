// SPDX-License-Identifier: Apache-2.0
// Small schema documents for the tests of the registry and the validator. Written with single quotes for
// legibility.
#pragma once

#include "host/base/text.hpp"
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace outport::test {

inline boost::json::value doc(std::string_view text) {
    auto v = json::parse(text);
    if (!v)
        throw std::runtime_error(v.error().message);
    return std::move(*v);
}

// A host with one export union, an address union, an alternate, lists and every kind of scalar.
inline constexpr std::string_view kBase = R"({
 'format': 1, 'fragment': 'base',
 'types': {
  'ExportType': {'kind': 'enum', 'extensible': true, 'values': []},
  'ExportCommon': {'kind': 'struct', 'members': [
     {'name': 'type', 'type': 'ExportType'}, {'name': 'id', 'type': 'str'},
     {'name': 'writable', 'type': 'bool', 'optional': true, 'default': false}]},
  'ExportOptions': {'kind': 'union', 'extensible': true, 'base': 'ExportCommon', 'discriminator': 'type', 'branches': []},
  'AddressType': {'kind': 'enum', 'values': [{'name': 'inet'}, {'name': 'unix'},
     {'name': 'vsock', 'if': 'CONFIG_VSOCK'}]},
  'InetAddress': {'kind': 'struct', 'members': [{'name': 'host', 'type': 'str'}, {'name': 'port', 'type': 'str'},
     {'name': 'keep-alive', 'type': 'bool', 'optional': true}]},
  'UnixAddress': {'kind': 'struct', 'members': [{'name': 'path', 'type': 'str'}]},
  'VsockAddress': {'kind': 'struct', 'if': 'CONFIG_VSOCK', 'members': [{'name': 'cid', 'type': 'str'}]},
  'AddressBase': {'kind': 'struct', 'members': [{'name': 'type', 'type': 'AddressType'}]},
  'Address': {'kind': 'union', 'base': 'AddressBase', 'discriminator': 'type', 'branches': [
     {'case': 'unix', 'type': 'UnixAddress'}, {'case': 'inet', 'type': 'InetAddress'},
     {'case': 'vsock', 'type': 'VsockAddress', 'if': 'CONFIG_VSOCK'}]},
  'Ref': {'kind': 'alternate', 'alternatives': [{'name': 'definition', 'type': 'Address'},
     {'name': 'reference', 'type': 'str'}]},
  'Policy': {'kind': 'enum', 'values': [{'name': 'deny'}, {'name': 'allow', 'features': ['unstable']}]},
  'Rule': {'kind': 'struct', 'members': [{'name': 'match', 'type': 'str'},
     {'name': 'policy', 'type': 'Policy', 'optional': true, 'default': 'deny'}]},
  'Scalars': {'kind': 'struct', 'members': [
     {'name': 'i', 'type': 'int', 'optional': true}, {'name': 'u8', 'type': 'uint8', 'optional': true},
     {'name': 'u32', 'type': 'uint32', 'optional': true}, {'name': 'u64', 'type': 'uint64', 'optional': true},
     {'name': 'i16', 'type': 'int16', 'optional': true},
     {'name': 'size', 'type': 'size', 'optional': true, 'default': 1073741824},
     {'name': 'n', 'type': 'number', 'optional': true}, {'name': 'nul', 'type': 'null', 'optional': true},
     {'name': 'any', 'type': 'any', 'optional': true}, {'name': 'b', 'type': 'bool', 'optional': true},
     {'name': 'policies', 'type': '[Policy]', 'optional': true}, {'name': 'rules', 'type': '[Rule]', 'optional': true},
     {'name': 'refs', 'type': '[Ref]', 'optional': true}, {'name': 'ref', 'type': 'Ref', 'optional': true},
     {'name': 'names', 'type': '[str]', 'optional': true}, {'name': 'u16s', 'type': '[uint16]', 'optional': true},
     {'name': 'ints', 'type': '[int]', 'optional': true}]},
  'q_obj_server-start-arg': {'kind': 'struct', 'members': [{'name': 'addr', 'type': 'Address'},
     {'name': 'max', 'type': 'uint32', 'optional': true, 'default': 100}]},
  'Unreached': {'kind': 'struct', 'members': []}
 },
 'commands': {
  'export-add': {'arg': 'ExportOptions', 'boxed': true},
  'server-start': {'arg': 'q_obj_server-start-arg'},
  'scalars': {'arg': 'Scalars', 'boxed': true, 'ret': '[Rule]', 'features': ['unstable']},
  'vsock-only': {'arg': 'VsockAddress', 'if': 'CONFIG_VSOCK'},
  'nothing': {'allow-oob': true}
 },
 'events': {'EXPORT_DELETED': {'arg': 'UnixAddress'}, 'BARE': {}},
 'options': [{'name': 'export', 'type': 'ExportOptions', 'implied-key': 'type'}]
})";

// A plugin that adds an export type, a command of its own and an option, and knows all of the host's
// addresses.
inline constexpr std::string_view kNbd = R"({
 'format': 1, 'fragment': 'nbd', 'rank': 100, 'provides': ['CONFIG_NBD'],
 'uses': {
  'AddressType': {'kind': 'enum', 'values': [{'name': 'inet'}, {'name': 'unix'}, {'name': 'vsock'}]},
  'InetAddress': {'kind': 'struct', 'members': [{'name': 'host', 'type': 'str'}, {'name': 'port', 'type': 'str'},
     {'name': 'keep-alive', 'type': 'bool', 'optional': true}]},
  'UnixAddress': {'kind': 'struct', 'members': [{'name': 'path', 'type': 'str'}]},
  'VsockAddress': {'kind': 'struct', 'members': [{'name': 'cid', 'type': 'str'}]},
  'AddressBase': {'kind': 'struct', 'members': [{'name': 'type', 'type': 'AddressType'}]},
  'Address': {'kind': 'union', 'base': 'AddressBase', 'discriminator': 'type', 'branches': [
     {'case': 'inet', 'type': 'InetAddress'}, {'case': 'unix', 'type': 'UnixAddress'},
     {'case': 'vsock', 'type': 'VsockAddress'}]}
 },
 'types': {
  'NbdOptions': {'kind': 'struct', 'members': [{'name': 'name', 'type': 'str', 'optional': true}]},
  'q_obj_nbd-start-arg': {'kind': 'struct', 'members': [{'name': 'addr', 'type': 'Address'}]}
 },
 'extends': {'ExportType': [{'name': 'nbd'}], 'ExportOptions': [{'case': 'nbd', 'type': 'NbdOptions'}]},
 'commands': {'nbd-start': {'arg': 'q_obj_nbd-start-arg'}},
 'options': [{'name': 'nbd', 'type': 'q_obj_nbd-start-arg'}]
})";

// The least that an export type adds. NAME and RANK are replaced.
inline std::string tiny_fragment(std::string name, std::string rank) {
    std::string text = R"({'format': 1, 'fragment': 'NAME', RANK
      'types': {'NAMEOptions': {'kind': 'struct', 'members': []}},
      'extends': {'ExportType': [{'name': 'NAME'}], 'ExportOptions': [{'case': 'NAME', 'type': 'NAMEOptions'}]}})";
    auto replace = [&](std::string_view what, const std::string& with) {
        for (std::size_t at; (at = text.find(what)) != text.npos;)
            text.replace(at, what.size(), with);
    };
    replace("RANK", rank.empty() ? "" : "'rank': " + rank + ",");
    replace("NAME", name);
    return text;
}

inline schema::NameList names() {
    schema::NameList list{"nbd", "NbdOptions", "nbd-start", "CONFIG_NBD"};
    for (const char* tiny : {"aaa", "bbb", "ccc", "ddd"}) {
        list.insert(tiny);
        list.insert(std::string(tiny) + "Options");
    }
    return list;
}

inline schema::Hints hints() {
    schema::Hints h;
    h.enums["ExportType"]["nbd"] = "install outport-plugin-nbd";
    h.commands["nbd-start"] = "comes with the plugin nbd";
    return h;
}

class RegistryTest : public ::testing::Test {
  protected:
    schema::Registry registry{{}, names(), hints()};

    void SetUp() override {
        auto loaded = registry.load_base(doc(kBase));
        ASSERT_TRUE(loaded) << loaded.error().message;
    }
    std::string refused(std::string_view text) { // the message
        auto r = registry.add_fragment(doc(text));
        return r ? "accepted" : r.error().message;
    }
    std::string values(std::string_view type) {
        std::string out;
        if (const schema::Type* t = registry.schema()->type(type))
            for (const auto& v : t->values)
                out += (out.empty() ? "" : " ") + v.name;
        return out;
    }
};

} // namespace outport::test
