// SPDX-License-Identifier: Apache-2.0
// The host as a plugin sees it: its extensions, found by type. Thread-safe: get_extension is [any].
#pragma once

#include <outport/block.h>
#include <outport/blocking.h>
#include <outport/cpp/error.hpp>
#include <outport/export-type.h>
#include <outport/log.h>
#include <outport/loop.h>
#include <outport/net.h>
#include <outport/plugin.h>
#include <outport/qmp.h>
#include <outport/thread-check.h>
#include <outport/uring.h>
#include <outport/values.h>

namespace outport::sdk {

// The id under which the host offers a table.
template <class Table> inline constexpr const char* kExtensionId = nullptr;
template <> inline constexpr const char* kExtensionId<outport_block_api> = OUTPORT_BLOCK_ID;
template <> inline constexpr const char* kExtensionId<outport_blocking_api> = OUTPORT_BLOCKING_ID;
template <> inline constexpr const char* kExtensionId<outport_export_api> = OUTPORT_EXPORT_ID;
template <> inline constexpr const char* kExtensionId<outport_log_api> = OUTPORT_LOG_ID;
template <> inline constexpr const char* kExtensionId<outport_loop_api> = OUTPORT_LOOP_ID;
template <> inline constexpr const char* kExtensionId<outport_net_api> = OUTPORT_NET_ID;
template <> inline constexpr const char* kExtensionId<outport_qmp_api> = OUTPORT_QMP_ID;
template <> inline constexpr const char* kExtensionId<outport_thread_check_api> = OUTPORT_THREAD_CHECK_ID;
template <> inline constexpr const char* kExtensionId<outport_uring_api> = OUTPORT_URING_ID;
template <> inline constexpr const char* kExtensionId<outport_values_api> = OUTPORT_VALUES_ID;

// The table, or null when the host lacks it or has a shorter one than this SDK knows. A plugin that can live
// with a shorter one asks get_extension itself and uses OUTPORT_HAS.
template <class Table> const Table* find_extension(const outport_host* host) noexcept {
    auto* table = static_cast<const Table*>(host->get_extension(host, kExtensionId<Table>));
    return table && table->struct_size >= sizeof(Table) ? table : nullptr;
}

// The table; throws Failure when there is none.
template <class Table> const Table* require_extension(const outport_host* host) {
    if (auto* table = find_extension<Table>(host))
        return table;
    throw Failure{OUTPORT_UNSUPPORTED, std::string("this host does not offer ") + kExtensionId<Table>};
}

} // namespace outport::sdk
