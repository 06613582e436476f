/*
 * proxy_wire.h - the PROXY protocol (HAProxy's proxy-protocol.txt), versions 1 and 2: whose
 * connection is it really?  Without any I/O.
 *
 *      1:  PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 CR LF
 *      2:  | signature, 12 | version, command | family, transport | length, 2 | addresses, TLVs … |
 *
 * A proxy that knows nothing of HTTP says so before the client's first byte.  Whether a header
 * comes is never guessed: a listener that expects one refuses whoever sends none, all others take
 * it for the garbage it then is.  Bytes may be cut anywhere; what begins wrong is refused at that
 * byte. What we have no use for (the addresses of the other side, TLVs) is stepped over, not kept.
 */
#ifndef SIDECAR_PROXY_WIRE_H
#define SIDECAR_PROXY_WIRE_H

#include "core/address.h"

enum {
    PROXY_LINE_MAX = 107, /* of version 1, its CR LF and all */
};

enum proxy_step {
    PROXY_STEP_MORE,   /* all bytes are consumed */
    PROXY_STEP_DONE,   /* wire->from; what is left belongs to the client */
    PROXY_STEP_BROKEN, /* no such header: close.  wire->why says more */
};

enum proxy_from {
    PROXY_FROM_PEER,    /* the proxy speaks for itself (LOCAL), or does not know (UNKNOWN, …) */
    PROXY_FROM_ADDRESS, /* wire->address */
    PROXY_FROM_UNIX,    /* a local socket of the proxy's: no address */
};

/* Zeroed at first. */
struct proxy_wire {
    enum proxy_from from;
    struct address address;
    const char *why;
    uint16_t skip; /* version 2: bytes of the header to come that are not kept */
    uint8_t len;   /* bytes kept */
    char bytes[PROXY_LINE_MAX];
};

/* Consume from the front of *in until the header is over. */
enum proxy_step proxy_wire_feed(struct proxy_wire *, struct slice *in);

#endif
