/*
 * signer.h - private keys for tests, and tokens signed with them.
 */
#ifndef TESTS_CORE_SIGNER_H
#define TESTS_CORE_SIGNER_H

#include "core/buf.h"

struct evp_pkey_st;

struct evp_pkey_st *signer_ed25519(void);
struct evp_pkey_st *signer_ec(const char *curve); /* "P-256" */
struct evp_pkey_st *signer_rsa(unsigned bits);
void signer_fini(struct evp_pkey_st *);

/* Append a token with this header, signed as its kind of key signs tokens, whatever the header
 * says. */
void signer_token(struct buf *out, struct evp_pkey_st *, struct slice header, struct slice claims);

/* Append the raw signature (ES256: r||s) of the bytes; der: as libcrypto writes it. */
void signer_sign(struct buf *out, struct evp_pkey_st *, struct slice bytes, bool der);

/* Append the public half: SubjectPublicKeyInfo in PEM or in DER, or one JWK with these members in
 * front ("\"kid\":\"a\",", or ""). */
void signer_pem(struct buf *out, struct evp_pkey_st *);
void signer_der(struct buf *out, struct evp_pkey_st *);
void signer_jwk(struct buf *out, struct evp_pkey_st *, const char *members);

/* The private half in PEM. */
void signer_private_pem(struct buf *out, struct evp_pkey_st *);

#endif
