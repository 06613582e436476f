/*
 * tls_priv.h - what tls_context.c and tls.c know of each other.
 *
 * OpenSSL reads from and writes into memory (a BIO of our own), never the socket.  What one call of
 * it reads and writes is over before the next, so all connections share the same two buffers.
 */
#ifndef SIDECAR_TLS_PRIV_H
#define SIDECAR_TLS_PRIV_H

#include <openssl/ssl.h>

#include "core/porch.h"
#include "sidecar/tls_context.h"
#include "sidecar/tls_set.h"

enum {
    TLS_RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH,
    TLS_RECORDS_PER_SEND = 4,
    /* One record may have come in part before; all that is read must fit where recv() may put it.
     */
    TLS_IN_MAX = PORCH_READ_BYTES - SSL3_RT_MAX_PACKET_SIZE,
    TLS_OUT_MAX = (TLS_RECORDS_PER_SEND + 1) * SSL3_RT_MAX_PACKET_SIZE,
};

struct tls_context {
    struct tls_set set;
    BIO_METHOD *memory; /* tls.c */
    struct tls_files files;
    struct server *server; /* NULL: not watched yet */
    struct alarm look;
    uint64_t look_ms;
    uint64_t made_ms, ticket_turns; /* when, and how often the tickets' key has turned since */

    /* during one call of OpenSSL */
    struct slice in; /* what it has not read yet */
    size_t out_len;
    char in_bytes[TLS_IN_MAX], out[TLS_OUT_MAX];
};

/* Between memory and OpenSSL; NULL: no memory.  tls.c */
BIO_METHOD *tls_memory_new(void) MUST_USE;

#endif
