// SPDX-License-Identifier: Apache-2.0
// A tree of values and a writer behind the SDK's table, as small as can be: the host's side for tests of
// generated types. Not thread-safe, nor need be.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <outport/values.h>

struct outport_value {
    uint32_t kind = OUTPORT_VALUE_NULL;
    int64_t integer = 0;
    double real = 0;
    std::string text;
    std::vector<std::string> names; // of members, an object only
    std::vector<outport_value> items;
};

// Writes JSON text.
struct outport_writer {
    std::string text;
    std::string open; // a '}' or ']' for each that is open
};

namespace tree {

inline outport_value make(uint32_t kind, int64_t integer = 0) {
    outport_value out;
    out.kind = kind;
    out.integer = integer;
    return out;
}
inline outport_value null() {
    return {};
}
inline outport_value flag(bool value) {
    return make(OUTPORT_VALUE_BOOL, value);
}
inline outport_value number(int64_t value) {
    return make(OUTPORT_VALUE_INT, value);
}
inline outport_value large(uint64_t value) {
    return make(OUTPORT_VALUE_UINT, static_cast<int64_t>(value));
}
inline outport_value real(double value) {
    outport_value out = make(OUTPORT_VALUE_NUMBER);
    out.real = value;
    return out;
}
inline outport_value text(std::string value) {
    outport_value out = make(OUTPORT_VALUE_STRING);
    out.text = std::move(value);
    return out;
}
inline outport_value array(std::vector<outport_value> elements) {
    outport_value out = make(OUTPORT_VALUE_ARRAY);
    out.items = std::move(elements);
    return out;
}

struct Member {
    std::string name;
    outport_value value;
};
inline outport_value object(std::vector<Member> members) {
    outport_value out = make(OUTPORT_VALUE_OBJECT);
    for (auto& member : members) {
        out.names.push_back(std::move(member.name));
        out.items.push_back(std::move(member.value));
    }
    return out;
}

const outport_values_api* api();

} // namespace tree
