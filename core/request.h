/*
 * request.h - the door between those who carry requests and those who answer them.
 *
 * A transport (FastCGI, CGI, the sidecar's HTTP/1.1, the tests' loopback) embeds a struct request
 * in its own, fills it once the whole request (head and body) has arrived, and calls
 * request_serve().  A handler answers:
 *
 *      reply_begin  ->  reply_write | reply_lend, any number  ->  reply_end
 *
 * either at once or later, from its own callbacks.  While a reply is open the transport tells the
 * handler through reply_ops, set by reply_hold():
 *
 *      room    what was queued has all been taken by the peer: more may be written
 *      gone    the peer has left, or its memory ran out: the request is over, release everything,
 *              write nothing.  Called at most once, never after reply_end(), never from within
 *              reply_begin/write/lend/end.
 *      drain   the server wants to stop: bring this reply to its end soon
 *      rights  keys, revocations or the site's answers have changed: may it still be?
 *
 * What request_*() lends is valid only until serve() returns: copy what you keep, or keep the whole
 * request with request_keep() and have it served once more, from the start, with request_again():
 * that is how a handler waits for an answer that it needs before it can begin.  After reply_end()
 * the request is the transport's again and must not be touched.
 * A request for a WebSocket (RFC 6455) is answered otherwise: reply_upgrade() instead of
 * reply_begin(); from then on each reply_write(), reply_lend() and reply_message() is one message,
 * reply_close() says why it ends, and what the peer says comes as
 *
 *      message  one whole message, in order; lent.  May end the reply
 *
 * A write that fails for want of memory marks the reply as broken; gone() follows in the loop's
 * next turn, so handlers need no error paths of their own for writing.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "core/post.h"
#include "core/run.h"

struct server;
struct request;

enum message_kind { MESSAGE_TEXT, MESSAGE_BINARY };

struct reply_ops {
    void (*room)(void *owner); /* may be NULL */
    void (*gone)(void *owner);
    void (*drain)(void *owner);
    void (*rights)(void *owner); /* rights may have ended: look (gate_has_ended).  NULL: has none */
    void (*message)(void *owner, enum message_kind, struct slice); /* NULL: they are dropped */
};

typedef void header_fn(void *arg, struct slice name, struct slice value);

/* One per transport. */
struct request_ops {
    /* Value of a header, name in lower case ("last-event-id"); {NULL, 0}: absent.  Lent. */
    struct slice (*header)(const struct request *, const char *name);
    /* All headers, names in lower case; lent to the callback. */
    void (*each_header)(const struct request *, header_fn *, void *arg);
    /* Head: status, and header lines "Name: value\r\n"…; without the blank line. */
    enum rc (*begin)(struct request *, int status, struct slice headers);
    enum rc (*write)(struct request *, struct slice); /* copies */
    enum rc (*lend)(struct request *, struct block *);
    void (*end)(struct request *);
    /* Send what is queued now, and call nobody back.  RC_OK: all of it is sent; otherwise the
       turn's end will see to it.  NULL: that sees to everything. */
    enum rc (*send)(struct request *);
    /* The same for who sends for many in one call: put all of it into a parcel; false: send() it.
       Then what became of the parcel, as send() says it. */
    bool (*pack)(struct request *, struct parcel *);
    enum rc (*posted)(struct request *, const struct parcel *);
    size_t (*queued)(const struct request *); /* payload bytes not yet taken by the kernel */
    const struct socket_ops *socket;          /* NULL: this transport carries no WebSockets */
};

struct socket_ops {
    /* 0: the request asks for a WebSocket as it should (section 4.2.1); otherwise the status to
       refuse it with, and why, for a person. */
    int (*refuses)(const struct request *, const char **why);
    /* 101.  protocol: the subprotocol chosen, or empty; headers: further lines. */
    enum rc (*accept)(struct request *, struct slice protocol, struct slice headers);
    enum rc (*say)(struct request *, enum message_kind, struct slice); /* copies */
    /* As run_bytes(), each event being one message as it goes over the wire. */
    enum rc (*bytes)(struct request *, struct run *, const struct encoder *, struct block **);
    void (*close)(struct request *, unsigned code, const char *why); /* section 7.4 */
    void (*deafen)(struct request *, bool); /* take no more messages; take them again */
};

struct request {
    const struct request_ops *ops;
    struct server *server;
    struct request *next_open, **open_link; /* server's list of held requests */
    const struct reply_ops *reply_ops;      /* NULL: not held */
    void *owner;                            /* the handler's, passed to reply_ops */

    /* Valid until serve() returns. */
    const struct request_head *head;

    const void *found; /* being served again: what it waited for; lent until serve() returns */

    uint8_t begun : 1, broken : 1, ended : 1, head_only : 1, one_slot : 1;
    uint8_t socket : 1; /* upgraded: a WebSocket */
    uint8_t kept : 1;   /* being served again: head is part of a struct kept */

    /* Limits.  Who is served again is counted once; seats are given back when it is over. */
    uint8_t counted : 1, counted_subject : 1;
    uint32_t seats[2]; /* by enum party_kind: of the address, of the subject */
};

struct request_head {
    struct slice method; /* "GET" */
    struct slice mount;  /* SCRIPT_NAME: "/push" or "" */
    struct slice path;   /* PATH_INFO, decoded: "/events" */
    struct slice query;  /* still encoded, without '?' */
    struct slice body;
    struct slice remote; /* the peer's address, for the log */
    bool body_too_large; /* the body passed max_body_bytes and was thrown away */
};

/* Look at the request.  Lent until serve() returns. */
struct slice request_header(const struct request *, const char *lower_case_name);
void request_each_header(const struct request *, header_fn *, void *arg);

struct kept; /* a copy of head, headers and body; opaque */

/*
 * From within serve(): copy the request, so that it can be served again; gives.  Then hold it
 * (reply_hold) and return, without another look at it.  RC_LIMIT: this process keeps KEPT_MAX bytes
 * already; RC_NOMEM.  What is served again may be kept again, which copies nothing, KEPT_TIMES_MAX
 * times.
 */
enum { KEPT_MAX = 64 * 1024 * 1024, KEPT_TIMES_MAX = 8 };
enum rc request_keep(struct request *, struct kept **out) MUST_USE;
/* Held until now: let go of it and serve it; meanwhile its handler finds the answer that it has asked
   for in request->found.  Takes. */
void request_again(struct request *, struct kept *, const void *found);
/* It is gone: it will not be served again.  Takes; NULL: nothing happens. */
void kept_free(struct server *, struct kept *);

/* Answer.  Header lines end in "\r\n".  HEAD: the transport sends no body. */
void reply_begin(struct request *, int status, struct slice headers);
void reply_write(struct request *, struct slice);
/* A run's bytes as they are sent to this peer, and everybody like it; then they may be lent to it.
 */
enum rc reply_bytes(struct request *, struct run *, const struct encoder *,
                    struct block **out) MUST_USE;
void reply_lend(struct request *, struct block *);
void reply_end(struct request *);

/*
 * Instead of reply_begin(), where ops->socket is there and refuses() has said 0; then hold it.
 * reply_end() closes it with 1000.
 */
void reply_upgrade(struct request *, struct slice protocol, struct slice headers);
void reply_message(struct request *, enum message_kind, struct slice);
void reply_close(struct request *, unsigned code, const char *why);
/* Hand up no more messages until it is undone: the peer waits, and TCP lets it know. */
void reply_deafen(struct request *, bool);

/* Keep the reply open beyond serve(), and hear of its fate. */
void reply_hold(struct request *, const struct reply_ops *, void *owner);

/* Payload bytes that the peer has not yet taken. */
size_t reply_queued(const struct request *);

/* For transports: have it answered by server->serve(), now or later; head and body are here. */
void request_serve(struct request *);
/* For transports: tell the handler, if it holds.  request_gone() also ends the holding. */
void request_room(struct request *);
void request_gone(struct request *);
/* For transports: a message has come.  False: the reply has been ended by it. */
bool request_message(struct request *, enum message_kind, struct slice);

#endif
