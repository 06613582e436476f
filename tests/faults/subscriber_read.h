/*
 * subscriber_read.h - what the transports say, as facts that are the same for all of them.
 *
 * A fact is given only when it is whole: an event counts when its blank line, its line end or the
 * end of its document has come, and not before.
 */
#ifndef TESTS_FAULTS_SUBSCRIBER_READ_H
#define TESTS_FAULTS_SUBSCRIBER_READ_H

#include "core/buf.h"

enum transport {
    TRANSPORT_EVENTS,      /* GET /events */
    TRANSPORT_EVENTS_JSON, /* GET /events?format=json */
    TRANSPORT_LINES,       /* GET /stream */
    TRANSPORT_POLL,        /* GET /poll, held */
    TRANSPORT_POLL_PLAIN,  /* GET /poll?wait=0 */
    TRANSPORT_SOCKET,      /* GET /ws */
    TRANSPORT_TALK,        /* the same, bellpush.v1.json */
    TRANSPORT__COUNT
};

enum fact_kind {
    FACT_EVENT,   /* at, topic, data */
    FACT_GAP,     /* at (go on after it), from (none: not told), reason */
    FACT_PLACE,   /* at: come so far, without an event */
    FACT_RETRY,   /* retry_ms */
    FACT_REFUSED, /* what was said in a conversation; data: what it was to do */
    FACT_WRONG,   /* not understood: data */
};

/* Absent: no bytes.  All lent for as long as the callback lasts. */
struct fact {
    enum fact_kind kind;
    struct slice at, topic, data, from, reason;
    int64_t retry_ms;
};

typedef void fact_fn(void *arg, const struct fact *);

/* Read the whole facts that the body of a stream begins with; returns their length.  *looked: bytes
   of the rest that need not be looked at again; 0 at first. */
size_t read_stream(enum transport, struct slice body, size_t *looked, fact_fn *, void *arg);

/* Read a message of a WebSocket. */
void read_message(struct slice text, fact_fn *, void *arg);

/* Read the whole answer to a poll; the last fact but FACT_RETRY is the place to go on from. */
void read_poll(struct slice body, fact_fn *, void *arg);

#endif
