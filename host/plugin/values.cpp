// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/values.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cmath>
#include <iterator>

namespace json = boost::json;

void outport_writer::mistake(const char* what) {
    mistake_ = mistake_ ? mistake_ : what;
}

void outport_writer::put(json::value value) {
    if (value.is_double() && !std::isfinite(value.get_double()))
        return mistake("a number that is not finite");
    if (open_.empty()) {
        if (result_)
            return mistake("a second value after the first was complete");
        result_ = std::move(value);
        return;
    }
    auto& open = open_.back();
    if (open.value.is_array()) {
        open.value.get_array().push_back(std::move(value));
        return;
    }
    if (!open.named)
        return mistake("a member of an object without a name");
    auto added = open.value.get_object().emplace(open.name, std::move(value));
    open.named = false;
    if (!added.second)
        mistake("a member of an object twice");
}

void outport_writer::name(std::string_view text) {
    if (open_.empty() || !open_.back().value.is_object() || open_.back().named)
        return mistake("a name where a value belongs");
    open_.back().name.assign(text);
    open_.back().named = true;
}

void outport_writer::begin(json::value empty) {
    open_.push_back({std::move(empty), {}, false});
}

void outport_writer::end() {
    if (open_.empty())
        return mistake("an end of what was not begun");
    if (open_.back().named)
        mistake("a name without a value");
    auto value = std::move(open_.back().value);
    open_.pop_back();
    put(std::move(value));
}

outport::Result<std::optional<json::value>> outport_writer::take() {
    if (!open_.empty())
        mistake("an object or array that was not ended");
    if (mistake_)
        return outport::fail(mistake_);
    return std::move(result_);
}

namespace outport::plugin {

namespace {

const json::value& from(const outport_value* handle) noexcept {
    return *reinterpret_cast<const json::value*>(handle);
}

std::uint32_t kind(const outport_value* handle) noexcept {
    switch (from(handle).kind()) {
    case json::kind::null:
        return OUTPORT_VALUE_NULL;
    case json::kind::bool_:
        return OUTPORT_VALUE_BOOL;
    case json::kind::int64:
        return OUTPORT_VALUE_INT;
    case json::kind::uint64: // the validator may give small numbers either way
        return from(handle).get_uint64() > INT64_MAX ? OUTPORT_VALUE_UINT : OUTPORT_VALUE_INT;
    case json::kind::double_:
        return OUTPORT_VALUE_NUMBER;
    case json::kind::string:
        return OUTPORT_VALUE_STRING;
    case json::kind::array:
        return OUTPORT_VALUE_ARRAY;
    case json::kind::object:
        break;
    }
    return OUTPORT_VALUE_OBJECT;
}

std::int32_t get_bool(const outport_value* handle) noexcept {
    const auto* b = from(handle).if_bool();
    return b && *b ? 1 : 0;
}

std::uint64_t get_uint(const outport_value* handle) noexcept {
    const auto& v = from(handle);
    return v.is_int64() ? static_cast<std::uint64_t>(v.get_int64()) : v.is_uint64() ? v.get_uint64() : 0;
}

std::int64_t get_int(const outport_value* handle) noexcept {
    return static_cast<std::int64_t>(get_uint(handle));
}

double get_number(const outport_value* handle) noexcept {
    const auto& v = from(handle);
    return v.is_double()  ? v.get_double()
           : v.is_int64() ? static_cast<double>(v.get_int64())
                          : static_cast<double>(get_uint(handle));
}

const char* give_text(std::string_view text, std::uint64_t* length) noexcept {
    if (length)
        *length = text.size();
    return text.data();
}

const char* get_string(const outport_value* handle, std::uint64_t* length) noexcept {
    const auto* s = from(handle).if_string();
    return s ? give_text({s->c_str(), s->size()}, length) : give_text({}, length);
}

std::uint64_t count(const outport_value* handle) noexcept {
    const auto& v = from(handle);
    return v.is_array() ? v.get_array().size() : v.is_object() ? v.get_object().size() : 0;
}

const outport_value* at(const outport_value* handle, std::uint64_t index) noexcept {
    const auto& v = from(handle);
    if (index >= count(handle))
        return nullptr;
    return to_handle(v.is_array() ? &v.get_array()[index] : &(v.get_object().begin() + index)->value());
}

const char* name_at(const outport_value* handle, std::uint64_t index, std::uint64_t* length) noexcept {
    const auto& v = from(handle);
    if (!v.is_object() || index >= v.get_object().size())
        return give_text({}, length);
    return give_text((v.get_object().begin() + index)->key(), length); // zero-terminated: see key_c_str
}

const outport_value* member(const outport_value* handle, const char* name, std::uint64_t length) noexcept {
    const auto* object = from(handle).if_object();
    const auto* found = object ? object->if_contains({name, length}) : nullptr;
    return found ? to_handle(found) : nullptr;
}

constexpr outport_values_api kTable{
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
    .put_null = [](outport_writer* w) noexcept { w->put(nullptr); },
    .put_bool = [](outport_writer* w, std::int32_t value) noexcept { w->put(value != 0); },
    .put_int = [](outport_writer* w, std::int64_t value) noexcept { w->put(value); },
    .put_uint = [](outport_writer* w, std::uint64_t value) noexcept { w->put(value); },
    .put_string = [](outport_writer* w, const char* text,
                     std::uint64_t length) noexcept { w->put(json::string(text, length)); },
    .name = [](outport_writer* w, const char* text,
               std::uint64_t length) noexcept { w->name({text, length}); },
    .begin_object = [](outport_writer* w) noexcept { w->begin(json::object{}); },
    .begin_array = [](outport_writer* w) noexcept { w->begin(json::array{}); },
    .end = [](outport_writer* w) noexcept { w->end(); },
    .put_number = [](outport_writer* w, double value) noexcept { w->put(value); },
};

} // namespace

const outport_values_api* values_api() noexcept {
    return &kTable;
}

} // namespace outport::plugin
