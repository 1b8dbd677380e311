/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.export-type/1, offered by the plugin: the kind of export that it adds.
 *
 *   create ─► start ─► (running) ─► stop ─► destroy
 *
 * - create, [created]: checks the options, takes what can be taken at once. No completion, no waiting.
 *
 * - start, [starting]: listens, mounts, …; completes later, exactly once, also when it fails.
 *
 * - stop, [starting] or [running]: completes later, exactly once. Its mode says what happens to clients:
 *
 *   - safe: with OUTPORT_BUSY, having changed nothing, while a client is there; else as hard. The message
 * that the user gets for BUSY is the host's. With any other error nothing may have changed either.
 *
 *   - hide: no new clients; completes when the last client has gone.
 *
 *   - soft: as hide, and further requests of those that are there fail; completes with the last client.
 *
 *   - hard: cuts the clients off; completes when nothing is in flight any more.
 *
 *   A hard may follow a hide or a soft before that completed; then both complete together, the earlier first.
 * These three end with OUTPORT_OK; a failure is logged, and destroy follows all the same.
 *
 * A stop during start, which is hard then, cancels it: start completes with OUTPORT_CANCELLED (or, if it was
 * too late, as it did) before stop completes. What does not complete holds the export, and at the end of the
 * process is named when the time for that is over.
 *
 * - destroy: after a stop that completed with OUTPORT_OK, after a start that failed, or after create alone.
 * Gives all back.
 *
 * A plugin has one type at most; several exports of it may live at once. The loops of an export are those of
 * its options, else the main loop alone, so its [loop] callbacks may or may not run on the main loop.
 *
 * The host owns the states, the id, the removal modes that a client may ask for, and the events.
 */
#ifndef OUTPORT_EXPORT_TYPE_H
#define OUTPORT_EXPORT_TYPE_H

#include <outport/abi.h>

#define OUTPORT_EXPORT_TYPE_ID "outport.export-type/1"

OUTPORT_BEGIN_DECLS

/* Modes of stop. */
#define OUTPORT_STOP_SAFE 1000u
#define OUTPORT_STOP_HIDE 2000u
#define OUTPORT_STOP_SOFT 3000u
#define OUTPORT_STOP_HARD 4000u

/* outport_export_type.modes: which of them the type knows. SAFE and HARD are required. */
#define OUTPORT_KNOWS_SAFE (1u << 0)
#define OUTPORT_KNOWS_HIDE (1u << 1)
#define OUTPORT_KNOWS_SOFT (1u << 2)
#define OUTPORT_KNOWS_HARD (1u << 3)

/* outport_export_type.flags */
#define OUTPORT_EXPORT_SERVES_KERNEL                                                                         \
    (1u << 0) /* the kernel waits for it (FUSE, VDUSE): PR_SET_IO_FLUSHER is set */
#define OUTPORT_EXPORT_RESIZES                                                                               \
    (1u << 1) /* a writable one asks for RESIZE: it is made only where that is permitted */
#define OUTPORT_EXPORT_KEEPS                                                                                 \
    (1u << 2) /* its clients keep what they read (a page cache), so it must be told of what others change:   \
                 see range_changed in block.h */

/* outport_export_args.flags */
#define OUTPORT_EXPORT_WRITABLE (1u << 0)
#define OUTPORT_EXPORT_WRITETHROUGH                                                                          \
    (1u << 1) /* for information: the host makes every write stable by itself */

/* What an export is made of. Valid from create until destroy returns. */
struct outport_export_args {
    uint32_t struct_size;
    uint32_t flags;
    struct outport_export* handle;
    const char* id; /* C string */
    uint64_t id_length;
    const char* node_name; /* C string */
    uint64_t node_name_length;
    const struct outport_value* options; /* the whole BlockExportOptions, validated, defaults filled in: the
                                            members of the type's branch stand beside the common ones */
    struct outport_loop* const* loops;   /* at least one; spread connections or queues over all of them */
    uint64_t loop_count;
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_export_args, options) == 48, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_export_args) == 72, "append only");

struct outport_export_type {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t modes;
    uint32_t reserved;
    const char* name; /* C string, until fini returns: the value of BlockExportType that the fragment adds */

    /* [main] [created] [nonblocking] Repeat: once for each export. Owner: `args` is the host's and stays
     * valid until destroy returns; what is stored in *state is the plugin's; `error` is borrowed. Errors: any
     * status; then destroy is not called. */
    int32_t (*create)(const struct outport_export_args* args, void** state,
                      struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [starting] [nonblocking] Repeat: once. `done` may be completed before this returns.
     * Owner: `done` is the host's, lent until its completion. */
    void (*start)(void* state, struct outport_done* done) OUTPORT_NOEXCEPT;

    /* [main] [starting] [running] [draining] [nonblocking] Repeat: after a BUSY, and hard after hide or soft.
     * While it starts, hard only.
     * `done` may be completed before this returns. Owner: `done` is the host's, lent until its completion. */
    void (*stop)(void* state, uint32_t mode, struct outport_done* done) OUTPORT_NOEXCEPT;

    /* [main] [created] [draining] [nonblocking] Repeat: once. Nothing of the export is left when it returns.
     * Owner: `state` ends here. */
    void (*destroy)(void* state) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_export_type, create) == 24, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_export_type) == 56, "append only");

/* outport.export/1, offered by the host: what a running export tells about itself. */
#define OUTPORT_EXPORT_ID "outport.export/1"

struct outport_export_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [running] [draining] [nonblocking] Repeat: any. Concurrent: yes. A write failed with ENOSPC; the
     * host raises BLOCK_EXPORT_NO_SPACE, at most once a second for each export. Owner: `handle` is the
     * host's. */
    void (*no_space)(struct outport_export* handle) OUTPORT_NOEXCEPT;

    /* [main] [running] [draining] [nonblocking] Repeat: once. What the export served has gone (unmounted by
     * others, its device destroyed): the host stops it (hard) and deletes it as if asked to. Owner: `handle`
     * is the host's; the reason is borrowed, goes to the log. */
    void (*ended)(struct outport_export* handle, const char* reason, uint64_t reason_length) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_export_api) == 24, "append only");

/* outport.status/1, optional, offered by the plugin: asked of it whenever somebody wants to know. */
#define OUTPORT_STATUS_ID "outport.status/1"

struct outport_status {
    uint32_t struct_size;
    uint32_t reserved;

    /* [main] [any-state] [nonblocking] Repeat: any. OUTPORT_OK when the plugin can work here; else the reason
     * why not was given to set_error (no device, no permission). May be null. Owner: `error` is borrowed.
     * Errors: OUTPORT_UNSUPPORTED. */
    int32_t (*usable)(struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: any. OUTPORT_OK when the plugin may be unloaded; OUTPORT_BUSY
     * when something of it other than exports is in use, named through set_error as it would follow "in use
     * by" ("its server"). May be null. Owner: `error` is borrowed. Errors: OUTPORT_BUSY. */
    int32_t (*idle)(struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: once after init at most. The host ends, no export is left:
     * give up what `idle` would name (stop the server, close its clients) and complete when nothing of it is
     * left. May be null. Owner: `done` is the host's, lent until its completion. */
    void (*quit)(struct outport_done* done) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_status) == 32, "append only");

OUTPORT_END_DECLS

#endif
