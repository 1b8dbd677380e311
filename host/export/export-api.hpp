// SPDX-License-Identifier: Apache-2.0
// The table outport.export/1. Thread-safe as export-type.h says.
#pragma once

#include <outport/export-type.h>

namespace outport::exports {

const outport_export_api* export_api() noexcept;

} // namespace outport::exports
