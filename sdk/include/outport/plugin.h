/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plugin is: one exported data symbol, `outport_plugin`, and an ELF note with the same facts.
 *
 * - load: the note is read, then the file is opened, the symbol checked against the note, the schema merged,
 * init called. While the host runs, all before the schema happens on one of its blocking threads, since the
 * disk may hang; so constructors of the object, which are best left out, run there.
 *
 * - use: get_extension("outport.export-type/1"), then create ─► start ─► stop ─► destroy for each export.
 *
 * - unload: when no export is left and the plugin's status (export-type.h) does not object, fini is called
 * and the schema taken out. The object stays mapped; init may be called again later.
 *
 * Everything else, in both directions, is an extension: a struct of function pointers asked for by a string
 * id "outport.NAME/REVISION", whose meaning never changes. The names handover, memory, tls and authz are
 * reserved. A null for an id that is asked for is no error: the other side lacks it.
 *
 * Threads, rings and signal handlers are the host's. A plugin that must have a thread of its own starts it in
 * init or later, joins it before it completes the stop, or returns from the fini, that it was needed for, and
 * calls from it nothing but what is tagged [any].
 *
 * Start with OUTPORT_PLUGIN_NOTE below and export-type.h. How to build one is told by the pkg-config file
 * outport-sdk, whose variables plugin_cflags and plugin_ldflags are the flags for its compiler and its
 * linker.
 */
#ifndef OUTPORT_PLUGIN_H
#define OUTPORT_PLUGIN_H

#include <outport/abi.h>

OUTPORT_BEGIN_DECLS

/* The host as a plugin sees it; one for each plugin, valid from init until fini returns. */
struct outport_host {
    uint32_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t reserved;
    const char* name;    /* C string, "outportd" */
    const char* version; /* C string, the host's release, for logs only: decide by extensions, not by this */
    void* context;       /* the host's own */

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. A table of the host's, or null when the
     * host does not have it. Owner: `id` is a C string, borrowed; the table is the host's and valid until
     * fini returns. */
    const void* (*get_extension)(const struct outport_host* host, const char* id)OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: the last one counts. Concurrent: not on one `error`. Says why
     * the call that gave `error` is about to fail: what was asked, what is wrong, without a full stop;
     * `hint`, which may be null, says what would help. Nothing happens when `error` is null. Owner: the texts
     * are borrowed and copied; `error` belongs to its call. */
    void (*set_error)(struct outport_error* error, const char* message, uint64_t message_length,
                      const char* hint, uint64_t hint_length) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_host, get_extension) == 40, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_host) == 56, "append only");

struct outport_plugin {
    uint32_t struct_size;
    uint32_t abi_major;      /* OUTPORT_ABI_MAJOR of the SDK that it was built with */
    uint32_t abi_minor;      /* OUTPORT_ABI_MINOR likewise */
    uint32_t min_host_minor; /* the oldest minor of a host that will do; counts from major 1 on */
    const char* id;          /* C string: the name of the file without ".so", for example "nbd" */
    const char* version;     /* C string: the plugin's own release */
    const char* license;     /* C string: an SPDX expression */
    const char* schema;      /* the document of SCHEMA-FRAGMENT.md; null when it adds nothing to the schema */
    uint64_t schema_length;

    /* [main] [init] [may-block] Repeat: again after fini. The host is ready for get_extension. Required.
     * Owner: `host` stays valid until fini returns; `error` is borrowed.
     * Errors: any status; then fini is not called and the plugin is listed as failed. */
    int32_t (*init)(const struct outport_host* host, struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [init] [may-block] Repeat: once after each init that succeeded. The host has seen to it that no
     * export, call, event, listener, blocking job or operation of a loop or a ring is left, and that the last
     * callback of each has returned. Nothing may be left to static destructors. Required. */
    void (*fini)(void) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: any. A table of the plugin's, or null for every id that it
     * does not know. Asked after init, which may have made the tables. May be null itself. Owner: `id` is a C
     * string, borrowed; the host copies the table, which stays valid until fini returns.
     */
    const void* (*get_extension)(const char* id)OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_plugin, id) == 16, "pinned");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_plugin, schema) == 40, "pinned");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_plugin, init) == 56, "pinned");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_plugin, get_extension) == 72, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_plugin) == 80, "append only");

/* The one symbol. Constant-initialised: nothing of the plugin runs before init. */
extern __attribute__((visibility("default"))) const struct outport_plugin outport_plugin;

/* The ELF note, which the host reads before it opens the file, so that a refusal runs none of the plugin's
 * code. Section ".note.outport", name "Outport", type 1. */
#define OUTPORT_NOTE_SECTION ".note.outport"
#define OUTPORT_NOTE_NAME "Outport"
#define OUTPORT_NOTE_TYPE 1u

struct outport_note {
    uint32_t name_size; /* 8 */
    uint32_t desc_size; /* 160 */
    uint32_t type;
    char name[8];
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t min_host_minor;
    uint32_t reserved;
    char id[64]; /* zero-terminated, as the three that follow */
    char version[48];
    char license[32];
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_note) == 180, "pinned");

/* Once in a plugin, with string literals and the same texts and numbers as in the symbol. */
#define OUTPORT_PLUGIN_NOTE(plugin_id, plugin_version, plugin_license)                                       \
    OUTPORT_PLUGIN_NOTE_FOR(plugin_id, plugin_version, plugin_license, 0u)

/* For a min_host_minor other than 0. */
#define OUTPORT_PLUGIN_NOTE_FOR(plugin_id, plugin_version, plugin_license, plugin_min_host_minor)            \
    __attribute__((section(OUTPORT_NOTE_SECTION), used,                                                      \
                   aligned(4))) static const struct outport_note outport_plugin_note = {                     \
        sizeof OUTPORT_NOTE_NAME,                                                                            \
        sizeof(struct outport_note) - 20u,                                                                   \
        OUTPORT_NOTE_TYPE,                                                                                   \
        OUTPORT_NOTE_NAME,                                                                                   \
        OUTPORT_ABI_MAJOR,                                                                                   \
        OUTPORT_ABI_MINOR,                                                                                   \
        plugin_min_host_minor,                                                                               \
        0u,                                                                                                  \
        plugin_id,                                                                                           \
        plugin_version,                                                                                      \
        plugin_license}

OUTPORT_END_DECLS

#endif
