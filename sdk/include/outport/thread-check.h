/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.thread-check/1, offered by the host: on which thread am I? For assertions on both sides of the
 * border.
 */
#ifndef OUTPORT_THREAD_CHECK_H
#define OUTPORT_THREAD_CHECK_H

#include <outport/abi.h>

#define OUTPORT_THREAD_CHECK_ID "outport.thread-check/1"

OUTPORT_BEGIN_DECLS

struct outport_thread_check_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. 1 on the thread of the main loop, else 0.
     * Owner: `host` is the host's. */
    int32_t (*is_main)(const struct outport_host* host) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. 1 on the thread that runs `loop`, else 0.
     * Owner: `loop` is the host's. */
    int32_t (*is_loop)(struct outport_loop* loop) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. 1 on a thread of the blocking pool, else
     * 0. Owner: `host` is the host's. */
    int32_t (*is_pool)(const struct outport_host* host) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_thread_check_api) == 32, "append only");

OUTPORT_END_DECLS

#endif
