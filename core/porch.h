/*
 * porch.h - the side of a process that faces its peers: accepts connections, counts them, lets them
 * go.  What a connection speaks is the business of whoever opens it (struct porch_ops).
 *
 * Descriptors are counted before accepting.  Above max_conns a few more are accepted only to be
 * told 503 at once: a client that hears "come back later" is better off than one that hangs in the
 * backlog.  Above those, accepting pauses until one has left.  One descriptor is kept in reserve,
 * so that even when the process has none left a connection can be taken and closed.
 *
 * A connection is a struct of its owner's with a uv_poll_t whose data is the porch: so the loop's
 * list of handles is the list of connections.
 */
#ifndef CORE_PORCH_H
#define CORE_PORCH_H

#include <sys/socket.h>

#include "core/server.h"

enum { PORCH_READ_BYTES = 64 * 1024 };

struct porch;

struct porch_limits {
    size_t max_conns;  /* connections that are served */
    size_t surplus;    /* and those that are refused in words */
    uint64_t head_ms;  /* a request's head must be here so long after its first byte, */
    uint64_t body_ms;  /* and its body so long after that */
    uint64_t next_ms;  /* a connection that is kept may be silent for so long between two */
    uint64_t flush_ms; /* of an ended reply some must be taken within */
    size_t unfinished; /* bytes of all requests that are not complete; above: 503 */
};

/* A listening socket, and what its owner wants to know of it (`tag`). */
struct porch_socket {
    int fd;
    const void *tag;
};

/* One per transport. */
struct porch_ops {
    /* May this peer connect?  NULL: everybody may.  Who may not is closed. */
    bool (*allow)(const struct porch *, const struct sockaddr_storage *peer);
    /* A connection has come by this socket, non-blocking; takes fd; calls porch_joined().  surplus:
       refuse whatever is asked.  RC_NOMEM: fd is closed, there is no connection. */
    enum rc (*open)(struct porch *, const struct porch_socket *, int fd,
                    const struct sockaddr_storage *peer, bool surplus);
    /* The process stops: close it if nothing is under way. */
    void (*stop)(uv_poll_t *);
    /* Close at once. */
    void (*close)(uv_poll_t *, const char *why);
};

struct porch_listener {
    struct porch *porch;
    struct porch_socket socket; /* fd -1: no longer listening */
    uv_poll_t poll;
};

/*
 * A block that a connection needs for a moment, kept for the next that does.  Given back to
 * malloc() between two that stay, it would be cut up for what stays, and the pieces that are left
 * over fit nobody: a tenth of the memory of ten thousand idle connections.
 */
struct porch_spare {
    struct porch_spare *next;
};

enum { PORCH_SPARES_MAX = 256 };

struct porch {
    struct server *server;
    const struct porch_ops *ops;
    void *owner; /* of the ops; lent */
    struct porch_limits limits;
    struct porch_listener *listeners;
    size_t n_listeners;
    bool listening;
    int reserve_fd;
    struct alarm pause;
    struct alarm calm;    /* stuck, but trying again: when nothing fails until then, it is over */
    uint64_t stuck_ms;    /* since then accepting fails for want of something; 0: all is well */
    uint64_t failed_ms;   /* the last time it did */
    uint64_t turned_away; /* since then */
    bool full;            /* accepting waits until somebody has left */
    struct log_flood full_flood;
    struct porch_spare *spares; /* of the transport; all of one kind */
    unsigned spare_count;
    size_t count;      /* open connections */
    size_t unfinished; /* bytes held for requests that are not complete */
    size_t handles;    /* those, the closed ones that the loop still holds, and the listeners */
    void (*done)(void *arg);
    void *arg;
    char bytes[PORCH_READ_BYTES]; /* everybody reads into here */
};

/* The limits of a process that may open so many descriptors. */
struct porch_limits front_limits_for(const struct conf *, size_t descriptors);

/* Begin accepting; takes the listening sockets (n >= 1).  Gives; NULL: no memory, or the loop
   refused (errno). */
struct porch *porch_new(struct server *, const struct porch_ops *, void *owner,
                        const struct porch_socket *, size_t n,
                        const struct porch_limits *) MUST_USE;

/* Accept no more: closes the listening sockets, and connections that carry no request. */
void porch_stop(struct porch *);

/* Call back for every open connection; the callback may close it. */
void porch_each(struct porch *, void (*fn)(uv_poll_t *));

/* Close everything and free; done() when no handle is left. */
void porch_free(struct porch *, void (*done)(void *arg), void *arg);

/* For connections: take a spare block, zeroed, or a new one of so many bytes (the same each time);
   NULL: no memory.  Give it back. */
void *porch_borrow(struct porch *, size_t bytes) MUST_USE;
void porch_give_back(struct porch *, void *);

/* For connections: one is there; it is closing (still a handle); the loop has let go of it. */
void porch_joined(struct porch *);
void porch_leaving(struct porch *);
void porch_left(struct porch *);

#endif
