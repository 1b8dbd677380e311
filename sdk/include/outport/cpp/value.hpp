// SPDX-License-Identifier: Apache-2.0
// A view of a validated value. Thread-safe: read-only. The typed structs that the schema compiler makes are
// nicer; this is for the places where one member is wanted.
#pragma once

#include <outport/cpp/host.hpp>

namespace outport::sdk {

class Value {
  public:
    Value(const outport_values_api* api, const outport_value* value) noexcept : api_(api), value_(value) {}

    explicit operator bool() const noexcept { return value_ != nullptr; }
    const outport_value* raw() const noexcept { return value_; }

    // The member of an object; an empty Value when it is absent.
    Value operator[](std::string_view name) const noexcept {
        return {api_, value_ ? api_->member(value_, name.data(), name.size()) : nullptr};
    }
    bool as_bool() const noexcept { return value_ && api_->get_bool(value_); }
    std::int64_t as_int() const noexcept { return value_ ? api_->get_int(value_) : 0; }
    std::uint64_t as_uint() const noexcept { return value_ ? api_->get_uint(value_) : 0; }
    std::string_view as_string() const noexcept {
        std::uint64_t length = 0;
        const char* text = value_ ? api_->get_string(value_, &length) : nullptr;
        return text ? std::string_view(text, length) : std::string_view();
    }

  private:
    const outport_values_api* api_;
    const outport_value* value_;
};

} // namespace outport::sdk
