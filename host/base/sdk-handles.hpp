// SPDX-License-Identifier: Apache-2.0
// What is behind the opaque handles of the plugin ABI, for every concern that offers a table to plugins.
// Header only, so that no concern depends on another for it. Not thread-safe by itself: each member says who
// may touch it.
#pragma once

#include <outport/abi.h>
#include <outport/plugin.h>

#include "host/base/error.hpp"
#include "host/base/loop-handle.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace outport::loop {
class Loop;
class BlockingPool;
class BlockingOwner;
} // namespace outport::loop
namespace outport::block {
class Root;
}
namespace outport::plugin {
class Plugin;
}

// What set_error was given. The host makes one for each call that may fail; on the stack, or beside a `done`.
struct outport_error {
    std::string message, hint;
};

// One export, as far as the data path has to do with it. host/export's Export derives from it. The members
// are set before the plugin's `create` and stay until its `destroy` has returned, so any thread of the export
// may read them.
struct outport_export {
    outport::block::Root* root = nullptr; // never null once the plugin sees the handle
};

namespace outport::sdk {

// One plugin's view of the host: what `outport_host.context` points to. Set before `init`, unchanged after,
// but for the two counters at the end.
struct HostContext {
    outport_host host{};
    std::string plugin; // its name, for logs
    loop::Loop* main_loop = nullptr;
    loop::BlockingPool* blocking = nullptr;
    loop::BlockingOwner* blocking_owner = nullptr; // the plugin's share of the blocking threads
    plugin::Plugin* owner = nullptr;
    std::atomic<std::uint32_t> jobs{0}; // of outport.blocking/1, whose `done` has not returned; any loop
    // Of outport.net/1, that have not ended; the plugin stays until it is 0. Main loop only.
    std::uint32_t listeners = 0;

    // Its view of each loop that it was given. They stay as long as this, since what is in flight ends by
    // them. Main loop only; the one of the main loop is there from the start, for any thread.
    outport_loop* main_handle = nullptr;
    std::map<loop::Loop*, std::unique_ptr<outport_loop>> loops;

    outport_loop* handle_of(loop::Loop* loop) {
        auto& handle = loops[loop];
        if (!handle)
            handle = std::make_unique<outport_loop>(loop);
        return handle.get();
    }
    // Operations of loops that are in flight. All that has ended first: see outport_loop.
    std::uint64_t operations() const noexcept {
        std::uint64_t ended = 0, begun = 0;
        for (const auto& [loop, handle] : loops)
            ended += handle->ended();
        for (const auto& [loop, handle] : loops)
            begun += handle->begun();
        return begun - ended;
    }
};

inline HostContext& context_of(const outport_host* host) noexcept {
    return *static_cast<HostContext*>(host->context);
}

inline loop::Loop* to_loop(outport_loop* handle) noexcept {
    return handle->loop;
}

// The host's side of set_error: `error` may be null.
inline void put_error(outport_error* error, std::string_view message, std::string_view hint = {}) {
    if (!error)
        return;
    error->message.assign(message);
    error->hint.assign(hint);
}

// A host error as a status and a message, to give to a plugin.
inline std::int32_t give_error(outport_error* error, const Error& e, std::int32_t status = OUTPORT_FAILED) {
    put_error(error, e.message, e.hint);
    return status;
}

// A plugin's failed status and its message, as the host's error. The one table from kinds to QMP classes.
// `what` is the message when the plugin gave none.
inline Error to_error(std::int32_t status, const outport_error& error, std::string_view what) {
    Error e{error.message.empty() ? std::string(what) : error.message, error.hint};
    if (status == OUTPORT_NO_DEVICE)
        e.error_class = ErrorClass::DeviceNotFound;
    return e;
}

} // namespace outport::sdk
