/*
 * claims.h - from what a token claims (RFC 7519) to rights.
 *
 *      {"iss":"shop", "sub":"anna", "aud":"bellpush", "jti":"7f3a", "exp":1795250000,
 *       "bellpush":{"subscribe":["orders/anna/#"], "publish":["chat/+"],
 * "payload":{"name":"Anna"}}}
 *
 * Unknown members are ignored, on top and inside `bellpush`; known ones of a wrong type are
 * refused.
 */
#ifndef CORE_CLAIMS_H
#define CORE_CLAIMS_H

#include "core/refusal.h"
#include "core/rights.h"

struct conf_list;

enum { CLAIMS_LEEWAY_S = 30, CLAIMS_DEPTH_MAX = 32 };

struct claims_policy {
    const struct conf_list *issuers; /* `iss` must be one of them; NULL or none: need not be */
    const char *audience;            /* must be in `aud`; NULL or "": there must be no `aud` */
    bool may_last_forever;           /* `exp` may be missing */
    int64_t leeway_s;                /* for clocks that differ; CLAIMS_LEEWAY_S */
    int64_t now_us;                  /* since 1970 UTC */
};

/*
 * Judge the claims.  RC_OK: *out is one reference to the rights, which may grant nothing at all;
 * their expires_us is `exp` and the leeway, the very moment from which claims_read() would refuse.
 * RC_DENIED: the refusal (may be NULL) says why.  RC_NOMEM.
 */
enum rc claims_read(const struct claims_policy *, struct slice json, struct rights **out,
                    struct refusal *) MUST_USE;

#endif
