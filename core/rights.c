/*
 * rights.c - what somebody may do, and until when.
 *
 *      [struct rights][filters to hear][filters to ring][subject][token_id][issuer][payload][text…]
 *
 * One allocation, so that a stream costs its holder a reference and nothing else.
 */
#include "core/rights.h"
#include "core/text.h"
#include "core/topic.h"

#include <stdlib.h>

struct rights {
    struct rights_fields fields;
    uint32_t refs;
    size_t size;
    struct slice filters[]; /* of all verbs, and then the text of everything */
};

/* --- what may become rights ------------------------------------------------------------------ */

/* Also U+0080..U+009F: they are control characters too, and a terminal that shows a log obeys. */
static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        unsigned char next = i + 1 < s.len ? (unsigned char)s.at[i + 1] : 0xFF;
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0))
            return true;
    }
    return false;
}

static enum rc check_words(const struct rights_fields *f, const char **why)
{
    const struct slice words[] = { f->subject, f->token_id, f->issuer };
    for (size_t i = 0; i < LENGTH(words); i++) {
        if (words[i].len > RIGHTS_WORD_MAX) {
            *why = "a subject, token id or issuer may not be longer than 255 bytes";
            return RC_LIMIT;
        }
        if (!utf8_valid(words[i]) || has_controls(words[i])) {
            *why = "a subject, token id or issuer must be UTF-8 without control characters";
            return RC_SYNTAX;
        }
    }
    return RC_OK;
}

static enum rc check_filters(const struct rights_fields *f, const char **why)
{
    for (size_t verb = 0; verb < VERB__COUNT; verb++) {
        if (f->filters[verb].n > RIGHTS_FILTERS_MAX) {
            *why = "there may not be more than 100 filters for each of subscribe and publish";
            return RC_LIMIT;
        }
        for (size_t i = 0; i < f->filters[verb].n; i++) {
            *why = filter_error(f->filters[verb].at[i]);
            if (*why)
                return RC_SYNTAX;
        }
    }
    return RC_OK;
}

static enum rc check(const struct rights_fields *f, const char **why)
{
    enum rc rc = check_words(f, why);
    if (rc == RC_OK)
        rc = check_filters(f, why);
    if (rc == RC_OK && f->payload.len > RIGHTS_PAYLOAD_MAX) {
        *why = "a payload may not be longer than 4096 bytes";
        rc = RC_LIMIT;
    }
    return rc;
}

/* --- made, shared, dropped ------------------------------------------------------------------- */

static struct slice keep(char **end, struct slice s)
{
    struct slice kept = { *end, s.len };
    if (s.len)
        memcpy(*end, s.at, s.len);
    *end += s.len;
    return kept;
}

static size_t size_of(const struct rights_fields *f)
{
    size_t size =
        sizeof(struct rights) + f->subject.len + f->token_id.len + f->issuer.len + f->payload.len;
    for (size_t verb = 0; verb < VERB__COUNT; verb++)
        for (size_t i = 0; i < f->filters[verb].n; i++)
            size += sizeof(struct slice) + f->filters[verb].at[i].len;
    return size;
}

enum rc rights_new(const struct rights_fields *f, struct rights **out, const char **why)
{
    enum rc rc = check(f, why);
    if (rc != RC_OK)
        return rc;
    size_t size = size_of(f);
    struct rights *r = malloc(size);
    if (!r) {
        *why = "out of memory";
        return RC_NOMEM;
    }
    *r = (struct rights){ .fields = *f, .refs = 1, .size = size };

    struct slice *filter = r->filters;
    char *end = (char *)(r->filters + f->filters[VERB_SUBSCRIBE].n + f->filters[VERB_PUBLISH].n);
    for (size_t verb = 0; verb < VERB__COUNT; verb++) {
        r->fields.filters[verb].at = filter;
        for (size_t i = 0; i < f->filters[verb].n; i++)
            *filter++ = keep(&end, f->filters[verb].at[i]);
    }
    r->fields.subject = keep(&end, f->subject);
    r->fields.token_id = keep(&end, f->token_id);
    r->fields.issuer = keep(&end, f->issuer);
    r->fields.payload = keep(&end, f->payload);
    *out = r;
    return RC_OK;
}

struct rights *rights_ref(struct rights *r)
{
    r->refs++;
    return r;
}

void rights_unref(struct rights *r)
{
    if (r && --r->refs == 0)
        free(r);
}

const struct rights_fields *rights_fields(const struct rights *r)
{
    return &r->fields;
}

size_t rights_size(const struct rights *r)
{
    return r->size;
}

/* --- asked ----------------------------------------------------------------------------------- */

static bool any(const struct rights *r, enum verb verb,
                bool (*says_yes)(struct slice, struct slice), struct slice name)
{
    if (!r)
        return false;
    for (size_t i = 0; i < r->fields.filters[verb].n; i++)
        if (says_yes(r->fields.filters[verb].at[i], name))
            return true;
    return false;
}

bool rights_cover(const struct rights *r, enum verb verb, struct slice filter_or_topic)
{
    return any(r, verb, filter_covers, filter_or_topic);
}

bool rights_match(const struct rights *r, enum verb verb, struct slice topic)
{
    return any(r, verb, topic_matches, topic);
}

bool rights_expired(const struct rights *r, int64_t now_us)
{
    return !r || (r->fields.expires_us != 0 && now_us >= r->fields.expires_us);
}
