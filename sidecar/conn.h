/*
 * conn.h - one connection on the loop, whatever it speaks.
 *
 *                .--------------------------------------------.
 *                v                           all sent, kept   |
 *   accept --> IDLE --conn_serve()--> ANSWERING --end--> ENDING --conn_linger()--> LINGERING
 *                |                        |                |                           |
 *                '------------------------'----------------'--- conn_close(), gone ----'--> CLOSED
 *
 * What is common to all protocols is here: reading into the porch's shared buffer, the reply on its
 * way out, one write per turn of the loop, noticing who leaves, the way to the end.  What the bytes
 * mean is the business of a struct protocol, which can be exchanged in the middle (HTTP/1.1 becomes
 * WebSocket).
 *
 * What an open stream costs is this struct (CONN_BYTES at most, uv_poll_t being 160 of them) and a
 * little of the kernel.  Everything that only something unfinished needs is in conn->own, which
 * should be NULL while nothing happens.
 */
#ifndef SIDECAR_CONN_H
#define SIDECAR_CONN_H

#include "core/answer.h"
#include "core/porch.h"
#include "sidecar/via.h"

enum { CONN_BYTES = 312 };

struct conn;

enum conn_state {
    CONN_IDLE,      /* no request, or one that is not complete */
    CONN_ANSWERING, /* a handler has it */
    CONN_ENDING,    /* the handler is done; the rest is being sent */
    CONN_LINGERING, /* all is said, and our end is closed; the peer's is not */
    CONN_CLOSED,    /* waits for the loop to let go of the handle */
};

/* Each may close the connection, but for closed(). */
struct protocol {
    const char *name; /* for the log */
    /* It has been accepted, or is new on this connection (conn_switch()).  NULL: nothing. */
    void (*opened)(struct conn *);
    /* Bytes have come; lent: use them or keep them. */
    void (*bytes)(struct conn *, struct slice);
    /* The peer will send no more (conn->ended), or, while paused, no more than what is still
       unread; it may still take something.  NULL: that is the end. */
    void (*ended)(struct conn *);
    /* Once in each turn that had something to send: all of it is with the kernel, */
    void (*sent)(struct conn *);
    /* or the peer takes no more now; it took some.  NULL: nothing. */
    void (*stuck)(struct conn *, bool took_some);
    /* Heads of the outbox's frames, where conn->framed; arg: the conn. */
    outbox_frame_fn *frame;
    /* The process stops: close it if nothing is under way (held replies are drained besides). */
    void (*stop)(struct conn *);
    /* It is over, or somebody else's now: release conn->own.  Whoever held the reply has heard of
       it. */
    void (*closed)(struct conn *);
};

struct conn {
    uv_poll_t poll; /* data: the porch; the loop's list of handles is the list of connections */
    struct answer answer;
    const struct protocol *protocol;
    void *own;           /* of the protocol; NULL: nothing is unfinished */
    struct via *via;     /* NULL: in clear, from whom the kernel says */
    uint8_t state;       /* enum conn_state */
    uint8_t watched;     /* UV_READABLE…: what the loop has been asked for */
    uint8_t marks;       /* the protocol's own */
    uint8_t stuck : 1;   /* the peer takes no more: wait for UV_WRITABLE */
    uint8_t paused : 1;  /* read no further (conn_pause()) */
    uint8_t hung_up : 1; /* the peer has left, or at least shut its end, while paused */
    uint8_t ended : 1;   /* its end has been read */
    uint8_t framed : 1;  /* what waits is cut into frames by protocol->frame */
    uint8_t surplus : 1; /* above the limit: to be refused */
};

_Static_assert(sizeof(struct conn) <= CONN_BYTES, "an open stream has become dear");

static inline struct conn *conn_of(const struct request *r)
{
    return CONTAINER(r, struct conn, answer.request);
}

static inline struct conn *conn_of_poll(uv_poll_t *poll)
{
    return CONTAINER(poll, struct conn, poll);
}

static inline struct porch *conn_porch(const struct conn *c)
{
    return c->poll.data;
}

static inline struct server *conn_server(const struct conn *c)
{
    return conn_porch(c)->server;
}

/* For porch_ops. */
void conn_porch_stop(uv_poll_t *);
void conn_porch_close(uv_poll_t *, const char *why);

/* Begin with a non-blocking socket; takes it.  door: NULL: nothing lies between.  RC_NOMEM: the
   socket is closed. */
enum rc conn_open(struct porch *, int fd, const struct via_door *, const struct protocol *,
                  bool surplus) MUST_USE;

/* Close at once; a handler that holds the reply hears that it is gone.  why: for the log. */
void conn_close(struct conn *, const char *why);
/* The same for want of memory. */
void conn_close_short(struct conn *);

/*
 * All that was to be said is sent: close our end, and wait a little for the peer to close its own.
 * Who closes while bytes of the peer are on their way destroys what the peer has not yet read (RFC
 * 9112 section 9.6).  Releases conn->own.
 */
void conn_linger(struct conn *, const char *why);

/* A request is complete: begin with conn->answer.request, and with these ops; state ANSWERING.
   Then fill in what is to be filled in and call request_serve(). */
struct request *conn_serve(struct conn *, const struct request_ops *);
/* For request_ops: send, pack, posted. */
enum rc conn_send(struct request *) MUST_USE;
bool conn_pack(struct request *, struct parcel *) MUST_USE;
enum rc conn_posted(struct request *, const struct parcel *) MUST_USE;
/* The reply is complete; state ENDING. */
void conn_end(struct conn *);
/* All of it is sent, and the connection stays; state IDLE. */
void conn_idle(struct conn *);

/* Have sent() or stuck() called in this turn, and send what waits. */
void conn_turn(struct conn *);

/* Read no further, until it is undone: the peer's leaving is noticed all the same. */
void conn_pause(struct conn *, bool);

/* Have bytes come that are not read yet? */
bool conn_is_readable(const struct conn *);

/*
 * Another protocol goes on from here: closed() of the old one, then opened() of the new.  What the
 * old one has read too far it must have taken out of its own before.
 */
void conn_switch(struct conn *, const struct protocol *, void *own);

/* The peer's address; returns its length, 0: it has none (a unix socket). */
size_t conn_remote(const struct conn *, char out[ADDRESS_TEXT_MAX + 1]);

#endif
