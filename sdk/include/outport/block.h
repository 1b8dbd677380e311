/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.block/1, offered by the host: reading and writing the node that an export exports.
 *
 * A request is memory of the plugin's: struct outport_block_request followed by state of the host's, together
 * info.request_size bytes, aligned to 16. So neither side allocates for a request. Requests are submitted in
 * batches to a block queue, which belongs to one loop; they complete on that loop, in any order, never inside
 * submit.
 *
 * A queue is also the unit of fairness: the loop serves its queues in turn with a quantum of bytes and
 * requests, so open one for each connection or virtqueue.
 *
 * For all operations: length 0 completes with 0. A range past the end, or one that wraps, completes with
 * -EINVAL before anything is done, and so do an unknown operation, an unknown flag, iovecs that do not add up
 * to length, and reserved bytes that are not zero. Any offset, length and buffer alignment will do; what does
 * not fit the node is split or bounced by the host. A request succeeds whole or fails, it is never short: the
 * result is 0 or a negative errno. Requests in flight have no order among themselves; a flush covers what was
 * completed before it was submitted. What would change the node (WRITE, DISCARD, WRITE_ZEROES, RESIZE,
 * ALLOCATE) completes with -EROFS when the export is not writable. RESIZE is for types with
 * OUTPORT_EXPORT_RESIZES (export-type.h).
 *
 * The host parks requests while the graph changes, and may do so in every state: a stop that waits for
 * requests waits for that too. A plugin that is in a hurry (a hard stop) cancels its own; what was cancelled
 * may have been done all the same.
 */
#ifndef OUTPORT_BLOCK_H
#define OUTPORT_BLOCK_H

#include <outport/abi.h>

#define OUTPORT_BLOCK_ID "outport.block/1"

OUTPORT_BEGIN_DECLS

/* Operations. */
#define OUTPORT_BLOCK_READ 1000u
#define OUTPORT_BLOCK_WRITE 2000u
#define OUTPORT_BLOCK_FLUSH 3000u /* offset and length are ignored */
#define OUTPORT_BLOCK_DISCARD                                                                                \
    4000u /* a hint; afterwards the range reads as anything; succeeds where it cannot be done */
#define OUTPORT_BLOCK_WRITE_ZEROES 5000u
#define OUTPORT_BLOCK_STATUS 6000u /* allocation, into extents */
#define OUTPORT_BLOCK_CACHE 7000u  /* a hint: the range will be read */
#define OUTPORT_BLOCK_RESIZE 8000u /* to `length` bytes; offset is 0 */
#define OUTPORT_BLOCK_ALLOCATED_SIZE                                                                         \
    9000u /* bytes of storage in use, into extents[0].length; offset and length are ignored */
#define OUTPORT_BLOCK_ALLOCATE                                                                               \
    10000u /* storage for the range, which reads as before; a later write there does not lack space.         \
              Succeeds where the node knows no such thing */

/* outport_block_request.flags */
#define OUTPORT_BLOCK_FUA (1u << 0)       /* with writes, discard, zeroes: stable before it completes */
#define OUTPORT_BLOCK_MAY_UNMAP (1u << 1) /* with WRITE_ZEROES: may free the storage */
#define OUTPORT_BLOCK_NO_FALLBACK                                                                            \
    (1u << 2) /* with WRITE_ZEROES: -EOPNOTSUPP rather than writing data (a "fast zero") */
#define OUTPORT_BLOCK_AT_LEAST (1u << 3) /* with RESIZE: nothing happens when it is larger */

/* outport_extent.flags of STATUS. */
#define OUTPORT_EXTENT_DATA (1u << 0) /* allocated; without it the range is a hole */
#define OUTPORT_EXTENT_ZERO (1u << 1) /* reads as zeroes */

struct outport_extent {
    uint64_t length; /* bytes */
    uint64_t flags;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_extent) == 16, "fixed for revision 1");

struct outport_block_request {
    uint32_t op;
    uint32_t flags;
    uint64_t offset;
    uint64_t length;
    const struct outport_iovec* iov; /* with READ and WRITE; its lengths add up to `length` */
    uint32_t iov_count;
    uint32_t extent_count; /* with STATUS and ALLOCATED_SIZE: in, the capacity of `extents`, at least 1; with
                              STATUS, when it succeeds, out: how many are filled, 0 only for length 0 */
    struct outport_extent*
        extents; /* they start at offset, cover at least one byte, may cover less than asked, never more */

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: once for each submit. `result` is 0 or a
     * negative errno. Owner: the request, its iovecs, buffers and extents, lent since submit, are the
     * plugin's again, which may submit it anew or free it here. */
    void (*complete)(struct outport_block_request* request, int32_t result) OUTPORT_NOEXCEPT;

    uint8_t reserved[16]; /* zero; for operations and flags to come */
                          /* the host's state follows, from the next multiple of 16 on */
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_block_request, iov) == 24, "fixed for revision 1");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_block_request, extents) == 40, "fixed for revision 1");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_block_request, complete) == 48, "fixed for revision 1");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_block_request, reserved) == 56, "fixed for revision 1");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_block_request) == 72, "fixed for revision 1");

/* outport_block_info.flags */
#define OUTPORT_BLOCK_IS_WRITABLE (1u << 0)
#define OUTPORT_BLOCK_CAN_DISCARD (1u << 1)   /* DISCARD has an effect */
#define OUTPORT_BLOCK_CAN_FAST_ZERO (1u << 2) /* WRITE_ZEROES with NO_FALLBACK can succeed */

struct outport_block_info {
    uint32_t struct_size; /* written by the plugin */
    uint32_t flags;
    uint64_t size;         /* bytes */
    uint32_t request_size; /* bytes of a request with the host's state behind it; fixed for the life of an
                              export */
    uint32_t request_alignment; /* offsets and lengths that are multiples of it need no bounce; a power of
                                   two, 1 at least */
    uint32_t memory_alignment;  /* likewise for buffers */
    uint32_t reserved;
    uint64_t optimal_transfer; /* bytes, 0 when there is none */
    uint64_t max_transfer;     /* bytes that go through unsplit; UINT64_MAX when there is no limit */
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_block_info, request_size) == 16, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_block_info) == 48, "append only");

/* A range that is not what it was. */
struct outport_range_change {
    uint64_t offset;
    uint64_t length;
    void* plugin[2]; /* the plugin's: to keep it in a list */
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_range_change) == 32, "fixed for revision 1");

/* What a queue tells its owner; each may be null. In order with the completions of the queue's loop. Every
 * queue is told, so ask for a notice on one queue only where once is enough. A queue with a notice that this
 * host does not know is refused: whoever asks for one depends on it. */
struct outport_block_notices {
    uint32_t struct_size;
    uint32_t reserved;

    /* [loop] [running] [draining] [nonblocking] Repeat: any. Size or limits are not what they were: see
     * get_info. Owner: `data` is what queue_open was given. */
    void (*changed)(void* data) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: any. For types with OUTPORT_EXPORT_KEEPS,
     * on one queue, which must be on the first of the export's loops. Another user changes, or may have
     * changed, what the range holds, or with a length up to UINT64_MAX the size; who did it is not answered
     * before range_done. What the export's own clients change is not told. Owner: `data` as in changed;
     * `change` is lent until range_done. */
    void (*range_changed)(void* data, struct outport_range_change* change) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_block_notices) == 24, "append only");

struct outport_block_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [created] [starting] [running] [draining] [nonblocking] Repeat: any. Concurrent: yes. The node
     * behind the export, as of now. Owner: `info` is the plugin's, its struct_size set; no more than that is
     * written. */
    void (*get_info)(struct outport_export* handle, struct outport_block_info* info) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: any. A queue on `loop`, one of those of
     * the export, called on that loop. `notices` and `error` may be null. Owner: `notices` is borrowed and
     * copied; the queue is the plugin's until queue_close; *queue is set only with OUTPORT_OK. Errors:
     * OUTPORT_NO_MEMORY; OUTPORT_INVALID when `loop` is none of the export's; OUTPORT_UNSUPPORTED when
     * `notices` has one that the host does not know. */
    int32_t (*queue_open)(struct outport_export* handle, struct outport_loop* loop,
                          const struct outport_block_notices* notices, void* data,
                          struct outport_block_queue** queue, struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: once. No request may be in flight.
     * Owner: `queue` ends here. */
    void (*queue_close)(struct outport_block_queue* queue) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: any. Never completes a request before it
     * returns. Owner: the array is borrowed; each request, and all that it points to, is lent until its
     * completion. */
    void (*submit)(struct outport_block_queue* queue, struct outport_block_request* const* requests,
                   uint32_t count) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: any. Best effort; the completion still
     * comes, once and later, with -ECANCELED when this had an effect. Only for a request that is in flight on
     * this queue. Owner: `request` stays lent. */
    void (*cancel)(struct outport_block_queue* queue, struct outport_block_request* request) OUTPORT_NOEXCEPT;

    /* [loop] [starting] [running] [draining] [nonblocking] Repeat: once for each range_changed, maybe inside
     * it. Nothing that the export's clients see of the range is older than the change. Owner: `change` is the
     * host's again. */
    void (*range_done)(struct outport_block_queue* queue,
                       struct outport_range_change* change) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_block_api) == 56, "append only");

OUTPORT_END_DECLS

#endif
