// SPDX-License-Identifier: Apache-2.0
// The plugin's face to the host.
#include "export.hpp"
#include "fuse-document.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace outport::fuse {
namespace {

constexpr char kVersion[] = OUTPORT_VERSION;

struct Plugin {
    explicit Plugin(const outport_host* host) : services(host) {}
    Services services;
    Registry registry;
};

// Between init and fini; nothing is left to static destructors.
constinit Plugin* g_plugin = nullptr;

// Before the command line's nodes are opened: one may be a file that is still covered by a dead mount.
std::int32_t init(const outport_host* host, outport_error* error) noexcept {
    return sdk::guarded(host, error, [&] {
        auto plugin = std::make_unique<Plugin>(host);
        plugin->registry.record_folder = record_folder();
        take_down_stale(plugin->registry.record_folder, [&](const MountRecord& record) {
            plugin->services.log.info("fuse: '", record.path, "' was left mounted by a process that died");
            unmount_stale(record.path, plugin->services.log);
        });
        g_plugin = plugin.release();
    });
}

void fini() noexcept {
    delete g_plugin;
    g_plugin = nullptr;
}

std::int32_t create(const outport_export_args* args, void** state, outport_error* error) noexcept {
    return sdk::guarded(g_plugin->services.host, error,
                        [&] { *state = new Export(g_plugin->services, g_plugin->registry, *args); });
}
void start(void* state, outport_done* done) noexcept {
    static_cast<Export*>(state)->start(done);
}
void stop(void* state, std::uint32_t mode, outport_done* done) noexcept {
    static_cast<Export*>(state)->stop(mode, done);
}
void destroy(void* state) noexcept {
    delete static_cast<Export*>(state);
}

constexpr outport_export_type kExportType = {
    .struct_size = sizeof(outport_export_type),
    .flags = OUTPORT_EXPORT_SERVES_KERNEL | OUTPORT_EXPORT_RESIZES | OUTPORT_EXPORT_KEEPS,
    .modes = OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HIDE | OUTPORT_KNOWS_SOFT | OUTPORT_KNOWS_HARD,
    .reserved = 0,
    .name = "fuse",
    .create = &create,
    .start = &start,
    .stop = &stop,
    .destroy = &destroy,
};

std::int32_t usable(outport_error* error) noexcept {
    if (::access("/dev/fuse", R_OK | W_OK) == 0 || errno == EACCES) // fusermount3 may open what we may not
        return OUTPORT_OK;
    sdk::set_error(g_plugin->services.host, error,
                   sdk::cat("/dev/fuse cannot be used: ", std::strerror(errno)),
                   "Load the kernel module 'fuse'");
    return OUTPORT_UNSUPPORTED;
}

constexpr outport_status kStatus = {
    .struct_size = sizeof(outport_status),
    .reserved = 0,
    .usable = &usable,
    .idle = nullptr,
    .quit = nullptr,
};

const void* get_extension(const char* id) noexcept {
    if (std::strcmp(id, OUTPORT_EXPORT_TYPE_ID) == 0)
        return &kExportType;
    if (std::strcmp(id, OUTPORT_STATUS_ID) == 0)
        return &kStatus;
    return nullptr;
}

} // namespace
} // namespace outport::fuse

OUTPORT_PLUGIN_NOTE("fuse", OUTPORT_VERSION, "Apache-2.0");

constinit const struct outport_plugin outport_plugin = {
    .struct_size = sizeof(struct outport_plugin),
    .abi_major = OUTPORT_ABI_MAJOR,
    .abi_minor = OUTPORT_ABI_MINOR,
    .min_host_minor = 0,
    .id = "fuse",
    .version = outport::fuse::kVersion,
    .license = "Apache-2.0",
    .schema = fuse_document,
    .schema_length = fuse_document_length,
    .init = &outport::fuse::init,
    .fini = &outport::fuse::fini,
    .get_extension = &outport::fuse::get_extension,
};
