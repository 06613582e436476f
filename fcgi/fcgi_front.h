/*
 * fcgi_front.h - the side that faces the web server: accepts connections, counts them, lets them
 * go.
 *
 * Descriptors are counted before accepting.  Above max_conns a few more are accepted only to be
 * told 503 at once: a client that hears "come back later" is better off than one that hangs in the
 * backlog.  Above those, accepting pauses until one has left.  One descriptor is kept in reserve,
 * so that even when the process has none left a connection can be taken and closed.
 */
#ifndef FCGI_FCGI_FRONT_H
#define FCGI_FCGI_FRONT_H

#include "fcgi/fcgi_conn.h"

enum { FCGI_READ_BYTES = 64 * 1024 };

struct fcgi_limits {
    size_t max_conns;  /* connections that are served */
    size_t surplus;    /* and those that are refused in words */
    uint64_t head_ms;  /* a request's head must be here so long after its first byte, */
    uint64_t body_ms;  /* and its body so long after that */
    uint64_t flush_ms; /* of an ended reply some must be taken within */
    size_t unfinished; /* bytes of all requests that are not complete; above: 503 */
};

struct fcgi_front {
    struct server *server;
    struct fcgi_limits limits;
    uv_poll_t poll;     /* the listening socket */
    int fd, reserve_fd; /* fd -1: no longer listening */
    struct alarm pause;
    struct alarm calm;    /* stuck, but trying again: when nothing fails until then, it is over */
    uint64_t stuck_ms;    /* since then accepting fails for want of something; 0: all is well */
    uint64_t failed_ms;   /* the last time it did */
    uint64_t turned_away; /* since then */
    bool full;            /* accepting waits until somebody has left */
    struct log_flood full_flood;
    struct buf allowed; /* FCGI_WEB_SERVER_ADDRS; empty: anybody */
    size_t count;       /* open connections */
    size_t unfinished;  /* bytes held for requests that are not complete */
    size_t handles;     /* those, the closed ones that the loop still holds, and poll */
    bool polled;        /* poll has been initialised and not closed */
    void (*done)(void *arg);
    void *arg;
    char bytes[FCGI_READ_BYTES]; /* everybody reads into here */
};

/* The limits of a process that may open so many descriptors. */
struct fcgi_limits fcgi_limits_for(const struct conf *, size_t descriptors);

/* Begin accepting; takes the listening socket.  allowed: FCGI_WEB_SERVER_ADDRS or NULL.
   Gives; NULL: no memory, or the loop refused (errno). */
struct fcgi_front *fcgi_front_new(struct server *, int listen_fd, const struct fcgi_limits *,
                                  const char *allowed) MUST_USE;

/* Accept no more: closes the listening socket, and connections that carry no request. */
void fcgi_front_stop(struct fcgi_front *);

/* Call back for every open connection; the callback may close it. */
void fcgi_front_each(struct fcgi_front *, void (*fn)(struct fcgi_conn *));

/* Close everything and free; done() when no handle is left. */
void fcgi_front_free(struct fcgi_front *, void (*done)(void *arg), void *arg);

/* For fcgi_conn.c: a connection has been let go of by the loop. */
void fcgi_front_left(struct fcgi_front *);

#endif
