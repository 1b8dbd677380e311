/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.uring/1, offered by hosts whose loops run on io_uring: raw submission entries of the loop's ring.
 *
 * struct io_uring_sqe is kernel ABI, so a plugin fills entries with the kernel's own header. reserve(n) lends
 * n zeroed entries of info.entry_size bytes each; the plugin fills them (all but user_data) and commits them
 * in the same callback, in the order of the array. They go to the kernel when the loop turns, together with
 * everything else.
 *
 * Refused at commit, where the entry completes with -EINVAL and nothing is done: IOSQE_IO_DRAIN,
 * IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_BUFFER_SELECT, a personality, and opcodes that reach beyond
 * the plugin's own entries (MSG_RING, ASYNC_CANCEL, POLL_REMOVE, TIMEOUT_REMOVE, FILES_UPDATE,
 * PROVIDE_BUFFERS, REMOVE_BUFFERS) or open files into fixed slots; and what a later kernel adds of that kind.
 * IOSQE_IO_LINK and IOSQE_IO_HARDLINK are cleared on the last entry of a commit: a chain stays inside one.
 */
#ifndef OUTPORT_URING_H
#define OUTPORT_URING_H

#include <outport/abi.h>

#define OUTPORT_URING_ID "outport.uring/1"

OUTPORT_BEGIN_DECLS

struct outport_uring_completion {
    /* [loop] [any-state] [nonblocking] Repeat: as often as the kernel completes the entry; it belongs to the
     * host until a completion without IORING_CQE_F_MORE. `result` and `flags` are those of the completion
     * entry. Owner: `completion` is the plugin's again after the last one. */
    void (*complete)(struct outport_uring_completion* completion, int32_t result,
                     uint32_t flags) OUTPORT_NOEXCEPT;
    uint64_t host[7]; /* the host's while it runs; need not be initialised */
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_uring_completion) == 64, "fixed for revision 1");

struct outport_uring_info {
    uint32_t struct_size;     /* written by the plugin */
    uint32_t entry_size;      /* bytes of a submission entry: 64 or 128 */
    uint32_t ring_flags;      /* IORING_SETUP_… */
    uint32_t ring_features;   /* IORING_FEAT_… */
    uint64_t opcodes[4];      /* bit N: the kernel knows opcode N */
    uint32_t max_reservation; /* the largest n that reserve can ever give */
    uint32_t reserved;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_uring_info) == 56, "append only");

struct outport_uring_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. What the ring of `loop` can do.
     * Owner: `info` is the plugin's, its struct_size set; no more than that is written. */
    void (*get_info)(struct outport_loop* loop, struct outport_uring_info* info) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any, one at a time: commit before the next. All `count`
     * entries or none; may pass on to the kernel what was committed before. Owner: the entries are lent until
     * commit, in this same callback; `entries` is the plugin's array of `count` pointers. Errors:
     * OUTPORT_AGAIN when there is no room now (see wait), OUTPORT_INVALID when `count` is 0 or above
     * max_reservation. */
    int32_t (*reserve)(struct outport_loop* loop, uint32_t count, void** entries) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: once after each reserve that gave entries, with the same
     * count. Owner: each completion object is lent until its last completion; the array of pointers is
     * borrowed. */
    void (*commit)(struct outport_loop* loop, uint32_t count,
                   struct outport_uring_completion* const* completions) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Completes once, with result 0, in turn, when there may be
     * room again. Owner: `waiter` is lent until then. */
    void (*wait)(struct outport_loop* loop, struct outport_uring_completion* waiter) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. Best effort; the completions of `completion` still come.
     * Owner: `completion` stays lent. Does nothing when it is not running. */
    void (*cancel)(struct outport_loop* loop, struct outport_uring_completion* completion) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_uring_api) == 48, "append only");

OUTPORT_END_DECLS

#endif
