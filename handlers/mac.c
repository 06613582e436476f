/*
 * mac.c - HMAC: SHA-256 and SHA-512 by libsodium; SHA-1 and SHA-384, which it has not, by
 * libcrypto.
 *
 * SHA-1 is broken where somebody can choose two messages; HMAC with SHA-1 is not (RFC 6151 says so
 * even of MD5), and Twilio and older WebSub hubs know nothing else.
 */
#include "handlers/mac.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

static const struct {
    const char *name;
    size_t bytes;
} macs[MAC__COUNT] = {
    [MAC_SHA1] = { "sha1", 20 },
    [MAC_SHA256] = { "sha256", 32 },
    [MAC_SHA384] = { "sha384", 48 },
    [MAC_SHA512] = { "sha512", 64 },
};

enum mac mac_of(struct slice name)
{
    size_t i = 0;
    while (i < MAC__COUNT && !slice_is(name, slice_of(macs[i].name)))
        i++;
    return (enum mac)i;
}

size_t mac_bytes(enum mac mac)
{
    return macs[mac].bytes;
}

static const unsigned char *bytes_of(struct slice s)
{
    return (const unsigned char *)(s.at ? s.at : "");
}

static void make_sha256(struct slice secret, const struct slice *pieces, size_t n,
                        unsigned char *out)
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, bytes_of(secret), secret.len);
    for (size_t i = 0; i < n; i++)
        crypto_auth_hmacsha256_update(&state, bytes_of(pieces[i]), pieces[i].len);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

static void make_sha512(struct slice secret, const struct slice *pieces, size_t n,
                        unsigned char *out)
{
    crypto_auth_hmacsha512_state state;

    crypto_auth_hmacsha512_init(&state, bytes_of(secret), secret.len);
    for (size_t i = 0; i < n; i++)
        crypto_auth_hmacsha512_update(&state, bytes_of(pieces[i]), pieces[i].len);
    crypto_auth_hmacsha512_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

static enum rc make_evp(enum mac mac, struct slice secret, const struct slice *pieces, size_t n,
                        unsigned char *out)
{
    char digest[8];
    size_t len = 0;
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    memcpy(digest, macs[mac].name, strlen(macs[mac].name) + 1);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end() };
    bool good = context && EVP_MAC_init(context, bytes_of(secret), secret.len, params) == 1;
    for (size_t i = 0; good && i < n; i++)
        good = EVP_MAC_update(context, bytes_of(pieces[i]), pieces[i].len) == 1;
    good = good && EVP_MAC_final(context, out, &len, MAC_MAX) == 1 && len == macs[mac].bytes;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(hmac);
    ERR_clear_error(); /* libpq reads the same queue */
    return good ? RC_OK : RC_NOMEM;
}

enum rc mac_make(enum mac mac, struct slice secret, const struct slice *pieces, size_t n,
                 unsigned char out[MAC_MAX])
{
    switch (mac) {
    case MAC_SHA256:
        make_sha256(secret, pieces, n, out);
        return RC_OK;
    case MAC_SHA512:
        make_sha512(secret, pieces, n, out);
        return RC_OK;
    case MAC_SHA1:
    case MAC_SHA384:
    case MAC__COUNT:
        break;
    }
    return make_evp(mac, secret, pieces, n, out);
}
