/*
 * ws_handshake.h - may this request become a WebSocket, and on what terms?  (RFC 6455 section 4.2,
 * RFC 7692 section 7.1.)  Looks at header values only; whoever carries the request writes the 101.
 */
#ifndef SIDECAR_WS_HANDSHAKE_H
#define SIDECAR_WS_HANDSHAKE_H

#include "core/buf.h"

enum { WS_ACCEPT_LEN = 28 };

/* A request.  A header that is not there: SLICE_NONE; one that came in several lines: its values
   in their order, joined by ", " (RFC 9110 section 5.3). */
struct ws_asked {
    struct slice method;
    bool http_1_1; /* HTTP/1.1 or a later 1.x */
    struct slice host, upgrade, connection;
    struct slice key, version, extensions; /* Sec-WebSocket-… */
};

/* Why not.  405 says "Allow: GET"; 426 says "Upgrade: websocket" and "Sec-WebSocket-Version: 13".
 */
struct ws_refusal {
    int status;
    const char *why; /* for a person */
};

/* Does it ask for a WebSocket at all, rightly or not? */
bool ws_handshake_wanted(const struct ws_asked *);

/* False: it may not, *refusal says why. */
bool ws_handshake_check(const struct ws_asked *, struct ws_refusal *refusal) MUST_USE;

/* The value of Sec-WebSocket-Accept, and a NUL. */
void ws_handshake_accept(struct slice key, char out[WS_ACCEPT_LEN + 1]);

/* What of permessage-deflate is agreed on.  Neither side takes a context over, ever. */
struct ws_terms {
    bool deflate;
    uint8_t server_bits; /* the window of what we send; 15 unless limited */
    uint8_t client_bits; /* the window of what we are sent; 15 unless limited */
    bool say_server_bits, say_client_bits;
};

/* Windows that we want to be content with; WS_WINDOW_MAX: as the client likes. */
struct ws_policy {
    uint8_t server_bits, client_bits;
};

/*
 * Choose from Sec-WebSocket-Extensions: the first offer that can be kept wins; if none can,
 * terms->deflate is false and the answer has no such header.  RC_SYNTAX: it breaks the grammar,
 * answer 400 (RFC 6455 section 9.1).
 */
enum rc ws_handshake_deflate(struct slice extensions, const struct ws_policy *,
                             struct ws_terms *terms) MUST_USE;

/* Append the value of the answer's Sec-WebSocket-Extensions; terms->deflate must be true. */
void ws_handshake_put_deflate(struct buf *, const struct ws_terms *);

#endif
