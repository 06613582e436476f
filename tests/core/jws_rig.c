/*
 * jws_rig.c - tokens that are signed, and what is made of them.
 */
#include "tests/core/jws_rig.h"

#include <check.h>

struct keyring *ring_of_secret(const char *kid, struct slice secret)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    ck_assert_int_eq(keyring_add(ring, slice_of(kid), SLICE("HS256"), secret, &errors), RC_OK);
    ck_assert_uint_eq(errors.len, 0);
    return ring;
}

void add_pkey(struct keyring *ring, const char *kid, const char *algorithm,
              struct evp_pkey_st *pkey)
{
    struct buf pem = BUF_EMPTY, errors = BUF_EMPTY;
    signer_pem(&pem, pkey);
    enum rc rc = keyring_add(ring, slice_of(kid), slice_of(algorithm), buf_slice(&pem), &errors);
    ck_assert_msg(rc == RC_OK, "%.*s", (int)errors.len, errors.at);
    buf_fini(&pem);
}

struct keyring *ring_of_jwks(const char *json)
{
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    enum rc rc = keyring_add_jwks(ring, slice_of(json), &errors, &warnings);
    ck_assert_msg(rc == RC_OK, "%.*s", (int)errors.len, errors.at);
    ck_assert_msg(warnings.len == 0, "%.*s", (int)warnings.len, warnings.at);
    return ring;
}

void refused_as(const struct keyring *ring, struct slice token, enum flaw flaw)
{
    struct refusal refusal = { .flaw = FLAW_NONE };
    struct buf payload = BUF_EMPTY;
    struct page page = page_of(token);
    buf_puts(&payload, "before");
    ck_assert_int_eq(jws_verify(ring, page.bytes, &payload, &refusal), RC_DENIED);
    ck_assert_msg(refusal.flaw == flaw, "%s instead of %s: %s (%.*s)", flaw_word(refusal.flaw),
                  flaw_word(flaw), refusal.why, (int)token.len, token.at);
    ck_assert_uint_gt(strlen(refusal.why), 10);
    ck_assert(slice_is(buf_slice(&payload), SLICE("before")));
    buf_fini(&payload);
    page_fini(&page);
}

void accepted(const struct keyring *ring, struct slice token, struct slice claims)
{
    struct refusal refusal = { .why = "" };
    struct buf payload = BUF_EMPTY;
    struct page page = page_of(token);
    ck_assert_msg(jws_verify(ring, page.bytes, &payload, &refusal) == RC_OK, "%s", refusal.why);
    ck_assert(slice_is(buf_slice(&payload), claims));
    ck_assert(jws_resembles(token));
    buf_fini(&payload);
    page_fini(&page);
}

struct buf hmac_token(struct slice header, struct slice claims)
{
    struct buf token = BUF_EMPTY;
    mint_token(&token, header, claims, SECRET);
    return token;
}

struct buf pkey_token(struct evp_pkey_st *pkey, const char *header)
{
    struct buf token = BUF_EMPTY;
    signer_token(&token, pkey, slice_of(header), CLAIMS);
    return token;
}

void header_refused_as(struct slice header, enum flaw flaw)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(header, CLAIMS);
    refused_as(ring, buf_slice(&token), flaw);
    buf_fini(&token);
    keyring_free(ring);
}

void header_accepted(struct slice header)
{
    struct keyring *ring = ring_of_secret("a", SECRET);
    struct buf token = hmac_token(header, CLAIMS);
    accepted(ring, buf_slice(&token), CLAIMS);
    buf_fini(&token);
    keyring_free(ring);
}
