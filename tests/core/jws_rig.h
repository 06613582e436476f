/*
 * jws_rig.h - tokens that are signed, and what is made of them.
 */
#ifndef TESTS_CORE_JWS_RIG_H
#define TESTS_CORE_JWS_RIG_H

#include "core/jws.h"
#include "tests/core/memory.h"
#include "tests/core/signer.h"
#include "tests/mint.h"
#include "tests/page.h"

#define SECRET SLICE("0123456789abcdef0123456789abcdef")
#define HS256  SLICE("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")
#define CLAIMS SLICE("{\"sub\":\"anna\",\"exp\":4102444800}")

struct keyring *ring_of_secret(const char *kid, struct slice secret);
void add_pkey(struct keyring *ring, const char *kid, const char *algorithm,
              struct evp_pkey_st *pkey);
struct keyring *ring_of_jwks(const char *json);

/* Refused, for this reason, with a sentence, and nothing given out. */
void refused_as(const struct keyring *ring, struct slice token, enum flaw flaw);
void accepted(const struct keyring *ring, struct slice token, struct slice claims);
struct buf hmac_token(struct slice header, struct slice claims);
struct buf pkey_token(struct evp_pkey_st *pkey, const char *header);

/* A token that is well signed in every respect but this header. */
void header_refused_as(struct slice header, enum flaw flaw);
void header_accepted(struct slice header);

#endif
