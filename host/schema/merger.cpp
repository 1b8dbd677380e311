// SPDX-License-Identifier: Apache-2.0
// Second half of a merge: the checked documents become a Schema of what holds now. What a condition gates off
// is not there, and neither is what can't be said without it.
#include "host/schema/merger.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <limits>

namespace outport::schema {

Merger::Merger(const std::vector<FragmentPtr>& fragments, const Symbols& build_symbols,
               const NameList& allowed_names, std::shared_ptr<const Hints> hints)
    : fragments_(fragments), allowed_names_(allowed_names), symbols_(build_symbols),
      schema_(std::make_shared<Schema>()) {
    schema_->hints_ = std::move(hints);
    for (const FragmentPtr& f : fragments_)
        symbols_.insert(f->provides.begin(), f->provides.end());
}

void Merger::fail_in(const Fragment& f, std::string_view text) {
    fail(cat("schema document '", f.name, "': ", text));
}

Result<std::shared_ptr<const Schema>> Merger::merge() {
    collect();
    for (const FragmentPtr& f : fragments_)
        if (!error_ && !f->is_base())
            extend(*f);
    for (const FragmentPtr& f : fragments_)
        if (!error_)
            check_references(*f);
    for (const Raw* raw : order_)
        if (!error_)
            check_object(*raw);
    if (!error_)
        check_arguments();
    for (const FragmentPtr& f : fragments_)
        if (!error_ && !f->is_base())
            check_uses(*f);
    if (!error_)
        build();
    if (error_)
        return outport::fail(std::move(*error_));
    return schema_;
}

std::vector<std::string> Merger::features(const std::vector<FeatureDef>& defs) const {
    std::vector<std::string> out;
    for (const FeatureDef& d : defs)
        if (d.condition.holds(symbols_))
            out.push_back(d.name);
    return out;
}

Type& Merger::declare(std::string_view name, Kind kind) {
    Type& t = schema_->types_.emplace_back();
    t.name = name;
    t.kind = kind;
    schema_->types_by_name_.emplace(t.name, &t);
    return t;
}

namespace {

struct IntegerType {
    const char* name;
    bool is_signed;
    std::int64_t min;
    std::uint64_t max;
    const char* c_name;
};

constexpr std::uint64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::uint64_t kUint64Max = std::numeric_limits<std::uint64_t>::max();

constexpr IntegerType kIntegers[] = {
    {"int", true, kInt64Min, kInt64Max, ""},   {"int8", true, -128, 127, "int8_t"},
    {"int16", true, -32768, 32767, "int16_t"}, {"int32", true, -2147483648LL, 2147483647, "int32_t"},
    {"int64", true, kInt64Min, kInt64Max, ""}, {"uint8", false, 0, 255, "uint8_t"},
    {"uint16", false, 0, 65535, "uint16_t"},   {"uint32", false, 0, 4294967295, "uint32_t"},
    {"uint64", false, 0, kUint64Max, ""},      {"size", false, 0, kUint64Max, ""},
};

constexpr std::pair<const char*, Kind> kOthers[] = {
    {"str", Kind::Str},   {"number", Kind::Number}, {"bool", Kind::Bool},
    {"null", Kind::Null}, {"any", Kind::Any},
};

} // namespace

void Merger::declare_types() {
    for (const IntegerType& i : kIntegers) {
        Type& t = declare(i.name, Kind::Int);
        t.is_signed = i.is_signed;
        t.is_size = std::string_view(i.name) == "size";
        t.min = i.min;
        t.max = i.max;
        t.c_name = i.c_name;
    }
    for (auto [name, kind] : kOthers)
        declare(name, kind);
    for (const Raw* raw : order_) {
        if (!raw->def.condition.holds(symbols_))
            continue;
        Kind kind = raw->def.kind == TypeDef::Kind::Enum        ? Kind::Enum
                    : raw->def.kind == TypeDef::Kind::Alternate ? Kind::Alternate
                                                                : Kind::Object;
        Type& t = declare(raw->def.name, kind);
        t.owner = raw->owner->name;
        t.features = features(raw->def.features);
    }
}

// Null: there is no such type now.
const Type* Merger::resolve(std::string_view name) {
    if (name.empty())
        return nullptr;
    if (const Type* t = schema_->type(name))
        return t;
    auto [element_name, is_array] = split_array(name);
    if (!is_array)
        return nullptr;
    const Type* element = schema_->type(element_name);
    if (!element)
        return nullptr;
    Type& t = declare(name, Kind::Array);
    t.element = element;
    return &t;
}

void Merger::fill_members(Type& type, const MemberList& members) {
    for (const MemberDef* d : members) {
        if (!d->condition.holds(symbols_))
            continue;
        const Type* t = resolve(d->type);
        if (!t)
            continue;
        Member& m = type.members.emplace_back();
        m.name = d->name;
        m.type = t;
        m.optional = d->optional;
        m.default_value = d->default_value;
        m.features = features(d->features);
    }
}

void Merger::fill_branches(Type& type, const Raw& raw) {
    for (std::size_t i = 0; i < type.members.size(); i++)
        if (type.members[i].name == raw.def.discriminator)
            type.discriminator = static_cast<int>(i);
    if (type.discriminator < 0)
        return; // gated off: no branch can be named
    // In the order of the discriminator's values, whatever the order of the documents.
    const TypeDef* tags = find_merged(type.members[static_cast<std::size_t>(type.discriminator)].type->name);
    for (const EnumValueDef& value : tags->values) {
        if (!value.condition.holds(symbols_))
            continue;
        for (const BranchDef& b : raw.def.branches)
            if (b.value == value.name && b.condition.holds(symbols_))
                if (const Type* t = resolve(b.type))
                    type.branches.push_back({b.value, t});
    }
}

// A plugin's own type has the members of its host base; those that the plugin did not know stay unknown to
// it.
void Merger::inherit_unknown(const Type& type, const Raw& raw) {
    if (raw.owner->is_base())
        return;
    const std::string& owner = raw.owner->name;
    for (const TypeDef* t = &raw.def; t && !t->base.empty(); t = find_merged(t->base))
        for (const Member& m : type.members)
            if (schema_->unknown_to(owner, t->base, m.name))
                schema_->unknown_.insert(cat(owner, '\0', type.name, '\0', m.name));
}

void Merger::fill(Type& type, const Raw& raw) {
    MemberList members;
    switch (raw.def.kind) {
    case TypeDef::Kind::Enum:
        for (const EnumValueDef& v : raw.def.values)
            if (v.condition.holds(symbols_))
                type.values.push_back({v.name, features(v.features)});
        break;
    case TypeDef::Kind::Alternate:
        for (const MemberDef& m : raw.def.members)
            members.push_back(&m);
        fill_members(type, members);
        break;
    case TypeDef::Kind::Struct:
    case TypeDef::Kind::Union:
        flatten(raw.def, &Merger::find_merged, members);
        fill_members(type, members);
        inherit_unknown(type, raw);
        if (raw.def.kind == TypeDef::Kind::Union)
            fill_branches(type, raw);
        break;
    }
}

void Merger::build_commands(const Fragment& f) {
    for (const CommandDef& d : f.commands) {
        const Type* argument = resolve(d.argument);
        const Type* result = resolve(d.result);
        if (!d.condition.holds(symbols_) || (!d.argument.empty() && !argument) ||
            (!d.result.empty() && !result))
            continue;
        Command& c =
            schema_->commands_.emplace_back(Command{d.name, f.name, argument, result, features(d.features),
                                                    d.allow_oob, d.allow_preconfig, d.success_response});
        schema_->commands_by_name_.emplace(c.name, &c);
    }
    for (const EventDef& d : f.events) {
        const Type* argument = resolve(d.argument);
        if (!d.condition.holds(symbols_) || (!d.argument.empty() && !argument))
            continue;
        Event& e = schema_->events_.emplace_back(Event{d.name, f.name, argument, features(d.features)});
        schema_->events_by_name_.emplace(e.name, &e);
    }
    for (const OptionDef& d : f.options)
        if (const Type* t = resolve(d.type); t && d.condition.holds(symbols_))
            schema_->options_.push_back(Option{d.name, f.name, d.implied_key, d.metavar, d.help, t});
}

void Merger::build() {
    schema_->symbols_ = symbols_;
    declare_types();
    // declare() adds arrays behind while we go.
    for (std::size_t i = 0; i < schema_->types_.size(); i++) {
        Type& t = schema_->types_[i];
        if (auto raw = raw_.find(t.name); raw != raw_.end())
            fill(t, raw->second);
    }
    for (const FragmentPtr& f : fragments_)
        build_commands(*f);
}

} // namespace outport::schema
