/*
 * keyring_test.c - one key at a time, and what is left in memory.
 */
#include <stdlib.h>

#include "tests/core/keyring_rig.h"
#include "tests/suite.h"

/* --- one key at a time ----------------------------------------------------------------------- */

START_TEST(algorithms_are_known_by_their_exact_names)
{
    for (enum algorithm a = 0; a < ALGORITHM__COUNT; a++)
        ck_assert_int_eq(algorithm_of(slice_of(algorithm_name(a))), a);
    static const char *const others[] = {
        "", "none", "hs256", "HS384", "HS2566", "EDDSA", "PS256"
    };
    for (size_t i = 0; i < LENGTH(others); i++)
        ck_assert_int_eq(algorithm_of(slice_of(others[i])), ALGORITHM__COUNT);
}
END_TEST

START_TEST(a_secret_has_32_bytes_at_least)
{
    add_as("", "HS256", SLICE(SECRET), RC_OK, "");
    add_as("a", "HS256", SLICE("0123456789abcdef0123456789abcde"), RC_SYNTAX,
           "key 'a': an HS256 secret needs at least 32 bytes");
    add_as("", "HS256", SLICE(""), RC_SYNTAX, "a key without kid: an HS256 secret");
    char long_secret[4097];
    memset(long_secret, 'x', sizeof long_secret);
    add_as("", "HS256", (struct slice){ long_secret, 4096 }, RC_OK, "");
    add_as("", "HS256", (struct slice){ long_secret, 4097 }, RC_SYNTAX, "longer than 4096");
}
END_TEST

START_TEST(what_everybody_may_read_is_no_secret)
{
    struct evp_pkey_st *pkey = signer_rsa(2048);
    struct buf pem = BUF_EMPTY;
    signer_pem(&pem, pkey);
    add_as("", "HS256", buf_slice(&pem), RC_SYNTAX, "no secret");
    buf_fini(&pem);
    signer_fini(pkey);
}
END_TEST

START_TEST(public_keys_come_as_pem_or_der_or_32_bytes)
{
    static const char *const algorithms[] = { "EdDSA", "ES256", "RS256" };
    struct evp_pkey_st *pkeys[] = { signer_ed25519(), signer_ec("P-256"), signer_rsa(2048) };
    for (size_t i = 0; i < LENGTH(pkeys); i++) {
        struct buf pem = BUF_EMPTY, der = BUF_EMPTY;
        signer_pem(&pem, pkeys[i]);
        signer_der(&der, pkeys[i]);
        for (size_t j = 0; j < LENGTH(algorithms); j++) {
            const char *words = i == j ? "" : "key is a";
            if (i != j && j == 0)
                words = "is an Ed25519 public key";
            if (i != j && j == 2)
                words = "is an RSA key";
            add_as("", algorithms[j], buf_slice(&pem), i == j ? RC_OK : RC_SYNTAX, words);
            add_as("", algorithms[j], buf_slice(&der), i == j ? RC_OK : RC_SYNTAX, words);
        }
        for (size_t len = 0; len < der.len; len++)
            if (len != 32 || i > 0)
                add_as("", algorithms[i], (struct slice){ der.at, len }, RC_SYNTAX, "");
        buf_putc(&der, '\0');
        add_as("", algorithms[i], buf_slice(&der), RC_SYNTAX, "PEM or DER");
        if (i == 0)
            add_as("", "EdDSA", (struct slice){ der.at + der.len - 33, 32 }, RC_OK, "");
        buf_fini(&pem);
        buf_fini(&der);
        signer_fini(pkeys[i]);
    }
    add_as("", "ES256", SLICE("-----BEGIN PUBLIC KEY-----\nnonsense"), RC_SYNTAX, "PEM or DER");
}
END_TEST

START_TEST(a_private_key_does_not_belong_here)
{
    struct evp_pkey_st *pkey = signer_ec("P-256");
    struct buf pem = BUF_EMPTY;
    signer_private_pem(&pem, pkey);
    add_as("a", "ES256", buf_slice(&pem), RC_SYNTAX, "key 'a': this is a private key");
    buf_fini(&pem);
    signer_fini(pkey);
}
END_TEST

START_TEST(points_for_which_anybody_can_sign_are_refused)
{
    static const char small[][32] = {
        { 0 },
        { 1 },
        "\xC7\x17\x6A\x70\x3D\x4D\xD8\x4F\xBA\x3C\x0B\x76\x0D\x10\x67\x0F\x2A\x20\x53\xFA\x2C\x39"
        "\xCC\xC6\x4E\xC7\xFD\x77\x92\xAC\x03\x7A",
        "\xEC\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
    };
    for (size_t i = 0; i < LENGTH(small); i++)
        add_as("", "EdDSA", (struct slice){ small[i], 32 }, RC_SYNTAX, "no Ed25519 public key");
}
END_TEST

START_TEST(weak_and_foreign_keys_are_refused)
{
    struct evp_pkey_st *rsa = signer_rsa(1024), *ec = signer_ec("P-384"),
                       *k = signer_ec("secp256k1");
    struct buf pem = BUF_EMPTY;
    signer_pem(&pem, rsa);
    add_as("", "RS256", buf_slice(&pem), RC_SYNTAX, "at least 2048 bits");
    pem.len = 0;
    signer_pem(&pem, ec);
    add_as("", "ES256", buf_slice(&pem), RC_SYNTAX, "P-256");
    pem.len = 0;
    signer_pem(&pem, k); /* 256 bits too, and another curve */
    add_as("", "ES256", buf_slice(&pem), RC_SYNTAX, "P-256");
    buf_fini(&pem);
    signer_fini(rsa);
    signer_fini(ec);
    signer_fini(k);
}
END_TEST

START_TEST(names_of_keys_and_algorithms_are_checked)
{
    char kid[257];
    memset(kid, 'x', sizeof kid);
    kid[256] = '\0';
    add_as(kid, "HS256", SLICE(SECRET), RC_SYNTAX, "longer than 255");
    add_as(kid + 1, "HS256", SLICE(SECRET), RC_OK, "");
    add_as("a\nb", "HS256", SLICE(SECRET), RC_SYNTAX, "control characters");
    add_as("a\xFF", "HS256", SLICE(SECRET), RC_SYNTAX, "UTF-8");
    add_as("a", "none", SLICE(SECRET), RC_SYNTAX, "one of HS256, EdDSA, ES256 and RS256");
    add_as("a", "", SLICE(SECRET), RC_SYNTAX, "one of HS256, EdDSA, ES256 and RS256");
}
END_TEST

START_TEST(a_name_is_given_once_for_each_algorithm)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    struct slice a = SLICE("a"), none = SLICE(""), hmac = SLICE("HS256");
    ck_assert_int_eq(keyring_add(ring, a, hmac, SLICE(SECRET), &errors), RC_OK);
    ck_assert_int_eq(keyring_add(ring, a, hmac, SLICE(SECRET "x"), &errors), RC_SYNTAX);
    buf_putc(&errors, '\0');
    ck_assert_str_eq(errors.at, "key 'a': there is a key with this kid and algorithm already\n");
    ck_assert_int_eq(keyring_add(ring, none, hmac, SLICE(SECRET), &errors), RC_OK);
    ck_assert_int_eq(keyring_add(ring, none, hmac, SLICE(SECRET "x"), &errors), RC_OK);
    ck_assert_uint_eq(keyring_count(ring), 3);
    keyring_free(ring);
    buf_fini(&errors);
}
END_TEST

START_TEST(a_keyring_has_64_keys_at_most)
{
    struct buf errors = BUF_EMPTY, json = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    for (size_t i = 0; i < KEYRING_MAX; i++)
        ck_assert_int_eq(keyring_add(ring, SLICE(""), SLICE("HS256"), SLICE(SECRET), &errors),
                         RC_OK);
    ck_assert_int_eq(keyring_add(ring, SLICE(""), SLICE("HS256"), SLICE(SECRET), &errors),
                     RC_LIMIT);
    ck_assert_uint_gt(errors.len, 0);
    ck_assert_uint_eq(keyring_count(ring), KEYRING_MAX);
    keyring_free(ring);

    buf_puts(&json, "{\"keys\":[{" OKP "}");
    for (size_t i = 1; i <= KEYRING_MAX; i++)
        buf_puts(&json, ",{" OKP "}");
    buf_puts(&json, "]}");
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_int_eq(s.rc, RC_LIMIT);
    ck_assert_uint_eq(keyring_count(s.ring), 0);
    said_fini(&s);
    buf_fini(&json);
    buf_fini(&errors);
}
END_TEST

/* --- secrets -------------------------------------------------------------------------------------
 */

START_TEST(no_memory_is_given_back_with_a_secret_in_it)
{
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    struct keyring *ring = keyring_new();

    memory_watch("memory_watch() itself works", 27);
    char *copy = slice_dup(SLICE("memory_watch() itself works"));
    free(copy);
    ck_assert_uint_eq(memory_leaks_seen(), 1);

    memory_watch(SECRET, 8);
    ck_assert_int_eq(keyring_add(ring, SLICE("a"), SLICE("HS256"), SLICE(SECRET), &errors), RC_OK);
    ck_assert_int_eq(keyring_add(ring, SLICE("a"), SLICE("HS256"), SLICE(SECRET), &errors),
                     RC_SYNTAX);
    keyring_free(ring);
    ck_assert_uint_eq(memory_leaks_seen(), 0);

    static const struct slice sets[] = {
        SLICE("{\"keys\":[{\"kid\":\"b\"," OCT "}]}"),
        SLICE("{\"keys\":[{\"kid\":\"b\"," OCT "},{\"kid\":\"b\"," OCT "}]}"),
        SLICE("{\"keys\":[{\"kid\":\"b\"," OCT "},"),
    };
    for (size_t i = 0; i < 2 * LENGTH(sets); i++) {
        ring = keyring_new();
        memory_watch(i % 2 ? SECRET : SECRET64, 8); /* the bytes, and as they are written */
        ck_assert_int_eq(keyring_add_jwks(ring, sets[i / 2], &errors, &warnings),
                         i / 2 == 0 ? RC_OK : RC_SYNTAX);
        keyring_free(ring);
        ck_assert_msg(memory_leaks_seen() == 0, "set %zu", i);
    }
    ck_assert_ptr_null(memmem(errors.at, errors.len, SECRET, 8));
    ck_assert_ptr_null(memmem(errors.at, errors.len, SECRET64, 8));
    buf_fini(&errors);
    buf_fini(&warnings);
}
END_TEST

START_TEST(memory_may_run_out)
{
    MEMORY_SCRIPT(nth)
    {
        struct buf errors = BUF_EMPTY;
        struct keyring *ring = keyring_new();
        enum rc rc =
            ring ? keyring_add(ring, SLICE("a"), SLICE("HS256"), SLICE(SECRET), &errors) : RC_NOMEM;
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        ck_assert(!ring || keyring_count(ring) == (rc == RC_OK));
        keyring_free(ring);
        buf_fini(&errors);
    }
}
END_TEST

SUITE(keyring)
{
    tcase_add_test(tc, algorithms_are_known_by_their_exact_names);
    tcase_add_test(tc, a_secret_has_32_bytes_at_least);
    tcase_add_test(tc, what_everybody_may_read_is_no_secret);
    tcase_add_test(tc, public_keys_come_as_pem_or_der_or_32_bytes);
    tcase_add_test(tc, a_private_key_does_not_belong_here);
    tcase_add_test(tc, points_for_which_anybody_can_sign_are_refused);
    tcase_add_test(tc, weak_and_foreign_keys_are_refused);
    tcase_add_test(tc, names_of_keys_and_algorithms_are_checked);
    tcase_add_test(tc, a_name_is_given_once_for_each_algorithm);
    tcase_add_test(tc, a_keyring_has_64_keys_at_most);
    tcase_add_test(tc, no_memory_is_given_back_with_a_secret_in_it);
    tcase_add_test(tc, memory_may_run_out);
}
