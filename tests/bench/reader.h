/*
 * reader.h - the client's half of a measured stream, cut anywhere: an HTTP/1.1 answer, chunked or
 * not, with server-sent events in it; or a WebSocket (RFC 6455) with a message for each event.
 *
 * Nothing is kept but the number that each event's data begins with: enough to know that every
 * event came, once and in order, and little enough to read millions of them in a second.
 */
#ifndef TESTS_BENCH_READER_H
#define TESTS_BENCH_READER_H

#include "core/buf.h"

/* Data of a measured event: its number in so many digits, a space, padding. */
enum { EVENT_DIGITS = 12, EVENT_DATA_MAX = 4096, EVENT_MESSAGE_MAX = 8192 };

enum reader_state {
    READER_STATUS,     /* in the status line */
    READER_HEAD,       /* in the header lines */
    READER_PLAIN,      /* in a body that ends with the connection */
    READER_CHUNK_SIZE, /* in the line before a chunk */
    READER_CHUNK,      /* in a chunk */
    READER_CHUNK_END,  /* in the line break behind it */
    READER_FRAME_HEAD, /* in a frame's head, or in what must be together of its payload */
    READER_FRAME,      /* in the rest of the payload */
};

/* Zero it before use. */
struct reader {
    uint64_t left;  /* bytes of the chunk or of the frame */
    int64_t number; /* of the event being read */
    uint8_t state;  /* enum reader_state */
    bool has_number, chunked, websocket, accepted;
    uint8_t kept;    /* bytes of the unfinished line or frame; a line is cut at its size */
    uint8_t ping;    /* bytes of a masked pong that is owed; 0: none */
    uint8_t data_at; /* where the last message had its data */
    char line[220];
    char pong[132];
};

/* An event has come, with this number. */
typedef void reader_event_fn(void *arg, int64_t number);

/* The request that opens such a stream; gives (caller frees). */
char *reader_request(const char *target, bool websocket) MUST_USE;

/* Take bytes.  RC_SYNTAX: not what was asked for, or malformed; RC_CLOSED: the stream has ended. */
enum rc reader_feed(struct reader *, struct slice, reader_event_fn *, void *arg) MUST_USE;

/* What the reader must answer to a ping, lent; empty: nothing.  It is owed no longer. */
struct slice reader_owes(struct reader *);

static inline bool reader_open(const struct reader *r)
{
    return r->state >= READER_PLAIN;
}

#endif
