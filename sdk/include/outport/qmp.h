/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.qmp/1, offered by the host: commands, command-line options and events that a plugin's schema
 * fragment declares.
 *
 * A command gets a call and answers it exactly once, then or later, always on the main loop. When the monitor
 * that asked is gone, or the host ends, the call is cancelled: the plugin is told, and still answers, with
 * whatever it has.
 */
#ifndef OUTPORT_QMP_H
#define OUTPORT_QMP_H

#include <outport/abi.h>
#include <outport/values.h>

#define OUTPORT_QMP_ID "outport.qmp/1"

OUTPORT_BEGIN_DECLS

/* One command, or one option of the command line, that waits for its answer. The host's. */
struct outport_qmp_call {
    uint32_t struct_size;
    uint32_t reserved;
    const struct outport_value* arguments; /* validated, defaults filled in; valid until complete */
    struct outport_error* error;           /* for set_error before complete with an error */
    struct outport_writer* result; /* the return value is written here before complete with OUTPORT_OK;
                                    * writing nothing returns {} */
    /* The plugin's to set, or null. [main] [any-state] [nonblocking] Repeat: once at most. Called when nobody
     * waits for the answer any more. Owner: `call` stays lent; it is still to be completed. */
    void (*cancelled)(struct outport_qmp_call* call) OUTPORT_NOEXCEPT;
    void* data; /* the plugin's to use */

    /* [main] [any-state] [nonblocking] Repeat: once. `status` is OUTPORT_OK or a kind of error, whose message
     * was set on `error`. Owner: `call` is gone when this returns. */
    void (*complete)(struct outport_qmp_call* call, int32_t status) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_qmp_call, complete) == 48, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_qmp_call) == 56, "append only");

/* [main] [any-state] [nonblocking] Repeat: for each call. Owner: `call` is lent until its `complete`; `data`
 * is what was given when it was added. */
typedef void (*outport_qmp_handler)(struct outport_qmp_call* call, void* data) OUTPORT_NOEXCEPT;

struct outport_qmp_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [main] [init] [nonblocking] Repeat: once for each command of the fragment. Every command must have a
     * handler when init returns. Owner: `name` is a C string, borrowed; `data` is the plugin's and must
     * outlive fini. Errors: OUTPORT_NOT_FOUND when the fragment has no such command, OUTPORT_INVALID when it
     * has a handler already. */
    int32_t (*add_command)(const struct outport_host* host, const char* name, outport_qmp_handler handler,
                           void* data, struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [init] [nonblocking] Repeat: once for each option of the fragment. As add_command; the call's
     * arguments are the option's value. Owner: as add_command. Errors: as add_command. */
    int32_t (*add_option)(const struct outport_host* host, const char* name, outport_qmp_handler handler,
                          void* data, struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: any. Starts an event of the fragment: its data is written to
     * what comes back, then event_send. Owner: `name` is a C string, borrowed; the writer is the host's until
     * event_send. Null when the fragment has no such event. */
    struct outport_writer* (*event_begin)(const struct outport_host* host, const char* name)OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: once after event_begin. Owner: `event` ends here. */
    void (*event_send)(struct outport_writer* event) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_qmp_api) == 40, "append only");

OUTPORT_END_DECLS

#endif
