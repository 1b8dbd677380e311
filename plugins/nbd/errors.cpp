// SPDX-License-Identifier: Apache-2.0
#include "errors.hpp"

#include "wire.hpp"

#include <cerrno>

namespace outport::nbd {

namespace {
struct Mapping {
    int error;
    std::uint32_t wire;
};

// NBD, "Error values".
constexpr Mapping kMappings[] = {
    {EPERM, kEPERM},   {EROFS, kEPERM},         {EACCES, kEPERM},       {EIO, kEIO},
    {ENOMEM, kENOMEM}, {EINVAL, kEINVAL},       {ENOSPC, kENOSPC},      {EDQUOT, kENOSPC},
    {EFBIG, kENOSPC},  {EOVERFLOW, kEOVERFLOW}, {EOPNOTSUPP, kENOTSUP}, {ESHUTDOWN, kESHUTDOWN},
};
static_assert(ENOTSUP == EOPNOTSUPP);
} // namespace

std::uint32_t wire_error(int error) noexcept {
    for (const Mapping& mapping : kMappings)
        if (mapping.error == error)
            return mapping.wire;
    return kEIO;
}

} // namespace outport::nbd
