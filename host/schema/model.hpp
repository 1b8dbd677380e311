// SPDX-License-Identifier: Apache-2.0
// The merged schema: what holds now, conditions evaluated, types resolved. Immutable once built, so it may be
// read from any thread; whoever works with it keeps a shared_ptr to it and is not disturbed by a plugin's
// coming or going.
#pragma once

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace outport::schema {

enum class Kind : std::uint8_t {
    Str,
    Int,    // also every sized integer and `size`: Type::min, Type::max
    Number, // floating point
    Bool,
    Null,
    Any,
    Enum,
    Object, // struct or union
    Alternate,
    Array
};

struct Type;

struct Member {
    std::string name;
    const Type* type = nullptr;
    bool optional = false;
    std::shared_ptr<const boost::json::value> default_value; // null: none
    std::vector<std::string> features;
};

struct EnumValue {
    std::string name;
    std::vector<std::string> features;
};

struct Branch {
    std::string value;          // of the discriminator
    const Type* type = nullptr; // null: adds no members
};

struct Type {
    std::string name; // as in the schema; "[T]" for arrays
    Kind kind = Kind::Str;
    std::string owner; // name of the fragment that defines it; empty: built in
    std::vector<std::string> features;

    // Int
    bool is_signed = true, is_size = false;
    std::int64_t min = 0;
    std::uint64_t max = 0;
    std::string c_name; // "uint32_t", as messages call it; empty where the 64-bit range is the only bound

    std::vector<EnumValue> values; // Enum
    std::vector<Member> members;   // Object: of the base first; Alternate: name and type of each alternative
    int discriminator = -1;        // Object: index into members, -1 for a struct
    std::vector<Branch>
        branches; // Object: in the order of the discriminator's values, without the empty ones
    const Type* element = nullptr; // Array

    const Branch* branch(std::string_view value) const noexcept;
    bool has_value(std::string_view value) const noexcept;
};

struct Command {
    std::string name, owner;
    const Type* argument = nullptr; // null: takes none
    const Type* result = nullptr;   // null: {}
    std::vector<std::string> features;
    bool allow_oob = false, allow_preconfig = false, success_response = true;
};

struct Event {
    std::string name, owner;
    const Type* argument = nullptr;
    std::vector<std::string> features;
};

// A command-line option; the host's own (--blockdev, …) and the plugins' (--nbd-server).
struct Option {
    std::string name, owner, implied_key, metavar, help;
    const Type* type = nullptr;
};

// Words that a plugin or package would bring, from hints.json:
//   {"commands": {"nbd-server-start": "TEXT"}, "options": {…}, "enums": {"BlockExportType": {"nbd": "TEXT"}}}
struct Hints {
    std::unordered_map<std::string, std::string> commands, options;
    std::unordered_map<std::string, std::unordered_map<std::string, std::string>> enums;

    std::string command(std::string_view name) const;
    std::string option(std::string_view name) const;
    std::string enum_value(std::string_view type, std::string_view value) const;
};

class Schema {
  public:
    const Type* type(std::string_view name) const; // also "[T]" where some member uses it; null: no such
    const Command* command(std::string_view name) const;
    const Event* event(std::string_view name) const;
    const Option* option(std::string_view name) const;
    bool symbol(std::string_view name) const; // is this condition symbol true?

    // In schema order: base first, then by rank and name of the fragment.
    const std::deque<Command>& commands() const noexcept { return commands_; }
    const std::deque<Event>& events() const noexcept { return events_; }
    const std::deque<Option>& options() const noexcept { return options_; }
    const Hints& hints() const noexcept { return *hints_; }

    // Host words that fragment `owner` was not compiled against: members, enum values and cases of type
    // `type`.
    bool unknown_to(std::string_view owner, std::string_view type, std::string_view word) const;

  private:
    friend class Merger;
    std::deque<Type> types_; // addresses are stable
    std::unordered_map<std::string, const Type*> types_by_name_;
    std::deque<Command> commands_;
    std::deque<Event> events_;
    std::deque<Option> options_;
    std::unordered_map<std::string, const Command*> commands_by_name_;
    std::unordered_map<std::string, const Event*> events_by_name_;
    std::unordered_set<std::string> symbols_;
    // "OWNER\0TYPE\0WORD"
    std::unordered_set<std::string> unknown_;
    std::shared_ptr<const Hints> hints_;
};

} // namespace outport::schema
