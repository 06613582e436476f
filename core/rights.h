/*
 * rights.h - what somebody may do, and until when: proved by a token, or said by the site itself.
 *
 * Rights never change after rights_new(), which is why one copy serves all the streams of its
 * holder.  Loop thread only; calls back nowhere.
 */
#ifndef CORE_RIGHTS_H
#define CORE_RIGHTS_H

#include "core/buf.h"

enum verb { VERB_SUBSCRIBE, VERB_PUBLISH, VERB__COUNT };

enum {
    RIGHTS_FILTERS_MAX = 100,  /* per verb */
    RIGHTS_WORD_MAX = 255,     /* bytes of subject, token_id and issuer each */
    RIGHTS_PAYLOAD_MAX = 4096, /* bytes */
};

struct rights; /* opaque: rights.c */

/* What rights are made of; rights_new() copies all of it.  Empty slices: there is none. */
struct rights_fields {
    struct slice subject;  /* who: "sub" */
    struct slice token_id; /* by which it can be revoked: "jti" */
    struct slice issuer;   /* "iss" */
    int64_t issued_us;     /* microseconds since 1970 UTC, like every time here; 0: unknown */
    int64_t expires_us;    /* from then on these are no rights any more; 0: never */
    struct slice payload;  /* JSON text of the site's own */
    struct {
        const struct slice *at;
        size_t n;
    } filters[VERB__COUNT]; /* filter_error() has nothing to say about any */
};

/*
 * Gives one reference.  RC_SYNTAX: a filter is none, or a word is not UTF-8 or has control
 * characters; RC_LIMIT: more or longer than the limits above; RC_NOMEM.  *why then lends the
 * reason, for a person, forever.
 */
enum rc rights_new(const struct rights_fields *, struct rights **out, const char **why) MUST_USE;

/* Take, drop.  rights_unref(NULL) does nothing. */
struct rights *rights_ref(struct rights *);
void rights_unref(struct rights *);

/* Look inside; lent for as long as the caller's reference. */
const struct rights_fields *rights_fields(const struct rights *);

/* Bytes of memory. */
size_t rights_size(const struct rights *);

/*
 * Questions that look at one filter after the other.  None looks at the time: that is
 * rights_expired().  NULL for rights: no, and expired.
 *
 * rights_cover: may all that this filter (or topic) stands for be heard, or rung?  One filter of
 *      the rights must cover it alone: `a/x` and `a/y` together cover neither `a/+` nor each other.
 * rights_match: may this topic be?
 */
bool rights_cover(const struct rights *, enum verb, struct slice filter_or_topic);
bool rights_match(const struct rights *, enum verb, struct slice topic);
bool rights_expired(const struct rights *, int64_t now_us);

#endif
