/*
 * ws_conn.h - one WebSocket on the loop (RFC 6455).
 *
 *      HTTP/1.1 --101--> OPEN --close frame, theirs or ours--> ENDING --sent--> lingering
 *
 * A WebSocket is an upgraded request (core/request.h): what its handler writes are messages, what
 * the peer says goes to the handler as whole messages.  While nothing is unfinished it costs
 * nothing but its struct conn: the terms of its compression and all that must be remembered of it
 * are the bits of conn->marks.
 *
 * What is lent from an event is framed, and compressed, once for everybody who has agreed on the
 * same terms: the frame stays with the event.
 */
#ifndef SIDECAR_WS_CONN_H
#define SIDECAR_WS_CONN_H

#include "sidecar/conn.h"
#include "sidecar/ws_wire.h"

/* What all WebSockets of a process share; porch->owner of their porch. */
struct ws_share {
    struct ws_rules rules;
    struct alarm sweep; /* looks who is still there */
    unsigned slice;     /* of the connections, which the next sweep looks at */
    struct porch *porch;
};

/* conf: ws_deflate, max_body_bytes.  RC_NOMEM. */
enum rc ws_share_init(struct ws_share *, const struct conf *) MUST_USE;
void ws_share_fini(struct ws_share *); /* no connection is left */

/* The porch is open: ping who is silent, close who stays silent, from now on. */
void ws_share_watch(struct ws_share *, struct porch *);

/* For http1_conn.c: request_ops.socket. */
extern const struct socket_ops ws_socket_ops;

#endif
