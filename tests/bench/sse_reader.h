/*
 * sse_reader.h - the client's half of a measured stream: an HTTP/1.1 answer, chunked or not, with
 * server-sent events in it, cut anywhere.
 *
 * Nothing is kept but the number that each event's data begins with: enough to know that every
 * event came, once and in order, and little enough to read millions of them in a second.
 */
#ifndef TESTS_BENCH_SSE_READER_H
#define TESTS_BENCH_SSE_READER_H

#include "core/buf.h"

/* Data of a measured event: its number in so many digits, a space, padding. */
enum { EVENT_DIGITS = 12, EVENT_DATA_BYTES = 200 };

enum reader_state {
    READER_STATUS,     /* in the status line */
    READER_HEAD,       /* in the header lines */
    READER_PLAIN,      /* in a body that ends with the connection */
    READER_CHUNK_SIZE, /* in the line before a chunk */
    READER_CHUNK,      /* in a chunk */
    READER_CHUNK_END,  /* in the line break behind it */
};

/* Zero it before use. */
struct sse_reader {
    uint64_t chunk_left;
    int64_t number; /* of the event being read */
    uint8_t has_number;
    uint8_t state; /* enum reader_state */
    uint8_t chunked;
    uint8_t line_len; /* bytes of the unfinished line; the line itself is cut at its size */
    char line[36];
};

/* An event has come, with this number. */
typedef void sse_event_fn(void *arg, int64_t number);

/* Take bytes.  RC_SYNTAX: not status 200, or not HTTP; RC_CLOSED: the body has ended. */
enum rc sse_feed(struct sse_reader *, struct slice, sse_event_fn *, void *arg) MUST_USE;

static inline bool sse_open(const struct sse_reader *r)
{
    return r->state >= READER_PLAIN;
}

#endif
