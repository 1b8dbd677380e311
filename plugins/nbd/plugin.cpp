// SPDX-License-Identifier: Apache-2.0
// The plugin's face to the host.
#include "nbd-document.h"
#include "server.hpp"

#include <cstring>

namespace outport::nbd {
namespace {

constexpr char kVersion[] = OUTPORT_VERSION;

// Between init and fini; nothing is left to static destructors.
constinit Server* g_server = nullptr;

std::int32_t init(const outport_host* host, outport_error* error) noexcept {
    return sdk::guarded(host, error, [&] { g_server = new Server(host); });
}

void fini() noexcept {
    delete g_server;
    g_server = nullptr;
}

std::int32_t create(const outport_export_args* args, void** state, outport_error* error) noexcept {
    return sdk::guarded(g_server->services().host, error, [&] { *state = new Export(*g_server, *args); });
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
    .flags = 0,
    .modes = OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HIDE | OUTPORT_KNOWS_SOFT | OUTPORT_KNOWS_HARD,
    .reserved = 0,
    .name = "nbd",
    .create = &create,
    .start = &start,
    .stop = &stop,
    .destroy = &destroy,
};

std::int32_t idle(outport_error* error) noexcept {
    if (g_server->stopped())
        return OUTPORT_OK;
    sdk::set_error(g_server->services().host, error, "its NBD server", "Stop it with nbd-server-stop first");
    return OUTPORT_BUSY;
}

void quit(outport_done* done) noexcept {
    g_server->quit(done);
}

constexpr outport_status kStatus = {
    .struct_size = sizeof(outport_status),
    .reserved = 0,
    .usable = nullptr,
    .idle = &idle,
    .quit = &quit,
};

const void* get_extension(const char* id) noexcept {
    if (std::strcmp(id, OUTPORT_EXPORT_TYPE_ID) == 0)
        return &kExportType;
    if (std::strcmp(id, OUTPORT_STATUS_ID) == 0)
        return &kStatus;
    return nullptr;
}

} // namespace
} // namespace outport::nbd

OUTPORT_PLUGIN_NOTE("nbd", OUTPORT_VERSION, "Apache-2.0");

constinit const struct outport_plugin outport_plugin = {
    .struct_size = sizeof(struct outport_plugin),
    .abi_major = OUTPORT_ABI_MAJOR,
    .abi_minor = OUTPORT_ABI_MINOR,
    .min_host_minor = 0,
    .id = "nbd",
    .version = outport::nbd::kVersion,
    .license = "Apache-2.0",
    .schema = nbd_document,
    .schema_length = nbd_document_length,
    .init = &outport::nbd::init,
    .fini = &outport::nbd::fini,
    .get_extension = &outport::nbd::get_extension,
};
