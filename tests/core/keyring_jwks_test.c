/*
 * keyring_jwks_test.c - JWK Sets.
 */
#include "tests/core/keyring_rig.h"
#include "tests/suite.h"

/* --- JWK Sets ------------------------------------------------------------------------------------
 */

START_TEST(keys_are_read_from_a_jwk_set)
{
    struct evp_pkey_st *rsa = signer_rsa(2048);
    struct buf json = BUF_EMPTY;
    buf_puts(&json, "{\"keys\":[{\"kid\":\"a\"," OCT "},{\"kid\":\"a\"," OKP "},"
                    "{\"kid\":\"b\",\"use\":\"sig\"," EC "},");
    signer_jwk(&json, rsa, "\"kid\":\"c\",\"alg\":\"RS256\",\"x5t\":\"abc\",");
    buf_puts(&json, "],\"other\":1}");
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_OK, "%s", s.errors.at);
    ck_assert_str_eq(s.warnings.at, "");
    ck_assert_uint_eq(keyring_count(s.ring), 4);
    for (enum algorithm a = 0; a < ALGORITHM__COUNT; a++)
        ck_assert_uint_eq(keyring_count_of(s.ring, a), 1);
    said_fini(&s);
    buf_fini(&json);
    signer_fini(rsa);
}
END_TEST

START_TEST(the_algorithm_is_said_or_follows)
{
    taken(OCT, ALGORITHM_HS256);
    taken(OKP, ALGORITHM_EDDSA);
    taken(OKP ",\"alg\":\"EdDSA\"", ALGORITHM_EDDSA);
    taken(EC, ALGORITHM_ES256);
    taken(EC ",\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"verify\"]", ALGORITHM_ES256);
    skipped("\"kty\":\"oct\",\"k\":\"" SECRET64 "\"", "\"alg\":\"HS256\"");
    skipped("\"kty\":\"oct\",\"use\":\"sig\",\"k\":\"" SECRET64 "\"", "\"alg\":\"HS256\"");

    struct evp_pkey_st *rsa = signer_rsa(2048);
    struct buf key = BUF_EMPTY;
    signer_jwk(&key, rsa, "");
    buf_putc(&key, '\0');
    key.at[strlen(key.at) - 1] = '\0'; /* without its braces */
    struct buf with = BUF_EMPTY;
    buf_printf(&with, "%s,\"use\":\"sig\"", key.at + 1);
    buf_putc(&with, '\0');
    skipped(key.at + 1, "\"alg\":\"RS256\" or \"use\":\"sig\"");
    taken(with.at, ALGORITHM_RS256);
    with.len = 0;
    buf_printf(&with, "%s,\"alg\":\"PS256\"", key.at + 1);
    buf_putc(&with, '\0');
    skipped(with.at, "its algorithm (alg)");
    buf_fini(&with);
    buf_fini(&key);
    signer_fini(rsa);
}
END_TEST

START_TEST(keys_for_other_purposes_are_left_out)
{
    skipped(EC ",\"use\":\"enc\"", "(use)");
    skipped(EC ",\"use\":\"SIG\"", "(use)");
    skipped(EC ",\"key_ops\":[\"sign\"]", "(key_ops)");
    skipped(EC ",\"key_ops\":[]", "(key_ops)");
    skipped(EC ",\"alg\":\"ECDH-ES\"", "(alg)");
    skipped(OCT ",\"use\":\"enc\"", "(use)");
    skipped("\"kty\":\"oct\",\"alg\":\"A128KW\",\"k\":\"AAAA\"", "(alg)");
    skipped("\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\"", "(alg)");
    skipped("\"kty\":\"AKP\"", "(kty)");
    skipped("\"kty\":\"ec\"", "(kty)");
    skipped("\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED25519X "\"", "(crv)");
    skipped("\"kty\":\"OKP\",\"crv\":\"Ed448\",\"alg\":\"EdDSA\",\"x\":\"AA\"", "(crv)");
    skipped("\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"", "(crv)");
    skipped("\"kty\":\"EC\",\"crv\":\"P-521\",\"alg\":\"ES512\",\"x\":\"AA\",\"y\":\"AA\"",
            "(alg)");
    skipped("\"kty\":\"EC\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"", "(crv)");
}
END_TEST

START_TEST(a_wrong_key_fails_the_set)
{
    wrong("\"kid\":\"x\"", "(kty)");
    wrong("\"kty\":1", "must be strings");
    wrong(EC ",\"alg\":256", "must be strings");
    wrong(EC ",\"kid\":null", "must be strings");
    wrong(EC ",\"use\":[\"sig\"]", "must be strings");
    wrong(EC ",\"key_ops\":\"verify\"", "key_ops");
    wrong(EC ",\"key_ops\":[1]", "key_ops");
    wrong(EC ",\"kid\":\"a\\nb\"", "control characters");
    wrong(EC ",\"alg\":\"RS256\"", "contradict");
    wrong(EC ",\"alg\":\"HS256\"", "contradict");
    wrong("\"kty\":\"oct\",\"alg\":\"ES256\",\"k\":\"" SECRET64 "\"", "contradict");
    wrong("\"kty\":\"EC\",\"crv\":\"P-384\",\"alg\":\"ES256\",\"x\":\"AA\",\"y\":\"AA\"", "P-256");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\"", "missing");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":1", "missing or no string");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"\"", "at least 32 bytes");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"c2hvcnQ\"", "at least 32 bytes");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "=\"", "base64url");
    wrong("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "\\n\"", "base64url");
    wrong("\"kty\":\"OKP\",\"crv\":\"Ed25519\"", "missing");
    wrong("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"", "32 bytes");
    wrong(
        "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
        "no Ed25519 public key");
    wrong("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"", "missing");
    wrong("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"", "no point");
    wrong("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" EC_Y "\"", "32 bytes");
    wrong("\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\"", "missing");
    wrong("\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"\",\"e\":\"AQAB\"", "RSA key");
}
END_TEST

START_TEST(an_error_names_its_key)
{
    struct said s = jwks("{\"keys\":[{\"kid\":\"2026-11\"," EC ",\"alg\":\"RS256\"}]}");
    ck_assert_str_eq(s.errors.at,
                     "key 0 (kid '2026-11'): its alg and its kty contradict each other\n");
    said_fini(&s);
    s = jwks("{\"keys\":[1]}");
    ck_assert_str_eq(s.errors.at, "key 0: it is not an object\n");
    said_fini(&s);
}
END_TEST

static void rsa_as(struct evp_pkey_st *rsa, const char *words)
{
    struct buf key = BUF_EMPTY;
    signer_jwk(&key, rsa, "\"alg\":\"RS256\",");
    buf_putc(&key, '\0');
    key.at[strlen(key.at) - 1] = '\0';
    if (words)
        wrong(key.at + 1, words);
    else
        taken(key.at + 1, ALGORITHM_RS256);
    buf_fini(&key);
    signer_fini(rsa);
}

START_TEST(an_rsa_key_has_2048_bits_at_least)
{
    rsa_as(signer_rsa(1024), "at least 2048 bits");
    rsa_as(signer_rsa(2040), "at least 2048 bits");
    rsa_as(signer_rsa(2048), NULL);
    rsa_as(signer_rsa(3072), NULL);
}
END_TEST

/* With an exponent of 1 everything is its own signature. */
START_TEST(an_rsa_exponent_is_odd_and_above_1)
{
    static const struct {
        const char *e, *words;
    } cases[] = {
        { "AQAB", NULL },
        { "Aw", NULL },
        { "AQ", "make no" },
        { "AA", "make no" },
        { "Ag", "make no" },
        { "AQAA", "make no" },
        { "AQAAAAAAAAAB", "small e" },
    };
    struct evp_pkey_st *rsa = signer_rsa(2048);
    struct buf jwk = BUF_EMPTY, key = BUF_EMPTY;
    signer_jwk(&jwk, rsa, "\"alg\":\"RS256\",");
    const char *usual = memmem(jwk.at, jwk.len, "AQAB\"}", 6);
    ck_assert_ptr_nonnull(usual);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        key.len = 0;
        buf_printf(&key, "%.*s%s\"", (int)(usual - jwk.at - 1), jwk.at + 1, cases[i].e);
        buf_putc(&key, '\0');
        if (cases[i].words)
            wrong(key.at, cases[i].words);
        else
            taken(key.at, ALGORITHM_RS256);
    }
    buf_fini(&jwk);
    buf_fini(&key);
    signer_fini(rsa);
}
END_TEST

START_TEST(a_private_half_is_told_and_not_taken)
{
    struct said s = jwks("{\"keys\":[{\"kid\":\"a\"," EC ",\"d\":\"AAAA\"}]}");
    ck_assert_int_eq(s.rc, RC_OK);
    ck_assert_uint_eq(keyring_count(s.ring), 1);
    ck_assert_str_eq(s.warnings.at,
                     "key 0 (kid 'a'): holds the private half (d), which is not needed here\n");
    said_fini(&s);
}
END_TEST

START_TEST(a_name_twice_in_a_set_is_refused)
{
    struct said s = jwks("{\"keys\":[{\"kid\":\"a\"," EC "},{\"kid\":\"a\"," EC "}]}");
    ck_assert_int_eq(s.rc, RC_SYNTAX);
    ck_assert_ptr_nonnull(strstr(s.errors.at, "key 1 (kid 'a'): there is a key with this kid"));
    said_fini(&s);
    s = jwks("{\"keys\":[{" EC "},{" EC "}]}");
    ck_assert_int_eq(s.rc, RC_OK);
    ck_assert_uint_eq(keyring_count(s.ring), 2);
    said_fini(&s);
}
END_TEST

START_TEST(a_set_is_an_object_with_keys)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        "{\"keys\":[]",
        "{\"keys\":[],\"keys\":[]}",
        "{" EC "}",
        "{\"keys\":[{" EC ",\"x\":\"" EC_X "\"}]}",
        "-----BEGIN PUBLIC KEY-----",
        "{\"keys\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct said s = jwks(bad[i]);
        ck_assert_msg(s.rc == RC_SYNTAX || s.rc == RC_LIMIT, "%s", bad[i]);
        ck_assert_uint_eq(keyring_count(s.ring), 0);
        said_fini(&s);
    }
    struct said s = jwks("{\"keys\":[]}");
    ck_assert_int_eq(s.rc, RC_OK);
    ck_assert_ptr_nonnull(strstr(s.warnings.at, "no key"));
    said_fini(&s);
}
END_TEST

START_TEST(a_set_has_256_kib_at_most)
{
    struct buf json = BUF_EMPTY;
    buf_puts(&json, "{\"keys\":[{" EC "}]}");
    while (json.len < KEYRING_JWKS_MAX)
        buf_putc(&json, ' ');
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_int_eq(s.rc, RC_OK);
    said_fini(&s);
    buf_putc(&json, ' ');
    s = jwks_slice(buf_slice(&json));
    ck_assert_int_eq(s.rc, RC_LIMIT);
    said_fini(&s);
    buf_fini(&json);
}
END_TEST

START_TEST(a_failed_set_leaves_the_keys_that_were_there)
{
    struct buf errors = BUF_EMPTY, warnings = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    ck_assert_int_eq(keyring_add(ring, SLICE("a"), SLICE("HS256"), SLICE(SECRET), &errors), RC_OK);
    ck_assert_int_eq(keyring_add_jwks(ring, SLICE("{\"keys\":[{" EC "},{\"kid\":\"a\"," OCT "}]}"),
                                      &errors, &warnings),
                     RC_SYNTAX);
    ck_assert_uint_eq(keyring_count(ring), 1);
    ck_assert_uint_eq(keyring_count_of(ring, ALGORITHM_HS256), 1);
    keyring_free(ring);
    buf_fini(&errors);
    buf_fini(&warnings);
}
END_TEST

SUITE(keyring_jwks)
{
    tcase_add_test(tc, keys_are_read_from_a_jwk_set);
    tcase_add_test(tc, the_algorithm_is_said_or_follows);
    tcase_add_test(tc, keys_for_other_purposes_are_left_out);
    tcase_add_test(tc, a_wrong_key_fails_the_set);
    tcase_add_test(tc, an_error_names_its_key);
    tcase_add_test(tc, an_rsa_key_has_2048_bits_at_least);
    tcase_add_test(tc, an_rsa_exponent_is_odd_and_above_1);
    tcase_add_test(tc, a_private_half_is_told_and_not_taken);
    tcase_add_test(tc, a_name_twice_in_a_set_is_refused);
    tcase_add_test(tc, a_set_is_an_object_with_keys);
    tcase_add_test(tc, a_set_has_256_kib_at_most);
    tcase_add_test(tc, a_failed_set_leaves_the_keys_that_were_there);
}
