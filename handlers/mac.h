/*
 * mac.h - HMAC (RFC 2104) over bytes that lie in pieces.
 */
#ifndef HANDLERS_MAC_H
#define HANDLERS_MAC_H

#include "core/buf.h"

enum mac { MAC_SHA1, MAC_SHA256, MAC_SHA384, MAC_SHA512, MAC__COUNT };
enum { MAC_MAX = 64 };

/* By its name: "sha1", "sha256", "sha384", "sha512".  MAC__COUNT: none of them. */
enum mac mac_of(struct slice name);
size_t mac_bytes(enum mac);

/* The first mac_bytes() of out.  RC_NOMEM. */
enum rc mac_make(enum mac, struct slice secret, const struct slice *pieces, size_t n,
                 unsigned char out[MAC_MAX]) MUST_USE;

#endif
