/*
 * tls_priv.h - what tls_context.c and tls.c know of each other.
 *
 * OpenSSL reads from and writes into memory (a BIO of our own), never the socket.  What one call of
 * it reads and writes is over before the next, so all connections share the same two buffers.
 */
#ifndef SIDECAR_TLS_PRIV_H
#define SIDECAR_TLS_PRIV_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "core/porch.h"
#include "sidecar/tls_context.h"

enum {
    TLS_RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH,
    TLS_RECORDS_PER_SEND = 4,
    /* One record may have come in part before; all that is read must fit where recv() may put it.
     */
    TLS_IN_MAX = PORCH_READ_BYTES - SSL3_RT_MAX_PACKET_SIZE,
    TLS_OUT_MAX = (TLS_RECORDS_PER_SEND + 1) * SSL3_RT_MAX_PACKET_SIZE,
};

/* As the file was: another inode, size or time means that there is something new to read. */
struct tls_file {
    const char *path;
    struct stat as;
};

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *memory; /* tls.c */
    struct tls_file certificate, key;
    struct server *server; /* NULL: not watched yet */
    struct alarm look;
    uint64_t look_ms;
    uint64_t made_ms, ticket_turns; /* when, and how often the tickets' key has turned since */

    /* during one call of OpenSSL */
    struct slice in; /* what it has not read yet */
    size_t out_len;
    char in_bytes[TLS_IN_MAX], out[TLS_OUT_MAX];
};

/* What was wrong at first, as OpenSSL says it; empties its queue. */
const char *tls_reason(void);

/* Between memory and OpenSSL; NULL: no memory.  tls.c */
BIO_METHOD *tls_memory_new(void) MUST_USE;

#endif
