/*
 * admit.h - who a visitor is, and whether it may: the gate's questions, asked for handlers.
 *
 * An answer may need the database: its keys and revocations, or the site's own word.  Then the
 * request is kept and its handler called again, from the start, once the answer is here; nothing of
 * this is seen by the handler but ADMIT_LATER.
 */
#ifndef HANDLERS_ADMIT_H
#define HANDLERS_ADMIT_H

#include "handlers/visit.h"

enum admission {
    ADMIT_YES,
    ADMIT_NO,    /* the request has been answered: 401, 403 or 503 */
    ADMIT_LATER, /* the request is kept: return, the handler will be called again */
};

/*
 * Fill v->credentials and *v->who from Authorization, the query's access_token (where
 * configured) or the cookie.  token: room for the decoded query's, until serve() returns.
 * What is presented and not good is 401: never taken for nothing.
 */
enum admission admit_identify(struct visit *v, struct buf *token) MUST_USE;

/*
 * May it do this with all of these: filters (VERB_SUBSCRIBE) or topics (VERB_PUBLISH)?  Each is
 * valid.  The site is asked where it can be; v->who gets what it allows.
 */
enum admission admit(const struct visit *v, enum verb, const struct slice *names,
                     size_t n) MUST_USE;

/* The origin as cors_origins lists it, lent; {NULL, 0}: it is not listed. */
struct slice admit_listed_origin(const struct conf *, struct slice origin);

/*
 * A browser sends cookies with whatever any page makes it send.  Does this request come from a page
 * of this host, or of an allowed origin (Origin, or else Referer; RFC 6454, Fetch section 3.2)?
 */
bool admit_same_site(const struct visit *v);

/* Did it show a token in a header or in the address?  Then no page of another site has made it. */
bool admit_is_explicit(const struct visit *v);

#endif
