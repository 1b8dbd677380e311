// SPDX-License-Identifier: Apache-2.0
// A schema document after its first check: every part has the right shape, names are well formed, sizes are
// bounded; whether the names it refers to exist is the merger's question. Immutable once read; may be shared
// between threads.
#pragma once

#include "host/base/error.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace outport::schema {

using Symbols = std::unordered_set<std::string>;

struct Condition {
    enum class Op : std::uint8_t { True, Symbol, All, Any, Not };
    Op op = Op::True;
    std::string symbol;
    std::vector<Condition> items;

    bool holds(const Symbols& symbols) const;
};

struct FeatureDef {
    std::string name;
    Condition condition;
};

struct MemberDef {
    std::string name, type; // "[T]" for an array
    bool optional = false;
    std::shared_ptr<const boost::json::value> default_value;
    Condition condition;
    std::vector<FeatureDef> features;
};

struct EnumValueDef {
    std::string name;
    Condition condition;
    std::vector<FeatureDef> features;
};

struct BranchDef {
    std::string value, type;
    Condition condition;
};

struct TypeDef {
    enum class Kind : std::uint8_t { Enum, Struct, Union, Alternate };
    Kind kind = Kind::Enum;
    std::string name;
    std::vector<EnumValueDef> values;
    std::string base;
    std::vector<MemberDef> members; // Struct; Alternate: its alternatives
    std::string discriminator;
    std::vector<BranchDef> branches;
    bool extensible = false; // Enum, Union: fragments may add to it
    Condition condition;
    std::vector<FeatureDef> features;
};

struct CommandDef {
    std::string name, argument, result; // empty: none
    Condition condition;
    std::vector<FeatureDef> features;
    bool allow_oob = false, allow_preconfig = false, success_response = true;
};

struct EventDef {
    std::string name, argument;
    Condition condition;
    std::vector<FeatureDef> features;
};

struct OptionDef {
    std::string name, type, implied_key, metavar, help;
    Condition condition;
};

struct ExtendDef {
    std::string type;
    std::vector<EnumValueDef> values; // one of the two is empty
    std::vector<BranchDef> branches;
};

struct Fragment {
    std::string name;
    std::optional<std::int64_t> rank;
    std::vector<std::string> provides;
    std::vector<TypeDef> uses, types;
    std::vector<ExtendDef> extends;
    std::vector<CommandDef> commands;
    std::vector<EventDef> events;
    std::vector<OptionDef> options;

    bool is_base() const noexcept { return name == "base"; }
    const TypeDef* used_type(std::string_view type) const noexcept;
    const TypeDef* own_type(std::string_view type) const noexcept;

  private:
    friend Result<std::shared_ptr<const Fragment>> read_document(const boost::json::value& document);
    std::unordered_map<std::string_view, const TypeDef*> uses_by_name_, types_by_name_;
};

// The document as a Fragment, or what is wrong with it and where.
Result<std::shared_ptr<const Fragment>> read_document(const boost::json::value& document);

bool is_builtin_type(std::string_view name) noexcept;
// "[T]" → T and true.
std::pair<std::string_view, bool> split_array(std::string_view type) noexcept;
// The name that a person wrote behind an implicit one: q_obj_NAME-arg, q_obj_NAME-base.
std::string_view written_name(std::string_view name) noexcept;
bool is_downstream_name(std::string_view name) noexcept; // begins with __RFQDN_

} // namespace outport::schema
