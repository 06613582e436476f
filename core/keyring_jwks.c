/*
 * keyring_jwks.c - keys from a JWK Set (RFC 7517, RFC 7518 section 6, RFC 8037).
 *
 * A set is written for many readers: a login service lists encryption keys and curves that we do
 * not know beside what we need.  So "not for us" is a warning; "for us, and wrong" is an error.
 *
 *      kty   crv       algorithm   made of
 *      oct   -         HS256       k           `alg` must say so
 *      OKP   Ed25519   EdDSA       x
 *      EC    P-256     ES256       x, y
 *      RSA   -         RS256       n, e        `alg` or `use` must say so: RSA also encrypts
 */
#include "core/keyring.h"
#include "core/keyring_priv.h"
#include "core/strict.h"
#include "core/text.h"

#include <sodium.h>
#include <stdlib.h>

enum { DEPTH_MAX = 16 };

/* --- memory that is wiped -------------------------------------------------------------------- */

/* While jansson holds secrets, what it frees is wiped: [size, padded to 16][its bytes]. */
enum { HEAD = 16 };

static void *wiped_malloc(size_t size)
{
    char *at = size <= SIZE_MAX - HEAD ? malloc(HEAD + size) : NULL;
    if (!at)
        return NULL;
    memcpy(at, &size, sizeof size);
    return at + HEAD;
}

static void wiped_free(void *bytes)
{
    size_t size;
    if (!bytes)
        return;
    char *at = (char *)bytes - HEAD;
    memcpy(&size, at, sizeof size);
    sodium_memzero(at, HEAD + size);
    free(at);
}

static void wiped_fini(struct buf *b)
{
    if (b->at)
        sodium_memzero(b->at, b->cap);
    buf_fini(b);
}

/* --- one key --------------------------------------------------------------------------------- */

enum outcome { TAKEN, SKIPPED, WRONG, SHORT /* of memory */, FULL };

struct jwk {
    struct keyring *ring;
    const json_t *members;
    struct slice kty, kid, use, alg, crv;
    enum algorithm algorithm;
    const char *why;
    bool has_private;
};

static enum outcome say(struct jwk *jwk, enum outcome outcome, const char *why)
{
    jwk->why = why;
    return outcome;
}

static enum outcome outcome_of(enum rc rc)
{
    return rc == RC_OK ? TAKEN : rc == RC_NOMEM ? SHORT : rc == RC_LIMIT ? FULL : WRONG;
}

/* Append the bytes that a member says in base64url. */
static enum outcome read_bytes(struct jwk *jwk, const char *name, struct buf *out)
{
    struct slice text;
    if (!strict_string(jwk->members, name, &text) || !text.at)
        return say(jwk, WRONG, "one of the members that make the key is missing or no string");
    enum rc rc = base64url_decode(out, text);
    if (rc == RC_SYNTAX)
        return say(jwk, WRONG, "one of the members that make the key is not base64url");
    return rc == RC_OK ? TAKEN : say(jwk, SHORT, "out of memory");
}

typedef enum rc make_fn(struct key *, struct slice first, struct slice second, const char **why);

static enum rc make_secret(struct key *key, struct slice k, struct slice none, const char **why)
{
    return key_from_material(key, ALGORITHM_HS256, k, why);
}

static enum rc make_point(struct key *key, struct slice x, struct slice none, const char **why)
{
    if (x.len != sizeof key->point) {
        *why = "x of an Ed25519 key has 32 bytes";
        return RC_SYNTAX;
    }
    return key_from_material(key, ALGORITHM_EDDSA, x, why);
}

struct kind {
    const char *kty, *crv; /* crv NULL: has none */
    enum algorithm algorithm;
    bool alg_needed, use_suffices;
    const char *members[2];
    make_fn *make;
};

static const struct kind kinds[] = {
    { "oct", NULL, ALGORITHM_HS256, true, false, { "k" }, make_secret },
    { "OKP", "Ed25519", ALGORITHM_EDDSA, false, false, { "x" }, make_point },
    { "EC", "P-256", ALGORITHM_ES256, false, false, { "x", "y" }, key_from_coordinates },
    { "RSA", NULL, ALGORITHM_RS256, true, true, { "n", "e" }, key_from_modulus },
};

static enum outcome make(struct jwk *jwk, const struct kind *kind)
{
    struct key key = { .algorithm = kind->algorithm };
    struct buf bytes[2] = { BUF_EMPTY, BUF_EMPTY };
    enum outcome outcome = TAKEN;
    for (size_t i = 0; i < LENGTH(bytes) && kind->members[i] && outcome == TAKEN; i++)
        outcome = read_bytes(jwk, kind->members[i], &bytes[i]);
    if (outcome == TAKEN)
        outcome =
            outcome_of(kind->make(&key, buf_slice(&bytes[0]), buf_slice(&bytes[1]), &jwk->why));
    if (outcome == TAKEN)
        outcome = outcome_of(keyring_take(jwk->ring, &key, jwk->kid, &jwk->why));
    wiped_fini(&bytes[0]);
    wiped_fini(&bytes[1]);
    return outcome;
}

/* --- whom it is for -------------------------------------------------------------------------- */

static enum outcome read_words(struct jwk *jwk)
{
    const json_t *m = jwk->members;
    if (!strict_string(m, "kid", &jwk->kid) || !strict_string(m, "kty", &jwk->kty) ||
        !strict_string(m, "use", &jwk->use) || !strict_string(m, "alg", &jwk->alg) ||
        !strict_string(m, "crv", &jwk->crv))
        return say(jwk, WRONG, "kty, kid, use, alg and crv must be strings");
    if (!jwk->kty.at)
        return say(jwk, WRONG, "it does not say what it is (kty)");
    const char *why = kid_error(jwk->kid);
    if (why)
        return say(jwk, WRONG, why);
    /* of EC, OKP and RSA keys; the others of RSA (p, q, …) do not come without d */
    jwk->has_private = json_object_get(m, "d") != NULL;
    return TAKEN;
}

/* RFC 7517 sections 4.2 and 4.3. */
static enum outcome read_purpose(struct jwk *jwk)
{
    const json_t *ops = json_object_get(jwk->members, "key_ops");
    bool verify = !ops;
    if (ops && !json_is_array(ops))
        return say(jwk, WRONG, "key_ops must be an array of strings");
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const char *op = json_string_value(json_array_get(ops, i));
        if (!op)
            return say(jwk, WRONG, "key_ops must be an array of strings");
        verify = verify || strcmp(op, "verify") == 0;
    }
    if (!verify)
        return say(jwk, SKIPPED, "it is not to verify signatures (key_ops)");
    if (jwk->use.at && !slice_is(jwk->use, SLICE("sig")))
        return say(jwk, SKIPPED, "it is not for signatures (use)");
    return TAKEN;
}

static enum outcome read_algorithm(struct jwk *jwk)
{
    jwk->algorithm = algorithm_of(jwk->alg);
    if (jwk->alg.at && jwk->algorithm == ALGORITHM__COUNT)
        return say(jwk, SKIPPED, "its algorithm (alg) is not one of HS256, EdDSA, ES256 and RS256");
    return TAKEN;
}

/* EdDSA is of Ed25519 or Ed448, so another curve is no contradiction there. */
static enum outcome unknown_curve(struct jwk *jwk)
{
    if (jwk->algorithm == ALGORITHM_ES256)
        return say(jwk, WRONG, "an ES256 key is a point on the curve P-256");
    return say(jwk, SKIPPED, "its curve (crv) is neither Ed25519 nor P-256");
}

static enum outcome find_kind(struct jwk *jwk, const struct kind **out)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < LENGTH(kinds) && !kind; i++)
        if (slice_is(jwk->kty, slice_of(kinds[i].kty)))
            kind = &kinds[i];
    if (!kind)
        return say(jwk, SKIPPED, "its type (kty) is not one of oct, OKP, EC and RSA");
    if (jwk->alg.at && jwk->algorithm != kind->algorithm)
        return say(jwk, WRONG, "its alg and its kty contradict each other");
    if (kind->crv && !slice_is(jwk->crv, slice_of(kind->crv)))
        return unknown_curve(jwk);
    if (kind->alg_needed && !jwk->alg.at && !(kind->use_suffices && jwk->use.at))
        return say(jwk, SKIPPED,
                   kind->use_suffices ? "it needs \"alg\":\"RS256\" or \"use\":\"sig\""
                                      : "it needs \"alg\":\"HS256\"");
    *out = kind;
    return TAKEN;
}

static enum outcome take(struct jwk *jwk)
{
    const struct kind *kind = NULL;
    enum outcome outcome = read_words(jwk);
    if (outcome == TAKEN)
        outcome = read_purpose(jwk);
    if (outcome == TAKEN)
        outcome = read_algorithm(jwk);
    if (outcome == TAKEN)
        outcome = find_kind(jwk, &kind);
    return outcome == TAKEN ? make(jwk, kind) : outcome;
}

/* --- the set --------------------------------------------------------------------------------- */

static void tell(struct buf *out, const struct jwk *jwk, size_t i, const char *what,
                 const char *why)
{
    buf_printf(out, "key %zu", i);
    if (jwk->kid.len > 0 && !kid_error(jwk->kid))
        buf_printf(out, " (kid '%.*s')", (int)jwk->kid.len, jwk->kid.at);
    buf_printf(out, "%s: %s\n", what, why);
}

static enum rc take_one(struct keyring *ring, const json_t *members, size_t i, struct buf *errors,
                        struct buf *warnings)
{
    struct jwk jwk = { .ring = ring, .members = members };
    enum outcome outcome =
        json_is_object(members) ? take(&jwk) : say(&jwk, WRONG, "it is not an object");
    switch (outcome) {
    case TAKEN:
        if (jwk.has_private)
            tell(warnings, &jwk, i, "", "holds the private half (d), which is not needed here");
        return RC_OK;
    case SKIPPED:
        tell(warnings, &jwk, i, " is not used", jwk.why);
        return RC_OK;
    case SHORT:
        return RC_NOMEM;
    case FULL:
    case WRONG:
        break;
    }
    tell(errors, &jwk, i, "", jwk.why);
    return outcome == FULL ? RC_LIMIT : RC_SYNTAX;
}

static enum rc take_all(struct keyring *ring, const json_t *root, struct buf *errors,
                        struct buf *warnings)
{
    const json_t *keys = json_object_get(root, "keys");
    size_t before = ring->n;
    enum rc rc = RC_OK;
    if (!json_is_array(keys)) {
        buf_puts(errors, "a JWK Set is an object {\"keys\":[…]}\n");
        return RC_SYNTAX;
    }
    for (size_t i = 0; i < json_array_size(keys) && rc == RC_OK; i++)
        rc = take_one(ring, json_array_get(keys, i), i, errors, warnings);
    if (rc == RC_OK && ring->n == before)
        buf_puts(warnings, "the JWK Set has no key that can be used here\n");
    return rc;
}

static enum rc read_set(struct keyring *ring, struct slice json, struct buf *errors,
                        struct buf *warnings)
{
    json_t *root;
    const char *why;
    enum rc rc = strict_read(json, DEPTH_MAX, &root, &why);
    if (rc != RC_OK) {
        buf_printf(errors, "the JWK Set %s\n", why);
        return rc;
    }
    rc = take_all(ring, root, errors, warnings);
    json_decref(root);
    return rc;
}

enum rc keyring_add_jwks(struct keyring *ring, struct slice json, struct buf *errors,
                         struct buf *warnings)
{
    size_t before = ring->n;
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    if (json.len > KEYRING_JWKS_MAX) {
        buf_puts(errors, "the JWK Set is larger than 256 KiB\n");
        return RC_LIMIT;
    }
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(wiped_malloc, wiped_free);
    enum rc rc = read_set(ring, json, errors, warnings);
    json_set_alloc_funcs(usual_malloc, usual_free);
    if (rc != RC_OK)
        keyring_cut(ring, before);
    return rc;
}
