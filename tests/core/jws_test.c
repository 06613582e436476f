#include "core/jws.h"
#include "tests/core/memory.h"
#include "tests/core/signer.h"
#include "tests/mint.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET SLICE("0123456789abcdef0123456789abcdef")
#define HS256  SLICE("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")
#define CLAIMS SLICE("{\"sub\":\"anna\",\"exp\":4102444800}")

/* --- helpers --------------------------------------------------------------------------------- */

static struct keyring *ring_of_secret(const char *kid, struct slice secret)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    ck_assert_int_eq(keyring_add(ring, slice_of(kid), SLICE("HS256"), secret, &errors), RC_OK);
    ck_assert_uint_eq(errors.len, 0);
    return ring;
}

static void add_pkey(struct keyring *ring, const char *kid, const char *algorithm,
                     struct evp_pkey_st *pkey)
{
    struct buf pem = BUF_EMPTY, errors = BUF_EMPTY;
    signer_pem(&pem, pkey);
    enum rc rc = keyring_add(ring, slice_of(kid), slice_of(algorithm), buf_slice(&pem), &errors);
    ck_assert_msg(rc == RC_OK, "%.*s", (int)errors.len, errors.at);
    buf_fini(&pem);
}

static struct keyring *ring_of_jwks(const char *json)
{
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    enum rc rc = keyring_add_jwks(ring, slice_of(json), &errors, &warnings);
    ck_assert_msg(rc == RC_OK, "%.*s", (int)errors.len, errors.at);
    ck_assert_msg(warnings.len == 0, "%.*s", (int)warnings.len, warnings.at);
    return ring;
}

/* Refused, for this reason, with a sentence, and nothing given out. */
static void refused_as(const struct keyring *ring, struct slice token, enum flaw flaw)
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

static void accepted(const struct keyring *ring, struct slice token, struct slice claims)
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

static struct buf hmac_token(struct slice header, struct slice claims)
{
    struct buf token = BUF_EMPTY;
    mint_token(&token, header, claims, SECRET);
    return token;
}

static struct buf pkey_token(struct evp_pkey_st *pkey, const char *header)
{
    struct buf token = BUF_EMPTY;
    signer_token(&token, pkey, slice_of(header), CLAIMS);
    return token;
}

/* A token that is well signed in every respect but this header. */
static void header_refused_as(struct slice header, enum flaw flaw)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(header, CLAIMS);
    refused_as(ring, buf_slice(&token), flaw);
    buf_fini(&token);
    keyring_free(ring);
}

static void header_accepted(struct slice header)
{
    struct keyring *ring = ring_of_secret("a", SECRET);
    struct buf token = hmac_token(header, CLAIMS);
    accepted(ring, buf_slice(&token), CLAIMS);
    buf_fini(&token);
    keyring_free(ring);
}

/* --- the examples of the specifications ------------------------------------------------------ */

#define JOE_CLAIMS                                                                                 \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define JOE                                                                                        \
    SLICE("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}")

/* Also RFC 7519 section 3.1. */
START_TEST(rfc_7515_appendix_a1_is_accepted)
{
    struct keyring *ring = ring_of_jwks("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":"
                                        "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-Est"
                                        "JQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}");
    accepted(ring,
             SLICE("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE_CLAIMS
                   ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
             JOE);
    keyring_free(ring);
}
END_TEST

START_TEST(rfc_7515_appendix_a2_is_accepted)
{
    struct keyring *ring = ring_of_jwks(
        "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
        "wWJcyQ"
        "oTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW"
        "vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2"
        "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8"
        "q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}");
    accepted(
        ring,
        SLICE("eyJhbGciOiJSUzI1NiJ9." JOE_CLAIMS
              ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
              "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75v"
              "RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEs"
              "qtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV"
              "rBp0igcN_IoypGlUPQGe77Rw"),
        JOE);
    keyring_free(ring);
}
END_TEST

START_TEST(rfc_7515_appendix_a3_is_accepted)
{
    struct keyring *ring = ring_of_jwks("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                                        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}");
    accepted(ring,
             SLICE("eyJhbGciOiJFUzI1NiJ9." JOE_CLAIMS
                   ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3"
                   "-Kg6NU1Q"),
             JOE);
    keyring_free(ring);
}
END_TEST

START_TEST(rfc_7515_appendix_a5_which_nobody_signed_is_refused)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    refused_as(ring, SLICE("eyJhbGciOiJub25lIn0." JOE_CLAIMS "."), FLAW_ALGORITHM);
    keyring_free(ring);
}
END_TEST

START_TEST(rfc_8037_appendix_a4_is_accepted)
{
    struct keyring *ring = ring_of_jwks("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}");
    accepted(ring,
             SLICE("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                   "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                   "MuM0KAg"),
             SLICE("Example of Ed25519 signing"));
    keyring_free(ring);
}
END_TEST

START_TEST(every_kind_of_key_signs_and_is_understood)
{
    static const struct {
        const char *algorithm, *header;
    } kinds[] = {
        { "EdDSA", "{\"alg\":\"EdDSA\"}" },
        { "ES256", "{\"alg\":\"ES256\"}" },
        { "RS256", "{\"alg\":\"RS256\"}" },
    };
    struct evp_pkey_st *pkeys[] = { signer_ed25519(), signer_ec("P-256"), signer_rsa(2048) };
    struct keyring *all = keyring_new();
    for (size_t i = 0; i < LENGTH(kinds); i++)
        add_pkey(all, "", kinds[i].algorithm, pkeys[i]);
    for (size_t i = 0; i < LENGTH(kinds); i++)
        for (size_t j = 0; j < LENGTH(kinds); j++) {
            struct buf token = pkey_token(pkeys[i], kinds[j].header);
            if (i == j)
                accepted(all, buf_slice(&token), CLAIMS);
            else
                refused_as(all, buf_slice(&token), FLAW_SIGNATURE);
            buf_fini(&token);
        }
    for (size_t i = 0; i < LENGTH(pkeys); i++)
        signer_fini(pkeys[i]);
    keyring_free(all);
}
END_TEST

/* --- confusion of algorithms ----------------------------------------------------------------- */

START_TEST(nothing_is_accepted_unsigned_however_none_is_spelt)
{
    static const char *const names[] = { "none",  "None",  "NONE",   "nOnE",  "",        "null",
                                         " none", "none ", "HS256 ", "hs256", "HS256\\n" };
    struct keyring *ring = ring_of_secret("", SECRET);
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct buf header = BUF_EMPTY, token = BUF_EMPTY;
        buf_printf(&header, "{\"alg\":\"%s\"}", names[i]);
        mint_unsigned(&token, buf_slice(&header), CLAIMS);
        buf_putc(&token, '.');
        refused_as(ring, buf_slice(&token), FLAW_ALGORITHM);
        token.len = 0;
        mint_token(&token, buf_slice(&header), CLAIMS, SECRET);
        refused_as(ring, buf_slice(&token), FLAW_ALGORITHM);
        buf_fini(&header);
        buf_fini(&token);
    }
    keyring_free(ring);
}
END_TEST

/* The oldest trick: what everybody knows of an RSA key, used as the secret of an HMAC. */
START_TEST(a_public_key_is_never_a_secret)
{
    static const struct slice headers[] = { { "{\"alg\":\"HS256\"}", 15 },
                                            { "{\"alg\":\"HS256\",\"kid\":\"a\"}", 25 } };
    struct evp_pkey_st *pkeys[] = { signer_rsa(2048), signer_ec("P-256"), signer_ed25519() };
    static const char *const algorithms[] = { "RS256", "ES256", "EdDSA" };
    struct keyring *alone = keyring_new(), *beside = ring_of_secret("b", SECRET);
    for (size_t i = 0; i < LENGTH(pkeys); i++) {
        add_pkey(alone, "a", algorithms[i], pkeys[i]);
        add_pkey(beside, "a", algorithms[i], pkeys[i]);
    }
    for (size_t i = 0; i < LENGTH(pkeys) * LENGTH(headers); i++) {
        struct buf forms[3] = { BUF_EMPTY, BUF_EMPTY, BUF_EMPTY };
        struct evp_pkey_st *pkey = pkeys[i / LENGTH(headers)];
        bool named = i % LENGTH(headers) == 1;
        signer_pem(&forms[0], pkey);
        signer_der(&forms[1], pkey);
        signer_jwk(&forms[2], pkey, "");
        for (size_t j = 0; j < LENGTH(forms); j++) {
            struct buf token = BUF_EMPTY;
            mint_token(&token, headers[named], CLAIMS, buf_slice(&forms[j]));
            refused_as(alone, buf_slice(&token), FLAW_ALGORITHM);
            refused_as(beside, buf_slice(&token), named ? FLAW_UNKNOWN_KEY : FLAW_SIGNATURE);
            buf_fini(&token);
            buf_fini(&forms[j]);
        }
    }
    for (size_t i = 0; i < LENGTH(pkeys); i++)
        signer_fini(pkeys[i]);
    keyring_free(alone);
    keyring_free(beside);
}
END_TEST

START_TEST(a_key_that_comes_with_the_token_is_not_trusted)
{
    struct evp_pkey_st *pkey = signer_ec("P-256"), *own = signer_ec("P-256");
    struct keyring *ring = keyring_new();
    struct buf header = BUF_EMPTY;
    add_pkey(ring, "a", "ES256", own);
    buf_puts(&header, "{\"alg\":\"ES256\",\"jku\":\"https://evil.example/jwks.json\","
                      "\"x5u\":\"file:///tmp/cert.pem\",\"x5c\":[\"MIIB\"],\"jwk\":");
    signer_jwk(&header, pkey, "");
    buf_puts(&header, "}");
    struct buf token = BUF_EMPTY;
    signer_token(&token, pkey, buf_slice(&header), CLAIMS);
    refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
    token.len = 0;
    signer_token(&token, own, buf_slice(&header), CLAIMS); /* such a header does no harm, either */
    accepted(ring, buf_slice(&token), CLAIMS);
    buf_fini(&header);
    buf_fini(&token);
    signer_fini(pkey);
    signer_fini(own);
    keyring_free(ring);
}
END_TEST

/* --- kid ---------------------------------------------------------------------------------------
 */

START_TEST(keys_are_told_apart_by_their_kid)
{
    struct buf errors = BUF_EMPTY, token = BUF_EMPTY;
    struct slice old = SLICE("the old secret, 32 bytes or more"), young = SECRET;
    struct keyring *ring = ring_of_secret("old", old);
    ck_assert_int_eq(keyring_add(ring, SLICE("new"), SLICE("HS256"), young, &errors), RC_OK);

    mint_token(&token, SLICE("{\"alg\":\"HS256\",\"kid\":\"old\"}"), CLAIMS, old);
    accepted(ring, buf_slice(&token), CLAIMS);
    token.len = 0;
    mint_token(&token, SLICE("{\"alg\":\"HS256\",\"kid\":\"new\"}"), CLAIMS, young);
    accepted(ring, buf_slice(&token), CLAIMS);
    token.len = 0;
    mint_token(&token, SLICE("{\"alg\":\"HS256\",\"kid\":\"new\"}"), CLAIMS, old);
    refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
    token.len = 0;
    mint_token(&token, HS256, CLAIMS, old); /* without a name all are tried */
    accepted(ring, buf_slice(&token), CLAIMS);
    token.len = 0;
    mint_token(&token, HS256, CLAIMS, young);
    accepted(ring, buf_slice(&token), CLAIMS);
    token.len = 0;
    mint_token(&token, HS256, CLAIMS, SLICE("a third secret, of somebody else"));
    refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

START_TEST(among_many_keys_a_token_must_name_its_own)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = ring_of_secret("a", SECRET);
    struct buf nameless = hmac_token(HS256, CLAIMS);
    struct buf named = hmac_token(SLICE("{\"alg\":\"HS256\",\"kid\":\"a\"}"), CLAIMS);
    struct slice other = SLICE("a third secret, of somebody else");
    for (size_t i = 1; i < KEYRING_TRIES_MAX; i++)
        ck_assert_int_eq(keyring_add(ring, SLICE(""), SLICE("HS256"), other, &errors), RC_OK);
    accepted(ring, buf_slice(&nameless), CLAIMS);
    ck_assert_int_eq(keyring_add(ring, SLICE(""), SLICE("HS256"), other, &errors), RC_OK);
    refused_as(ring, buf_slice(&nameless), FLAW_UNKNOWN_KEY);
    accepted(ring, buf_slice(&named), CLAIMS);
    buf_fini(&nameless);
    buf_fini(&named);
    keyring_free(ring);
}
END_TEST

START_TEST(a_kid_is_a_name_and_nothing_else)
{
    static const char *const kids[] = {
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "x' UNION SELECT '0123456789abcdef0123456789abcdef' -- ",
        "a'; DROP TABLE bellpush.token_key; --",
        "| head -c 32 /dev/zero",
        "http://evil.example/key",
        "a ",
        " a",
        "A",
        "a\\nb",
        "a\\u001b[31m",
        "",
        "%61",
        "a/../a",
        "a\xC3\xA9",
    };
    struct keyring *ring = ring_of_secret("a", SECRET);
    for (size_t i = 0; i < LENGTH(kids); i++) {
        struct buf header = BUF_EMPTY;
        buf_printf(&header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kids[i]);
        struct buf token = hmac_token(buf_slice(&header), CLAIMS);
        refused_as(ring, buf_slice(&token), FLAW_UNKNOWN_KEY);
        buf_fini(&token);
        buf_fini(&header);
    }
    keyring_free(ring);

    struct keyring *nameless = ring_of_secret("", SECRET);
    struct buf token = hmac_token(SLICE("{\"alg\":\"HS256\",\"kid\":\"\"}"), CLAIMS);
    refused_as(nameless, buf_slice(&token), FLAW_UNKNOWN_KEY);
    buf_fini(&token);
    keyring_free(nameless);
}
END_TEST

START_TEST(a_very_long_kid_is_no_name_of_a_key)
{
    struct keyring *ring = ring_of_secret("a", SECRET);
    struct buf header = BUF_EMPTY;
    buf_puts(&header, "{\"alg\":\"HS256\",\"kid\":\"");
    for (size_t i = 0; i < 5000; i++)
        buf_putc(&header, 'a');
    buf_puts(&header, "\"}");
    struct buf token = hmac_token(buf_slice(&header), CLAIMS);
    ck_assert_uint_lt(token.len, JWS_MAX);
    refused_as(ring, buf_slice(&token), FLAW_UNKNOWN_KEY);
    buf_fini(&token);
    buf_fini(&header);
    keyring_free(ring);
}
END_TEST

START_TEST(a_kid_must_be_a_string)
{
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"kid\":1}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"kid\":null}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"kid\":[\"a\"]}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"kid\":{\"$ne\":\"\"}}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}"), FLAW_MALFORMED);
    header_accepted(SLICE("{\"alg\":\"HS256\",\"kid\":\"a\"}"));
    header_accepted(SLICE("{\"alg\":\"HS256\",\"kid\":\"\\u0061\"}"));
}
END_TEST

/* --- the header --------------------------------------------------------------------------------
 */

START_TEST(a_header_is_one_object_with_each_member_once)
{
    header_refused_as(SLICE("\"HS256\""), FLAW_MALFORMED);
    header_refused_as(SLICE("[\"HS256\"]"), FLAW_MALFORMED);
    header_refused_as(SLICE("null"), FLAW_MALFORMED);
    header_refused_as(SLICE("{}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":null}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":[\"HS256\"]}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\"} {}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\"}\0"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{alg:\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"ALG\":\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("\xEF\xBB\xBF{\"alg\":\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"x\":\"\xFF\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"none\",\"alg\":\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"jwk\":{\"a\":1,\"a\":2}}"), FLAW_MALFORMED);
    header_accepted(SLICE(" {\r\n\t\"alg\" : \"HS256\" } \n"));
    header_accepted(SLICE("{\"alg\":\"HS256\",\"something\":[1,2,{\"else\":null}]}"));
}
END_TEST

START_TEST(a_header_nested_too_deeply_is_refused)
{
    struct buf header = BUF_EMPTY;
    buf_puts(&header, "{\"alg\":\"HS256\",\"x\":");
    for (size_t i = 0; i < 2000; i++)
        buf_putc(&header, '[');
    for (size_t i = 0; i < 2000; i++)
        buf_putc(&header, ']');
    buf_puts(&header, "}");
    header_refused_as(buf_slice(&header), FLAW_TOO_LARGE);
    buf_fini(&header);
}
END_TEST

START_TEST(what_would_change_the_meaning_is_refused)
{
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"crit\":[]}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"crit\":null}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}"),
                      FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"b64\":false}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"b64\":true}"), FLAW_MALFORMED);
}
END_TEST

START_TEST(a_token_of_another_type_is_refused)
{
    header_accepted(SLICE("{\"alg\":\"HS256\"}"));
    header_accepted(SLICE("{\"alg\":\"HS256\",\"typ\":\"jwt\"}"));
    header_accepted(SLICE("{\"alg\":\"HS256\",\"typ\":\"at+JWT\"}"));
    header_accepted(SLICE("{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\"}"));
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":\"JOSE\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":\"\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":\"application/\"}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":null}"), FLAW_MALFORMED);
    header_refused_as(SLICE("{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}"), FLAW_MALFORMED);
}
END_TEST

/* --- three parts -------------------------------------------------------------------------------
 */

START_TEST(a_token_has_exactly_three_parts)
{
    static const struct slice texts[] = {
        { "", 0 },       { ".", 1 },      { "..", 2 },        { "...", 3 },     { "a", 1 },
        { "a.b", 3 },    { "a..c", 4 },   { ".b.c", 4 },      { "a.b.c.d", 7 }, { "a.b.c.d.e", 9 },
        { "a.b.c.", 6 }, { ".a.b.c", 6 }, { "\0.\0.\0.", 6 },
    };
    struct keyring *ring = ring_of_secret("", SECRET);
    for (size_t i = 0; i < LENGTH(texts); i++) {
        refused_as(ring, texts[i], FLAW_MALFORMED);
        ck_assert(!jws_resembles(texts[i]));
    }
    ck_assert(jws_resembles(SLICE("a.b.")));
    ck_assert(jws_resembles(SLICE("eyJ.b-_.9")));
    ck_assert(!jws_resembles(SLICE("eyJ.b.c=")));
    ck_assert(!jws_resembles(SLICE("www.example com.x")));
    keyring_free(ring);
}
END_TEST

/* 21 bytes of header are 28 characters, 6,089 of claims 8,119, and a signature 43. */
START_TEST(a_token_may_have_8192_bytes)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    struct slice header = SLICE("{\"alg\":\"HS256\"}      ");
    struct buf claims = BUF_EMPTY;
    buf_puts(&claims, "{\"a\":\"");
    while (claims.len < 6087)
        buf_putc(&claims, 'x');
    buf_puts(&claims, "\"}");
    struct buf token = hmac_token(header, buf_slice(&claims));
    ck_assert_uint_eq(token.len, JWS_MAX);
    accepted(ring, buf_slice(&token), buf_slice(&claims));

    buf_putc(&claims, ' ');
    struct buf longer = hmac_token(header, buf_slice(&claims));
    ck_assert_uint_gt(longer.len, JWS_MAX);
    refused_as(ring, buf_slice(&longer), FLAW_TOO_LARGE);
    buf_fini(&longer);
    buf_fini(&token);
    buf_fini(&claims);
    keyring_free(ring);
}
END_TEST

START_TEST(a_token_cut_anywhere_is_refused)
{
    struct evp_pkey_st *pkey = signer_ec("P-256");
    struct keyring *ring = ring_of_secret("", SECRET);
    add_pkey(ring, "", "ES256", pkey);
    struct buf tokens[] = { hmac_token(HS256, CLAIMS), pkey_token(pkey, "{\"alg\":\"ES256\"}") };
    for (size_t t = 0; t < LENGTH(tokens); t++) {
        struct slice whole = buf_slice(&tokens[t]);
        accepted(ring, whole, CLAIMS);
        for (size_t len = 0; len < whole.len; len++) {
            struct buf payload = BUF_EMPTY;
            struct refusal refusal = { .flaw = FLAW_NONE };
            struct page head = page_of((struct slice){ whole.at, len });
            struct page tail = page_of((struct slice){ whole.at + whole.len - len, len });
            ck_assert_int_eq(jws_verify(ring, head.bytes, &payload, &refusal), RC_DENIED);
            ck_assert(refusal.flaw == FLAW_MALFORMED || refusal.flaw == FLAW_SIGNATURE);
            ck_assert_int_eq(jws_verify(ring, tail.bytes, &payload, NULL), RC_DENIED);
            ck_assert_uint_eq(payload.len, 0);
            page_fini(&head);
            page_fini(&tail);
            buf_fini(&payload);
        }
        buf_fini(&tokens[t]);
    }
    signer_fini(pkey);
    keyring_free(ring);
}
END_TEST

START_TEST(no_bit_of_a_token_may_change)
{
    struct evp_pkey_st *pkeys[] = { signer_ed25519(), signer_ec("P-256"), signer_rsa(2048) };
    static const char *const algorithms[] = { "EdDSA", "ES256", "RS256" };
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf tokens[1 + LENGTH(pkeys)] = { hmac_token(HS256, CLAIMS) };
    for (size_t i = 0; i < LENGTH(pkeys); i++) {
        char header[32];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algorithms[i]);
        add_pkey(ring, "", algorithms[i], pkeys[i]);
        tokens[1 + i] = pkey_token(pkeys[i], header);
        signer_fini(pkeys[i]);
    }
    for (size_t t = 0; t < LENGTH(tokens); t++) {
        accepted(ring, buf_slice(&tokens[t]), CLAIMS);
        for (size_t i = 0; i < tokens[t].len; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                struct buf payload = BUF_EMPTY;
                char kept = tokens[t].at[i];
                tokens[t].at[i] = (char)(kept ^ (1 << bit));
                ck_assert_msg(jws_verify(ring, buf_slice(&tokens[t]), &payload, NULL) == RC_DENIED,
                              "token %zu, byte %zu, bit %u", t, i, bit);
                tokens[t].at[i] = kept;
                buf_fini(&payload);
            }
        }
        accepted(ring, buf_slice(&tokens[t]), CLAIMS);
        buf_fini(&tokens[t]);
    }
    keyring_free(ring);
}
END_TEST

/* Put text into the token at a place. */
static void inserted_is_refused(const struct keyring *ring, struct slice token, size_t at,
                                struct slice text)
{
    struct buf changed = BUF_EMPTY, payload = BUF_EMPTY;
    buf_put(&changed, (struct slice){ token.at, at });
    buf_put(&changed, text);
    buf_put(&changed, (struct slice){ token.at + at, token.len - at });
    ck_assert_int_eq(jws_verify(ring, buf_slice(&changed), &payload, NULL), RC_DENIED);
    ck_assert_uint_eq(payload.len, 0);
    buf_fini(&changed);
    buf_fini(&payload);
}

START_TEST(nothing_may_be_put_between_or_behind)
{
    static const struct slice texts[] = {
        { "=", 1 },  { "==", 2 }, { " ", 1 },    { "\n", 1 },       { "\r\n", 2 },
        { "\t", 1 }, { "\0", 1 }, { "+", 1 },    { "/", 1 },        { "%3D", 3 },
        { ".", 1 },  { "A", 1 },  { "AAAA", 4 }, { "\xC2\xA0", 2 },
    };
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(HS256, CLAIMS);
    for (size_t i = 0; i < LENGTH(texts); i++)
        for (size_t at = 0; at <= token.len; at++)
            inserted_is_refused(ring, buf_slice(&token), at, texts[i]);
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

/* 32 bytes are 43 characters of which the last has two bits to spare: "k" is right, "l" is not. */
START_TEST(a_token_can_be_written_in_one_way_only)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(HS256, CLAIMS);
    char *last = &token.at[token.len - 1];
    size_t right = (size_t)(strchr(digits, *last) - digits);
    ck_assert_uint_eq(right % 4, 0);
    for (size_t spare = 1; spare < 4; spare++) {
        *last = digits[right + spare];
        refused_as(ring, buf_slice(&token), FLAW_MALFORMED);
    }
    *last = digits[right];
    accepted(ring, buf_slice(&token), CLAIMS);
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

START_TEST(claims_need_not_be_ours_to_be_signed)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(HS256, SLICE("\0\xFF"));
    accepted(ring, buf_slice(&token), SLICE("\0\xFF"));
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

/* --- ES256 -------------------------------------------------------------------------------------
 */

static struct buf token_of_signature(struct slice header, struct slice signature)
{
    struct buf token = BUF_EMPTY;
    mint_unsigned(&token, header, CLAIMS);
    buf_putc(&token, '.');
    mint_base64url(&token, signature);
    return token;
}

START_TEST(an_es256_signature_in_der_is_refused)
{
    struct evp_pkey_st *pkey = signer_ec("P-256");
    struct keyring *ring = keyring_new();
    struct slice header = SLICE("{\"alg\":\"ES256\"}");
    struct buf text = BUF_EMPTY, der = BUF_EMPTY;
    add_pkey(ring, "", "ES256", pkey);
    mint_unsigned(&text, header, CLAIMS);
    signer_sign(&der, pkey, buf_slice(&text), true);
    struct buf token = token_of_signature(header, buf_slice(&der));
    refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
    buf_fini(&token);
    buf_fini(&text);
    buf_fini(&der);
    signer_fini(pkey);
    keyring_free(ring);
}
END_TEST

/* CVE-2022-21449 was a verifier to which r = s = 0 was always right. */
START_TEST(an_es256_signature_of_zeros_or_of_the_order_is_refused)
{
    static const char order[] = "\xFF\xFF\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                                "\xBC\xE6\xFA\xAD\xA7\x17\x9E\x84\xF3\xB9\xCA\xC2\xFC\x63\x25\x51";
    struct evp_pkey_st *pkey = signer_ec("P-256");
    struct keyring *ring = keyring_new();
    struct slice header = SLICE("{\"alg\":\"ES256\"}");
    char zero[32] = { 0 }, one[32] = { [31] = 1 }, ones[32];
    const char *const values[] = { zero, one, ones, order };
    memset(ones, 0xFF, sizeof ones);
    add_pkey(ring, "", "ES256", pkey);
    for (size_t i = 0; i < LENGTH(values) * LENGTH(values); i++) {
        char both[64];
        memcpy(both, values[i / LENGTH(values)], 32);
        memcpy(both + 32, values[i % LENGTH(values)], 32);
        struct buf token = token_of_signature(header, (struct slice){ both, sizeof both });
        refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
        buf_fini(&token);
    }
    signer_fini(pkey);
    keyring_free(ring);
}
END_TEST

/* What is right may not be followed by more. */
START_TEST(nothing_may_follow_a_signature)
{
    static const char *const algorithms[] = { "EdDSA", "ES256", "RS256" };
    struct evp_pkey_st *pkeys[] = { signer_ed25519(), signer_ec("P-256"), signer_rsa(2048) };
    struct keyring *ring = keyring_new();
    for (size_t i = 0; i < LENGTH(pkeys); i++) {
        char header[32];
        struct buf text = BUF_EMPTY, signature = BUF_EMPTY;
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algorithms[i]);
        add_pkey(ring, "", algorithms[i], pkeys[i]);
        mint_unsigned(&text, slice_of(header), CLAIMS);
        signer_sign(&signature, pkeys[i], buf_slice(&text), false);
        for (size_t more = 0; more < 4; more++) {
            struct buf token = token_of_signature(slice_of(header), buf_slice(&signature));
            if (more == 0)
                accepted(ring, buf_slice(&token), CLAIMS);
            else
                refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
            buf_putc(&signature, '\0');
            buf_fini(&token);
        }
        buf_fini(&text);
        buf_fini(&signature);
        signer_fini(pkeys[i]);
    }
    keyring_free(ring);
}
END_TEST

START_TEST(a_signature_of_another_length_is_refused)
{
    static const char *const algorithms[] = { "EdDSA", "ES256", "RS256" };
    struct evp_pkey_st *pkeys[] = { signer_ed25519(), signer_ec("P-256"), signer_rsa(2048) };
    struct keyring *ring = ring_of_secret("", SECRET);
    char bytes[300] = { 0 };
    for (size_t i = 0; i < LENGTH(pkeys); i++) {
        add_pkey(ring, "", algorithms[i], pkeys[i]);
        signer_fini(pkeys[i]);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        static const struct slice headers[] = {
            { "{\"alg\":\"HS256\"}", 15 },
            { "{\"alg\":\"EdDSA\"}", 15 },
            { "{\"alg\":\"ES256\"}", 15 },
            { "{\"alg\":\"RS256\"}", 15 },
        };
        for (size_t i = 0; i < LENGTH(headers); i++) {
            struct buf token = token_of_signature(headers[i], (struct slice){ bytes, len });
            refused_as(ring, buf_slice(&token), FLAW_SIGNATURE);
            buf_fini(&token);
        }
    }
    keyring_free(ring);
}
END_TEST

START_TEST(without_a_key_nothing_is_accepted)
{
    struct keyring *ring = keyring_new();
    struct buf token = hmac_token(HS256, CLAIMS);
    refused_as(ring, buf_slice(&token), FLAW_ALGORITHM);
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

/* Neither the token, nor its kid, nor the secret. */
START_TEST(a_reason_repeats_nothing_of_the_token)
{
    struct keyring *ring = ring_of_secret("a", SECRET);
    static const char *const headers[] = {
        "{\"alg\":\"LEAK\"}",
        "{\"alg\":\"HS256\",\"kid\":\"LEAK\"}",
        "{\"alg\":\"HS256\",\"typ\":\"LEAK\"}",
        "{\"alg\":\"HS256\",\"kid\":LEAK}",
        "{\"alg\":\"HS256\",\"LEAK\":1,\"LEAK\":1}",
        "LEAK",
    };
    for (size_t i = 0; i < LENGTH(headers); i++) {
        struct refusal refusal = { .flaw = FLAW_NONE };
        struct buf payload = BUF_EMPTY;
        struct buf token = hmac_token(slice_of(headers[i]), CLAIMS);
        ck_assert_int_eq(jws_verify(ring, buf_slice(&token), &payload, &refusal), RC_DENIED);
        ck_assert_ptr_null(strstr(refusal.why, "LEAK"));
        ck_assert_ptr_null(strstr(refusal.why, "0123456789"));
        buf_fini(&payload);
        buf_fini(&token);
    }
    keyring_free(ring);
}
END_TEST

START_TEST(memory_may_run_out)
{
    struct keyring *ring = ring_of_secret("", SECRET);
    struct buf token = hmac_token(HS256, CLAIMS);
    MEMORY_SCRIPT(nth)
    {
        struct refusal refusal = { .flaw = FLAW_NONE };
        struct buf payload = BUF_EMPTY;
        enum rc rc = jws_verify(ring, buf_slice(&token), &payload, &refusal);
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        ck_assert_int_eq(refusal.flaw, memory_failed() ? FLAW_NOMEM : FLAW_NONE);
        buf_fini(&payload);
    }
    buf_fini(&token);
    keyring_free(ring);
}
END_TEST

SUITE(jws)
{
    tcase_add_test(tc, rfc_7515_appendix_a1_is_accepted);
    tcase_add_test(tc, rfc_7515_appendix_a2_is_accepted);
    tcase_add_test(tc, rfc_7515_appendix_a3_is_accepted);
    tcase_add_test(tc, rfc_7515_appendix_a5_which_nobody_signed_is_refused);
    tcase_add_test(tc, rfc_8037_appendix_a4_is_accepted);
    tcase_add_test(tc, every_kind_of_key_signs_and_is_understood);
    tcase_add_test(tc, nothing_is_accepted_unsigned_however_none_is_spelt);
    tcase_add_test(tc, a_public_key_is_never_a_secret);
    tcase_add_test(tc, a_key_that_comes_with_the_token_is_not_trusted);
    tcase_add_test(tc, keys_are_told_apart_by_their_kid);
    tcase_add_test(tc, among_many_keys_a_token_must_name_its_own);
    tcase_add_test(tc, a_kid_is_a_name_and_nothing_else);
    tcase_add_test(tc, a_very_long_kid_is_no_name_of_a_key);
    tcase_add_test(tc, a_kid_must_be_a_string);
    tcase_add_test(tc, a_header_is_one_object_with_each_member_once);
    tcase_add_test(tc, a_header_nested_too_deeply_is_refused);
    tcase_add_test(tc, what_would_change_the_meaning_is_refused);
    tcase_add_test(tc, a_token_of_another_type_is_refused);
    tcase_add_test(tc, a_token_has_exactly_three_parts);
    tcase_add_test(tc, a_token_may_have_8192_bytes);
    tcase_add_test(tc, a_token_cut_anywhere_is_refused);
    tcase_add_test(tc, no_bit_of_a_token_may_change);
    tcase_add_test(tc, nothing_may_be_put_between_or_behind);
    tcase_add_test(tc, a_token_can_be_written_in_one_way_only);
    tcase_add_test(tc, claims_need_not_be_ours_to_be_signed);
    tcase_add_test(tc, an_es256_signature_in_der_is_refused);
    tcase_add_test(tc, an_es256_signature_of_zeros_or_of_the_order_is_refused);
    tcase_add_test(tc, nothing_may_follow_a_signature);
    tcase_add_test(tc, a_signature_of_another_length_is_refused);
    tcase_add_test(tc, without_a_key_nothing_is_accepted);
    tcase_add_test(tc, a_reason_repeats_nothing_of_the_token);
    tcase_add_test(tc, memory_may_run_out);
}
