/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.log/1, offered by the host: lines for the host's log, which says which plugin spoke.
 */
#ifndef OUTPORT_LOG_H
#define OUTPORT_LOG_H

#include <outport/abi.h>

#define OUTPORT_LOG_ID "outport.log/1"

OUTPORT_BEGIN_DECLS

#define OUTPORT_LOG_TRACE 1000u
#define OUTPORT_LOG_DEBUG 2000u
#define OUTPORT_LOG_INFO 3000u
#define OUTPORT_LOG_WARNING 4000u
#define OUTPORT_LOG_ERROR 5000u

struct outport_log_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. 1 when a line of this level would be
     * written, else 0. Owner: `host` is the host's. */
    int32_t (*enabled)(const struct outport_host* host, uint32_t level) OUTPORT_NOEXCEPT;

    /* [any] [any-state] [nonblocking] Repeat: any. Concurrent: yes. One line, without a newline. What a peer
     * sent must not be passed on unbounded: lines over 4096 bytes are cut, control characters are replaced.
     * Owner: the text is borrowed and copied. */
    void (*write)(const struct outport_host* host, uint32_t level, const char* text,
                  uint64_t length) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_log_api) == 24, "append only");

OUTPORT_END_DECLS

#endif
