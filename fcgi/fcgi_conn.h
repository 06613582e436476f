/*
 * fcgi_conn.h - one FastCGI connection on the loop.
 *
 *                 .-----------------------------------------------.
 *                 v                          all sent, kept       |
 *   accept --> IDLE --request complete--> ANSWERING --end--> ENDING --all sent--> CLOSED
 *                 |                           |                 |                    ^
 *                 '-- late, broken, gone -----'-----------------'--------------------'
 *
 * What an open stream costs is this struct (FCGI_CONN_BYTES at most, uv_poll_t being 160 of them)
 * and a little of the kernel.  Everything that only an unfinished request needs - decoder, partial
 * records, meta-variables, body, the clock that runs against it - is a struct fcgi_intake, which
 * exists from the first byte until the request has been served.
 */
#ifndef FCGI_FCGI_CONN_H
#define FCGI_FCGI_CONN_H

#include "core/answer.h"
#include "core/porch.h"

struct fcgi_intake;

enum fcgi_conn_state {
    FCGI_CONN_IDLE,      /* no request, or one that is not complete */
    FCGI_CONN_ANSWERING, /* the handler has it */
    FCGI_CONN_ENDING,    /* the handler is done; the rest is being sent */
    FCGI_CONN_CLOSED,    /* waits for the loop to let go of the handle */
};

enum { FCGI_CONN_BYTES = 296 };

struct fcgi_conn {
    uv_poll_t poll; /* data: the porch; the loop's list of handles is the list of connections */
    struct answer answer;
    struct fcgi_intake *in; /* NULL: nothing is unfinished */
    uint16_t id;            /* of the request */
    uint8_t state;          /* enum fcgi_conn_state */
    uint8_t watched;        /* UV_READABLE…: what the loop has been asked for */
    uint8_t keep : 1;       /* FCGI_KEEP_CONN */
    uint8_t fresh : 1;      /* no request was complete yet */
    uint8_t stuck : 1;      /* the peer takes no more: wait for UV_WRITABLE */
    uint8_t surplus : 1;    /* above the limit: to be refused */
    uint8_t overtaken : 1;  /* the next request is waiting in the intake: read no further */
};

_Static_assert(sizeof(struct fcgi_conn) <= FCGI_CONN_BYTES, "an open stream has become dear");

/* Begin with a non-blocking socket; takes it.  surplus: refuse whatever is asked.  RC_NOMEM: the
   socket is closed. */
enum rc fcgi_conn_open(struct porch *, int fd, bool surplus) MUST_USE;

static inline struct fcgi_conn *fcgi_conn_of(uv_poll_t *poll)
{
    return CONTAINER(poll, struct fcgi_conn, poll);
}

/* The process stops: close it if it carries no request. */
void fcgi_conn_stop(struct fcgi_conn *);

/* Close at once; a handler that holds the reply hears that it is gone. */
void fcgi_conn_close(struct fcgi_conn *, const char *why);

#endif
