/*
 * keyring.h - the keys whose signatures count.
 *
 * Several keys live side by side, told apart by `kid`, so that they can be rotated.  A keyring is
 * filled once and then only read; when the keys change, a new one takes its place.
 *
 * Everything wrong is told for a person, one line each with its '\n', appended to *errors (lines
 * name the key by its kid or its index, never by its bytes).
 */
#ifndef CORE_KEYRING_H
#define CORE_KEYRING_H

#include "core/key.h"

enum {
    KEYRING_MAX = 64,         /* keys */
    KEYRING_TRIES_MAX = 8,    /* verifications of one signature */
    KEYRING_KID_MAX = 255,    /* bytes */
    KEYRING_JWKS_MAX = 262144 /* bytes of a JWK Set */
};

struct conf;
struct keyring; /* opaque: keyring.c */

/* Empty; NULL: no memory.  keyring_free() wipes the secrets; NULL is fine. */
struct keyring *keyring_new(void) MUST_USE;
void keyring_free(struct keyring *);

size_t keyring_count(const struct keyring *);

/* How many of one algorithm. */
size_t keyring_count_of(const struct keyring *, enum algorithm);

/*
 * Add one key; copies.  kid "" is no kid; algorithm by its name; material as key_from_material()
 * reads it.  RC_SYNTAX: it is no such key, or there is one with this kid and algorithm already;
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
 * Add the keys of a configuration: token_key and token_jwks.  As above; not all may have been added
 * when it fails.
 */
enum rc keyring_add_conf(struct keyring *, const struct conf *, struct buf *errors,
                         struct buf *warnings) MUST_USE;

/*
 * Is this the signature of these bytes by one of the keys of this algorithm?  The one with this kid
 * is asked; kid NULL (SLICE_NONE): all of them, but none when they are more than KEYRING_TRIES_MAX,
 * for a stranger should not cost milliseconds.  Constant-time where a secret is compared.
 */
enum verdict keyring_verify(const struct keyring *, enum algorithm, struct slice kid,
                            struct slice bytes, struct slice signature) MUST_USE;

#endif
