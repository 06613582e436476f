/*
 * claims_fuzz.c - whatever is claimed: rights are bounded and valid, and end when they say so; a
 * refusal is one clean line.
 */
#include "core/claims.h"
#include "core/conf.h"
#include "core/text.h"
#include "core/topic.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

static void check_rights(const struct rights *r, const struct claims_policy *policy)
{
    const struct rights_fields *f = rights_fields(r);
    must(utf8_valid(f->subject) && f->subject.len <= RIGHTS_WORD_MAX);
    must(utf8_valid(f->token_id) && f->token_id.len <= RIGHTS_WORD_MAX);
    must(utf8_valid(f->issuer) && f->issuer.len <= RIGHTS_WORD_MAX);
    must(f->subject.len == 0 || !memchr(f->subject.at, '\n', f->subject.len));
    must(f->issued_us >= 0 && f->issued_us <= policy->now_us + policy->leeway_s * 1000000);
    must(policy->may_last_forever || f->expires_us > 0);
    must(!rights_expired(r, policy->now_us));
    for (size_t verb = 0; verb < VERB__COUNT; verb++) {
        must(f->filters[verb].n <= RIGHTS_FILTERS_MAX);
        for (size_t i = 0; i < f->filters[verb].n; i++) {
            must(!filter_error(f->filters[verb].at[i]));
            must(rights_cover(r, (enum verb)verb, f->filters[verb].at[i]));
        }
    }
    if (f->payload.len > 0) {
        json_t *payload = json_loadb(f->payload.at, f->payload.len, JSON_REJECT_DUPLICATES, NULL);
        must(json_is_object(payload) && f->payload.len <= RIGHTS_PAYLOAD_MAX);
        json_decref(payload);
    }
}

static void check_refusal(const struct refusal *refusal)
{
    must(refusal->flaw > FLAW_NONE && refusal->flaw < FLAW_REVOKED);
    must(*refusal->why && utf8_valid(slice_of(refusal->why)) && !strchr(refusal->why, '\n'));
}

/* To the microsecond. */
static void check_end(struct claims_policy policy, struct slice json, int64_t expires_us)
{
    struct rights *r = NULL;
    struct refusal refusal;
    policy.now_us = expires_us - 1;
    must(claims_read(&policy, json, &r, NULL) == RC_OK);
    rights_unref(r);
    policy.now_us = expires_us;
    must(claims_read(&policy, json, &r, &refusal) == RC_DENIED && refusal.flaw == FLAW_EXPIRED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char shop[] = "shop", *names[] = { shop };
    static const struct conf_list issuers = { names, 1 };
    const struct claims_policy policies[] = {
        { .now_us = INT64_C(1800000000000000), .leeway_s = CLAIMS_LEEWAY_S },
        { .now_us = INT64_C(1000000000000000),
          .issuers = &issuers,
          .audience = "bellpush",
          .may_last_forever = true },
    };
    struct slice json = exact_copy(data, size);
    for (size_t i = 0; i < LENGTH(policies); i++) {
        struct rights *r = NULL;
        struct refusal refusal;
        enum rc rc = claims_read(&policies[i], json, &r, &refusal);
        must(rc == RC_OK || rc == RC_DENIED);
        if (rc == RC_DENIED) {
            check_refusal(&refusal);
            continue;
        }
        check_rights(r, &policies[i]);
        if (rights_fields(r)->expires_us > 0)
            check_end(policies[i], json, rights_fields(r)->expires_us);
        rights_unref(r);
    }
    free((char *)json.at);
    return 0;
}
