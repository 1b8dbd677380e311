/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of a probe export. It is served on one loop of the export; the main loop makes it, may tell
 * it to end, and frees it when everything that was sent to other loops has come back.
 */
#include "probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The struct that contains `pointer` as its member `part`. */
#define CONTAINER(pointer, type, part) ((type*)(void*)((char*)(pointer) - offsetof(type, part)))

/* Finds the connection again from the request that is lent to the host. */
struct probe_slot {
    struct probe_connection* connection;
    uint64_t pad; /* keeps the request aligned to 16 */
    struct outport_block_request request;
};

static void read_request(struct probe_connection* c);
static void finish(struct probe_connection* c);

/* ---- moving bytes: all of `wire`, then `after` */

static void transfer(struct probe_connection* c, bool sending);

static void take_off(struct probe_connection* c, uint64_t bytes) {
    while (c->wire_at < c->wire_count && bytes >= c->wire[c->wire_at].length)
        bytes -= c->wire[c->wire_at++].length;
    if (bytes > 0) {
        c->wire[c->wire_at].base += bytes;
        c->wire[c->wire_at].length -= bytes;
    }
}

static void moved(struct probe_connection* c, int32_t result, bool sending) {
    if (result <= 0) {
        finish(c);
        return;
    }
    take_off(c, (uint64_t)result);
    transfer(c, sending);
}

static void sent(struct outport_loop_op* op, int32_t result) {
    moved(CONTAINER(op, struct probe_connection, io), result, true);
}

static void received(struct outport_loop_op* op, int32_t result) {
    moved(CONTAINER(op, struct probe_connection, io), result, false);
}

static void transfer(struct probe_connection* c, bool sending) {
    take_off(c, 0);
    if (c->wire_at == c->wire_count) {
        c->after(c);
        return;
    }
    struct outport_iovec* first = &c->wire[c->wire_at];
    c->io.complete = sending ? sent : received;
    if (sending)
        probe.loop->send(c->loop, &c->io, c->fd, first, c->wire_count - c->wire_at, 0);
    else
        probe.loop->recv(c->loop, &c->io, c->fd, (void*)(uintptr_t)first->base, first->length, 0);
}

static void move(struct probe_connection* c, bool sending, struct outport_iovec a, struct outport_iovec b,
                 void (*after)(struct probe_connection*)) {
    c->wire[0] = a;
    c->wire[1] = b;
    c->wire_at = 0;
    c->wire_count = 2;
    c->after = after;
    transfer(c, sending);
}

static struct outport_iovec piece(void* at, uint64_t length) {
    struct outport_iovec iov = {(uint64_t)(uintptr_t)at, length};
    return iov;
}

/* ---- requests */

static void put(unsigned char* to, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char* from, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void reply(struct probe_connection* c, int32_t result, void* data, uint64_t length) {
    memcpy(c->reply, c->header + 8, 8);
    put(c->reply + 8, (uint32_t)result, 4);
    put(c->reply + 12, length, 4);
    move(c, true, piece(c->reply, sizeof c->reply), piece(data, length), read_request);
}

static void completed(struct outport_block_request* request, int32_t result) {
    struct probe_connection* c = CONTAINER(request, struct probe_slot, request)->connection;
    c->in_flight = false;
    if (result != 0 || request->op == OUTPORT_BLOCK_WRITE) {
        if (result == -ENOSPC)
            probe.exports->no_space(c->exported->args->handle);
        reply(c, result, NULL, 0);
    } else if (request->op == OUTPORT_BLOCK_READ) {
        reply(c, 0, c->buffer, request->length);
    } else if (request->op == OUTPORT_BLOCK_STATUS) {
        reply(c, 0, c->extents, request->extent_count * sizeof *c->extents);
    } else {
        bool one = request->op == OUTPORT_BLOCK_ALLOCATED_SIZE;
        reply(c, 0, c->extents, one ? sizeof *c->extents : 0);
    }
}

static void submit(struct probe_connection* c) {
    struct outport_block_request* r = &c->slot->request;
    memset(r, 0, sizeof *r);
    r->op = (uint32_t)get(c->header, 4);
    r->flags = (uint32_t)get(c->header + 4, 4);
    r->offset = get(c->header + 16, 8);
    r->length = get(c->header + 24, 8);
    r->complete = completed;
    if (r->op == OUTPORT_BLOCK_READ || r->op == OUTPORT_BLOCK_WRITE) {
        c->data = piece(c->buffer, r->length);
        r->iov = &c->data;
        r->iov_count = 1;
    } else if (r->op == OUTPORT_BLOCK_STATUS || r->op == OUTPORT_BLOCK_ALLOCATED_SIZE) {
        r->extents = c->extents;
        r->extent_count = PROBE_MAX_EXTENTS;
    }
    c->in_flight = true;
    probe.block->submit(c->queue, &r, 1);
}

static void serve(struct probe_connection* c) {
    uint32_t op = (uint32_t)get(c->header, 4);
    uint64_t length = get(c->header + 24, 8);
    bool carries = op == OUTPORT_BLOCK_READ || op == OUTPORT_BLOCK_WRITE;
    if (c->exported->allocate) {
        void* volatile seen =
            malloc(64); /* by the counter of allocations, and not left out by the compiler */
        free(seen);
    }
    if (carries && length > PROBE_MAX_LENGTH) {
        finish(c);
    } else if (op == 0) {
        c->info.struct_size = sizeof c->info;
        probe.block->get_info(c->exported->args->handle, &c->info);
        reply(c, 0, &c->info, sizeof c->info);
    } else if (op == OUTPORT_BLOCK_WRITE) {
        move(c, false, piece(c->buffer, length), piece(NULL, 0), submit);
    } else {
        submit(c);
    }
}

static void read_request(struct probe_connection* c) {
    move(c, false, piece(c->header, sizeof c->header), piece(NULL, 0), serve);
}

/* ---- beginning and end */

static void release(struct probe_connection* c) {
    if (--c->outstanding > 0)
        return;
    struct probe_export* exported = c->exported;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    close(c->fd);
    free(c->buffer);
    free(c->slot);
    free(c);
    probe_connection_gone(exported);
}

static void on_gone(struct outport_loop_op* op, int32_t result) {
    (void)result;
    release(CONTAINER(op, struct probe_connection, gone));
}

static void on_killed(struct outport_loop_op* op, int32_t result) {
    (void)result;
    release(CONTAINER(op, struct probe_connection, killed));
}

/* Nothing is in flight: this is called from the completion of the last thing that was. */
static void finish(struct probe_connection* c) {
    c->ended = true;
    if (c->queue)
        probe.block->queue_close(c->queue);
    c->queue = NULL;
    c->gone.complete = on_gone;
    probe.loop->post(probe.loop->main_loop(probe.host), &c->gone);
}

static void on_kill(struct outport_loop_op* op, int32_t result) {
    struct probe_connection* c = CONTAINER(op, struct probe_connection, kill);
    (void)result;
    if (!c->ended) {
        shutdown(c->fd, SHUT_RDWR);
        if (c->in_flight)
            probe.block->cancel(c->queue, &c->slot->request);
    }
    c->killed.complete = on_killed;
    probe.loop->post(probe.loop->main_loop(probe.host), &c->killed);
}

void probe_connection_kill(struct probe_connection* c) {
    if (c->killing)
        return;
    c->killing = true;
    ++c->outstanding;
    c->kill.complete = on_kill;
    probe.loop->post(c->loop, &c->kill);
}

static void open_queue(struct probe_connection* c) {
    probe.block->get_info(c->exported->args->handle, &c->info);
    size_t size = offsetof(struct probe_slot, request) + c->info.request_size;
    c->slot = aligned_alloc(16, (size + 15) / 16 * 16);
    c->buffer = malloc(PROBE_MAX_LENGTH);
    if (!c->slot || !c->buffer || !probe.threads->is_loop(c->loop) ||
        probe.block->queue_open(c->exported->args->handle, c->loop, NULL, c, &c->queue, NULL) != OUTPORT_OK) {
        finish(c);
        return;
    }
    c->slot->connection = c;
    read_request(c);
}

static void nop_done(struct outport_uring_completion* nop, int32_t result, uint32_t flags) {
    (void)result, (void)flags;
    open_queue(CONTAINER(nop, struct probe_connection, nop));
}

/* A raw entry that does nothing first, where the host lends them: opcode 0 is IORING_OP_NOP, and entries are
 * zeroed. */
static void on_begin(struct outport_loop_op* op, int32_t result) {
    struct probe_connection* c = CONTAINER(op, struct probe_connection, begin);
    void* entry = NULL;
    struct outport_uring_completion* nop = &c->nop;
    (void)result;
    c->info.struct_size = sizeof c->info;
    if (!probe.uring || probe.uring->reserve(c->loop, 1, &entry) != OUTPORT_OK) {
        open_queue(c);
        return;
    }
    c->nop.complete = nop_done;
    probe.uring->commit(c->loop, 1, &nop);
}

bool probe_connection_open(struct probe_export* exported, struct outport_loop* loop, int fd) {
    struct probe_connection* c = calloc(1, sizeof *c);
    if (!c)
        return false;
    c->exported = exported;
    c->loop = loop;
    c->fd = fd;
    c->outstanding = 1;
    c->next = exported->first;
    c->link = &exported->first;
    if (c->next)
        c->next->link = &c->next;
    exported->first = c;
    ++exported->connections;
    c->begin.complete = on_begin;
    probe.loop->post(loop, &c->begin);
    return true;
}
