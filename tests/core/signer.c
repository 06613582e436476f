#include "tests/core/signer.h"

#include <check.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/mint.h"

EVP_PKEY *signer_ed25519(void)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

EVP_PKEY *signer_ec(const char *curve)
{
    EVP_PKEY *pkey = EVP_EC_gen(curve);
    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

EVP_PKEY *signer_rsa(unsigned bits)
{
    EVP_PKEY *pkey = EVP_RSA_gen(bits);
    ck_assert_ptr_nonnull(pkey);
    return pkey;
}

void signer_fini(EVP_PKEY *pkey)
{
    EVP_PKEY_free(pkey);
}

/* --- signatures ------------------------------------------------------------------------------ */

/* DER to r||s of as many bytes each as the curve's field has. */
static size_t raw_ecdsa(unsigned char *bytes, size_t len, int field_bytes)
{
    const unsigned char *at = bytes;
    ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &at, (long)len);
    ck_assert_ptr_nonnull(both);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(both), bytes, field_bytes), field_bytes);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(both), bytes + field_bytes, field_bytes),
                     field_bytes);
    ECDSA_SIG_free(both);
    return 2 * (size_t)field_bytes;
}

void signer_sign(struct buf *out, EVP_PKEY *pkey, struct slice bytes, bool der)
{
    unsigned char signature[1024];
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool edwards = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519;
    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, edwards ? NULL : EVP_sha256(), NULL, pkey),
                     1);
    ck_assert_int_eq(
        EVP_DigestSign(context, signature, &len, (const unsigned char *)bytes.at, bytes.len), 1);
    EVP_MD_CTX_free(context);
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC && !der)
        len = raw_ecdsa(signature, len, (EVP_PKEY_get_bits(pkey) + 7) / 8);
    buf_put(out, (struct slice){ (const char *)signature, len });
}

void signer_token(struct buf *out, EVP_PKEY *pkey, struct slice header, struct slice claims)
{
    struct buf signature = BUF_EMPTY;
    size_t before = out->len;
    mint_unsigned(out, header, claims);
    signer_sign(&signature, pkey, (struct slice){ out->at + before, out->len - before }, false);
    buf_putc(out, '.');
    mint_base64url(out, buf_slice(&signature));
    buf_fini(&signature);
}

/* --- halves ---------------------------------------------------------------------------------- */

static void put_bio(struct buf *out, BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    buf_put(out, (struct slice){ at, (size_t)len });
    BIO_free(bio);
}

void signer_pem(struct buf *out, EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    put_bio(out, bio);
}

void signer_der(struct buf *out, EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(i2d_PUBKEY_bio(bio, pkey), 1);
    put_bio(out, bio);
}

void signer_private_pem(struct buf *out, EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    put_bio(out, bio);
}

static void put_member(struct buf *out, const char *name, const unsigned char *at, int len)
{
    buf_printf(out, ",\"%s\":\"", name);
    mint_base64url(out, (struct slice){ (const char *)at, (size_t)len });
    buf_putc(out, '"');
}

/* width 0: as short as it can be. */
static void put_number(struct buf *out, EVP_PKEY *pkey, const char *name, const char *number,
                       int width)
{
    unsigned char bytes[1024];
    BIGNUM *bn = NULL;
    ck_assert_int_eq(EVP_PKEY_get_bn_param(pkey, number, &bn), 1);
    if (width == 0)
        width = BN_num_bytes(bn);
    ck_assert_int_eq(BN_bn2binpad(bn, bytes, width), width);
    put_member(out, name, bytes, width);
    BN_free(bn);
}

void signer_jwk(struct buf *out, EVP_PKEY *pkey, const char *members)
{
    unsigned char point[32];
    size_t len = sizeof point;
    int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
    buf_printf(out, "{%s", members);
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_ED25519:
        ck_assert_int_eq(EVP_PKEY_get_raw_public_key(pkey, point, &len), 1);
        buf_puts(out, "\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
        put_member(out, "x", point, (int)len);
        break;
    case EVP_PKEY_EC:
        buf_printf(out, "\"kty\":\"EC\",\"crv\":\"P-%d\"", EVP_PKEY_get_bits(pkey));
        put_number(out, pkey, "x", OSSL_PKEY_PARAM_EC_PUB_X, width);
        put_number(out, pkey, "y", OSSL_PKEY_PARAM_EC_PUB_Y, width);
        break;
    default:
        buf_puts(out, "\"kty\":\"RSA\"");
        put_number(out, pkey, "n", OSSL_PKEY_PARAM_RSA_N, 0);
        put_number(out, pkey, "e", OSSL_PKEY_PARAM_RSA_E, 0);
    }
    buf_putc(out, '}');
}
