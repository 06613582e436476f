/*
 * jws.h - a signed token, opened: JWS in compact form (RFC 7515) under the rules of RFC 8725.
 *
 *      eyJhbGciOiJIUzI1NiJ9 . eyJzdWIiOiJhbm5hIn0 . dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
 *      {"alg":"HS256"}        {"sub":"anna"}        HMAC of all that stands before the last dot
 *
 * What the header says about keys is at most a name (`kid`) for one that we have: `jwk`, `jku`,
 * `x5u`, `x5c` are neither trusted nor fetched, they are not looked at.  `crit` and `b64` are
 * refused, for they change the meaning of a token in ways that we do not know.
 */
#ifndef CORE_JWS_H
#define CORE_JWS_H

#include "core/keyring.h"
#include "core/refusal.h"

enum { JWS_MAX = 8192 }; /* bytes of a token */

/* Three parts of base64url between two dots?  (So: is it to be judged as a token at all.) */
bool jws_resembles(struct slice);

/*
 * RC_OK: signed by one of the keys; appends the signed bytes (the claims) to *payload.
 * RC_DENIED: not; the refusal (may be NULL) says why.  RC_NOMEM.  *payload is untouched then.
 */
enum rc jws_verify(const struct keyring *, struct slice token, struct buf *payload,
                   struct refusal *) MUST_USE;

#endif
