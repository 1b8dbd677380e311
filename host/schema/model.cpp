// SPDX-License-Identifier: Apache-2.0
#include "host/schema/model.hpp"

#include "host/base/text.hpp"

#include <algorithm>

namespace outport::schema {
namespace {

template <class Map> auto find_in(const Map& map, std::string_view name) -> typename Map::mapped_type {
    auto i = map.find(std::string(name));
    return i == map.end() ? typename Map::mapped_type{} : i->second;
}

} // namespace

const Branch* Type::branch(std::string_view value) const noexcept {
    for (const Branch& b : branches)
        if (b.value == value)
            return &b;
    return nullptr;
}

bool Type::has_value(std::string_view value) const noexcept {
    return std::any_of(values.begin(), values.end(), [&](const EnumValue& v) { return v.name == value; });
}

std::string Hints::command(std::string_view name) const {
    return find_in(commands, name);
}
std::string Hints::option(std::string_view name) const {
    return find_in(options, name);
}
std::string Hints::enum_value(std::string_view type, std::string_view value) const {
    auto i = enums.find(std::string(type));
    return i == enums.end() ? std::string() : find_in(i->second, value);
}

const Type* Schema::type(std::string_view name) const {
    return find_in(types_by_name_, name);
}
const Command* Schema::command(std::string_view name) const {
    return find_in(commands_by_name_, name);
}
const Event* Schema::event(std::string_view name) const {
    return find_in(events_by_name_, name);
}
bool Schema::symbol(std::string_view name) const {
    return symbols_.contains(std::string(name));
}

const Option* Schema::option(std::string_view name) const {
    for (const Option& o : options_)
        if (o.name == name)
            return &o;
    return nullptr;
}

bool Schema::unknown_to(std::string_view owner, std::string_view type, std::string_view word) const {
    if (unknown_.empty() || owner.empty())
        return false;
    return unknown_.contains(cat(owner, '\0', type, '\0', word));
}

} // namespace outport::schema
