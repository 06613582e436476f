/*
 * gate.c - who may hear and who may ring.
 *
 * Secrets are compared as hashes of fixed size: neither the place of the first wrong byte nor the
 * length shows in the time it takes.
 */
#include "core/gate.h"
#include "core/conf.h"
#include "core/text.h"
#include "core/topic.h"

#include <sodium.h>

static bool same_secret(struct slice a, struct slice b)
{
    unsigned char ha[crypto_generichash_BYTES], hb[crypto_generichash_BYTES];
    crypto_generichash(ha, sizeof ha, (const unsigned char *)a.at, a.len, NULL, 0);
    crypto_generichash(hb, sizeof hb, (const unsigned char *)b.at, b.len, NULL, 0);
    bool same = sodium_memcmp(ha, hb, sizeof ha) == 0;
    sodium_memzero(ha, sizeof ha);
    sodium_memzero(hb, sizeof hb);
    return same;
}

enum credential gate_identify(const struct conf *conf, struct slice authorization, struct who *out)
{
    *out = (struct who){ .has_key = false };
    while (authorization.len > 0 && authorization.at[0] == ' ') {
        authorization.at++;
        authorization.len--;
    }
    size_t scheme = 0;
    while (scheme < authorization.len && authorization.at[scheme] != ' ')
        scheme++;
    if (!slice_is_nocase((struct slice){ authorization.at, scheme }, SLICE("Bearer")))
        return CREDENTIAL_NONE;

    struct slice token = { authorization.at + scheme, authorization.len - scheme };
    while (token.len > 0 && token.at[0] == ' ') {
        token.at++;
        token.len--;
    }
    while (token.len > 0 && token.at[token.len - 1] == ' ')
        token.len--;
    struct slice key = slice_of(conf->publish_key);
    if (key.len == 0 || token.len == 0 || !same_secret(token, key))
        return CREDENTIAL_BAD;
    out->has_key = true;
    return CREDENTIAL_GOOD;
}

enum rc gate_may(const struct conf *conf, const struct who *who, struct slice name, enum verb verb)
{
    if (verb == VERB_PUBLISH) {
        bool may = who->has_key && slice_of(conf->publish_key).len > 0;
        return may && name.len > 0 && name.at[0] != '$' ? RC_OK : RC_DENIED;
    }
    for (size_t i = 0; i < conf->closed.n; i++)
        if (filter_covers(slice_of(conf->closed.at[i]), name))
            return RC_DENIED;
    return RC_OK;
}

bool gate_doubts(const struct conf *conf, const struct who *who, struct slice filter)
{
    for (size_t i = 0; i < conf->closed.n; i++)
        if (filters_overlap(slice_of(conf->closed.at[i]), filter))
            return true;
    return false;
}

bool gate_may_hear(const struct conf *conf, const struct who *who, const struct event *event)
{
    const struct event_fields *f = event_fields(event);
    if (f->flags & EVENT_PRIVATE)
        return false;
    for (size_t i = 0; i < conf->closed.n; i++)
        if (topic_matches(slice_of(conf->closed.at[i]), f->topic))
            return false;
    return true;
}
