// SPDX-License-Identifier: Apache-2.0
#include "host/base/error.hpp"

#include <cstring>

namespace outport {

const char* to_string(ErrorClass c) noexcept {
    switch (c) {
    case ErrorClass::CommandNotFound:
        return "CommandNotFound";
    case ErrorClass::DeviceNotActive:
        return "DeviceNotActive";
    case ErrorClass::DeviceNotFound:
        return "DeviceNotFound";
    case ErrorClass::Generic:
        break;
    }
    return "GenericError";
}

Error Error::from_errno(int number, std::string text) {
    Error e{std::move(text)};
    e.message += ": ";
    e.message += std::strerror(number);
    e.errno_value = number;
    return e;
}

} // namespace outport
