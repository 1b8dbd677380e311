/* SPDX-License-Identifier: Apache-2.0
 *
 * outport.net/1, offered by the host: listening on a SocketAddress. Names are looked up and sockets made
 * without making any loop wait; a unix socket's file is removed again at close. A name that resolves to
 * several addresses is listened on at all of them.
 */
#ifndef OUTPORT_NET_H
#define OUTPORT_NET_H

#include <outport/abi.h>

#define OUTPORT_NET_ID "outport.net/1"

OUTPORT_BEGIN_DECLS

struct outport_listener; /* the host's */
struct outport_net_done; /* the plugin's, below */

struct outport_listener_events {
    uint32_t struct_size;
    uint32_t backlog; /* of listen(2); 0 means 128 */

    /* [main] [any-state] [nonblocking] Repeat: for each connection, between listen's completion and close.
     * `fd` is connected, non-blocking, close-on-exec, TCP_NODELAY set; any loop may use it. Owner: `fd` is
     * the plugin's to close. Required. */
    void (*accepted)(void* data, int32_t fd) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_listener_events) == 16, "append only");

struct outport_net_api {
    uint32_t struct_size;
    uint32_t reserved;

    /* [main] [any-state] [nonblocking] Repeat: any. `address` is a value of type SocketAddress, or
     * SocketAddressLegacy when `legacy` is 1. `done` completes when it listens, or why it does not; then
     * *listener is null, unless it was cancelled by close. Owner: `address` and `listener` stay valid until
     * then; `events` is borrowed and copied; the listener is the plugin's until its close completes, and
     * stored when this returns. */
    void (*listen)(const struct outport_host* host, const struct outport_value* address, uint32_t legacy,
                   const struct outport_listener_events* events, void* data,
                   struct outport_listener** listener, struct outport_net_done* done) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: any. While `paused` is 1, clients wait in the backlog. Owner:
     * the listener stays the plugin's. */
    void (*pause)(struct outport_listener* listener, uint32_t paused) OUTPORT_NOEXCEPT;

    /* [main] [any-state] [nonblocking] Repeat: once for each listener. Closes the sockets and removes a unix
     * socket's file; `accepted` is not called any more. Also right while listen has not completed: that then
     * completes with OUTPORT_CANCELLED first. Owner: the listener ends when `done` completes. */
    void (*close)(struct outport_listener* listener, struct outport_net_done* done) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_net_api) == 32, "append only");

/* The plugin's: how the two calls above answer. */
struct outport_net_done {
    uint32_t struct_size;
    uint32_t reserved;
    /* [main] [any-state] [nonblocking] Repeat: once. May come before the call returns. `status` is OUTPORT_OK
     * or a kind of error with its message. Owner: `done` is the plugin's again; the message is borrowed. */
    void (*complete)(struct outport_net_done* done, int32_t status, const char* message,
                     uint64_t message_length) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_net_done) == 16, "append only");

OUTPORT_END_DECLS

#endif
