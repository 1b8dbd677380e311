/* SPDX-License-Identifier: Apache-2.0
 *
 * The ground rules of the Outport plugin ABI. Every other header includes this one.
 *
 * Vocabulary of the comment that each function carries (a test holds them to it):
 *
 * - Its thread, exactly one of: [main], the main loop; [loop], the loop that is named or that the object
 * belongs to; [pool], a thread of the blocking pool; [any], any thread of the process. The main loop is also
 * a [loop] for what runs on it. A tag guards against concurrency; it is no number of an operating system's
 * thread.
 *
 * - The states in which it may be called. Of the export, in this order: [created], from create on;
 * [starting], from the call of start; [running], once the plugin has completed start; [draining], from a call
 * of stop that it does not answer with BUSY until destroy returns. Of the plugin: [init], inside its init or
 * fini. Or [any-state]: whenever it is initialised, from the begin of init to the end of fini.
 *
 * - Whether it may wait for a disk, a network or another thread: [nonblocking] or [may-block]. The latter
 * stands only with [pool], and on the plugin's init and fini.
 *
 * - Repeat: how often it may be called. Concurrent: whether on several threads at once; if it is not said,
 * no.
 *
 * - Owner: who owns what each pointer leads to, and until when. "Borrowed" is: for this call. "Lent" is:
 * until the completion that is named.
 *
 * - Errors: what can come back, where a status does.
 *
 * What is lent to the other side until a completion (operations, requests, jobs, "done" objects) has no data
 * pointer: whoever allocates it embeds it in a struct of its own, which it finds again by the member's
 * offset.
 *
 * Rules for every header: C11 and C++17, and what came after; 64-bit hosts; fixed-width integers only; no
 * enum types, no bitfields; lengths and offsets are in bytes, 64 bits wide, unless a name says otherwise.
 * Every control struct starts with struct_size, written by whoever allocates it; members are only ever
 * appended. Structs without struct_size have a fixed layout for the revision of their extension. Reserved
 * members are zero. Flags that the plugin sets and the host does not know are refused with OUTPORT_INVALID or
 * -EINVAL; flags that the host sets and the plugin does not know only tell more, and are ignored. A status
 * that is not known counts as OUTPORT_FAILED. Text is UTF-8, given by pointer and length without a
 * terminating zero, unless the comment says "C string".
 */
#ifndef OUTPORT_ABI_H
#define OUTPORT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define OUTPORT_ABI_MAJOR 0u
#define OUTPORT_ABI_MINOR 1u

#ifdef __cplusplus
#define OUTPORT_NOEXCEPT noexcept
#define OUTPORT_STATIC_ASSERT(condition, text) static_assert(condition, text)
#define OUTPORT_BEGIN_DECLS extern "C" {
#define OUTPORT_END_DECLS }
#else
#define OUTPORT_NOEXCEPT
#define OUTPORT_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define OUTPORT_BEGIN_DECLS
#define OUTPORT_END_DECLS
#endif

OUTPORT_STATIC_ASSERT(sizeof(void*) == 8, "the Outport ABI is for 64-bit hosts");

/* Whether `table` (a pointer to a control struct) is long enough to have `member`. */
#define OUTPORT_REACHES(table, member)                                                                       \
    ((table)->struct_size >= offsetof(__typeof__(*(table)), member) + sizeof((table)->member))

/* Whether `member`, a pointer in a control struct, is there and set. An absent member means what its comment
 * says. */
#define OUTPORT_HAS(table, member) (OUTPORT_REACHES(table, member) && (table)->member != NULL)

OUTPORT_BEGIN_DECLS

/* Results of control calls. Each kind maps to one QMP error class in the host. I/O completes with 0 or a
 * negative errno instead. */
#define OUTPORT_OK 0
#define OUTPORT_FAILED 1000      /* anything without a kind of its own; QMP class GenericError */
#define OUTPORT_INVALID 2000     /* an argument or a flag is not valid; GenericError */
#define OUTPORT_BUSY 3000        /* something still uses it; GenericError */
#define OUTPORT_NOT_FOUND 4000   /* the thing that was named is not there; GenericError */
#define OUTPORT_NO_DEVICE 5000   /* as NOT_FOUND, for devices; DeviceNotFound */
#define OUTPORT_NO_MEMORY 6000   /* memory or another bounded resource is used up; GenericError */
#define OUTPORT_UNSUPPORTED 7000 /* this host or kernel cannot do it; GenericError */
#define OUTPORT_CANCELLED 8000   /* the other side took the request back; GenericError */
#define OUTPORT_AGAIN 9000       /* not now; the call says how to learn when; GenericError */

/* A piece of memory, laid out as the kernel's struct iovec is. */
struct outport_iovec {
    uint64_t base;   /* address */
    uint64_t length; /* bytes */
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_iovec) == 16, "as struct iovec");
OUTPORT_STATIC_ASSERT(offsetof(struct outport_iovec, length) == 8, "as struct iovec");

/* Handles of the host; a plugin only passes them on. */
struct outport_error;  /* where the message of a failure goes: borrowed for the call that gives it, or, as
                        * a member, valid as long as what it stands in. Null where the plugin gives it
                        * to the host means that the message is not wanted */
struct outport_export; /* the host's side of one export; lives from create to the end of destroy */
struct outport_loop;   /* an event loop; lives as long as the export that it was given to, the main loop
                        * until fini returns */
struct outport_block_queue; /* see block.h */
struct outport_value;       /* see values.h */

struct outport_host;

/* How an asynchronous control call is answered. The host allocates it; the plugin calls `complete` exactly
 * once. */
struct outport_done {
    uint32_t struct_size;
    uint32_t reserved;
    /* [main] [any-state] [nonblocking] Repeat: once. `status` is OUTPORT_OK or a kind of error, whose message
     * was given to outport_host.set_error(done->error) before. Owner: `done` is gone when this returns. */
    void (*complete)(struct outport_done* done, int32_t status) OUTPORT_NOEXCEPT;
    struct outport_error* error; /* valid until complete */
};
OUTPORT_STATIC_ASSERT(offsetof(struct outport_done, complete) == 8, "pinned");
OUTPORT_STATIC_ASSERT(sizeof(struct outport_done) == 24, "append only");

OUTPORT_END_DECLS

#endif
