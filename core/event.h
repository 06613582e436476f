/*
 * event.h - one message, on its way to everybody who asked for it.
 *
 * An event never changes after event_new(), which is why it can be shared.  Wire bytes are made
 * once per encoding and stay with the event until the last reader has sent them.
 * Loop thread only.  Calls back only where it says so.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/buf.h"
#include "core/cursor.h"

struct event; /* opaque: event.c */

enum event_flag {
    EVENT_PRIVATE = 1,  /* only for holders of a matching right */
    EVENT_RETAINED = 2, /* published as the topic's last value */
    EVENT_NOTIFIED = 4, /* recorded from a plain NOTIFY */
};

/* What an event is made of; event_new() copies all of it. */
struct event_fields {
    const char *epoch;
    int64_t seq;
    struct slice topic;        /* valid: topic_error() */
    struct slice type;         /* SSE "event:"; empty: none */
    struct slice content_type; /* media type of data; empty: text/plain; charset=utf-8 */
    struct slice id;           /* the publisher's own id; empty: none */
    struct slice data;         /* bytes */
    int64_t time_us;           /* publication, microseconds since 1970 UTC */
    int64_t expires_us;        /* 0: never */
    unsigned flags;            /* EVENT_* */
};

/* Gives one reference; NULL: no memory. */
struct event *event_new(const struct event_fields *) MUST_USE;

/* Take, drop.  event_unref(NULL) does nothing. */
struct event *event_ref(struct event *);
void event_unref(struct event *);

/* Look inside; lent for as long as the caller's reference. */
const struct event_fields *event_fields(const struct event *);
int64_t event_seq(const struct event *);

/* Bytes of memory that the event holds, encodings included. */
size_t event_size(const struct event *);

/*
 * The wire forms an event can have; the encoders live in handlers/encode.c.  A transport that wraps
 * them once more for everybody (WebSocket frames) numbers its own from ENC__COUNT on.
 */
enum encoding {
    ENC_JSON,        /* one JSON object, no newline: long-poll */
    ENC_NDJSON,      /* the same and a newline: /stream */
    ENC_FRAME,       /* a <script> call: forever-frame */
    ENC_SSE,         /* server-sent event, data as published */
    ENC_SSE_JSON,    /* server-sent event, data is the JSON object */
    ENC_CLOUD,       /* a structured CloudEvent, one JSON object, no newline */
    ENC_CLOUD_LINES, /* the same and a newline, and a line with its cursor */
    ENC_CLOUD_SSE,   /* server-sent event, data is the CloudEvent */
    ENC__COUNT
};
typedef enum rc encode_fn(const struct event *, const void *with, struct buf *out);

/*
 * Lend the bytes of one encoding (enum encoding, or a transport's own number); encode() is called
 * back, with `with`, the first time only: what that says must be the same for all who ask. *out
 * lives as long as the caller's reference.  Returns what encode() returned (or RC_NOMEM); after a
 * failure nothing is kept and the next caller tries again.
 */
enum rc event_bytes(struct event *, unsigned which, encode_fn *, const void *with,
                    struct slice *out) MUST_USE;

#endif
