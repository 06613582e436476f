/*
 * keyring.c - the keys whose signatures count.
 *
 * At most KEYRING_MAX, so looking through all of them is quicker than anything clever.
 */
#include "core/keyring.h"
#include "core/conf.h"
#include "core/keyring_priv.h"
#include "core/text.h"

#include <stdlib.h>

struct keyring *keyring_new(void)
{
    return calloc(1, sizeof(struct keyring));
}

void keyring_cut(struct keyring *ring, size_t n)
{
    while (ring->n > n)
        key_fini(&ring->keys[--ring->n]);
}

void keyring_free(struct keyring *ring)
{
    if (!ring)
        return;
    keyring_cut(ring, 0);
    free(ring);
}

size_t keyring_count(const struct keyring *ring)
{
    return ring->n;
}

size_t keyring_count_of(const struct keyring *ring, enum algorithm algorithm)
{
    size_t count = 0;
    for (size_t i = 0; i < ring->n; i++)
        count += ring->keys[i].algorithm == algorithm;
    return count;
}

/* --- filling -----------------------------------------------------------------------------------
 */

const char *kid_error(struct slice kid)
{
    if (kid.len > KEYRING_KID_MAX)
        return "a kid may not be longer than 255 bytes";
    for (size_t i = 0; i < kid.len; i++)
        if ((unsigned char)kid.at[i] < 0x20 || kid.at[i] == 0x7F)
            return "a kid may not contain control characters";
    return utf8_valid(kid) ? NULL : "a kid must be valid UTF-8";
}

static bool has_twin(const struct keyring *ring, enum algorithm algorithm, struct slice kid)
{
    for (size_t i = 0; i < ring->n; i++)
        if (ring->keys[i].algorithm == algorithm && slice_is(slice_of(ring->keys[i].kid), kid))
            return true;
    return false;
}

enum rc keyring_take(struct keyring *ring, struct key *key, struct slice kid, const char **why)
{
    enum rc rc = RC_OK;
    if (ring->n == KEYRING_MAX) {
        *why = "there are more than 64 keys";
        rc = RC_LIMIT;
    } else if (kid.len > 0 && has_twin(ring, key->algorithm, kid)) {
        *why = "there is a key with this kid and algorithm already";
        rc = RC_SYNTAX;
    } else if (!(key->kid = slice_dup(kid))) {
        *why = "out of memory";
        rc = RC_NOMEM;
    }
    if (rc == RC_OK)
        ring->keys[ring->n++] = *key;
    else
        key_fini(key);
    return rc;
}

enum rc keyring_add(struct keyring *ring, struct slice kid, struct slice algorithm,
                    struct slice material, struct buf *errors)
{
    struct key key = { .algorithm = algorithm_of(algorithm) };
    const char *why = kid_error(kid);
    enum rc rc = RC_SYNTAX;
    if (why) {
        buf_printf(errors, "a key: %s\n", why);
        return RC_SYNTAX;
    }
    if (key.algorithm == ALGORITHM__COUNT)
        why = "the algorithm must be one of HS256, EdDSA, ES256 and RS256";
    else
        rc = key_from_material(&key, key.algorithm, material, &why);
    if (rc == RC_OK)
        rc = keyring_take(ring, &key, kid, &why);
    if (rc != RC_OK && kid.len > 0)
        buf_printf(errors, "key '%.*s': %s\n", (int)kid.len, kid.at, why);
    else if (rc != RC_OK)
        buf_printf(errors, "a key without kid: %s\n", why);
    return rc;
}

enum rc keyring_add_conf(struct keyring *ring, const struct conf *conf, struct buf *errors,
                         struct buf *warnings)
{
    enum rc rc = RC_OK;

    if (*conf->token_key)
        rc = keyring_add(ring, SLICE(""), SLICE("HS256"), slice_of(conf->token_key), errors);
    if (rc == RC_OK && conf->token_jwks)
        rc = keyring_add_jwks(ring, slice_of(conf->token_jwks), errors, warnings);
    return rc;
}

/* --- asking ------------------------------------------------------------------------------------
 */

enum verdict keyring_verify(const struct keyring *ring, enum algorithm algorithm, struct slice kid,
                            struct slice bytes, struct slice signature)
{
    enum verdict verdict = VERDICT_NO_KEY;
    if (kid.at && kid.len == 0)
        return VERDICT_NO_KEY; /* it names a key "", and no key has a name like that */
    if (!kid.at && keyring_count_of(ring, algorithm) > KEYRING_TRIES_MAX)
        return VERDICT_NO_KEY;
    for (size_t i = 0; i < ring->n && verdict != VERDICT_GOOD; i++) {
        const struct key *key = &ring->keys[i];
        if (key->algorithm != algorithm || (kid.at && !slice_is(slice_of(key->kid), kid)))
            continue;
        verdict = key_verify(key, bytes, signature);
        if (verdict == VERDICT_NOMEM)
            break;
    }
    return verdict;
}
