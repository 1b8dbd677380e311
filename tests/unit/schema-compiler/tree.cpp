// SPDX-License-Identifier: Apache-2.0
#include "tree.hpp"

#include <string_view>

namespace tree {
namespace {

using Value = const outport_value*;

uint32_t kind(Value value) noexcept {
    return value->kind;
}
int32_t get_bool(Value value) noexcept {
    return value->kind == OUTPORT_VALUE_BOOL && value->integer != 0;
}
int64_t get_int(Value value) noexcept {
    return value->integer;
}
uint64_t get_uint(Value value) noexcept {
    return static_cast<uint64_t>(value->integer);
}
double get_number(Value value) noexcept {
    return value->kind == OUTPORT_VALUE_NUMBER ? value->real : static_cast<double>(value->integer);
}

const char* get_string(Value value, uint64_t* length) noexcept {
    if (length)
        *length = value->text.size();
    return value->text.data();
}

uint64_t count(Value value) noexcept {
    return value->items.size();
}
Value at(Value value, uint64_t index) noexcept {
    return index < value->items.size() ? &value->items[index] : nullptr;
}

const char* name_at(Value value, uint64_t index, uint64_t* length) noexcept {
    if (index >= value->names.size())
        return nullptr;
    if (length)
        *length = value->names[index].size();
    return value->names[index].data();
}

Value member(Value value, const char* name, uint64_t length) noexcept {
    for (uint64_t index = 0; index < value->names.size(); ++index) {
        if (value->names[index] == std::string_view(name, length))
            return &value->items[index];
    }
    return nullptr;
}

void begin_item(outport_writer* writer) {
    if (!writer->text.empty() && std::string_view("{[:").find(writer->text.back()) == std::string_view::npos)
        writer->text += ',';
}

void put(outport_writer* writer, const std::string& text) noexcept {
    begin_item(writer);
    writer->text += text;
}

void put_null(outport_writer* writer) noexcept {
    put(writer, "null");
}
void put_bool(outport_writer* writer, int32_t value) noexcept {
    put(writer, value ? "true" : "false");
}
void put_int(outport_writer* writer, int64_t value) noexcept {
    put(writer, std::to_string(value));
}
void put_number(outport_writer* writer, double value) noexcept {
    put(writer, std::to_string(value));
}
void put_uint(outport_writer* writer, uint64_t value) noexcept {
    put(writer, std::to_string(value));
}
void put_string(outport_writer* writer, const char* text, uint64_t length) noexcept {
    put(writer, '"' + std::string(text, length) + '"');
}
void name(outport_writer* writer, const char* text, uint64_t length) noexcept {
    put(writer, '"' + std::string(text, length) + "\":");
}
void begin_object(outport_writer* writer) noexcept {
    put(writer, "{");
    writer->open += '}';
}
void begin_array(outport_writer* writer) noexcept {
    put(writer, "[");
    writer->open += ']';
}
void end(outport_writer* writer) noexcept {
    writer->text += writer->open.back();
    writer->open.pop_back();
}

} // namespace

const outport_values_api* api() {
    static const outport_values_api table = {
        .struct_size = sizeof(outport_values_api),
        .reserved = 0,
        .kind = kind,
        .get_bool = get_bool,
        .get_int = get_int,
        .get_uint = get_uint,
        .get_number = get_number,
        .get_string = get_string,
        .count = count,
        .at = at,
        .name_at = name_at,
        .member = member,
        .put_null = put_null,
        .put_bool = put_bool,
        .put_int = put_int,
        .put_uint = put_uint,
        .put_string = put_string,
        .name = name,
        .begin_object = begin_object,
        .begin_array = begin_array,
        .end = end,
        .put_number = put_number,
    };
    return &table;
}

} // namespace tree
