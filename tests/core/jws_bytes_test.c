/*
 * jws_bytes_test.c - no byte of a token may be another, be missing, or be too much.
 */
#include <stdio.h>

#include "tests/core/jws_rig.h"
#include "tests/suite.h"

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

SUITE(jws_bytes)
{
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
