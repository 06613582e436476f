/*
 * mint.h - tokens for tests, made by another hand than the one that checks them.
 */
#ifndef TESTS_MINT_H
#define TESTS_MINT_H

#include <sodium.h>

#include "core/buf.h"

static inline void mint_base64url(struct buf *out, struct slice bytes)
{
    size_t with_nul =
        sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (!buf_reserve(out, with_nul))
        return;
    sodium_bin2base64(out->at + out->len, with_nul,
                      (const unsigned char *)(bytes.at ? bytes.at : ""), bytes.len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    out->len += with_nul - 1;
}

/* Append header.claims, both given as JSON text: what is to be signed. */
static inline void mint_unsigned(struct buf *out, struct slice header, struct slice claims)
{
    mint_base64url(out, header);
    buf_putc(out, '.');
    mint_base64url(out, claims);
}

static inline void mint_hmac(unsigned char mac[crypto_auth_hmacsha256_BYTES], struct slice secret,
                             struct slice bytes)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.at, secret.len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)bytes.at, bytes.len);
    crypto_auth_hmacsha256_final(&state, mac);
}

/* Append a whole token with this header, signed by HMAC-SHA-256, whatever the header says. */
static inline void mint_token(struct buf *out, struct slice header, struct slice claims,
                              struct slice secret)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    size_t before = out->len;
    mint_unsigned(out, header, claims);
    mint_hmac(mac, secret, (struct slice){ out->at + before, out->len - before });
    buf_putc(out, '.');
    mint_base64url(out, (struct slice){ (const char *)mac, sizeof mac });
}

#endif
