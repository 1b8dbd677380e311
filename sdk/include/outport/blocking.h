/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.blocking/1, offered by the host: a bounded pool of threads for what the kernel or a library offers
 * only as a call that waits (mount, name look-up, reading key files). Loops and the main loop never wait;
 * this is the only place that may.
 *
 * Each plugin has a fixed share of the threads. A job that hangs for more than a second no longer counts, up
 * to a limit, after which new jobs of that plugin are refused with an error that names what hangs.
 */
#ifndef OUTPORT_BLOCKING_H
#define OUTPORT_BLOCKING_H

#include <outport/abi.h>

#define OUTPORT_BLOCKING_ID "outport.blocking/1"

OUTPORT_BEGIN_DECLS

#define OUTPORT_BLOCKING_DATA 1000u    /* short look-ups that a request waits for */
#define OUTPORT_BLOCKING_CONTROL 2000u /* all else */

struct outport_blocking_job {
    /* [pool] [any-state] [may-block] Repeat: once for each submit. Does the waiting. No table of the host may
     * be called from here but what is tagged "any". Owner: `job` is lent to the pool. */
    void (*run)(struct outport_blocking_job* job) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: once after run, or instead of it: see `status`. On the loop
     * that was given to submit, and what run wrote is visible. Owner: `job` is the plugin's again. */
    void (*done)(struct outport_blocking_job* job) OUTPORT_NOEXCEPT;

    const char* what;  /* C string for logs and errors, for example "mount of /x"; valid until done */
    int32_t status;    /* the host's answer, for done: 0, or why run was not called: -EBUSY, all threads hang;
                          -ECANCELED, it was cancelled or the process ends */
    uint32_t reserved; /* zero */
    uint64_t host[16]; /* the host's while it runs; need not be initialised */
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_blocking_job) == 160, "fixed for revision 1");

struct outport_blocking_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [loop] [any-state] [nonblocking] Repeat: any. Called on `loop`, where done will come. Queues the job;
     * run and done come later, in that order, unless it is refused here. Owner: `job` is lent until done;
     * `error` is borrowed and may be null. Errors: OUTPORT_BUSY when too many jobs of this plugin hang,
     * OUTPORT_INVALID for an unknown class or another thread's loop. */
    int32_t (*submit)(const struct outport_host* host, struct outport_loop* loop, uint32_t job_class,
                      struct outport_blocking_job* job, struct outport_error* error) OUTPORT_NOEXCEPT;

    /* [loop] [any-state] [nonblocking] Repeat: any. For a job that was submitted on this loop and is not
     * done: when run has not begun, done comes later with -ECANCELED instead; else nothing happens, since a
     * call that waits can't be taken back. Owner: `job` stays lent. */
    void (*cancel)(struct outport_blocking_job* job) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_blocking_api) == 24, "append only");

OUTPORT_END_DECLS

#endif
