/*
 * claims.c - from what a token claims to rights.
 *
 * Whose token it is for and by is judged before its times, so that a token that was never meant
 * for us is not called expired.  Words of the token are not repeated in reasons; times are.
 */
#include "core/claims.h"
#include "core/conf.h"
#include "core/strict.h"

#include <math.h>
#include <stdlib.h>

#define YEAR_9999_S INT64_C(253402300800)
#define US_PER_S    INT64_C(1000000)

struct reading {
    const struct claims_policy *policy;
    const json_t *claims;
    struct refusal *refusal;
    struct rights_fields fields;
    struct slice filters[VERB__COUNT][RIGHTS_FILTERS_MAX];
    char *payload; /* owned */
};

static enum rc malformed(struct reading *r, const char *what)
{
    return refusal_set(r->refusal, FLAW_MALFORMED, "its claims are malformed: %s", what);
}

/* --- times ----------------------------------------------------------------------------------- */

/* RFC 7519 section 2, NumericDate: seconds since 1970, perhaps a fraction.  Absent: *present. */
static enum rc read_date(struct reading *r, const char *name, int64_t *out_us, bool *present)
{
    const json_t *value = json_object_get(r->claims, name);
    char why[64];
    *present = value != NULL;
    *out_us = 0;
    if (!value)
        return RC_OK;
    double s = json_number_value(value); /* of no number: 0 */
    if (!json_is_number(value) || !isfinite(s) || s < 0 || s >= (double)YEAR_9999_S) {
        snprintf(why, sizeof why, "%s is not a time in seconds since 1970", name);
        return malformed(r, why);
    }
    *out_us = json_is_integer(value) ? (int64_t)json_integer_value(value) * US_PER_S
                                     : (int64_t)floor(s * (double)US_PER_S);
    return RC_OK;
}

/* "5 minutes", "1 hour": how far two moments are apart, for a person. */
static const char *span(int64_t us, char out[32])
{
    static const struct {
        int64_t s;
        const char *name;
    } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
    int64_t s = us / US_PER_S;
    size_t i = 0;
    while (i + 1 < LENGTH(units) && s < units[i].s)
        i++;
    int64_t n = s / units[i].s;
    snprintf(out, 32, "%lld %s%s", (long long)n, units[i].name, n == 1 ? "" : "s");
    return out;
}

static enum rc judge_expiry(struct reading *r)
{
    const struct claims_policy *p = r->policy;
    char ago[32];
    bool present;
    int64_t at;
    enum rc rc = read_date(r, "exp", &at, &present);
    if (rc != RC_OK)
        return rc;
    if (!present && !p->may_last_forever)
        return refusal_set(r->refusal, FLAW_NO_EXPIRY,
                           "it never expires (no exp), which is not allowed");
    if (!present)
        return RC_OK;
    r->fields.expires_us = at + p->leeway_s * US_PER_S;
    if (p->now_us >= r->fields.expires_us)
        return refusal_set(r->refusal, FLAW_EXPIRED, "expired %s ago", span(p->now_us - at, ago));
    return RC_OK;
}

/* nbf and iat: neither may lie ahead. */
static enum rc judge_beginning(struct reading *r, const char *name, const char *what,
                               int64_t *out_us)
{
    const struct claims_policy *p = r->policy;
    char ahead[32];
    bool present;
    enum rc rc = read_date(r, name, out_us, &present);
    if (rc != RC_OK || !present || *out_us <= p->now_us + p->leeway_s * US_PER_S)
        return rc;
    return refusal_set(r->refusal, FLAW_EARLY, "%s %s", what, span(*out_us - p->now_us, ahead));
}

static enum rc judge_times(struct reading *r)
{
    int64_t not_before_us;
    enum rc rc = judge_expiry(r);
    if (rc == RC_OK)
        rc = judge_beginning(r, "nbf", "not valid (nbf) for another", &not_before_us);
    if (rc == RC_OK)
        rc = judge_beginning(r, "iat", "issued (iat) in the future, by", &r->fields.issued_us);
    return rc;
}

/* --- by whom, for whom ----------------------------------------------------------------------- */

static enum rc judge_issuer(struct reading *r)
{
    const struct conf_list *issuers = r->policy->issuers;
    if (!strict_string(r->claims, "iss", &r->fields.issuer))
        return malformed(r, "iss is not a string");
    if (!issuers || issuers->n == 0)
        return RC_OK;
    if (!r->fields.issuer.at)
        return refusal_set(r->refusal, FLAW_ISSUER, "it does not say by whom it was issued (iss)");
    for (size_t i = 0; i < issuers->n; i++)
        if (slice_is(r->fields.issuer, slice_of(issuers->at[i])))
            return RC_OK;
    return refusal_set(r->refusal, FLAW_ISSUER, "issued (iss) by somebody who is not trusted here");
}

/* A string, or an array of strings; *meant: is ours among them? */
static bool read_audience(const json_t *value, struct slice ours, bool *meant)
{
    *meant = false;
    if (!json_is_array(value)) {
        *meant =
            json_is_string(value) &&
            slice_is(ours, (struct slice){ json_string_value(value), json_string_length(value) });
        return json_is_string(value);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        bool this_one;
        if (json_is_array(json_array_get(value, i)) ||
            !read_audience(json_array_get(value, i), ours, &this_one))
            return false;
        *meant = *meant || this_one;
    }
    return true;
}

/* RFC 7519 section 4.1.3: who is not named in an `aud` that is there must refuse. */
static enum rc judge_audience(struct reading *r)
{
    struct slice ours = slice_of(r->policy->audience);
    const json_t *value = json_object_get(r->claims, "aud");
    bool meant = false;
    if (value && !read_audience(value, ours, &meant))
        return malformed(r, "aud is neither a string nor an array of strings");
    if (!value && ours.len > 0)
        return refusal_set(r->refusal, FLAW_AUDIENCE, "it does not say for whom it is (aud)");
    if (value && ours.len == 0)
        return refusal_set(r->refusal, FLAW_AUDIENCE,
                           "it is for an audience (aud), and this server has no name as one");
    if (value && !meant)
        return refusal_set(r->refusal, FLAW_AUDIENCE, "it is for another audience (aud)");
    return RC_OK;
}

/* --- what it grants -------------------------------------------------------------------------- */

static enum rc read_filters(struct reading *r, const json_t *grant, const char *name,
                            enum verb verb)
{
    const json_t *list = json_object_get(grant, name);
    char why[96];
    snprintf(why, sizeof why, "bellpush.%s is not an array of strings", name);
    if (!list)
        return RC_OK;
    if (!json_is_array(list))
        return malformed(r, why);
    size_t n = json_array_size(list);
    if (n > RIGHTS_FILTERS_MAX)
        return refusal_set(r->refusal, FLAW_TOO_LARGE, "it has more than %d filters in bellpush.%s",
                           RIGHTS_FILTERS_MAX, name);
    for (size_t i = 0; i < n; i++) {
        const json_t *filter = json_array_get(list, i);
        if (!json_is_string(filter))
            return malformed(r, why);
        r->filters[verb][i] =
            (struct slice){ json_string_value(filter), json_string_length(filter) };
    }
    r->fields.filters[verb].at = r->filters[verb];
    r->fields.filters[verb].n = n;
    return RC_OK;
}

static enum rc read_payload(struct reading *r, const json_t *grant)
{
    const json_t *payload = json_object_get(grant, "payload");
    if (!payload)
        return RC_OK;
    if (!json_is_object(payload))
        return malformed(r, "bellpush.payload is not an object");
    r->payload = json_dumps(payload, JSON_COMPACT);
    if (!r->payload)
        return refusal_set(r->refusal, FLAW_NOMEM, "out of memory");
    r->fields.payload = slice_of(r->payload);
    return RC_OK;
}

static enum rc read_grant(struct reading *r)
{
    const json_t *grant = json_object_get(r->claims, "bellpush");
    if (!grant)
        return RC_OK;
    if (!json_is_object(grant))
        return malformed(r, "bellpush is not an object");
    enum rc rc = read_filters(r, grant, "subscribe", VERB_SUBSCRIBE);
    if (rc == RC_OK)
        rc = read_filters(r, grant, "publish", VERB_PUBLISH);
    if (rc == RC_OK)
        rc = read_payload(r, grant);
    return rc;
}

static enum rc read_names(struct reading *r)
{
    if (!strict_string(r->claims, "sub", &r->fields.subject))
        return malformed(r, "sub is not a string");
    if (!strict_string(r->claims, "jti", &r->fields.token_id))
        return malformed(r, "jti is not a string");
    return RC_OK;
}

/* --- all of it ------------------------------------------------------------------------------- */

static enum rc make(struct reading *r, struct rights **out)
{
    const char *why;
    enum rc rc = rights_new(&r->fields, out, &why);
    if (rc == RC_NOMEM)
        return refusal_set(r->refusal, FLAW_NOMEM, "%s", why);
    if (rc == RC_LIMIT)
        return refusal_set(r->refusal, FLAW_TOO_LARGE, "%s", why);
    return rc == RC_OK ? RC_OK : malformed(r, why);
}

enum rc claims_read(const struct claims_policy *policy, struct slice json, struct rights **out,
                    struct refusal *refusal)
{
    static enum rc (*const steps[])(struct reading *) = {
        judge_issuer, judge_audience, judge_times, read_names, read_grant,
    };
    const char *why;
    json_t *root;
    enum rc rc = strict_read(json, CLAIMS_DEPTH_MAX, &root, &why);
    if (rc == RC_NOMEM)
        return refusal_set(refusal, FLAW_NOMEM, "%s", why);
    if (rc != RC_OK)
        return refusal_set(refusal, rc == RC_LIMIT ? FLAW_TOO_LARGE : FLAW_MALFORMED,
                           "what it claims %s", why);

    struct reading r = { .policy = policy, .claims = root, .refusal = refusal };
    for (size_t i = 0; i < LENGTH(steps) && rc == RC_OK; i++)
        rc = steps[i](&r);
    if (rc == RC_OK)
        rc = make(&r, out);
    free(r.payload);
    json_decref(root);
    return rc;
}
