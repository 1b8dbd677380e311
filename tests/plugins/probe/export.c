/* SPDX-License-Identifier: Apache-2.0
 *
 * The export of the test plugin: its life, as export-type.h tells it.
 */
#include "probe.h"

#include "probe-types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The member `part` of the struct that contains it. */
#define CONTAINER(pointer, type, part) ((type*)(void*)((char*)(pointer) - offsetof(type, part)))

static void finish(struct outport_done** done, int32_t status) {
    struct outport_done* was = *done;
    *done = NULL;
    if (was)
        was->complete(was, status);
}

static void fail_and_finish(struct outport_done** done, int32_t status, const char* text, uint64_t length) {
    if (*done)
        probe.host->set_error((*done)->error, text, length, NULL, 0);
    finish(done, status);
}

/* ---- create, destroy */

static int32_t create(const struct outport_export_args* args, void** state, struct outport_error* error) {
    struct org_outport_BlockExportOptionsProbe options;
    if (!org_outport_BlockExportOptionsProbe_read(probe.values, args->options, &options)) {
        probe_fail(error, "the options cannot be read");
        return OUTPORT_INVALID;
    }
    if (options.fault == ORG_OUTPORT_PROBE_FAULT_CREATE) {
        probe_fail(error, "the test wants no export");
        return OUTPORT_FAILED;
    }
    struct probe_export* e = calloc(1, sizeof *e);
    e->args = args;
    e->fault = (int)options.fault;
    e->allocate = options.allocate;
    *state = e;
    return OUTPORT_OK;
}

static void destroy(void* state) {
    free(state);
}

/* ---- start */

static void accepted(void* data, int32_t fd) {
    struct probe_export* e = data;
    struct outport_loop* loop = e->args->loops[e->next_loop++ % e->args->loop_count];
    if (!probe_connection_open(e, loop, fd))
        close(fd);
}

static void ended_soon(struct outport_loop_op* op, int32_t result) {
    struct probe_export* e = CONTAINER(op, struct probe_export, tick);
    static const char reason[] = "the test said so";
    (void)result;
    probe.exports->no_space(e->args->handle);
    probe.exports->ended(e->args->handle, reason, sizeof reason - 1);
}

static void listening(struct outport_net_done* done, int32_t status, const char* message, uint64_t length) {
    struct probe_export* e = CONTAINER(done, struct probe_export, listening);
    e->listens = status == OUTPORT_OK;
    if (status != OUTPORT_OK) {
        fail_and_finish(&e->starting, status, message, length);
        return;
    }
    finish(&e->starting, OUTPORT_OK);
    if (e->fault == ORG_OUTPORT_PROBE_FAULT_END) {
        e->tick.complete = ended_soon;
        probe.loop->yield(probe.loop->main_loop(probe.host), &e->tick);
    }
}

static void start(void* state, struct outport_done* done) {
    struct probe_export* e = state;
    struct outport_listener_events events = {sizeof events, 0, accepted};
    e->starting = done;
    if (e->fault == ORG_OUTPORT_PROBE_FAULT_HANG_START)
        return;
    if (e->fault == ORG_OUTPORT_PROBE_FAULT_START) {
        fail_and_finish(&e->starting, OUTPORT_FAILED, "the test wants no start", 23);
        return;
    }
    e->listening.struct_size = sizeof e->listening;
    e->listening.complete = listening;
    probe.net->listen(probe.host, probe.values->member(e->args->options, "socket", 6), 0, &events, e,
                      &e->listener, &e->listening);
}

/* ---- stop */

static void stopped_when_empty(struct probe_export* e) {
    if (e->stopping && !e->listens && !e->closing && e->connections == 0)
        finish(&e->stopping, OUTPORT_OK);
}

static void closed(struct outport_net_done* done, int32_t status, const char* message, uint64_t length) {
    struct probe_export* e = CONTAINER(done, struct probe_export, closed);
    (void)status, (void)message, (void)length;
    e->listens = e->closing = false;
    stopped_when_empty(e);
}

static void stop(void* state, uint32_t mode, struct outport_done* done) {
    struct probe_export* e = state;
    if (mode == OUTPORT_STOP_SAFE && e->connections > 0) {
        done->complete(done, OUTPORT_BUSY);
        return;
    }
    e->stopping = done;
    if (e->fault == ORG_OUTPORT_PROBE_FAULT_HANG_STOP)
        return;
    if (e->starting && e->fault == ORG_OUTPORT_PROBE_FAULT_HANG_START)
        finish(&e->starting, OUTPORT_CANCELLED);
    for (struct probe_connection* c = e->first; c; c = c->next)
        probe_connection_kill(c);
    if (e->listener && (e->listens || e->starting)) {
        e->closing = true;
        e->closed.struct_size = sizeof e->closed;
        e->closed.complete = closed;
        probe.net->close(e->listener, &e->closed);
    }
    stopped_when_empty(e);
}

void probe_connection_gone(struct probe_export* e) {
    --e->connections;
    stopped_when_empty(e);
}

const struct outport_export_type probe_export_type = {
    .struct_size = sizeof probe_export_type,
    .flags = 0,
    .modes = OUTPORT_KNOWS_SAFE | OUTPORT_KNOWS_HARD,
    .reserved = 0,
    .name = "__org.outport_probe",
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
};
