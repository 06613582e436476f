/*
 * http1_conn.h - HTTP/1.1 on a connection (conn.h): requests one after another, replies in their
 * order.
 *
 * Bytes that come while a reply is open (pipelining) are kept as far as they have been read, and no
 * more is read until it is their turn.  Replies without a length go out in chunks, or, for
 * HTTP/1.0, until the end of the connection.  Errors are answered with problem+json wherever an
 * answer can still be understood, and then the connection ends.
 */
#ifndef SIDECAR_HTTP1_CONN_H
#define SIDECAR_HTTP1_CONN_H

#include "sidecar/conn.h"

/* conn_open() with this. */
extern const struct protocol http1_protocol;

/*
 * For a protocol that takes over (conn_switch()) while a request is being answered: give the bytes
 * that came after it.  The request's headers can be read until its handler returns.
 */
struct buf http1_conn_rest(struct conn *);
/* The request being answered is one of HTTP/1.0: its client knows no `Upgrade` (RFC 9110, 7.8). */
bool http1_conn_is_old(const struct conn *);

#endif
