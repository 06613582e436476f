/*
 * key.c - HS256 and Ed25519 by libsodium, P-256 and RSA by libcrypto.
 *
 * Whatever libcrypto dislikes is "bad": nobody outside learns more, and its queue of errors, which
 * libpq reads too, is left empty.
 */
#include "core/key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>

enum { P256_BYTES = 32, ES256_DER_MAX = 72 };

static const char *const names[ALGORITHM__COUNT] = {
    [ALGORITHM_HS256] = "HS256",
    [ALGORITHM_EDDSA] = "EdDSA",
    [ALGORITHM_ES256] = "ES256",
    [ALGORITHM_RS256] = "RS256",
};

enum algorithm algorithm_of(struct slice name)
{
    size_t i = 0;
    while (i < ALGORITHM__COUNT && !slice_is(name, slice_of(names[i])))
        i++;
    return (enum algorithm)i;
}

const char *algorithm_name(enum algorithm algorithm)
{
    return names[algorithm];
}

static enum rc wrong(const char **why, const char *reason)
{
    *why = reason;
    return RC_SYNTAX;
}

static enum rc no_memory(const char **why)
{
    *why = "out of memory";
    return RC_NOMEM;
}

/* --- secrets and Ed25519 points -------------------------------------------------------------- */

static bool begins(struct slice s, struct slice with)
{
    return s.len >= with.len && memcmp(s.at, with.at, with.len) == 0;
}

static enum rc take_secret(struct key *key, struct slice secret, const char **why)
{
    if (secret.len < KEY_SECRET_MIN)
        return wrong(why,
                     "an HS256 secret needs at least 32 bytes: head -c 32 /dev/urandom | base64");
    if (secret.len > KEY_SECRET_MAX)
        return wrong(why, "an HS256 secret may not be longer than 4096 bytes");
    if (begins(secret, SLICE("-----BEGIN ")))
        return wrong(why, "this is no secret: what everybody may read must not sign (HS256)");
    unsigned char *copy = malloc(secret.len);
    if (!copy)
        return no_memory(why);
    memcpy(copy, secret.at, secret.len);
    key->algorithm = ALGORITHM_HS256;
    key->secret.at = copy;
    key->secret.len = secret.len;
    return RC_OK;
}

/* libsodium knows points of small order, for which anybody can sign, and those of no subgroup. */
static enum rc take_point(struct key *key, const unsigned char *point, const char **why)
{
    if (!crypto_core_ed25519_is_valid_point(point))
        return wrong(why, "these 32 bytes are no Ed25519 public key");
    key->algorithm = ALGORITHM_EDDSA;
    memcpy(key->point, point, sizeof key->point);
    return RC_OK;
}

/* --- public keys of libcrypto ---------------------------------------------------------------- */

static enum rc check_p256(EVP_PKEY *pkey, const char **why)
{
    char group[32] = "";
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC ||
        !EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) ||
        strcmp(group, SN_X9_62_prime256v1) != 0)
        return wrong(why, "an ES256 key is a point on the curve P-256");
    return RC_OK;
}

static enum rc check_rsa(EVP_PKEY *pkey, const char **why)
{
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
        return wrong(why, "an RS256 key is an RSA key");
    if (EVP_PKEY_get_bits(pkey) < KEY_RSA_MIN)
        return wrong(why, "an RSA key needs at least 2048 bits");
    if (EVP_PKEY_get_bits(pkey) > KEY_RSA_MAX)
        return wrong(why, "an RSA key may not have more than 8192 bits");
    return RC_OK;
}

/* libcrypto's own look: on the curve; a modulus that can be one, an odd exponent above 1. */
static enum rc check_sound(EVP_PKEY *pkey, const char **why)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    if (!context)
        return no_memory(why);
    int sound = EVP_PKEY_public_check(context);
    EVP_PKEY_CTX_free(context);
    return sound == 1 ? RC_OK : wrong(why, "its numbers make no public key");
}

/* Takes pkey. */
static enum rc take_pkey(struct key *key, enum algorithm algorithm, EVP_PKEY *pkey,
                         const char **why)
{
    enum rc rc = algorithm == ALGORITHM_ES256 ? check_p256(pkey, why) : check_rsa(pkey, why);
    if (rc == RC_OK)
        rc = check_sound(pkey, why);
    if (rc == RC_OK) {
        key->algorithm = algorithm;
        key->pkey = pkey;
    } else {
        EVP_PKEY_free(pkey);
    }
    ERR_clear_error();
    return rc;
}

static EVP_PKEY *pkey_of_pem(struct slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return pkey;
}

static EVP_PKEY *pkey_of_der(struct slice der)
{
    const unsigned char *at = (const unsigned char *)der.at;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)der.len);
    if (pkey && at != (const unsigned char *)der.at + der.len) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static enum rc take_ed25519(struct key *key, EVP_PKEY *pkey, const char **why)
{
    unsigned char point[32];
    size_t len = sizeof point;
    enum rc rc = RC_SYNTAX;
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519 &&
        EVP_PKEY_get_raw_public_key(pkey, point, &len) == 1 && len == sizeof point)
        rc = take_point(key, point, why);
    else
        *why = "an EdDSA key is an Ed25519 public key";
    EVP_PKEY_free(pkey);
    return rc;
}

static enum rc take_public(struct key *key, enum algorithm algorithm, struct slice material,
                           const char **why)
{
    bool pem = begins(material, SLICE("-----BEGIN "));
    if (pem && memmem(material.at, material.len, "PRIVATE KEY", 11))
        return wrong(why, "this is a private key: only its public half belongs here");
    if (material.len > KEY_SECRET_MAX)
        return wrong(why, "a public key may not be longer than 4096 bytes");
    EVP_PKEY *pkey = pem ? pkey_of_pem(material) : pkey_of_der(material);
    ERR_clear_error();
    if (!pkey)
        return wrong(why, "this is no public key in PEM or DER (openssl pkey -pubout)");
    if (algorithm == ALGORITHM_EDDSA)
        return take_ed25519(key, pkey, why);
    return take_pkey(key, algorithm, pkey, why);
}

enum rc key_from_material(struct key *key, enum algorithm algorithm, struct slice material,
                          const char **why)
{
    if (algorithm == ALGORITHM_HS256)
        return take_secret(key, material, why);
    if (algorithm == ALGORITHM_EDDSA && material.len == sizeof key->point)
        return take_point(key, (const unsigned char *)material.at, why);
    return take_public(key, algorithm, material, why);
}

/* NULL: these numbers are none, or no memory. */
static EVP_PKEY *pkey_of_numbers(const char *type, OSSL_PARAM *numbers)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, numbers) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

enum rc key_from_coordinates(struct key *key, struct slice x, struct slice y, const char **why)
{
    unsigned char point[1 + 2 * P256_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
    char group[] = SN_X9_62_prime256v1;
    if (x.len != P256_BYTES || y.len != P256_BYTES)
        return wrong(why, "x and y of a P-256 key have 32 bytes each");
    memcpy(point + 1, x.at, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.at, P256_BYTES);
    OSSL_PARAM numbers[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *pkey = pkey_of_numbers("EC", numbers);
    ERR_clear_error();
    if (!pkey)
        return wrong(why, "x and y are no point on the curve P-256");
    return take_pkey(key, ALGORITHM_ES256, pkey, why);
}

enum rc key_from_modulus(struct key *key, struct slice n, struct slice e, const char **why)
{
    if (n.len == 0 || n.len > KEY_RSA_MAX / 8 + 1 || e.len == 0 || e.len > 8)
        return wrong(why, "an RSA key has n of 2048 to 8192 bits and a small e");
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *numbers = NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.at, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.at, (int)e.len, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (modulus && exponent && build && OSSL_PARAM_BLD_push_BN(build, "n", modulus) &&
        OSSL_PARAM_BLD_push_BN(build, "e", exponent))
        numbers = OSSL_PARAM_BLD_to_param(build);
    if (numbers)
        pkey = pkey_of_numbers("RSA", numbers);
    OSSL_PARAM_free(numbers);
    OSSL_PARAM_BLD_free(build);
    BN_free(exponent);
    BN_free(modulus);
    ERR_clear_error();
    if (!pkey)
        return wrong(why, "n and e make no RSA key");
    return take_pkey(key, ALGORITHM_RS256, pkey, why);
}

void key_fini(struct key *key)
{
    if (key->secret.at)
        sodium_memzero(key->secret.at, key->secret.len);
    free(key->secret.at);
    EVP_PKEY_free(key->pkey);
    free(key->kid);
    sodium_memzero(key, sizeof *key);
}

/* --- signatures ------------------------------------------------------------------------------ */

static enum verdict verify_hmac(const struct key *key, struct slice bytes, struct slice signature)
{
    crypto_auth_hmacsha256_state state;
    unsigned char right[crypto_auth_hmacsha256_BYTES];
    if (signature.len != sizeof right)
        return VERDICT_BAD; /* everybody knows how long it is */
    crypto_auth_hmacsha256_init(&state, key->secret.at, key->secret.len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)bytes.at, bytes.len);
    crypto_auth_hmacsha256_final(&state, right);
    bool same = sodium_memcmp(right, signature.at, sizeof right) == 0;
    sodium_memzero(&state, sizeof state);
    sodium_memzero(right, sizeof right);
    return same ? VERDICT_GOOD : VERDICT_BAD;
}

static enum verdict verify_ed25519(const struct key *key, struct slice bytes,
                                   struct slice signature)
{
    if (signature.len != crypto_sign_BYTES)
        return VERDICT_BAD;
    int bad = crypto_sign_verify_detached((const unsigned char *)signature.at,
                                          (const unsigned char *)bytes.at, bytes.len, key->point);
    return bad ? VERDICT_BAD : VERDICT_GOOD;
}

static enum verdict verify_pkey(const struct key *key, struct slice bytes, struct slice signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return VERDICT_NOMEM;
    bool good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.len,
                                 (const unsigned char *)bytes.at, bytes.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good ? VERDICT_GOOD : VERDICT_BAD;
}

/* r||s, as tokens have it, to the DER that libcrypto reads.  0: no memory. */
static size_t ecdsa_der(struct slice raw, unsigned char der[ES256_DER_MAX])
{
    const unsigned char *at = (const unsigned char *)raw.at;
    ECDSA_SIG *both = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, P256_BYTES, NULL), *s = BN_bin2bn(at + P256_BYTES, P256_BYTES, NULL);
    int len = 0;
    if (both && r && s && ECDSA_SIG_set0(both, r, s)) {
        r = s = NULL; /* belong to the pair now */
        len = i2d_ECDSA_SIG(both, &der);
    }
    BN_free(s);
    BN_free(r);
    ECDSA_SIG_free(both);
    return len > 0 ? (size_t)len : 0;
}

static enum verdict verify_p256(const struct key *key, struct slice bytes, struct slice signature)
{
    unsigned char der[ES256_DER_MAX];
    if (signature.len != 2 * P256_BYTES)
        return VERDICT_BAD; /* also the DER form, which is not what a token has */
    size_t len = ecdsa_der(signature, der);
    if (len == 0)
        return VERDICT_NOMEM;
    return verify_pkey(key, bytes, (struct slice){ (const char *)der, len });
}

enum verdict key_verify(const struct key *key, struct slice bytes, struct slice signature)
{
    switch (key->algorithm) {
    case ALGORITHM_HS256:
        return verify_hmac(key, bytes, signature);
    case ALGORITHM_EDDSA:
        return verify_ed25519(key, bytes, signature);
    case ALGORITHM_ES256:
        return verify_p256(key, bytes, signature);
    case ALGORITHM_RS256:
        return verify_pkey(key, bytes, signature);
    case ALGORITHM__COUNT:
        break;
    }
    return VERDICT_NO_KEY;
}
