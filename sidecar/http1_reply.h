/*
 * http1_reply.h - the head of a reply, and the chunks of its body (RFC 9112 sections 4, 6 and 7).
 */
#ifndef SIDECAR_HTTP1_REPLY_H
#define SIDECAR_HTTP1_REPLY_H

#include "core/outbox.h"

/* How does the client know where the body ends?  (Section 6.3) */
enum http1_body {
    HTTP1_BODY_NONE,      /* this status has none */
    HTTP1_BODY_COUNTED,   /* by Content-Length, which the headers have */
    HTTP1_BODY_CHUNKED,   /* by its last chunk */
    HTTP1_BODY_UNLIMITED, /* by the end of the connection, which cannot be kept then */
};

/*
 * Append the head with its empty line.  headers: lines "Name: value\r\n"…  http_1_0: the client
 * knows no chunks.  *keep: the connection may stay; what becomes of it is said in the head.
 */
enum http1_body http1_reply_put_head(struct buf *, int status, struct slice headers, bool http_1_0,
                                     bool *keep);

/* Chunks; an outbox_frame_fn for an outbox that is tailed. */
size_t http1_reply_frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX]);

#endif
