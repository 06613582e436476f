/*
 * sse.h - a reader of server-sent events, after the letter of the HTML standard, 9.2.6, and knowing
 * nothing of how Bellpush writes them.
 *
 * Feed it bytes in pieces of any size; it queues what an EventSource would dispatch.
 */
#ifndef TESTS_SCENARIOS_SSE_H
#define TESTS_SCENARIOS_SSE_H

#include "core/buf.h"

struct sse_event {
    struct sse_event *next;
    char *type; /* "message" when none was said */
    char *data; /* NUL-terminated; may contain NULs: data_len */
    size_t data_len;
    char *last_id; /* lastEventId at its dispatch */
    char *topic;   /* Bellpush's own fields, which browsers ignore; "": none */
    char *encoding;
};

struct sse {
    struct buf line;
    bool after_cr, past_bom;
    struct buf data, type, id, topic, encoding; /* buffers of the block being read */
    char last_id[128];                          /* as a browser would send it on reconnection */
    int64_t retry_ms;                           /* -1: never said */
    size_t comments, blocks;
    struct sse_event *first, **end;
};

void sse_init(struct sse *);
void sse_fini(struct sse *);
void sse_feed(struct sse *, struct slice);

/* A new connection: what was half read is forgotten, last_id stays. */
void sse_reconnect(struct sse *);

/* The next event, given (sse_event_free()); NULL: none yet. */
struct sse_event *sse_next(struct sse *);
void sse_event_free(struct sse_event *);

#endif
