/*
 * jws_test.c - which tokens are accepted, by which key, and with which header.
 */
#include "tests/core/jws_rig.h"
#include "tests/suite.h"

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
}
