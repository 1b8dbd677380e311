# SPDX-License-Identifier: Apache-2.0
"""The part of generated C++ that is the same in every file: values of built-in types, arrays, members."""

SUPPORT = '''
using Api = const outport_values_api*;
using Value = const outport_value*;

[[maybe_unused]] bool is_object(Api api, Value value) {
    return value && api->kind(value) == OUTPORT_VALUE_OBJECT;
}

[[maybe_unused]] bool get_text(Api api, Value value, std::string_view& out) {
    if (!value || api->kind(value) != OUTPORT_VALUE_STRING) return false;
    uint64_t length = 0;
    const char* text = api->get_string(value, &length);
    out = {text, length};
    return true;
}

[[maybe_unused]] void put_text(Api api, outport_writer* writer, std::string_view text) {
    api->put_string(writer, text.data(), text.size());
}

[[maybe_unused]] bool read(Api api, Value value, std::string& out) {
    std::string_view text;
    if (!get_text(api, value, text)) return false;
    out = text;
    return true;
}

[[maybe_unused]] bool read(Api api, Value value, bool& out) {
    if (!value || api->kind(value) != OUTPORT_VALUE_BOOL) return false;
    out = api->get_bool(value) != 0;
    return true;
}

[[maybe_unused]] bool read(Api api, Value value, double& out) {
    if (!value) return false;
    const uint32_t kind = api->kind(value);
    if (kind != OUTPORT_VALUE_NUMBER && kind != OUTPORT_VALUE_INT && kind != OUTPORT_VALUE_UINT) return false;
    out = api->get_number(value);
    return true;
}

[[maybe_unused]] bool read(Api api, Value value, std::nullptr_t&) {
    return value && api->kind(value) == OUTPORT_VALUE_NULL;
}

[[maybe_unused]] bool read(Api, Value value, Value& out) {
    out = value;
    return value != nullptr;
}

template <std::integral T> bool read(Api api, Value value, T& out) {
    if (!value) return false;
    if (api->kind(value) == OUTPORT_VALUE_INT && std::in_range<T>(api->get_int(value))) {
        out = static_cast<T>(api->get_int(value));
        return true;
    }
    if (api->kind(value) == OUTPORT_VALUE_UINT && std::in_range<T>(api->get_uint(value))) {
        out = static_cast<T>(api->get_uint(value));
        return true;
    }
    return false;
}

template <class T> bool read(Api api, Value value, std::vector<T>& out) {
    if (!value || api->kind(value) != OUTPORT_VALUE_ARRAY) return false;
    out.clear();
    const uint64_t count = api->count(value);
    for (uint64_t index = 0; index < count; ++index) {
        T item{};
        if (!read(api, api->at(value, index), item)) return false;
        out.push_back(std::move(item));
    }
    return true;
}

template <class T> bool read_boxed(Api api, Value value, std::shared_ptr<const T>& out) {
    auto made = std::make_shared<T>();
    if (!read(api, value, *made)) return false;
    out = std::move(made);
    return true;
}

template <class T> bool read(Api api, Value value, std::shared_ptr<const T>& out) {
    return read_boxed(api, value, out);
}

template <class T> bool read(Api api, Value value, std::optional<T>& out) {
    return read(api, value, out.emplace());
}

template <class T> bool get(Api api, Value object, std::string_view name, T& out) {
    return read(api, api->member(object, name.data(), name.size()), out);
}

// Absent is fine; `out` keeps what it holds, which is the default.
template <class T> bool get_maybe(Api api, Value object, std::string_view name, T& out) {
    const Value value = api->member(object, name.data(), name.size());
    return !value || read(api, value, out);
}

[[maybe_unused]] void write(Api api, outport_writer* writer, const std::string& value) {
    put_text(api, writer, value);
}

// A template, so that no pointer or number turns into a bool on its way here.
template <std::same_as<bool> T> void write(Api api, outport_writer* writer, T value) {
    api->put_bool(writer, value);
}

template <std::floating_point T> void write(Api api, outport_writer* writer, T value) {
    api->put_number(writer, value);
}

[[maybe_unused]] void write(Api api, outport_writer* writer, std::nullptr_t) { api->put_null(writer); }

template <std::integral T>
    requires(!std::same_as<T, bool>)
void write(Api api, outport_writer* writer, T value) {
    if constexpr (std::unsigned_integral<T>) {
        api->put_uint(writer, value);
    } else {
        api->put_int(writer, value);
    }
}

template <class T> void write(Api api, outport_writer* writer, const std::vector<T>& value) {
    api->begin_array(writer);
    for (const auto& item : value) write(api, writer, item);
    api->end(writer);
}

template <class T> void write(Api api, outport_writer* writer, const std::shared_ptr<const T>& value) {
    if (value) write(api, writer, *value);
}

template <class T> void put(Api api, outport_writer* writer, std::string_view name, const T& value) {
    api->name(writer, name.data(), name.size());
    write(api, writer, value);
}

template <class T>
void put(Api api, outport_writer* writer, std::string_view name, const std::optional<T>& value) {
    if (value) put(api, writer, name, *value);
}

template <class T>
void put(Api api, outport_writer* writer, std::string_view name, const std::shared_ptr<const T>& value) {
    if (!value) return;
    api->name(writer, name.data(), name.size());
    write(api, writer, *value);
}

[[maybe_unused]] void put_branch(Api, outport_writer*, const std::monostate&) {}

// A branch's members stand beside the common ones.
template <class T> void put_branch(Api api, outport_writer* writer, const T& branch) {
    put_members(api, writer, branch);
}

template <class T> void put_branch(Api api, outport_writer* writer, const std::shared_ptr<const T>& branch) {
    if (branch) put_members(api, writer, *branch);
}
'''
