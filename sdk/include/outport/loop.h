/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.loop/1, offered by the host: portable operations on an event loop.
 *
 * The operation object is embedded in the plugin's own; the host allocates nothing. It belongs to the host
 * from the call that starts it until its completion, which comes exactly once, on the loop, never inside the
 * call that starts it. Results are those of the system call: a count or a negative errno; as there, no more
 * than 0x7ffff000 bytes move at once. recv, send and accept wait also on a socket that is
 * O_NONBLOCK; with MSG_DONTWAIT, recv and send do not. A descriptor stays open until the operations on it
 * have completed. What all callbacks of one turn of the loop start goes to the kernel in one system call.
 * Plugins that want the kernel's own interface use uring.h beside this.
 */
#ifndef OUTPORT_LOOP_H
#define OUTPORT_LOOP_H

#include <outport/abi.h>

#define OUTPORT_LOOP_ID "outport.loop/1"

OUTPORT_BEGIN_DECLS

struct outport_loop_op {
    /* [loop] [any-state] [nonblocking] Repeat: once for each start. `result` is a count, or a negative errno;
     * -ECANCELED after cancel. Owner: `op` is the plugin's again, which may start it anew or free it here. */
    void (*complete)(struct outport_loop_op* op, int32_t result) OUTPORT_NOEXCEPT;
    uint64_t host[23]; /* the host's while it runs; need not be initialised */
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_loop_op, host) == 8, "fixed for revision 1");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_loop_op) == 192, "fixed for revision 1");

struct outport_loop_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [loop] [any-state] [nonblocking] Repeat: any. As preadv2 without flags; offset UINT64_MAX is "at the
     * file's position". Owner: iovecs, buffers and `op` are lent until the completion. At most 1024 iovecs.
     */
    void (*read)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd,
                 const struct outport_iovec* iov, uint32_t iov_count, uint64_t offset) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. As pwritev2 without flags; otherwise as read. Owner: as
     * read. */
    void (*write)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd,
                  const struct outport_iovec* iov, uint32_t iov_count, uint64_t offset) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. As recv, with its flags, which are the kernel's MSG_…
     * values. Owner: the buffer and `op` are lent until the completion. */
    void (*recv)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd, void* buffer,
                 uint64_t length, uint32_t flags) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. As sendmsg without control data, with MSG_NOSIGNAL;
     * `flags` as in recv. May send less than asked, unless MSG_WAITALL is given. Owner: iovecs, buffers and
     * `op` are lent until the completion. */
    void (*send)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd,
                 const struct outport_iovec* iov, uint32_t iov_count, uint32_t flags) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. As accept4 with SOCK_CLOEXEC; the result is the new
     * descriptor. Owner: `op` is lent until the completion; the descriptor is the plugin's. */
    void (*accept)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Waits once for `events`, the kernel's POLL… values; the
     * result is what came. Owner: `op` is lent until the completion. */
    void (*poll)(struct outport_loop* loop, struct outport_loop_op* op, int32_t fd,
                 uint32_t events) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Completes with 0 after `nanoseconds`. Owner: `op` is lent
     * until then. */
    void (*timer)(struct outport_loop* loop, struct outport_loop_op* op,
                  uint64_t nanoseconds) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. Completes with 0 on `loop`, which may be
     * another one; posts of one thread to one loop complete in their order, and what the thread wrote before
     * is visible there. Cannot be cancelled. Owner: `op` is lent until the completion. */
    void (*post)(struct outport_loop* loop, struct outport_loop_op* op) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Completes with 0 at the end of this turn of the loop,
     * after all other callbacks and before what they started goes to the kernel: the place to put replies
     * together. Owner: `op` is lent until the completion. */
    void (*defer)(struct outport_loop* loop, struct outport_loop_op* op) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Completes with 0 in the next turn, after the others had
     * theirs. Owner: `op` is lent until the completion. */
    void (*yield)(struct outport_loop* loop, struct outport_loop_op* op) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Best effort; the completion of `op` still comes, once and
     * later, with -ECANCELED when this had an effect. Called on the loop that `op` was started on. Does
     * nothing when it is not running, was posted, deferred or yields. Owner: `op` stays lent. */
    void (*cancel)(struct outport_loop* loop, struct outport_loop_op* op) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. CLOCK_MONOTONIC in nanoseconds; on the
     * loop's own thread as of the start of the turn. Owner: `loop` is the host's. */
    uint64_t (*now)(struct outport_loop* loop) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. The main loop, on which everything of the
     * main thread runs. Owner: `host` is the host's; the loop lives until fini returns. */
    struct outport_loop* (*main_loop)(const struct outport_host* host)OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_loop_api) == 112, "append only");

OUTPORT_END_DECLS

#endif
