/*
 * via.h - what lies between a connection's socket and what it speaks: first a PROXY header, if the
 * listener wants one, then TLS.
 *
 *      socket --> [PROXY header, once] --> [TLS] --> protocol
 *      socket <--------------------------- [TLS] <-- protocol
 *
 * Connections in clear from whom the kernel says have none of this, and pay one pointer for it.
 */
#ifndef SIDECAR_VIA_H
#define SIDECAR_VIA_H

#include "core/address.h"
#include "sidecar/tls.h"

struct proxy_wire;

/* What a listener asks of its connections. */
struct via_door {
    bool proxy;              /* a PROXY header must come first; elsewhere none is believed */
    struct tls_context *tls; /* NULL: in clear */
};

struct via {
    struct proxy_wire *proxy; /* NULL: it has been read, or need not come */
    struct tls *tls;          /* NULL: in clear */
    bool told;                /* the header has said whose connection it is: */
    bool addressed;           /* this address's; otherwise one without any */
    struct address address;
    const char *why; /* NULL: all is well */
    int fd;
};

/* Does anything lie between? */
static inline bool via_needed(const struct via_door *door)
{
    return door && (door->proxy || door->tls);
}

/* The socket stays the caller's.  Gives; NULL: no memory. */
struct via *via_new(const struct via_door *, int fd) MUST_USE;
void via_free(struct via *); /* NULL: nothing happens */

/* As recv() and sendmsg(): tls.h says how far.  len: PORCH_READ_BYTES at least. */
ssize_t via_receive(struct via *, char *at, size_t len);
ssize_t via_send(struct via *, const struct iovec *, int pieces, size_t bytes);

/* Bytes that have been taken and wait for the socket; and an attempt to send them: RC_OK (none
   wait), RC_AGAIN, RC_CLOSED. */
size_t via_waiting(const struct via *);
enum rc via_flush(struct via *) MUST_USE;

/* All that was to be said is said. */
void via_goodbye(struct via *);

/* Why receiving or sending failed with EPROTO, for the log. */
const char *via_why(const struct via *);

#endif
