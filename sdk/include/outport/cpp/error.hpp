// SPDX-License-Identifier: Apache-2.0
// Failures of control calls, and the border that no exception crosses. Thread-safe: values only.
#pragma once

#include <outport/plugin.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace outport::sdk {

// Why a control call fails. Thrown inside a plugin where that is convenient; guarded() turns it into a
// status.
struct Failure {
    std::int32_t status = OUTPORT_FAILED; // OUTPORT_INVALID and so on, never OUTPORT_OK
    std::string message;                  // what was asked, what is wrong; no full stop
    std::string hint = {};                // what would help; may be empty
};

inline void set_error(const outport_host* host, outport_error* error, std::string_view message,
                      std::string_view hint = {}) noexcept {
    if (error)
        host->set_error(error, message.data(), message.size(), hint.empty() ? nullptr : hint.data(),
                        hint.size());
}

// Hands the failure to the host and returns its status: `return report(host, error, {…});`
inline std::int32_t report(const outport_host* host, outport_error* error, const Failure& failure) noexcept {
    set_error(host, error, failure.message, failure.hint);
    return failure.status;
}

// Runs the body of a function that the host calls. Whatever it throws becomes a status with a message.
// The body returns nothing (OUTPORT_OK) or a status.
template <class Body>
std::int32_t guarded(const outport_host* host, outport_error* error, Body&& body) noexcept {
    try {
        if constexpr (std::is_void_v<decltype(body())>) {
            std::forward<Body>(body)();
            return OUTPORT_OK;
        } else {
            return std::forward<Body>(body)();
        }
    } catch (const Failure& failure) {
        return report(host, error, failure);
    } catch (const std::bad_alloc&) {
        set_error(host, error, "out of memory");
        return OUTPORT_NO_MEMORY;
    } catch (const std::exception& other) {
        set_error(host, error, other.what());
        return OUTPORT_FAILED;
    } catch (...) {
        set_error(host, error, "unexpected exception");
        return OUTPORT_FAILED;
    }
}

} // namespace outport::sdk
