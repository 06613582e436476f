/*
 * tls.h - the server's side of TLS on one connection, between a non-blocking socket and whoever
 * reads and writes as if there were none.
 *
 *      socket --recv, once--> context->in --OpenSSL--> caller's buffer
 *      socket <--send, once-- context->out <--OpenSSL-- caller's pieces
 *                  '--what it does not take--> tls->backlog, which goes first next time
 *
 * Whatever OpenSSL has made of some bytes is ours to deliver, so nothing is ever offered to it
 * twice, and it never waits for the socket: only the backlog does.
 */
#ifndef SIDECAR_TLS_H
#define SIDECAR_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include "core/porch.h"
#include "sidecar/tls_context.h"

struct tls;

/* The socket stays the caller's.  Gives; NULL: no memory. */
struct tls *tls_new(struct tls_context *, int fd) MUST_USE;
void tls_free(struct tls *); /* says no goodbye; NULL: nothing happens */

/*
 * As recv(): 0 is the peer's end, -1 comes with errno; EAGAIN also while only the handshake went
 * on, EPROTO for what is not TLS, or none that we speak: tls_why().  One system call; what can be
 * read then has been read (len: PORCH_READ_BYTES at least).
 */
ssize_t tls_receive(struct tls *, char *at, size_t len);

/* The same for bytes that somebody else has received, at most TLS_FROM_MAX. */
enum { TLS_FROM_MAX = 16 * 1024 };
ssize_t tls_receive_from(struct tls *, struct slice, char *at, size_t len);

/* As sendmsg(): what is taken is on its way, or waits here. */
ssize_t tls_send(struct tls *, const struct iovec *, int pieces, size_t bytes);

/* Bytes that wait for the socket to take them; and an attempt to send them: RC_OK (none wait),
   RC_AGAIN, or RC_CLOSED. */
size_t tls_waiting(const struct tls *);
enum rc tls_flush(struct tls *) MUST_USE;

/* All that was to be said is said: what is missing is not missing by a stranger's doing. */
void tls_goodbye(struct tls *);

/* Why it is over, for the log. */
const char *tls_why(const struct tls *);

#endif
