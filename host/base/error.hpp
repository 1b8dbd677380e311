// SPDX-License-Identifier: Apache-2.0
// The one error type of the host: what went wrong in words, the QMP class it maps to, and a hint.
// Values; safe to pass between threads.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace outport {

// QMP error classes (reference: QapiErrorClass). Everything that has no reason to differ is Generic.
enum class ErrorClass : std::uint8_t { Generic, CommandNotFound, DeviceNotActive, DeviceNotFound };

const char* to_string(ErrorClass c) noexcept;

struct Error {
    std::string message;   // what was asked and what is wrong; no trailing full stop or newline
    std::string hint = {}; // what would help; shown as a second line, or as member `hint` in QMP
    ErrorClass error_class = ErrorClass::Generic;
    int errno_value = 0; // positive errno behind it, 0 where there is none

    Error(std::string text, std::string help = {}) : message(std::move(text)), hint(std::move(help)) {}

    static Error with_class(ErrorClass c, std::string text) {
        Error e{std::move(text)};
        e.error_class = c;
        return e;
    }

    // "TEXT: strerror(number)", the form that qemu-storage-daemon uses.
    static Error from_errno(int number, std::string text);

    Error&& with_hint(std::string help) && {
        hint = std::move(help);
        return std::move(*this);
    }
};

template <class T = void> using Result = std::expected<T, Error>;

// `return fail("text")` in any function that returns a Result.
inline std::unexpected<Error> fail(std::string text, std::string hint = {}) {
    return std::unexpected<Error>(Error{std::move(text), std::move(hint)});
}
inline std::unexpected<Error> fail(Error e) {
    return std::unexpected<Error>(std::move(e));
}
inline std::unexpected<Error> fail_errno(int number, std::string text) {
    return std::unexpected<Error>(Error::from_errno(number, std::move(text)));
}

} // namespace outport
