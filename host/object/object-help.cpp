// SPDX-License-Identifier: Apache-2.0
// What `--object help` prints: read from the schema, so that it can't say anything else than it.
#include "host/base/text.hpp"
#include "host/object/objects.hpp"
#include "host/schema/model.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace outport::object {

namespace {

std::string type_word(const schema::Type& type) {
    switch (type.kind) {
    case schema::Kind::Str:
        return "string";
    case schema::Kind::Int:
        return type.is_size ? "size" : "int";
    case schema::Kind::Bool:
        return "bool";
    default:
        return type.name;
    }
}

const schema::Type* options_type(const schema::Schema& schema) {
    return schema.type("ObjectOptions");
}

} // namespace

std::string list_types(const schema::Schema& schema) {
    std::string text = "List of user creatable objects:\n";
    std::vector<std::string> names;
    if (const schema::Type* kinds = schema.type("ObjectType"))
        for (const schema::EnumValue& value : kinds->values)
            names.push_back(value.name);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
        text += cat("  ", name, '\n');
    return text;
}

Result<std::string> list_properties(const schema::Schema& schema, std::string_view type) {
    const schema::Type* kinds = schema.type("ObjectType");
    if (!kinds || !kinds->has_value(type))
        return fail(cat("Parameter 'qom-type' does not accept value '", type, "'"));
    const schema::Branch* branch = options_type(schema) ? options_type(schema)->branch(type) : nullptr;
    std::vector<std::string> lines;
    if (branch && branch->type)
        for (const schema::Member& member : branch->type->members)
            lines.push_back(cat("  ", member.name, "=<", type_word(*member.type), ">\n"));
    if (lines.empty())
        return cat("There are no options for ", type, ".\n");
    std::sort(lines.begin(), lines.end());
    std::string text = cat(type, " options:\n");
    for (const std::string& line : lines)
        text += line;
    return text;
}

} // namespace outport::object
