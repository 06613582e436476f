/*
 * event.h - one message, on its way to everybody who asked for it.
 *
 * An event never changes after event_new(), which is why it can be shared.  Wire bytes are made
 * once per encoding, in a block that stays with the event and with those who still have to send it.
 * Loop thread only.  Calls back only where it says so.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/block.h"
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

/*
 * How a form is made.  encode() appends; nothing in what it makes may depend on who reads: all who
 * ask for the form of this number must mean the same by it.
 */
struct encoder {
    unsigned which; /* enum encoding, or a transport's own number */
    enum rc (*encode)(const struct event *, const void *with, struct buf *out);
    const void *with;
};

/*
 * Lend one form's bytes; the encoder is called back the first time only.  Returns what it returned
 * (or RC_NOMEM); after a failure nothing is kept and the next caller tries again.
 */
enum rc event_bytes(struct event *, const struct encoder *, struct block **out) MUST_USE;

/* Append one form's bytes, and keep nothing. */
enum rc event_encode(const struct event *, const struct encoder *, struct buf *out) MUST_USE;

/* Forms that were made, by number: an event's or a run's.  Few at a time: a list, not a table. */
struct wire_form {
    struct wire_form *next;
    unsigned which;
    struct block *block; /* one reference */
};
/* Those of n events, one after another.  As event_bytes(). */
enum rc forms_bytes(struct wire_form **, struct event *const *events, size_t n,
                    const struct encoder *, struct block **out) MUST_USE;
void forms_free(struct wire_form *);

#endif
