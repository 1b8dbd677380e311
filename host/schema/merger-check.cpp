// SPDX-License-Identifier: Apache-2.0
// First half of a merge: do the documents fit together? Names, references, bases, tags, defaults, and whether
// a plugin was compiled against what this host has.
#include "host/schema/merger.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::schema {
namespace {

constexpr int kMaxBases = 32, kMaxUnionDepth = 3;

bool is_plain_object(const TypeDef& t) {
    return t.kind == TypeDef::Kind::Struct;
}
bool is_object(const TypeDef& t) {
    return t.kind == TypeDef::Kind::Struct || t.kind == TypeDef::Kind::Union;
}

template <class List> auto find_named(const List& list, std::string_view name) {
    return std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.name == name; });
}

bool has_branch(const TypeDef& t, std::string_view value) {
    return std::any_of(t.branches.begin(), t.branches.end(),
                       [&](const BranchDef& b) { return b.value == value; });
}

} // namespace

const TypeDef* Merger::find_merged(std::string_view name) const {
    auto i = raw_.find(name);
    return i == raw_.end() ? nullptr : &i->second.def;
}

const TypeDef* Merger::find_used(std::string_view name) const {
    return using_->used_type(name);
}

void Merger::collect() {
    std::map<std::string_view, const Fragment*> commands, events, options;
    auto claim = [&](auto& owners, const Fragment& f, std::string_view what, std::string_view name) {
        auto [i, fresh] = owners.emplace(name, &f);
        if (!fresh)
            fail_in(f, cat(what, " '", name, "' is defined by '", i->second->name, "' already"));
    };
    for (const FragmentPtr& f : fragments_) {
        if (!f->is_base())
            check_names(*f);
        for (const TypeDef& t : f->types) {
            auto [i, fresh] = raw_.emplace(t.name, Raw{t, f.get()});
            if (!fresh)
                return fail_in(
                    *f, cat("type '", t.name, "' is defined by '", i->second.owner->name, "' already"));
            order_.push_back(&i->second);
        }
        for (const CommandDef& c : f->commands)
            claim(commands, *f, "command", c.name);
        for (const EventDef& e : f->events)
            claim(events, *f, "event", e.name);
        for (const OptionDef& o : f->options)
            claim(options, *f, "option", o.name);
    }
}

// Names without a downstream prefix belong to QEMU and to us: a later QEMU must never clash with a stranger's
// plugin.
void Merger::check_name(const Fragment& f, std::string_view what, std::string_view name) {
    std::string_view written = written_name(name);
    if (!is_downstream_name(written) && !allowed_names_.contains(std::string(written)))
        fail_in(f, cat(what, " '", written, "' needs a downstream prefix such as '__com.example_'"));
}

void Merger::check_names(const Fragment& f) {
    for (const TypeDef& t : f.types)
        check_name(f, "type", t.name);
    for (const CommandDef& c : f.commands)
        check_name(f, "command", c.name);
    for (const EventDef& e : f.events)
        check_name(f, "event", e.name);
    for (const OptionDef& o : f.options)
        check_name(f, "option", o.name);
    for (const std::string& symbol : f.provides)
        check_name(f, "condition", symbol);
    for (const ExtendDef& e : f.extends)
        for (const EnumValueDef& v : e.values)
            check_name(f, "enum value", v.name);
}

void Merger::extend_enum(const Fragment& f, const ExtendDef& e, Raw& target) {
    for (const EnumValueDef& v : e.values) {
        if (find_named(target.def.values, v.name) != target.def.values.end())
            return fail_in(f, cat("'", e.type, "' has a value '", v.name, "' already"));
        target.def.values.push_back(v);
    }
}

void Merger::extend_union(const Fragment& f, const ExtendDef& e, Raw& target) {
    for (const BranchDef& b : e.branches) {
        if (has_branch(target.def, b.value))
            return fail_in(f, cat("'", e.type, "' has a branch '", b.value, "' already"));
        check_reference(f, e.type, b.type);
        target.def.branches.push_back(b);
    }
}

void Merger::extend(const Fragment& f) {
    for (const ExtendDef& e : f.extends) {
        auto i = raw_.find(e.type);
        if (i == raw_.end() || !i->second.owner->is_base())
            return fail_in(f, cat("extends '", e.type, "', which is no type of the host's"));
        if (!i->second.def.extensible)
            return fail_in(f, cat("extends '", e.type, "', which is not extensible"));
        if (e.branches.empty() && i->second.def.kind == TypeDef::Kind::Enum)
            extend_enum(f, e, i->second);
        else if (e.values.empty() && i->second.def.kind == TypeDef::Kind::Union)
            extend_union(f, e, i->second);
        else
            return fail_in(f, cat("can't extend '", e.type, "' that way"));
    }
}

// A plugin sees its own types and those that it says it uses; the base document sees its own.
void Merger::check_reference(const Fragment& f, std::string_view user, std::string_view type) {
    std::string_view element = split_array(type).first;
    if (element.empty() || is_builtin_type(element) || f.own_type(element) || f.used_type(element))
        return;
    fail_in(f, cat("'", user, "' refers to the unknown type '", element, "'"));
}

void Merger::check_references(const Fragment& f) {
    auto check_types = [&](const std::vector<TypeDef>& types) {
        for (const TypeDef& t : types) {
            check_reference(f, t.name, t.base);
            for (const MemberDef& m : t.members)
                check_reference(f, t.name, m.type);
            for (const BranchDef& b : t.branches)
                check_reference(f, t.name, b.type);
        }
    };
    check_types(f.types);
    check_types(f.uses);
    for (const CommandDef& c : f.commands) {
        check_reference(f, c.name, c.argument);
        check_reference(f, c.name, c.result);
    }
    for (const EventDef& e : f.events)
        check_reference(f, e.name, e.argument);
    for (const OptionDef& o : f.options)
        check_reference(f, o.name, o.type);
}

bool Merger::flatten(const TypeDef& def, Lookup lookup, MemberList& out) {
    std::vector<const TypeDef*> chain{&def};
    while (!chain.back()->base.empty()) {
        const TypeDef* base = (this->*lookup)(chain.back()->base);
        if (!base || !is_plain_object(*base) || chain.size() > kMaxBases)
            return false;
        chain.push_back(base);
    }
    for (auto t = chain.rbegin(); t != chain.rend(); ++t)
        for (const MemberDef& m : (*t)->members)
            out.push_back(&m);
    return true;
}

void Merger::check_union(const Raw& raw, const MemberList& common) {
    const TypeDef& def = raw.def;
    auto tag = std::find_if(common.begin(), common.end(),
                            [&](const MemberDef* m) { return m->name == def.discriminator; });
    const TypeDef* tags = tag == common.end() ? nullptr : find_merged((*tag)->type);
    if (!tags || tags->kind != TypeDef::Kind::Enum || (*tag)->optional)
        return fail_in(*raw.owner, cat("discriminator '", def.discriminator, "' of '", def.name,
                                       "' is no required member of an enum type in its base"));
    for (const BranchDef& b : def.branches)
        if (find_named(tags->values, b.value) == tags->values.end())
            return fail_in(*raw.owner, cat("branch '", b.value, "' of '", def.name, "' is no value of '",
                                           tags->name, "'"));
    MemberList names = common;
    check_branches(raw, def, names, 0);
}

// Branches lie flat in their union. A union as a branch has a tag of its own, and branches that lie there
// too.
void Merger::check_branches(const Raw& raw, const TypeDef& def, MemberList& names, int depth) {
    const std::size_t before = names.size();
    for (const BranchDef& b : def.branches) {
        if (error_)
            return;
        const TypeDef* branch = find_merged(b.type);
        auto wrong = [&](std::string_view what) {
            fail_in(*raw.owner, cat("branch '", b.value, "' of '", def.name, "' ", what));
        };
        if (depth > kMaxUnionDepth || branches_left_-- == 0)
            return wrong("is nested too deep");
        if (!branch || !is_object(*branch) || !flatten(*branch, &Merger::find_merged, names))
            return wrong("is no struct or union");
        std::unordered_set<std::string_view> seen;
        for (const MemberDef* m : names)
            if (!seen.insert(m->name).second)
                return wrong(cat("has member '", m->name, "' twice"));
        check_branches(raw, *branch, names, depth + 1);
        names.resize(before);
    }
}

// What a value looks like must tell which alternative it is.
void Merger::check_alternate(const Raw& raw) {
    std::unordered_set<std::string> looks;
    for (const MemberDef& m : raw.def.members) {
        auto [element, is_array] = split_array(m.type);
        const TypeDef* t = find_merged(element);
        std::string look = is_array                              ? "array"
                           : !t && element == "str"              ? "string"
                           : !t && element == "bool"             ? "boolean"
                           : !t && element == "null"             ? "null"
                           : !t && element == "any"              ? ""
                           : !t                                  ? "number"
                           : t->kind == TypeDef::Kind::Enum      ? "string"
                           : t->kind == TypeDef::Kind::Alternate ? ""
                                                                 : "object";
        if (look.empty())
            return fail_in(*raw.owner, cat("alternative '", m.name, "' of '", raw.def.name,
                                           "' can't be told by its look"));
        if (!looks.insert(look).second)
            return fail_in(*raw.owner, cat("alternative '", m.name, "' of '", raw.def.name,
                                           "' looks like another: ", look));
    }
}

void Merger::check_default(const Raw& raw, const MemberDef& m) {
    const boost::json::value& d = *m.default_value;
    auto [element, is_array] = split_array(m.type);
    const TypeDef* t = find_merged(element);
    bool fits;
    if (is_array)
        fits = d.is_array();
    else if (t && t->kind == TypeDef::Kind::Enum)
        fits = d.is_string() &&
               find_named(t->values, std::string_view(d.get_string().data(), d.get_string().size())) !=
                   t->values.end();
    else if (t)
        fits = t->kind == TypeDef::Kind::Alternate && !d.is_array();
    else if (element == "str")
        fits = d.is_string();
    else if (element == "bool")
        fits = d.is_bool();
    else if (element == "null")
        fits = d.is_null();
    else if (element == "number")
        fits = d.is_number();
    else if (element == "any")
        fits = true;
    else if (element.starts_with("uint") || element == "size")
        fits = d.is_uint64() || (d.is_int64() && d.get_int64() >= 0);
    else
        fits = d.is_int64();
    if (!fits)
        fail_in(*raw.owner,
                cat("default of member '", m.name, "' of '", raw.def.name, "' does not fit its type"));
}

void Merger::check_object(const Raw& raw) {
    const TypeDef& def = raw.def;
    if (def.kind == TypeDef::Kind::Enum)
        return;
    for (const MemberDef& m : def.members)
        if (m.default_value)
            check_default(raw, m);
    if (def.kind == TypeDef::Kind::Alternate)
        return check_alternate(raw);
    MemberList members;
    if (!flatten(def, &Merger::find_merged, members))
        return fail_in(*raw.owner, cat("base of '", def.name, "' is no struct, or goes in a circle"));
    std::unordered_set<std::string_view> names;
    for (const MemberDef* m : members)
        if (!names.insert(m->name).second)
            return fail_in(*raw.owner, cat("member '", m->name, "' of '", def.name, "' is there twice"));
    if (def.kind == TypeDef::Kind::Union)
        check_union(raw, members);
}

bool Merger::object_like(std::string_view type) const {
    const TypeDef* t = find_merged(type);
    return type.empty() || (t && is_object(*t));
}

void Merger::check_arguments() {
    for (const FragmentPtr& f : fragments_) {
        for (const CommandDef& c : f->commands)
            if (!object_like(c.argument))
                fail_in(*f, cat("the argument of command '", c.name, "' is no struct or union"));
        for (const EventDef& e : f->events)
            if (!object_like(e.argument))
                fail_in(*f, cat("the data of event '", e.name, "' is no struct or union"));
        for (const OptionDef& o : f->options)
            if (!object_like(o.type))
                fail_in(*f, cat("the type of option '", o.name, "' is no struct or union"));
    }
}

// What the plugin knew must be here unchanged; what is new here is remembered, to be refused on its behalf.
template <class List, class Same>
void Merger::compare_words(const Fragment& f, const TypeDef& used, const List& theirs, const List& ours,
                           const char* what, Same same) {
    auto key = [](const auto& item) -> const std::string& {
        if constexpr (requires { item.value; })
            return item.value;
        else
            return item.name;
    };
    for (const auto& their : theirs) {
        auto our =
            std::find_if(ours.begin(), ours.end(), [&](const auto& o) { return key(o) == key(their); });
        if (our == ours.end() || !same(*our, their))
            return fail_in(f, cat("was compiled against another host: ", what, " '", key(their), "' of '",
                                  used.name, "' is ", our == ours.end() ? "not here" : "different here"));
    }
    for (const auto& our : ours)
        if (std::none_of(theirs.begin(), theirs.end(), [&](const auto& t) { return key(t) == key(our); }))
            schema_->unknown_.insert(cat(f.name, '\0', used.name, '\0', key(our)));
}

void Merger::compare_members(const Fragment& f, const TypeDef& used, const Raw& host) {
    MemberList theirs, ours;
    using_ = &f;
    if (!flatten(used, &Merger::find_used, theirs) || !flatten(host.def, &Merger::find_merged, ours))
        return fail_in(f, cat("the base of '", used.name, "' is not among the types it uses"));
    std::vector<MemberDef> their_list, our_list;
    for (const MemberDef* m : theirs)
        their_list.push_back(*m);
    for (const MemberDef* m : ours)
        our_list.push_back(*m);
    compare_words(f, used, their_list, our_list, "member", [](const MemberDef& a, const MemberDef& b) {
        if (a.type != b.type || a.optional != b.optional || !a.default_value != !b.default_value)
            return false;
        return !a.default_value || *a.default_value == *b.default_value;
    });
    for (const MemberDef& m : our_list)
        if (!m.optional && find_named(their_list, m.name) == their_list.end())
            return fail_in(f, cat("was compiled against another host: member '", m.name, "' of '", used.name,
                                  "' is required here and unknown there"));
}

void Merger::compare_used(const Fragment& f, const TypeDef& used, const Raw& host) {
    auto same_branch = [](const BranchDef& a, const BranchDef& b) { return a.type == b.type; };
    if (used.kind != host.def.kind || used.discriminator != host.def.discriminator)
        return fail_in(
            f, cat("was compiled against another host: '", used.name, "' is another kind of type here"));
    switch (used.kind) {
    case TypeDef::Kind::Enum: {
        // What this fragment itself adds is nothing new to it.
        std::vector<EnumValueDef> ours = host.def.values;
        for (const ExtendDef& e : f.extends)
            if (e.type == used.name)
                std::erase_if(ours, [&](const EnumValueDef& v) {
                    return find_named(e.values, v.name) != e.values.end();
                });
        return compare_words(f, used, used.values, ours, "value",
                             [](const EnumValueDef&, const EnumValueDef&) { return true; });
    }
    case TypeDef::Kind::Alternate:
        return compare_words(f, used, used.members, host.def.members, "alternative",
                             [](const MemberDef& a, const MemberDef& b) { return a.type == b.type; });
    case TypeDef::Kind::Struct:
        return compare_members(f, used, host);
    case TypeDef::Kind::Union:
        compare_members(f, used, host);
        // New branches come with new tags, which are refused as values.
        for (const BranchDef& theirs : used.branches)
            if (std::none_of(host.def.branches.begin(), host.def.branches.end(), [&](const BranchDef& ours) {
                    return ours.value == theirs.value && same_branch(ours, theirs);
                }))
                return fail_in(f, cat("was compiled against another host: branch '", theirs.value, "' of '",
                                      used.name, "' is different here"));
        return;
    }
}

void Merger::check_uses(const Fragment& f) {
    for (const TypeDef& used : f.uses) {
        auto i = raw_.find(used.name);
        if (i == raw_.end() || !i->second.owner->is_base())
            return fail_in(f,
                           cat("was compiled against another host: there is no type '", used.name, "' here"));
        compare_used(f, used, i->second);
        if (error_)
            return;
    }
}

} // namespace outport::schema
