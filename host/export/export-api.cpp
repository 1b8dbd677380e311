// SPDX-License-Identifier: Apache-2.0
#include "host/export/export-api.hpp"

#include "host/export/export.hpp"

namespace outport::exports {

const outport_export_api* export_api() noexcept {
    static constexpr outport_export_api table{
        .struct_size = sizeof(outport_export_api),
        .reserved = 0,
        .no_space = [](outport_export* handle) noexcept { static_cast<Export*>(handle)->no_space(); },
        .ended = [](outport_export* handle, const char* reason,
                    std::uint64_t length) noexcept { static_cast<Export*>(handle)->ended({reason, length}); },
    };
    return &table;
}

} // namespace outport::exports
