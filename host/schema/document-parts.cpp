// SPDX-License-Identifier: Apache-2.0
// What a document's parts know about themselves.
#include "host/schema/document.hpp"

#include "host/schema/keyval.hpp"

#include <algorithm>

namespace outport::schema {

bool Condition::holds(const Symbols& symbols) const {
    auto item_holds = [&](const Condition& c) { return c.holds(symbols); };
    switch (op) {
    case Op::True:
        return true;
    case Op::Symbol:
        return symbols.contains(symbol);
    case Op::All:
        return std::all_of(items.begin(), items.end(), item_holds);
    case Op::Any:
        return std::any_of(items.begin(), items.end(), item_holds);
    case Op::Not:
        return !items.front().holds(symbols);
    }
    return false;
}

const TypeDef* Fragment::used_type(std::string_view type) const noexcept {
    auto i = uses_by_name_.find(type);
    return i == uses_by_name_.end() ? nullptr : i->second;
}

const TypeDef* Fragment::own_type(std::string_view type) const noexcept {
    auto i = types_by_name_.find(type);
    return i == types_by_name_.end() ? nullptr : i->second;
}

bool is_builtin_type(std::string_view name) noexcept {
    static constexpr std::string_view kNames[] = {"str",   "int",   "int8",   "int16",  "int32",
                                                  "int64", "uint8", "uint16", "uint32", "uint64",
                                                  "size",  "bool",  "number", "null",   "any"};
    return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

std::pair<std::string_view, bool> split_array(std::string_view type) noexcept {
    if (type.size() > 2 && type.front() == '[' && type.back() == ']')
        return {type.substr(1, type.size() - 2), true};
    return {type, false};
}

std::string_view written_name(std::string_view name) noexcept {
    if (!name.starts_with("q_obj_"))
        return name;
    std::string_view inner = name.substr(6);
    for (std::string_view suffix : {"-arg", "-base"})
        if (inner.ends_with(suffix))
            return inner.substr(0, inner.size() - suffix.size());
    return name;
}

bool is_downstream_name(std::string_view name) noexcept {
    return name.starts_with("__") && qapi_name_length(name) == name.size();
}

} // namespace outport::schema
