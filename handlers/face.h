/*
 * face.h - what makes the streams differ: how each says its events, and what it says of itself.
 *
 *      SSE         retry: and comments, id-only blocks, event: bellpush-gap
 *      LINES       {"type":"bellpush-hello"}, -heartbeat, -gap, -end: one JSON object a line
 *      FRAME       the same objects as calls of a function of the page around the frame
 *      SSE_TOLD    the same objects as server-sent events, named by their type: a script that has
 * only an EventSource hears them too.  The one wire text of www/bellpush.js, whatever carries it:
 * streams, the bodies of /poll, WebSocket frames
 *      MESSAGES    the same objects, each a message of a WebSocket
 */
#ifndef HANDLERS_FACE_H
#define HANDLERS_FACE_H

#include "core/event.h"
#include "core/follow.h"

enum end_reason {
    END_SLOW,
    END_BYTES,
    END_HOLD,
    END_DRAIN,
    END_TROUBLE,
    END_EXPIRED, /* the reader's rights have */
    END_REVOKED,
    END_POLL, /* that was the answer to one poll */
    END_ASK,  /* the site's answer is old, or may be another now: come back and it is asked */
};

/* What a stream says first. */
struct face_hello {
    int64_t retry_ms;     /* how long to wait before coming back from a connection that failed */
    int64_t heartbeat_ms; /* it never stays silent for longer */
    bool padding;
    struct slice callback; /* of FRAME */
};

/* The word for it, and the code with which a WebSocket is closed for it (RFC 6455 section 7.4). */
const char *end_name(enum end_reason);
unsigned end_close_code(enum end_reason);

struct face {
    const char *content_type;
    enum encoding encoding;
    bool limited; /* ends after stream_bytes */

    /* Each appends.  cursor may be "": not known. */
    void (*prelude)(struct buf *, const struct face_hello *);
    void (*place)(struct buf *, const char *cursor);
    void (*beat)(struct buf *, const char *cursor);
    void (*gap)(struct buf *, enum gap_reason, const char *from, const char *next);
    void (*auth)(struct buf *, const char *reason, int64_t ends_us); /* as encode_auth() */
    void (*end)(struct buf *, enum end_reason, const char *cursor, int64_t retry_ms);
};

enum face_name {
    FACE_SSE,
    FACE_SSE_JSON,
    FACE_SSE_CLOUD,
    FACE_SSE_TOLD,
    FACE_LINES,
    FACE_LINES_CLOUD,
    FACE_FRAME,
    FACE_MESSAGES,
};

extern const struct face faces[];

#endif
