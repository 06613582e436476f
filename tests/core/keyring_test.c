#include "core/keyring.h"
#include "tests/core/memory.h"
#include "tests/core/signer.h"
#include "tests/mint.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdlib.h>

#define SECRET   "0123456789abcdef0123456789abcdef"
#define SECRET64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" /* the same in base64url */
#define ED25519X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_X     "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y     "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OCT      "\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" SECRET64 "\""
#define OKP      "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED25519X "\""
#define EC       "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""

/* --- helpers --------------------------------------------------------------------------------- */

struct said {
    enum rc rc;
    struct buf errors, warnings;
    struct keyring *ring;
};

static struct said jwks_slice(struct slice json)
{
    struct said s = { .errors = BUF_EMPTY, .warnings = BUF_EMPTY, .ring = keyring_new() };
    struct page page = page_of(json);
    s.rc = keyring_add_jwks(s.ring, page.bytes, &s.errors, &s.warnings);
    buf_putc(&s.errors, '\0');
    buf_putc(&s.warnings, '\0');
    ck_assert((s.rc == RC_OK) == (*s.errors.at == '\0'));
    page_fini(&page);
    return s;
}

static struct said jwks(const char *json)
{
    return jwks_slice(slice_of(json));
}

static void said_fini(struct said *s)
{
    keyring_free(s->ring);
    buf_fini(&s->errors);
    buf_fini(&s->warnings);
}

/* A set of one key: refused with these words. */
static void wrong(const char *key, const char *words)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s},{%s}]}", OKP, key);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_SYNTAX, "accepted: %s (%s)", key, s.warnings.at);
    ck_assert_msg(strstr(s.errors.at, words), "%s: %s", key, s.errors.at);
    ck_assert_msg(strncmp(s.errors.at, "key 1", 5) == 0, "%s", s.errors.at);
    ck_assert_uint_eq(keyring_count(s.ring), 0); /* not half of it, either */
    said_fini(&s);
    buf_fini(&json);
}

/* A set of one key: left out, and these words in a warning. */
static void skipped(const char *key, const char *words)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s},{%s}]}", key, OKP);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_OK, "%s: %s", key, s.errors.at);
    ck_assert_msg(strstr(s.warnings.at, words), "%s: %s", key, s.warnings.at);
    ck_assert_uint_eq(keyring_count(s.ring), 1);
    said_fini(&s);
    buf_fini(&json);
}

static void taken(const char *key, enum algorithm algorithm)
{
    struct buf json = BUF_EMPTY;
    buf_printf(&json, "{\"keys\":[{%s}]}", key);
    struct said s = jwks_slice(buf_slice(&json));
    ck_assert_msg(s.rc == RC_OK, "%s: %s", key, s.errors.at);
    ck_assert_str_eq(s.warnings.at, "");
    ck_assert_uint_eq(keyring_count(s.ring), 1);
    ck_assert_uint_eq(keyring_count_of(s.ring, algorithm), 1);
    said_fini(&s);
    buf_fini(&json);
}

static void add_as(const char *kid, const char *algorithm, struct slice material, enum rc rc,
                   const char *words)
{
    struct buf errors = BUF_EMPTY;
    struct keyring *ring = keyring_new();
    struct page page = page_of(material);
    ck_assert_int_eq(keyring_add(ring, slice_of(kid), slice_of(algorithm), page.bytes, &errors),
                     rc);
    ck_assert_uint_eq(keyring_count(ring), rc == RC_OK);
    buf_putc(&errors, '\0');
    ck_assert_msg(strstr(errors.at, words), "'%s' instead of '%s'", errors.at, words);
    ck_assert((rc == RC_OK) == (*errors.at == '\0'));
    keyring_free(ring);
    buf_fini(&errors);
    page_fini(&page);
}

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
    tcase_add_test(tc, no_memory_is_given_back_with_a_secret_in_it);
    tcase_add_test(tc, memory_may_run_out);
}
