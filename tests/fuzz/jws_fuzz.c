/*
 * jws_fuzz.c - as a token: what is accepted is written in the only way there is, and signed.
 * As the header of a token that is signed rightly: accepted exactly for HS256 and no extension.
 */
#include "core/jws.h"
#include "core/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/mint.h"

#include <jansson.h>

#define SECRET SLICE("0123456789abcdef0123456789abcdef")
#define CLAIMS SLICE("{\"sub\":\"anna\"}")

/* The secret, and the public keys of the examples in RFC 7515 and RFC 8037. */
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji"
    "9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r"
    "2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
    "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW"
    "9gb54h4FRWyuXpoQ\"}]}";

static struct keyring *ring_of_all(void)
{
    struct buf said = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    must(ring && keyring_add(ring, SLICE("a"), SLICE("HS256"), SECRET, &said) == RC_OK);
    must(keyring_add_jwks(ring, slice_of(jwks), &said, &said) == RC_OK && said.len == 0);
    return ring;
}

static enum rc verify(const struct keyring *ring, struct slice token, struct buf *payload,
                      struct refusal *refusal)
{
    *refusal = (struct refusal){ .flaw = FLAW_NONE };
    enum rc rc = jws_verify(ring, token, payload, refusal);
    must(rc == RC_OK || rc == RC_DENIED);
    must((rc == RC_OK) == (refusal->flaw == FLAW_NONE));
    must((rc == RC_OK) || payload->len == 0);
    must(rc == RC_OK || (*refusal->why && utf8_valid(slice_of(refusal->why))));
    return rc;
}

static void as_token(const struct keyring *ring, struct slice token)
{
    struct buf payload = BUF_EMPTY, again = BUF_EMPTY;
    struct refusal refusal;
    if (verify(ring, token, &payload, &refusal) == RC_OK) {
        must(jws_resembles(token) && token.len <= JWS_MAX);
        mint_base64url(&again, buf_slice(&payload));
        const char *dot = memchr(token.at, '.', token.len);
        must(again.len == 0 || memcmp(dot + 1, again.at, again.len) == 0);
        must(dot[1 + again.len] == '.');
    }
    buf_fini(&payload);
    buf_fini(&again);
}

static bool is(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* By another hand; typ is left out, for its spelling is free. */
static bool may_be_accepted(struct slice header)
{
    json_t *root = json_loadb(header.at, header.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *kid = json_object_get(root, "kid");
    bool yes = is(json_object_get(root, "alg"), "HS256") && (!kid || is(kid, "a")) &&
               !json_object_get(root, "crit") && !json_object_get(root, "b64");
    json_decref(root);
    return yes;
}

static void as_header(const struct keyring *ring, struct slice header)
{
    struct buf token = BUF_EMPTY, payload = BUF_EMPTY;
    struct refusal refusal;
    mint_token(&token, header, CLAIMS, SECRET);
    enum rc rc = verify(ring, buf_slice(&token), &payload, &refusal);
    if (rc == RC_OK)
        must(slice_is(buf_slice(&payload), CLAIMS) && may_be_accepted(header));
    else if (refusal.flaw == FLAW_SIGNATURE || refusal.flaw == FLAW_UNKNOWN_KEY)
        must(!may_be_accepted(header));
    buf_fini(&token);
    buf_fini(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *ring;
    struct slice s = exact_copy(data, size);
    if (!ring)
        ring = ring_of_all();
    as_token(ring, s);
    as_header(ring, s);
    free((char *)s.at);
    return 0;
}
