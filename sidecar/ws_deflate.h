/*
 * ws_deflate.h - permessage-deflate (RFC 7692): whole messages compressed, messages in pieces
 * decompressed.
 *
 * Neither side takes a context over from one message to the next (ws_handshake says so to every
 * client), so no connection owns a stream: one deflate stream per window size serves the process,
 * and what it makes of an event can be lent to everybody with the same window.  A private one
 * would cost up to 268 kB a connection.  An inflate stream (40 kB) is borrowed from the first frame
 * of a compressed message to the last.
 *
 * Made in main, handed down.  Loop thread only.
 */
#ifndef SIDECAR_WS_DEFLATE_H
#define SIDECAR_WS_DEFLATE_H

#include "core/buf.h"

enum {
    WS_WINDOW_MIN = 8, /* bits, RFC 7692 section 7.1.2 */
    WS_WINDOW_MAX = 15,
    WS_DEFLATE_WORTH = 64,    /* shorter messages are sent as they are */
    WS_INFLATE_PIECE = 32768, /* so many bytes come out of ws_inflate_next() at most */
    WS_INFLATES_KEPT = 16,    /* streams that wait to be borrowed again; the rest is freed */
    WS_INFLATES_MAX = 1024,   /* borrowed at one time: 40 MB at the worst */
};

struct ws_deflate; /* what the process shares; opaque */
struct ws_inflate; /* a borrowed stream, amid one message; opaque */

/* inflates_max: WS_INFLATES_MAX, or fewer.  NULL: no memory.  Streams are made when needed. */
struct ws_deflate *ws_deflate_new(size_t inflates_max) MUST_USE;

/* Everything borrowed must have been given back. */
void ws_deflate_free(struct ws_deflate *);

/*
 * Append a whole message, compressed for a peer whose window has so many bits, without the
 * 00 00 FF FF at its end: the payload of a frame with RSV1.
 * RC_AGAIN: it would not be smaller, nothing was appended, send it as it is (that is legal for any
 * message).  RC_NOMEM: likewise nothing was appended.
 */
enum rc ws_deflate_put(struct ws_deflate *, int window_bits, struct slice message,
                       struct buf *out) MUST_USE;

/*
 * Borrow a stream for a message of at most max bytes (inflated).  RC_LIMIT: too many are out: the
 * peer may try again later (1013).  RC_NOMEM.
 */
enum rc ws_inflate_borrow(struct ws_deflate *, size_t max, struct ws_inflate **out) MUST_USE;

/* Give it back, at the end of its message or earlier.  NULL is silence. */
void ws_inflate_give_back(struct ws_inflate *);

/*
 * Inflate from the front of *in; last: nothing of the message follows it (*in may be empty).
 * *out is lent until the next call for any stream of the process.
 *   RC_AGAIN   a piece, and there is more to come out: call again before anything else
 *   RC_OK      a piece (may be empty); all of *in is consumed, and if last, the message is whole
 *   RC_SYNTAX  not deflate data, or it ends amid a block (1007)
 *   RC_LIMIT   the message is larger than max (1009)
 *   RC_NOMEM
 */
enum rc ws_inflate_next(struct ws_inflate *, struct slice *in, bool last,
                        struct slice *out) MUST_USE;

/* Streams that are out; for tests and figures. */
size_t ws_inflates_out(const struct ws_deflate *);

#endif
