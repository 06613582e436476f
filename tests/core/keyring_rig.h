/*
 * keyring_rig.h - keys that are read, and what is said of those that are not.
 */
#ifndef TESTS_CORE_KEYRING_RIG_H
#define TESTS_CORE_KEYRING_RIG_H

#include "core/keyring.h"
#include "tests/core/memory.h"
#include "tests/core/signer.h"
#include "tests/mint.h"
#include "tests/page.h"

#define SECRET   "0123456789abcdef0123456789abcdef"
#define SECRET64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" /* the same in base64url */
#define ED25519X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_X     "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y     "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OCT      "\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "\""
#define OKP      "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED25519X "\""
#define EC       "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""

struct said {
    enum rc rc;
    struct buf errors, warnings;
    struct keyring *ring;
};
struct said jwks_slice(struct slice json);
struct said jwks(const char *json);
void said_fini(struct said *s);

/* A set of one key: refused with these words. */
void wrong(const char *key, const char *words);

/* A set of one key: left out, and these words in a warning. */
void skipped(const char *key, const char *words);
void taken(const char *key, enum algorithm algorithm);
void add_as(const char *kid, const char *algorithm, struct slice material, enum rc rc,
            const char *words);

#endif
