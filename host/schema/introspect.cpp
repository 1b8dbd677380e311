// SPDX-License-Identifier: Apache-2.0
// query-qmp-schema: an array of SchemaInfo. Commands and events keep their names; types are numbered in the
// order of their first use, so that nobody relies on their names; only what can be reached from a command or
// event is there.
#include "host/schema/registry.hpp"

#include "host/base/text.hpp"

#include <boost/json/value.hpp>

#include <deque>

namespace outport::schema {
namespace {

namespace bj = boost::json;

bj::array names(const std::vector<std::string>& list) {
    bj::array out;
    for (const std::string& s : list)
        out.emplace_back(s);
    return out;
}

class Introspector {
  public:
    Introspector(const Schema& schema, bool unmask) : schema_(schema), unmask_(unmask) {
        empty_.name = "q_empty";
        empty_.kind = Kind::Object;
    }

    bj::array run();

  private:
    std::string use(const Type* type);
    void emit(const std::string& name, const char* meta, bj::object info,
              const std::vector<std::string>& features);
    void describe(const Type& type);
    bj::object describe_enum(const Type& type);
    bj::object describe_object(const Type& type);
    bj::object describe_alternate(const Type& type);

    const Schema& schema_;
    const bool unmask_;
    Type empty_;
    bj::array out_;
    std::deque<const Type*> queue_; // used and not yet described
    std::unordered_map<const Type*, std::string> names_;
    std::size_t masked_ = 0;
    const Type* int_array_ = nullptr; // stands for the arrays of all sizes of integers
};

// The name under which a type is shown; the type is described later, once.
std::string Introspector::use(const Type* type) {
    if (!type)
        type = &empty_;
    // Sizes of integers are no part of the protocol.
    if (type->kind == Kind::Int)
        type = schema_.type("int");
    else if (type->kind == Kind::Array && type->element->kind == Kind::Int)
        type = int_array_ = int_array_ ? int_array_ : type;
    if (auto i = names_.find(type); i != names_.end())
        return i->second;
    queue_.push_back(type);
    std::string name;
    if (type->kind == Kind::Array)
        name = cat('[', use(type->element), ']');
    else if (unmask_ || (type->owner.empty() && type != &empty_))
        name = type->name;
    else
        name = cat(masked_++);
    names_.emplace(type, name);
    return name;
}

void Introspector::emit(const std::string& name, const char* meta, bj::object info,
                        const std::vector<std::string>& features) {
    bj::object entry;
    entry["name"] = name;
    entry["meta-type"] = meta;
    for (auto& m : info)
        entry.emplace(m.key(), std::move(m.value()));
    if (!features.empty())
        entry["features"] = names(features);
    out_.push_back(std::move(entry));
}

bj::object Introspector::describe_enum(const Type& type) {
    bj::array members, values;
    for (const EnumValue& v : type.values) {
        bj::object m{{"name", v.name}};
        if (!v.features.empty())
            m["features"] = names(v.features);
        members.push_back(std::move(m));
        values.emplace_back(v.name);
    }
    return {{"members", std::move(members)}, {"values", std::move(values)}};
}

bj::object Introspector::describe_object(const Type& type) {
    bj::array members;
    for (const Member& m : type.members) {
        bj::object entry{{"name", m.name}, {"type", use(m.type)}};
        if (m.optional)
            entry["default"] = nullptr;
        if (!m.features.empty())
            entry["features"] = names(m.features);
        members.push_back(std::move(entry));
    }
    bj::object info{{"members", std::move(members)}};
    if (type.discriminator < 0)
        return info;
    const Member& tag = type.members[static_cast<std::size_t>(type.discriminator)];
    bj::array variants, without;
    for (const Branch& b : type.branches)
        variants.push_back(bj::object{{"case", b.value}, {"type", use(b.type)}});
    for (const EnumValue& v : tag.type->values)
        if (!type.branch(v.name))
            variants.push_back(bj::object{{"case", v.name}, {"type", use(nullptr)}});
    info["tag"] = tag.name;
    info["variants"] = std::move(variants);
    return info;
}

bj::object Introspector::describe_alternate(const Type& type) {
    bj::array members;
    for (const Member& m : type.members)
        members.push_back(bj::object{{"type", use(m.type)}});
    return {{"members", std::move(members)}};
}

void Introspector::describe(const Type& type) {
    const std::string& name = names_.at(&type);
    auto builtin = [&](const char* json_type) { emit(name, "builtin", {{"json-type", json_type}}, {}); };
    switch (type.kind) {
    case Kind::Str:
        return builtin("string");
    case Kind::Int:
        return builtin("int");
    case Kind::Number:
        return builtin("number");
    case Kind::Bool:
        return builtin("boolean");
    case Kind::Null:
        return builtin("null");
    case Kind::Any:
        return builtin("value");
    case Kind::Enum:
        return emit(name, "enum", describe_enum(type), type.features);
    case Kind::Object:
        return emit(name, "object", describe_object(type), type.features);
    case Kind::Alternate:
        return emit(name, "alternate", describe_alternate(type), type.features);
    case Kind::Array:
        return emit(name, "array", {{"element-type", use(type.element)}}, {});
    }
}

bj::array Introspector::run() {
    for (const Command& c : schema_.commands()) {
        bj::object info{{"arg-type", use(c.argument)}, {"ret-type", use(c.result)}};
        if (c.allow_oob)
            info["allow-oob"] = true;
        emit(c.name, "command", std::move(info), c.features);
    }
    for (const Event& e : schema_.events())
        emit(e.name, "event", {{"arg-type", use(e.argument)}}, e.features);
    while (!queue_.empty()) {
        const Type* next = queue_.front();
        queue_.pop_front();
        describe(*next);
    }
    return std::move(out_);
}

} // namespace

bj::value introspect(const Schema& schema, bool unmask) {
    return Introspector(schema, unmask).run();
}

} // namespace outport::schema
