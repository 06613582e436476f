/*
 * jws.c - a signed token, opened.
 *
 * Nothing in the token is believed before its signature is, with one exception: `alg` and `kid`
 * choose among the keys that we have.  Reasons name neither the token's bytes nor the key's.
 */
#include "core/jws.h"
#include "core/strict.h"
#include "core/text.h"

enum { HEADER_DEPTH_MAX = 8 };

struct jws {
    struct slice header, payload, signature; /* base64url */
    struct slice signed_bytes;               /* header.payload */
};

/* Exactly two dots, and something on each side. */
static bool split(struct slice token, struct jws *out)
{
    const char *first = token.len ? memchr(token.at, '.', token.len) : NULL;
    const char *end = token.at + token.len;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    out->header = (struct slice){ token.at, (size_t)(first - token.at) };
    out->payload = (struct slice){ first + 1, (size_t)(second - first - 1) };
    out->signature = (struct slice){ second + 1, (size_t)(end - second - 1) };
    out->signed_bytes = (struct slice){ token.at, (size_t)(second - token.at) };
    return out->header.len > 0 && out->payload.len > 0;
}

static bool is_base64url(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '_')
            return false;
    }
    return true;
}

bool jws_resembles(struct slice token)
{
    struct jws jws;
    return split(token, &jws) && is_base64url(jws.header) && is_base64url(jws.payload) &&
           is_base64url(jws.signature);
}

/* --- the header ------------------------------------------------------------------------------ */

struct header {
    json_t *root; /* lends the rest */
    struct slice kid;
    enum algorithm algorithm;
};

/* RFC 7519 section 5.1, RFC 9068 section 4; a token of another kind (logout+jwt) is no login. */
static bool is_our_type(struct slice type)
{
    static const struct slice prefix = { "application/", 12 };
    if (type.len > prefix.len && slice_is_nocase((struct slice){ type.at, prefix.len }, prefix))
        type = (struct slice){ type.at + prefix.len, type.len - prefix.len };
    return slice_is_nocase(type, SLICE("JWT")) || slice_is_nocase(type, SLICE("at+jwt"));
}

static enum rc judge_header(struct header *h, struct refusal *refusal)
{
    struct slice algorithm, type;
    if (json_object_get(h->root, "crit"))
        return refusal_set(refusal, FLAW_MALFORMED, "its header asks for an extension (crit)");
    if (json_object_get(h->root, "b64"))
        return refusal_set(refusal, FLAW_MALFORMED, "its header asks for unencoded claims (b64)");
    if (!strict_string(h->root, "typ", &type) || (type.at && !is_our_type(type)))
        return refusal_set(refusal, FLAW_MALFORMED, "its type (typ) is not JWT");
    if (!strict_string(h->root, "kid", &h->kid))
        return refusal_set(refusal, FLAW_MALFORMED, "the name of its key (kid) is not a string");
    if (!strict_string(h->root, "alg", &algorithm) || !algorithm.at)
        return refusal_set(refusal, FLAW_MALFORMED, "its header names no algorithm (alg)");
    h->algorithm = algorithm_of(algorithm);
    if (h->algorithm == ALGORITHM__COUNT)
        return refusal_set(refusal, FLAW_ALGORITHM,
                           "its algorithm is not one of HS256, EdDSA, ES256 and RS256");
    return RC_OK;
}

static enum rc read_header(struct slice encoded, struct header *out, struct refusal *refusal)
{
    struct buf text = BUF_EMPTY;
    const char *why = "is not base64url";
    enum rc rc = base64url_decode(&text, encoded);
    if (rc == RC_OK)
        rc = strict_read(buf_slice(&text), HEADER_DEPTH_MAX, &out->root, &why);
    buf_fini(&text);
    if (rc == RC_NOMEM)
        return refusal_set(refusal, FLAW_NOMEM, "out of memory");
    if (rc != RC_OK)
        return refusal_set(refusal, rc == RC_LIMIT ? FLAW_TOO_LARGE : FLAW_MALFORMED,
                           "its header %s", why);
    return judge_header(out, refusal);
}

/* --- the signature --------------------------------------------------------------------------- */

static enum rc explain_no_key(const struct keyring *ring, const struct header *h,
                              struct refusal *refusal)
{
    const char *name = algorithm_name(h->algorithm);
    if (keyring_count_of(ring, h->algorithm) == 0)
        return refusal_set(refusal, FLAW_ALGORITHM,
                           "signed with %s, for which there is no key here", name);
    if (!h->kid.at)
        return refusal_set(refusal, FLAW_UNKNOWN_KEY,
                           "it must name its key (kid): there are more than %d for %s",
                           KEYRING_TRIES_MAX, name);
    return refusal_set(refusal, FLAW_UNKNOWN_KEY,
                       "signed with an unknown key: no %s key has its kid", name);
}

static enum rc judge_signature(const struct keyring *ring, const struct header *h,
                               struct slice signed_bytes, struct slice signature,
                               struct refusal *refusal)
{
    switch (keyring_verify(ring, h->algorithm, h->kid, signed_bytes, signature)) {
    case VERDICT_GOOD:
        return RC_OK;
    case VERDICT_NOMEM:
        return refusal_set(refusal, FLAW_NOMEM, "out of memory");
    case VERDICT_NO_KEY:
        return explain_no_key(ring, h, refusal);
    case VERDICT_BAD:
        break;
    }
    return refusal_set(refusal, FLAW_SIGNATURE, "its signature is not by %s %s key of this server",
                       h->kid.at ? "that" : "any", algorithm_name(h->algorithm));
}

static enum rc verify(const struct keyring *ring, const struct jws *jws, struct header *h,
                      struct buf *signature, struct buf *payload, struct refusal *refusal)
{
    enum rc rc = read_header(jws->header, h, refusal);
    if (rc != RC_OK)
        return rc;
    rc = base64url_decode(signature, jws->signature);
    if (rc == RC_OK)
        rc = base64url_decode(payload, jws->payload);
    if (rc == RC_NOMEM)
        return refusal_set(refusal, FLAW_NOMEM, "out of memory");
    if (rc != RC_OK)
        return refusal_set(refusal, FLAW_MALFORMED, "its claims or signature are not base64url");
    return judge_signature(ring, h, jws->signed_bytes, buf_slice(signature), refusal);
}

enum rc jws_verify(const struct keyring *ring, struct slice token, struct buf *payload,
                   struct refusal *refusal)
{
    struct jws jws;
    struct header header = { .root = NULL };
    struct buf signature = BUF_EMPTY;
    size_t before = payload->len;
    if (token.len > JWS_MAX)
        return refusal_set(refusal, FLAW_TOO_LARGE, "a token may not be longer than 8 KiB");
    if (!split(token, &jws))
        return refusal_set(refusal, FLAW_MALFORMED, "a token has three parts between two dots");
    enum rc rc = verify(ring, &jws, &header, &signature, payload, refusal);
    if (rc != RC_OK)
        payload->len = before;
    buf_fini(&signature);
    json_decref(header.root);
    return rc;
}
