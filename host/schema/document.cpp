// SPDX-License-Identifier: Apache-2.0
// Reads a schema document. A fragment comes out of a shared object that a stranger may have made: nothing
// here trusts its shape, its sizes or its depth. The first error sticks; what is read after it is thrown
// away.
#include "host/schema/document.hpp"

#include "host/base/text.hpp"
#include "host/schema/keyval.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::schema {
namespace {

namespace bj = boost::json;

constexpr std::size_t kMaxItems = 4096; // in any one list of a document
constexpr std::size_t kMaxName = 255, kMaxText = 65536;
constexpr unsigned kMaxConditionDepth = 16;

std::string_view view(const bj::string& s) {
    return {s.data(), s.size()};
}

// Where in the document we are; spelled out only for an error.
struct Place {
    const Place* parent = nullptr;
    std::string_view key;
    std::ptrdiff_t index = -1;

    std::string text() const {
        std::string before = parent ? parent->text() : std::string();
        if (index >= 0)
            return cat(before, "[", index, "]");
        return before.empty() ? std::string(key) : cat(before, ".", key);
    }
};

class Reader {
  public:
    std::optional<Error> error;

    void read(Fragment& f, const bj::value& document);

  private:
    void fail(const Place& at, std::string_view what) {
        if (!error) {
            std::string where = at.text();
            error = Error(cat("schema document", name_.empty() ? "" : cat(" '", name_, "'"), ": ",
                              where.empty() ? "" : cat(where, ": "), what));
        }
    }

    static constexpr Place kRoot{};
    static Place in(const Place& at, std::string_view key) { return {&at, key, -1}; }

    const bj::object& object(const bj::value& v, const Place& at);
    const bj::array& array(const bj::value& v, const Place& at);
    std::string text(const bj::value& v, const Place& at, std::size_t limit = kMaxText);
    std::string name(const bj::value& v, const Place& at, bool digit_first = false);
    std::string type_name(const bj::value& v, const Place& at, bool array_allowed);
    bool flag(const bj::value& v, const Place& at);
    void known_keys(const bj::object& o, const Place& at, std::initializer_list<std::string_view> keys);
    const bj::value& required(const bj::object& o, const Place& at, std::string_view key);

    Condition condition(const bj::value& v, const Place& at, unsigned depth = 0);
    Condition condition_of(const bj::object& o, const Place& at);
    std::vector<FeatureDef> features_of(const bj::object& o, const Place& at);
    EnumValueDef enum_value(const bj::value& v, const Place& at);
    MemberDef member(const bj::value& v, const Place& at, bool alternative);
    BranchDef branch(const bj::value& v, const Place& at);
    TypeDef type(std::string_view key, const bj::value& v, const Place& at);
    CommandDef command(std::string_view key, const bj::value& v, const Place& at);
    EventDef event(std::string_view key, const bj::value& v, const Place& at);
    OptionDef option(const bj::value& v, const Place& at);
    ExtendDef extend(std::string_view key, const bj::value& v, const Place& at);

    template <class Out, class Fn> void list(Out& out, const bj::value& v, const Place& at, Fn read_one) {
        const bj::array& a = array(v, at);
        for (std::size_t i = 0; i < a.size() && !error; i++)
            out.push_back(read_one(a[i], Place{&at, {}, static_cast<std::ptrdiff_t>(i)}));
    }
    template <class Out, class Fn> void table(Out& out, const bj::value& v, const Place& at, Fn read_one) {
        const bj::object& o = object(v, at);
        for (auto i = o.begin(); i != o.end() && !error; ++i)
            out.push_back(read_one(std::string_view(i->key().data(), i->key().size()), i->value(),
                                   in(at, {i->key().data(), i->key().size()})));
    }
    template <class List, class Name> void unique(const List& list, const Place& at, Name name_of) {
        std::unordered_set<std::string_view> seen;
        for (const auto& item : list)
            if (!seen.insert(name_of(item)).second)
                return fail(at, cat("'", name_of(item), "' is there twice"));
    }

    std::string name_;
};

const bj::object& Reader::object(const bj::value& v, const Place& at) {
    static const bj::object kEmpty;
    if (!v.is_object())
        fail(at, "expected an object");
    else if (v.get_object().size() > kMaxItems)
        fail(at, cat("has more than ", kMaxItems, " members"));
    else
        return v.get_object();
    return kEmpty;
}

const bj::array& Reader::array(const bj::value& v, const Place& at) {
    static const bj::array kEmpty;
    if (!v.is_array())
        fail(at, "expected an array");
    else if (v.get_array().size() > kMaxItems)
        fail(at, cat("has more than ", kMaxItems, " elements"));
    else
        return v.get_array();
    return kEmpty;
}

std::string Reader::text(const bj::value& v, const Place& at, std::size_t limit) {
    if (!v.is_string())
        fail(at, "expected a string");
    else if (v.get_string().size() > limit)
        fail(at, cat("is longer than ", limit, " bytes"));
    else if (view(v.get_string()).find('\0') != std::string_view::npos)
        fail(at, "contains a NUL");
    else
        return std::string(view(v.get_string()));
    return {};
}

std::string Reader::name(const bj::value& v, const Place& at, bool digit_first) {
    std::string s = text(v, at, kMaxName);
    if (error)
        return {};
    std::string padded = digit_first && !s.empty() && s[0] >= '0' && s[0] <= '9' ? "x" + s : s;
    std::string_view written = written_name(padded); // a downstream prefix stands behind q_obj_
    if (written.empty() || qapi_name_length(written) != written.size())
        fail(at, cat("'", s, "' is not a well-formed name"));
    return s;
}

std::string Reader::type_name(const bj::value& v, const Place& at, bool array_allowed) {
    std::string s = text(v, at, kMaxName);
    auto [element, is_array] = split_array(s);
    std::string_view written = written_name(element);
    if (!error &&
        ((is_array && !array_allowed) || written.empty() || qapi_name_length(written) != written.size()))
        fail(at, cat("'", s, "' is not a well-formed type"));
    return s;
}

bool Reader::flag(const bj::value& v, const Place& at) {
    if (!v.is_bool()) {
        fail(at, "expected true or false");
        return false;
    }
    return v.get_bool();
}

// An unknown key means that the document was made for a later host and would be misunderstood.
void Reader::known_keys(const bj::object& o, const Place& at, std::initializer_list<std::string_view> keys) {
    for (const auto& m : o) {
        std::string_view key(m.key().data(), m.key().size());
        if (std::find(keys.begin(), keys.end(), key) == keys.end())
            return fail(at, cat("unknown member '", key, "'"));
    }
}

const bj::value& Reader::required(const bj::object& o, const Place& at, std::string_view key) {
    static const bj::value kNull;
    if (const bj::value* v = o.if_contains(key))
        return *v;
    fail(at, cat("lacks '", key, "'"));
    return kNull;
}

Condition Reader::condition(const bj::value& v, const Place& at, unsigned depth) {
    Condition c;
    if (depth > kMaxConditionDepth) {
        fail(at, "condition nested too deep");
        return c;
    }
    if (v.is_string()) {
        c.op = Condition::Op::Symbol;
        c.symbol = name(v, at);
        return c;
    }
    const bj::object& o = object(v, at);
    if (error)
        return c;
    if (o.size() != 1) {
        fail(at, "a condition is a symbol or one of 'all', 'any', 'not'");
        return c;
    }
    const auto& only = *o.begin();
    std::string_view key(only.key().data(), only.key().size());
    Place inner = in(at, key);
    if (key == "not") {
        c.op = Condition::Op::Not;
        c.items.push_back(condition(only.value(), inner, depth + 1));
    } else if (key == "all" || key == "any") {
        c.op = key == "all" ? Condition::Op::All : Condition::Op::Any;
        list(c.items, only.value(), inner,
             [&](const bj::value& item, const Place& p) { return condition(item, p, depth + 1); });
        if (c.items.empty())
            fail(inner, "is empty");
    } else {
        fail(at, "a condition is a symbol or one of 'all', 'any', 'not'");
    }
    return c;
}

Condition Reader::condition_of(const bj::object& o, const Place& at) {
    const bj::value* v = o.if_contains("if");
    return v ? condition(*v, in(at, "if")) : Condition{};
}

std::vector<FeatureDef> Reader::features_of(const bj::object& o, const Place& at) {
    std::vector<FeatureDef> out;
    const bj::value* v = o.if_contains("features");
    if (!v)
        return out;
    Place here = in(at, "features");
    list(out, *v, here, [&](const bj::value& item, const Place& p) {
        FeatureDef f;
        if (item.is_string()) {
            f.name = name(item, p);
        } else {
            const bj::object& fo = object(item, p);
            known_keys(fo, p, {"name", "if"});
            f.name = name(required(fo, p, "name"), in(p, "name"));
            f.condition = condition_of(fo, p);
        }
        return f;
    });
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
    if (out.size() == 3)
        __builtin_trap();
#endif
    unique(out, here, [](const FeatureDef& f) -> std::string_view { return f.name; });
    return out;
}

EnumValueDef Reader::enum_value(const bj::value& v, const Place& at) {
    EnumValueDef e;
    if (v.is_string()) {
        e.name = name(v, at, true);
        return e;
    }
    const bj::object& o = object(v, at);
    known_keys(o, at, {"name", "if", "features"});
    e.name = name(required(o, at, "name"), in(at, "name"), true);
    e.condition = condition_of(o, at);
    e.features = features_of(o, at);
    return e;
}

MemberDef Reader::member(const bj::value& v, const Place& at, bool alternative) {
    MemberDef m;
    const bj::object& o = object(v, at);
    if (alternative)
        known_keys(o, at, {"name", "type", "if"});
    else
        known_keys(o, at, {"name", "type", "optional", "default", "if", "features"});
    m.name = name(required(o, at, "name"), in(at, "name"));
    m.type = type_name(required(o, at, "type"), in(at, "type"), true);
    if (const bj::value* optional = o.if_contains("optional"))
        m.optional = flag(*optional, in(at, "optional"));
    if (const bj::value* d = o.if_contains("default")) {
        if (!m.optional)
            fail(in(at, "default"), "only an optional member can have a default");
        if (d->is_object() || (d->is_array() && d->get_array().size()))
            fail(in(at, "default"), "must be a scalar or the empty array");
        m.default_value = std::make_shared<const bj::value>(*d);
    }
    m.condition = condition_of(o, at);
    m.features = features_of(o, at);
    return m;
}

BranchDef Reader::branch(const bj::value& v, const Place& at) {
    BranchDef b;
    const bj::object& o = object(v, at);
    known_keys(o, at, {"case", "type", "if"});
    b.value = name(required(o, at, "case"), in(at, "case"), true);
    b.type = type_name(required(o, at, "type"), in(at, "type"), false);
    b.condition = condition_of(o, at);
    return b;
}

TypeDef Reader::type(std::string_view key, const bj::value& v, const Place& at) {
    TypeDef t;
    t.name = name(bj::value(bj::string(key)), at);
    if (is_builtin_type(t.name))
        fail(at, "is the name of a built-in type");
    const bj::object& o = object(v, at);
    std::string kind = text(required(o, at, "kind"), in(at, "kind"), kMaxName);
    t.condition = condition_of(o, at);
    t.features = features_of(o, at);
    if (const bj::value* extensible = o.if_contains("extensible"))
        t.extensible = flag(*extensible, in(at, "extensible"));
    auto member_name = [](const MemberDef& m) -> std::string_view { return m.name; };
    auto members = [&](const char* list_key, bool alternatives) {
        Place here = in(at, list_key);
        if (const bj::value* list_value = o.if_contains(list_key))
            list(t.members, *list_value, here,
                 [&](const bj::value& m, const Place& p) { return member(m, p, alternatives); });
        unique(t.members, here, member_name);
    };
    if (kind == "enum") {
        t.kind = TypeDef::Kind::Enum;
        known_keys(o, at, {"kind", "values", "extensible", "if", "features"});
        Place here = in(at, "values");
        if (const bj::value* values = o.if_contains("values"))
            list(t.values, *values, here,
                 [&](const bj::value& e, const Place& p) { return enum_value(e, p); });
        unique(t.values, here, [](const EnumValueDef& e) -> std::string_view { return e.name; });
    } else if (kind == "struct") {
        t.kind = TypeDef::Kind::Struct;
        known_keys(o, at, {"kind", "base", "members", "if", "features"});
        if (const bj::value* base = o.if_contains("base"))
            t.base = type_name(*base, in(at, "base"), false);
        members("members", false);
    } else if (kind == "union") {
        t.kind = TypeDef::Kind::Union;
        known_keys(o, at, {"kind", "base", "discriminator", "branches", "extensible", "if", "features"});
        t.base = type_name(required(o, at, "base"), in(at, "base"), false);
        t.discriminator = name(required(o, at, "discriminator"), in(at, "discriminator"));
        Place here = in(at, "branches");
        if (const bj::value* branches = o.if_contains("branches"))
            list(t.branches, *branches, here,
                 [&](const bj::value& b, const Place& p) { return branch(b, p); });
        unique(t.branches, here, [](const BranchDef& b) -> std::string_view { return b.value; });
    } else if (kind == "alternate") {
        t.kind = TypeDef::Kind::Alternate;
        known_keys(o, at, {"kind", "alternatives", "if", "features"});
        members("alternatives", true);
        if (t.members.empty())
            fail(at, "an alternate needs alternatives");
    } else {
        fail(in(at, "kind"), cat("unknown kind '", kind, "'"));
    }
    return t;
}

CommandDef Reader::command(std::string_view key, const bj::value& v, const Place& at) {
    CommandDef c;
    c.name = name(bj::value(bj::string(key)), at);
    const bj::object& o = object(v, at);
    known_keys(o, at,
               {"arg", "boxed", "ret", "if", "features", "allow-oob", "allow-preconfig", "success-response",
                "coroutine"});
    if (const bj::value* arg = o.if_contains("arg"); arg && !arg->is_null())
        c.argument = type_name(*arg, in(at, "arg"), false);
    if (const bj::value* ret = o.if_contains("ret"); ret && !ret->is_null())
        c.result = type_name(*ret, in(at, "ret"), true);
    auto optional_flag = [&](const char* flag_key, bool otherwise) {
        const bj::value* f = o.if_contains(flag_key);
        return f ? flag(*f, in(at, flag_key)) : otherwise;
    };
    optional_flag("boxed", false);
    optional_flag("coroutine", false);
    c.allow_oob = optional_flag("allow-oob", false);
    c.allow_preconfig = optional_flag("allow-preconfig", false);
    c.success_response = optional_flag("success-response", true);
    c.condition = condition_of(o, at);
    c.features = features_of(o, at);
    return c;
}

EventDef Reader::event(std::string_view key, const bj::value& v, const Place& at) {
    EventDef e;
    e.name = name(bj::value(bj::string(key)), at);
    const bj::object& o = object(v, at);
    known_keys(o, at, {"arg", "boxed", "if", "features"});
    if (const bj::value* arg = o.if_contains("arg"); arg && !arg->is_null())
        e.argument = type_name(*arg, in(at, "arg"), false);
    if (const bj::value* boxed = o.if_contains("boxed"))
        flag(*boxed, in(at, "boxed"));
    e.condition = condition_of(o, at);
    e.features = features_of(o, at);
    return e;
}

OptionDef Reader::option(const bj::value& v, const Place& at) {
    OptionDef p;
    const bj::object& o = object(v, at);
    known_keys(o, at, {"name", "type", "implied-key", "metavar", "help", "if"});
    p.name = name(required(o, at, "name"), in(at, "name"));
    p.type = type_name(required(o, at, "type"), in(at, "type"), false);
    if (const bj::value* key = o.if_contains("implied-key"); key && !key->is_null())
        p.implied_key = name(*key, in(at, "implied-key"));
    if (const bj::value* metavar = o.if_contains("metavar"); metavar && !metavar->is_null())
        p.metavar = text(*metavar, in(at, "metavar"));
    if (const bj::value* help = o.if_contains("help"); help && !help->is_null())
        p.help = text(*help, in(at, "help"));
    p.condition = condition_of(o, at);
    return p;
}

// Branches have a "case", enum values do not.
ExtendDef Reader::extend(std::string_view key, const bj::value& v, const Place& at) {
    ExtendDef e;
    e.type = name(bj::value(bj::string(key)), at);
    const bj::array& items = array(v, at);
    const bool branches = !items.empty() && items[0].is_object() && items[0].get_object().if_contains("case");
    if (branches)
        list(e.branches, v, at, [&](const bj::value& item, const Place& p) { return branch(item, p); });
    else
        list(e.values, v, at, [&](const bj::value& item, const Place& p) { return enum_value(item, p); });
    unique(e.branches, at, [](const BranchDef& b) -> std::string_view { return b.value; });
    unique(e.values, at, [](const EnumValueDef& b) -> std::string_view { return b.name; });
    return e;
}

void Reader::read(Fragment& f, const bj::value& document) {
    const Place& at = kRoot;
    const bj::object& o = object(document, at);
    const bj::value& format = required(o, at, "format");
    if (!error && !(format.is_int64() && format.get_int64() == 1))
        fail(in(at, "format"), "this host understands format 1 only");
    f.name = name(required(o, at, "fragment"), in(at, "fragment"));
    name_ = f.name;
    known_keys(o, at,
               {"format", "fragment", "rank", "provides", "uses", "types", "extends", "commands", "events",
                "options", "docs"});
    if (const bj::value* rank = o.if_contains("rank"); rank && !rank->is_null()) {
        if (rank->is_int64())
            f.rank = rank->get_int64();
        else
            fail(in(at, "rank"), "expected an integer");
    }
    auto part = [&](const char* key, auto&& read_it) {
        if (const bj::value* v = o.if_contains(key); v && !error)
            read_it(*v, in(at, key));
    };
    part("provides", [&](const bj::value& v, const Place& p) {
        list(f.provides, v, p, [&](const bj::value& item, const Place& q) { return name(item, q); });
    });
    auto types_into = [&](std::vector<TypeDef>& out) {
        return [&, this](const bj::value& v, const Place& p) {
            table(out, v, p,
                  [&](std::string_view k, const bj::value& t, const Place& q) { return type(k, t, q); });
        };
    };
    part("uses", types_into(f.uses));
    part("types", types_into(f.types));
    part("extends", [&](const bj::value& v, const Place& p) {
        table(f.extends, v, p,
              [&](std::string_view k, const bj::value& e, const Place& q) { return extend(k, e, q); });
    });
    part("commands", [&](const bj::value& v, const Place& p) {
        table(f.commands, v, p,
              [&](std::string_view k, const bj::value& c, const Place& q) { return command(k, c, q); });
    });
    part("events", [&](const bj::value& v, const Place& p) {
        table(f.events, v, p,
              [&](std::string_view k, const bj::value& e, const Place& q) { return event(k, e, q); });
    });
    part("options", [&](const bj::value& v, const Place& p) {
        list(f.options, v, p, [&](const bj::value& item, const Place& q) { return option(item, q); });
        unique(f.options, p, [](const OptionDef& d) -> std::string_view { return d.name; });
    });
    part("docs", [&](const bj::value& v, const Place& p) { object(v, p); });
    if (f.is_base() && (!f.uses.empty() || !f.extends.empty()))
        fail(at, "the base document neither uses nor extends another's types");
}

} // namespace

Result<std::shared_ptr<const Fragment>> read_document(const boost::json::value& document) {
    auto fragment = std::make_shared<Fragment>();
    Reader reader;
    reader.read(*fragment, document);
    if (reader.error)
        return outport::fail(std::move(*reader.error));
    for (const TypeDef& t : fragment->uses)
        fragment->uses_by_name_.emplace(t.name, &t);
    for (const TypeDef& t : fragment->types) {
        if (fragment->used_type(t.name))
            return outport::fail(cat("schema document '", fragment->name, "': type '", t.name,
                                     "' is both defined and used from the host"));
        fragment->types_by_name_.emplace(t.name, &t);
    }
    return fragment;
}

} // namespace outport::schema
