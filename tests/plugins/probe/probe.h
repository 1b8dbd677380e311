/* SPDX-License-Identifier: Apache-2.0
 *
 * The test plugin "probe": an export over which a test pushes requests of the block interface, and commands
 * that use each extension of the SDK. Plain C11, built against an installed SDK and nothing else. All of it
 * runs on the main loop, but for the connections, each of which belongs to one loop of its export.
 *
 * The export's protocol, little-endian, one request at a time for each connection:
 *   request  u32 op (of block.h; 0 asks for outport_block_info), u32 flags, u64 cookie, u64 offset, u64
 * length, then `length` bytes for a WRITE reply    u64 cookie, i32 result, u32 bytes that follow
 */
#ifndef PROBE_H
#define PROBE_H

#include <outport/block.h>
#include <outport/blocking.h>
#include <outport/export-type.h>
#include <outport/log.h>
#include <outport/loop.h>
#include <outport/net.h>
#include <outport/plugin.h>
#include <outport/qmp.h>
#include <outport/thread-check.h>
#include <outport/uring.h>
#include <outport/values.h>

#include <stdatomic.h>
#include <stdbool.h>

#define PROBE_MAX_LENGTH (1u << 20) /* bytes of one request's data */
#define PROBE_MAX_EXTENTS 64u

/* The host, from init to fini. */
struct probe_host {
    const struct outport_host* host;
    const struct outport_block_api* block;
    const struct outport_blocking_api* blocking;
    const struct outport_export_api* exports;
    const struct outport_log_api* log;
    const struct outport_loop_api* loop;
    const struct outport_net_api* net;
    const struct outport_qmp_api* qmp;
    const struct outport_thread_check_api* threads;
    const struct outport_uring_api* uring; /* null on a host without it */
    const struct outport_values_api* values;
};
extern struct probe_host probe;

extern const struct outport_export_type probe_export_type;

void probe_fail(struct outport_error* error, const char* message);
void probe_say(const char* text);

/* ---- export.c */

struct probe_export {
    const struct outport_export_args* args;
    struct outport_listener* listener;
    struct outport_net_done listening, closed;
    struct outport_done *starting, *stopping;
    int fault;
    bool allocate, listens, closing, end_called;
    uint64_t connections; /* that are not gone yet */
    uint64_t next_loop;
    struct probe_connection* first; /* main loop only */
    struct outport_loop_op tick;
};

/* ---- connection.c */

struct probe_connection {
    struct probe_export* exported;
    struct outport_loop* loop;
    struct probe_connection *next, **link; /* in the export's list; main loop only */
    int fd;
    uint32_t outstanding; /* things of it that other loops still have to bring back; main loop only */
    bool killing;         /* main loop only */

    /* begin, io, kill run on its loop; gone, killed on the main loop */
    struct outport_loop_op begin, io, kill, gone, killed;
    struct outport_uring_completion nop;
    struct outport_block_queue* queue;
    struct outport_block_info info;
    struct probe_slot* slot; /* the request, with the host's state behind it */
    bool in_flight, ended;
    struct outport_iovec wire[2]; /* what is being sent or received */
    uint32_t wire_at, wire_count;
    void (*after)(struct probe_connection* c);
    struct outport_iovec data;
    struct outport_extent extents[PROBE_MAX_EXTENTS];
    unsigned char header[32], reply[16];
    unsigned char* buffer; /* PROBE_MAX_LENGTH */
};

/* Starts serving `fd` on `loop`. When it has ended, probe_connection_gone is called. All three on the main
 * loop. */
bool probe_connection_open(struct probe_export* exported, struct outport_loop* loop, int fd);
void probe_connection_kill(struct probe_connection* c);
void probe_connection_gone(struct probe_export* exported);

#endif
