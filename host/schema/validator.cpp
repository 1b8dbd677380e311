// SPDX-License-Identifier: Apache-2.0
// The one place where input is checked against the schema. Names in messages follow QEMU: most are spelled in
// full
// ("file.filename", "rules[0].match"), but enums, alternates and ranges of sized integers show the bare
// member, and "null" for an element of a list.
#include "host/schema/validator.hpp"

#include "host/base/text.hpp"
#include "host/schema/json.hpp"
#include "host/schema/numbers.hpp"

#include <boost/json/value.hpp>

#include <optional>

namespace outport::schema {
namespace {

namespace bj = boost::json;

std::string_view view(const bj::string& s) {
    return {s.data(), s.size()};
}

// Where in the input we are: a chain of frames on the stack.
struct Path {
    const Path* parent = nullptr;
    std::string_view name;
    std::int64_t index = -1; // of a list; the root has neither
};

class Visit {
  public:
    Visit(const Schema& schema, InputMode mode) : schema_(schema), mode_(mode) {}

    std::optional<Error> error;

    // `owner`: the plugin for which the value is, empty for the host.
    void value(const Type& type, const bj::value& in, bj::value& out, const Path& at, std::string_view owner);
    void object(const Type& type, const bj::object& in, bj::object& out, const Path& at,
                std::string_view owner);

  private:
    void fail(std::string text, std::string hint = {}) {
        if (!error)
            error = Error(std::move(text), std::move(hint));
    }
    std::string full(const Path& at) const;
    static std::string bare(const Path& at) { return at.index >= 0 ? "null" : std::string(at.name); }
    void wrong_type(const Path& at, std::string_view expected) {
        fail(cat("Invalid parameter type for '", full(at), "', expected: ", expected));
    }
    void expects(const Path& at, std::string_view what) {
        fail(cat("Parameter '", full(at), "' expects ", what));
    }

    // The text of a scalar in keyval; null after an error.
    const bj::string* scalar_text(const bj::value& in, const Path& at);
    void integer(const Type& type, const bj::value& in, bj::value& out, const Path& at);
    bool read_integer(const Type& type, const bj::value& in, std::int64_t& s, std::uint64_t& u,
                      const Path& at);
    bool read_keyval_integer(const Type& type, const bj::value& in, std::int64_t& s, std::uint64_t& u,
                             const Path& at);
    void number(const bj::value& in, bj::value& out, const Path& at);
    void boolean(const bj::value& in, bj::value& out, const Path& at);
    const bj::string* string(const bj::value& in, const Path& at);
    void enumeration(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                     std::string_view owner);
    void alternate(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                   std::string_view owner);
    void array(const Type& type, const bj::value& in, bj::value& out, const Path& at, std::string_view owner);
    void members(const Type& type, const bj::object& in, bj::object& out, std::size_t& used, const Path& at,
                 std::string_view owner);
    void member(const Type& type, const Member& m, const bj::object& in, bj::object& out, std::size_t& used,
                const Path& at, std::string_view owner);
    std::string_view owner_inside(const Type& type, std::string_view owner) const {
        return type.owner.empty() || type.owner == "base" ? owner : std::string_view(type.owner);
    }
    void too_new(const Path& at, std::string_view what, std::string_view owner) {
        fail(cat(what, " '", full(at), "' needs a newer plugin than the '", owner, "' that is loaded"));
    }

    const Schema& schema_;
    InputMode mode_;
};

std::string Visit::full(const Path& at) const {
    if (!at.parent)
        return "<anonymous>";
    std::string before = at.parent->parent ? full(*at.parent) : std::string();
    if (at.index >= 0)
        return mode_ == InputMode::Keyval ? cat(before, '.', at.index) : cat(before, '[', at.index, ']');
    return before.empty() ? std::string(at.name) : cat(before, '.', at.name);
}

const bj::string* Visit::scalar_text(const bj::value& in, const Path& at) {
    if (in.is_string())
        return &in.get_string();
    if (in.is_structured())
        fail(cat("Parameters '", full(at), ".*' are unexpected"));
    else
        fail(cat("Internal error: parameter ", full(at), " invalid"));
    return nullptr;
}

bool Visit::read_keyval_integer(const Type& type, const bj::value& in, std::int64_t& s, std::uint64_t& u,
                                const Path& at) {
    const bj::string* text = scalar_text(in, at);
    if (!text)
        return false;
    bool good;
    if (type.is_size)
        good = parse_size(view(*text), u);
    else
        good = type.is_signed ? parse_int64(view(*text), s) : parse_uint64(view(*text), u);
    if (!good)
        expects(at, type.is_size ? "size" : "integer");
    return good;
}

bool Visit::read_integer(const Type& type, const bj::value& in, std::int64_t& s, std::uint64_t& u,
                         const Path& at) {
    if (mode_ == InputMode::Keyval)
        return read_keyval_integer(type, in, s, u, at);
    if (in.is_int64()) {
        s = in.get_int64();
        u = static_cast<std::uint64_t>(s); // negative ones wrap: clients rely on it
        return true;
    }
    if (in.is_uint64() && (!type.is_signed || in.get_uint64() <= static_cast<std::uint64_t>(INT64_MAX))) {
        u = in.get_uint64();
        s = static_cast<std::int64_t>(u);
        return true;
    }
    if (type.is_signed)
        wrong_type(at, "integer");
    else
        expects(at, "uint64");
    return false;
}

void Visit::integer(const Type& type, const bj::value& in, bj::value& out, const Path& at) {
    std::int64_t s = 0;
    std::uint64_t u = 0;
    if (!read_integer(type, in, s, u, at))
        return;
    const bool inside = type.is_signed ? s >= type.min && (s < 0 || static_cast<std::uint64_t>(s) <= type.max)
                                       : u <= type.max;
    if (!inside)
        return fail(cat("Parameter '", bare(at), "' expects ", type.c_name));
    if (type.is_signed || u <= static_cast<std::uint64_t>(INT64_MAX))
        out = type.is_signed ? s : static_cast<std::int64_t>(u);
    else
        out = u;
}

void Visit::number(const bj::value& in, bj::value& out, const Path& at) {
    double d = 0;
    if (mode_ == InputMode::Keyval) {
        const bj::string* text = scalar_text(in, at);
        if (text && !parse_double(view(*text), d))
            wrong_type(at, "number");
    } else if (in.is_number()) {
        d = in.to_number<double>();
    } else {
        wrong_type(at, "number");
    }
    out = d;
}

void Visit::boolean(const bj::value& in, bj::value& out, const Path& at) {
    if (mode_ == InputMode::Json) {
        if (!in.is_bool())
            return wrong_type(at, "boolean");
        out = in.get_bool();
        return;
    }
    const bj::string* text = scalar_text(in, at);
    bool b = false;
    if (text && !parse_bool(view(*text), b))
        expects(at, "'on' or 'off'");
    out = b;
}

const bj::string* Visit::string(const bj::value& in, const Path& at) {
    if (mode_ == InputMode::Keyval)
        return scalar_text(in, at);
    if (in.is_string())
        return &in.get_string();
    wrong_type(at, "string");
    return nullptr;
}

void Visit::enumeration(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                        std::string_view owner) {
    const bj::string* s = string(in, at);
    if (!s)
        return;
    std::string_view word = view(*s);
    if (!type.has_value(word))
        return fail(cat("Parameter '", bare(at), "' does not accept value '", word, "'"),
                    schema_.hints().enum_value(type.name, word));
    if (schema_.unknown_to(owner, type.name, word))
        return too_new(at, cat("Value '", word, "' of parameter"), owner);
    out = *s;
}

// Which alternative it is shows in the kind of value, before anything else is looked at. On a command line
// all are strings; there a word like "on" is a boolean, unless any string would do.
void Visit::alternate(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                      std::string_view owner) {
    auto has = [&](Kind kind) {
        return std::ranges::any_of(type.members, [&](const Member& m) { return m.type->kind == kind; });
    };
    bool ignored;
    const bool says_bool = mode_ == InputMode::Keyval && in.is_string() && has(Kind::Bool) &&
                           !has(Kind::Str) && parse_bool(view(in.get_string()), ignored);
    auto fits = [&](Kind kind) {
        switch (kind) {
        case Kind::Str:
            return in.is_string();
        case Kind::Enum:
            return in.is_string() && !says_bool;
        case Kind::Int:
        case Kind::Number:
            return in.is_number();
        case Kind::Bool:
            return in.is_bool() || says_bool;
        case Kind::Null:
            return in.is_null();
        case Kind::Object:
            return in.is_object();
        case Kind::Array:
            return in.is_array();
        default:
            return false;
        }
    };
    for (const Member& m : type.members) {
        if (!fits(m.type->kind))
            continue;
        if (schema_.unknown_to(owner, type.name, m.name))
            return too_new(at, cat("Form '", m.name, "' of parameter"), owner);
        return value(*m.type, in, out, at, owner);
    }
    fail(cat("Invalid parameter type for '", bare(at), "', expected: ", type.name));
}

void Visit::array(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                  std::string_view owner) {
    if (!in.is_array())
        return wrong_type(at, "array");
    bj::array& to = out.emplace_array();
    const bj::array& from = in.get_array();
    to.reserve(from.size());
    for (std::size_t i = 0; i < from.size() && !error; i++)
        value(*type.element, from[i], to.emplace_back(nullptr), Path{&at, {}, static_cast<std::int64_t>(i)},
              owner);
}

void Visit::member(const Type& type, const Member& m, const bj::object& in, bj::object& out,
                   std::size_t& used, const Path& at, std::string_view owner) {
    Path here{&at, m.name, -1};
    const bj::value* given = in.if_contains(m.name);
    const bool unknown = schema_.unknown_to(owner, type.name, m.name);
    if (given) {
        used++;
        if (unknown)
            return too_new(here, "Parameter", owner);
        value(*m.type, *given, out[m.name], here, owner);
    } else if (!m.optional) {
        fail(cat("Parameter '", full(here), "' is missing"));
    } else if (m.default_value && !unknown) {
        out.emplace(m.name, *m.default_value);
    }
}

void Visit::members(const Type& type, const bj::object& in, bj::object& out, std::size_t& used,
                    const Path& at, std::string_view owner) {
    std::string_view inside = owner_inside(type, owner);
    for (const Member& m : type.members) {
        member(type, m, in, out, used, at, inside);
        if (error)
            return;
    }
    if (type.discriminator < 0)
        return;
    const bj::value& tag = out.at(type.members[static_cast<std::size_t>(type.discriminator)].name);
    if (const Branch* b = type.branch(view(tag.get_string())))
        members(*b->type, in, out, used, at, inside);
}

void Visit::object(const Type& type, const bj::object& in, bj::object& out, const Path& at,
                   std::string_view owner) {
    std::size_t used = 0;
    members(type, in, out, used, at, owner);
    if (error || used == in.size())
        return;
    // What the schema has for this object is in `out`, defaults included, so the rest is unexpected.
    for (const auto& m : in) {
        std::string_view key(m.key().data(), m.key().size());
        if (!out.contains(m.key()))
            return fail(cat("Parameter '", full(Path{&at, key, -1}), "' is unexpected"));
    }
}

void Visit::value(const Type& type, const bj::value& in, bj::value& out, const Path& at,
                  std::string_view owner) {
    switch (type.kind) {
    case Kind::Str:
        if (const bj::string* s = string(in, at))
            out = *s;
        break;
    case Kind::Int:
        return integer(type, in, out, at);
    case Kind::Number:
        return number(in, out, at);
    case Kind::Bool:
        return boolean(in, out, at);
    case Kind::Null:
        if (!in.is_null())
            wrong_type(at, "null");
        out = nullptr;
        break;
    case Kind::Any:
        out = in;
        break;
    case Kind::Enum:
        return enumeration(type, in, out, at, owner);
    case Kind::Object:
        if (!in.is_object())
            return wrong_type(at, "object");
        return object(type, in.get_object(), out.emplace_object(), at, owner);
    case Kind::Alternate:
        return alternate(type, in, out, at, owner);
    case Kind::Array:
        return array(type, in, out, at, owner);
    }
}

// `type` null: no member is expected.
Result<bj::object> validate_members(const Schema& schema, const Type* type, const bj::object& in,
                                    InputMode mode, std::string_view owner) {
    static const Type kEmpty = [] {
        Type t;
        t.kind = Kind::Object;
        return t;
    }();
    Visit visit(schema, mode);
    bj::object out;
    visit.object(type ? *type : kEmpty, in, out, Path{}, owner == "base" ? std::string_view() : owner);
    if (visit.error)
        return outport::fail(std::move(*visit.error));
    return out;
}

} // namespace

Result<bj::object> validate_command(const Schema& schema, std::string_view command,
                                    const bj::object& arguments, InputMode mode) {
    const Command* c = schema.command(command);
    if (!c) {
        Error e = Error::with_class(ErrorClass::CommandNotFound,
                                    cat("The command ", command, " has not been found"));
        e.hint = schema.hints().command(command);
        return fail(std::move(e));
    }
    return validate_members(schema, c->argument, arguments, mode, c->owner);
}

Result<bj::object> validate_option(const Schema& schema, std::string_view option, const bj::object& value,
                                   InputMode mode) {
    const Option* o = schema.option(option);
    if (!o)
        return fail(cat("unknown option '", option, "'"), schema.hints().option(option));
    return validate_members(schema, o->type, value, mode, o->owner);
}

Result<bj::object> validate_event(const Schema& schema, std::string_view event, const bj::object& data) {
    const Event* e = schema.event(event);
    if (!e)
        return fail(cat("there is no event '", event, "'"));
    return validate_members(schema, e->argument, data, InputMode::Json, e->owner);
}

Result<bj::value> validate(const Schema& schema, const Type& type, const bj::value& value, InputMode mode,
                           std::string_view owner) {
    Visit visit(schema, mode);
    bj::value out;
    visit.value(type, value, out, Path{}, owner == "base" ? std::string_view() : owner);
    if (visit.error)
        return fail(std::move(*visit.error));
    return out;
}

} // namespace outport::schema
