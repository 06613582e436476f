/*
 * keyring.h - the keys whose signatures count, each for one algorithm only.
 *
 * A key never leaves its algorithm: whatever a token's header says, the RSA key is never taken for
 * an HMAC secret.  Several keys live side by side, told apart by `kid`, so that they can be
 * rotated. A keyring is filled once and then only read; when the keys change, a new one takes its
 * place.
 *
 * Everything wrong is told for a person, one line each with its '\n', appended to *errors (lines
 * name the key by its kid or its index, never by its bytes).
 */
#ifndef CORE_KEYRING_H
#define CORE_KEYRING_H

#include "core/buf.h"

enum {
    KEYRING_MAX = 64,        /* keys */
    KEYRING_SECRET_MIN = 32, /* bytes of an HS256 secret: RFC 7518 section 3.2 */
    KEYRING_SECRET_MAX = 4096,
    KEYRING_KID_MAX = 255,    /* bytes of a kid */
    KEYRING_JWKS_MAX = 262144 /* bytes of a JWK Set */
};

enum algorithm {
    ALGORITHM_HS256,
    ALGORITHM_EDDSA,
    ALGORITHM_ES256,
    ALGORITHM_RS256,
    ALGORITHM__COUNT
};

/* "HS256", "EdDSA", "ES256", "RS256", exactly; ALGORITHM__COUNT: none of them. */
enum algorithm algorithm_of(struct slice name);
const char *algorithm_name(enum algorithm);

struct keyring; /* opaque: keyring.c */

/* Empty; NULL: no memory.  keyring_free() wipes the secrets; NULL is fine. */
struct keyring *keyring_new(void) MUST_USE;
void keyring_free(struct keyring *);

size_t keyring_count(const struct keyring *);

/* How many of one algorithm. */
size_t keyring_count_of(const struct keyring *, enum algorithm);

/*
 * Add one key; copies.  kid "" is no kid.  material is
 *
 *      HS256   the secret's bytes, as they are, at least 32
 *      EdDSA   the 32 bytes of an Ed25519 public key, or as below
 *      others  a public key as `openssl pkey -pubout` writes it: SubjectPublicKeyInfo, PEM or DER
 *
 * RC_SYNTAX: it is no such key, too weak, or there is one with this kid and algorithm already;
 * RC_LIMIT: KEYRING_MAX; RC_NOMEM.  Nothing is added then.
 */
enum rc keyring_add(struct keyring *, struct slice kid, struct slice algorithm,
                    struct slice material, struct buf *errors) MUST_USE;

/*
 * Add all keys of a JWK Set (RFC 7517).  Keys that are not for us are skipped with a line in
 * *warnings: `use` or `key_ops` of another purpose, an unknown kty, crv or alg, a private half
 * (only its public one is taken).  A key that is for us and is wrong fails the whole set, for half
 * a rotation is worse than none.  Results as above; nothing is added then.
 */
enum rc keyring_add_jwks(struct keyring *, struct slice json, struct buf *errors,
                         struct buf *warnings) MUST_USE;

/*
 * Is this the signature of these bytes by one of the keys of this algorithm?  Those with this kid
 * are asked; kid NULL (SLICE_NONE): all of them.  Constant-time where a secret is compared.
 */
enum verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_NO_KEY, VERDICT_NOMEM };
enum verdict keyring_verify(const struct keyring *, enum algorithm, struct slice kid,
                            struct slice bytes, struct slice signature) MUST_USE;

#endif
