/*
 * loopback_priv.h - what the stage of memory and the transport of memory know of each other.
 */
#ifndef TESTS_HANDLERS_LOOPBACK_PRIV_H
#define TESTS_HANDLERS_LOOPBACK_PRIV_H

#include "tests/handlers/loopback.h"

struct answer {
    struct request request;
    struct answer *next;
    struct turn turn;
    struct buf headers; /* "name: value\n"… of the reply */
    struct buf wire;    /* written, not yet taken by the peer */
    struct buf body;    /* taken */
    size_t mark;        /* answer_expect() goes on here */
    int status;
    bool stopped;             /* the peer takes nothing */
    bool ending, ended;       /* reply_end() was called; and all of it was taken */
    bool failing;             /* the next write has no memory */
    bool deaf;                /* the handler takes no messages */
    char header_text[256];    /* for answer_header() */
    const char *const *asked; /* request headers, during serve() */
};

extern const struct request_ops loopback_ops;

/* At the end of this turn, the peer takes what waits for it. */
void loopback_soon(struct answer *);

#endif
