/*
 * tls_pair.h - one TLS connection, ours on one side and OpenSSL's client on the other, in one
 * process and by hand.
 */
#ifndef TESTS_SIDECAR_TLS_PAIR_H
#define TESTS_SIDECAR_TLS_PAIR_H

#include <openssl/ssl.h>

#include "sidecar/tls.h"

/* A folder with the certificates "one", "two" and "now", which is "one" at first and what the
   context has read. */
extern struct tls_rig {
    char *dir, *pem, *key; /* paths; of "now" */
    struct tls_context *context;
} tls_rig;

void tls_rig_set_up(void);
void tls_rig_tear_down(void);
void tls_rig_context(void); /* read it once more */

struct pair {
    int ours, theirs; /* sockets */
    struct tls *tls;
    SSL_CTX *settings;
    SSL *client;
    struct buf got; /* what the server has read */
    ssize_t last;   /* what tls_receive() said last, */
    int last_error; /* and why */
};

void pair_open(struct pair *, int version, SSL_SESSION *); /* NULL: a new one */
void pair_close(struct pair *);

/* Both go on until nothing moves any more; what the client has written goes in pieces. */
void shake_hands(struct pair *, size_t piece);

void client_says(struct pair *, struct slice bytes, size_t piece);
ssize_t server_says(struct pair *, struct slice bytes);
bool client_to_server(struct pair *, size_t piece); /* what it has written; false: nothing */
bool server_to_client(struct pair *);
void server_reads(struct pair *);                   /* once, into got */
void client_hears(struct pair *, struct buf *into); /* all that it can read now */
void expect_heard(struct pair *, struct slice expected);

const char *name_of_server(struct pair *); /* lent until the next call */

/* Whoever wants to talk to `name` (NULL: does not say) is shown the certificate `wanted`. */
void expect_certificate(int version, const char *name, const char *wanted);

/* A handshake, and the ticket that the client has got by it: gives. */
SSL_SESSION *pair_ticket(int version, const char *name);

/* Whoever comes with it is served; is he known? */
bool pair_is_known(int version, SSL_SESSION *ticket, const char *name);

#endif
