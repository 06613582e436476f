/*
 * key.h - one key that verifies signatures of one algorithm, and what it is made from.
 *
 * A key never leaves its algorithm: whatever a token says, an RSA key is never taken for an HMAC
 * secret.  Only public halves and HMAC secrets are kept.
 */
#ifndef CORE_KEY_H
#define CORE_KEY_H

#include "core/buf.h"

enum {
    KEY_SECRET_MIN = 32, /* bytes of an HS256 secret: RFC 7518 section 3.2 */
    KEY_SECRET_MAX = 4096,
    KEY_RSA_MIN = 2048, /* bits: RFC 7518 section 3.3 */
    KEY_RSA_MAX = 8192, /* bits: beyond, one verification takes milliseconds */
};

enum algorithm {
    ALGORITHM_HS256, /* HMAC with SHA-256, a shared secret */
    ALGORITHM_EDDSA, /* Ed25519 */
    ALGORITHM_ES256, /* ECDSA on P-256 with SHA-256, signature r||s */
    ALGORITHM_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256 */
    ALGORITHM__COUNT
};

/* By its name in tokens, exactly so: "HS256", "EdDSA", "ES256", "RS256".  ALGORITHM__COUNT: none of
 * them. */
enum algorithm algorithm_of(struct slice name);
const char *algorithm_name(enum algorithm);

struct key {
    enum algorithm algorithm;
    char *kid; /* NUL-terminated; "": has none */
    struct {
        unsigned char *at;
        size_t len;
    } secret;                 /* HS256: owned, wiped */
    unsigned char point[32];  /* EdDSA */
    struct evp_pkey_st *pkey; /* ES256, RS256 */
};

/*
 * Three ways to make a key; each leaves kid alone.  RC_SYNTAX: it is no such key or too weak, and
 * *why lends the reason forever; RC_NOMEM.  The key is then as before.
 */

/*
 *      HS256   the secret's bytes, as they are
 *      EdDSA   the 32 bytes of the public key, or as below
 *      others  a public key as `openssl pkey -pubout` writes it: SubjectPublicKeyInfo, PEM or DER
 */
enum rc key_from_material(struct key *, enum algorithm, struct slice material,
                          const char **why) MUST_USE;

/* Coordinates of a point on P-256, 32 bytes each. */
enum rc key_from_coordinates(struct key *, struct slice x, struct slice y,
                             const char **why) MUST_USE;

/* An RSA modulus and exponent, big-endian. */
enum rc key_from_modulus(struct key *, struct slice n, struct slice e, const char **why) MUST_USE;

/* Release and wipe, kid too. */
void key_fini(struct key *);

enum verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_NO_KEY, VERDICT_NOMEM };

/* Is this the key's signature of these bytes?  Constant-time where a secret is compared. */
enum verdict key_verify(const struct key *, struct slice bytes, struct slice signature) MUST_USE;

#endif
