/*
 * http1_wire.h - bytes into HTTP/1 requests, without any I/O (RFC 9112).
 *
 *      LINE -> FIELDS -+-> BODY ------------------------------.
 *       ^              |-> SIZE -> CHUNK -> … -> SIZE -> TRAILERS -> SERVED
 *       |              '--------------------------------------'        |
 *       '------------------------- http1_wire_answered() --------------'
 *
 * Bytes may be cut anywhere; what is broken is refused at the byte that breaks it.  A body that is
 * larger than it may be is not waited for: the request is complete at once, without it, and its
 * connection cannot be kept.  Trailers and chunk extensions are checked, bounded and thrown away.
 */
#ifndef SIDECAR_HTTP1_WIRE_H
#define SIDECAR_HTTP1_WIRE_H

#include "sidecar/http1_head.h"

enum {
    HTTP1_LINE_MAX = 72 * 1024,   /* the first line; query strings have up to 64 KiB: 414 */
    HTTP1_FIELDS_MAX = 32 * 1024, /* all header fields: 431 */
    HTTP1_BLANKS_MAX = 2,         /* empty lines before a request (section 2.2) */
    HTTP1_CHUNK_DIGITS = 8,       /* of a chunk's size */
    HTTP1_BESIDES_MAX = 8 * 1024, /* chunk extensions and trailers, together: 400, 431 */
};

enum http1_state {
    HTTP1_LINE,
    HTTP1_FIELDS,
    HTTP1_BODY,
    HTTP1_SIZE,     /* of the next chunk, with its extensions */
    HTTP1_CHUNK,    /* and CR LF after it */
    HTTP1_TRAILERS, /* fields after the last chunk */
    HTTP1_SERVED,   /* the request is complete and being answered */
};

/* What http1_wire_feed() has met. */
enum http1_step {
    HTTP1_STEP_MORE,     /* all bytes are consumed */
    HTTP1_STEP_CONTINUE, /* the client waits for 100 (Continue); then feed the rest */
    HTTP1_STEP_REQUEST,  /* wire->head, wire->body; feed the rest after http1_wire_answered() */
    HTTP1_STEP_BROKEN,   /* answer wire->fault, and close */
    HTTP1_STEP_NOMEM,    /* close */
};

struct http1_wire {
    size_t max_body; /* set by the owner */
    enum http1_state state;
    struct http1_head head; /* from CONTINUE or REQUEST on; points into bytes */
    struct buf bytes;       /* of the head */
    struct buf body;
    bool body_too_large;
    struct http1_fault fault;

    /* the line or field under way; see http1_wire.c */
    uint8_t spot;
    uint8_t blanks, digits;
    uint16_t count;    /* fields */
    uint32_t line_len; /* of the first line, with CR LF */
    uint32_t besides;  /* bytes of extensions and trailers */
    uint64_t left;     /* bytes of the body, or of this chunk, to come */
};

void http1_wire_init(struct http1_wire *, size_t max_body);
void http1_wire_fini(struct http1_wire *);

/* Consume from the front of *in until something happens; never when SERVED.  A step's data is valid
   until the next feed. */
enum http1_step http1_wire_feed(struct http1_wire *, struct slice *in) MUST_USE;

/* The request has been answered; releases head and body (http1_wire_release() does so earlier). */
void http1_wire_answered(struct http1_wire *);
void http1_wire_release(struct http1_wire *);

/* Between two requests, and nothing of the next has come? */
bool http1_wire_at_rest(const struct http1_wire *);

#endif
