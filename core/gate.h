/*
 * gate.h - who may hear and who may ring.
 *
 *      credentials --gate_identify()--> who --gate_may(verb, name)--> yes, no, or: the site can be
 *                                        ^                            asked (handlers/admit.c)
 *                                        '---- gate_add_rights() <--- its answer
 *
 * Every subscription and every publish passes gate_may(); every event whose hearing is in doubt
 * passes gate_may_hear().  The rules:
 *
 *   - Publishing needs the publish key, or rights that cover the topic.  `$`-topics are the
 *     system's own: nobody publishes there.
 *   - Topics are public but for those that a configured `closed` filter covers, which need rights.
 *   - A private event is heard only by who has rights for its topic.
 *   - Who is on a topic (`$presence/TOPIC`) is heard by whoever may hear the topic itself.
 *   - What was presented and is not good is never taken for nothing: its owner believes to be
 *     logged in.
 *
 * Rights come from a token, and from the site's own answer (bellpush.may() in SQL).  Both end:
 * at their time, or when the database says that they are revoked (gate_load).
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include "core/event.h"
#include "core/memo.h"
#include "core/refusal.h"

struct conf;
struct gate; /* opaque: gate.c */
struct log;

/* What a request has proved about its sender.  Zeroed: nothing. */
struct who {
    struct rights *rights; /* one reference; NULL: none */
    bool has_key;          /* presented the publish key */
    bool by_cookie;        /* what a browser sends unasked: another site's page may be behind it */
    bool asked;            /* some of the rights are the site's answer, good for a while */
};

/* Take a second reference to it; let go of one. */
struct who who_ref(const struct who *);
void who_unref(struct who *);

/* --- life ---------------------------------------------------------------------------------- */

/* conf and log: lent for the gate's life.  NULL: no memory, or a key of the configuration is none
   (logged). */
struct gate *gate_new(const struct conf *, const struct log *) MUST_USE;
void gate_free(struct gate *); /* wipes keys; NULL: nothing happens */

/* What the database knows; all of it each time. */
struct gate_entry {
    enum gate_entry_kind {
        GATE_KEY,     /* name: kid; value: secret of HS256; at and until: its time, 0: no end */
        GATE_TOKEN,   /* revoked: the token of this id */
        GATE_SUBJECT, /* revoked: what this subject was given up to at_us */
        GATE_ASK,     /* the site has a function or a table of rights: it can be asked */
    } kind;
    struct slice name, value;
    int64_t at_us, until_us; /* since 1970 UTC */
};

/*
 * From now on this holds; every answer of the site is forgotten.  RC_NOMEM: what held before still
 * holds.  The caller then lets every open reply look at its rights again (server_gate).
 */
enum rc gate_load(struct gate *, const struct gate_entry *, size_t n) MUST_USE;
bool gate_is_loaded(const struct gate *);

/* --- who ------------------------------------------------------------------------------------ */

/* What a request presents; empty: nothing. */
struct credentials {
    struct slice authorization; /* the header */
    struct slice cookies;       /* the header `Cookie` (RFC 6265 section 4.2) */
    struct slice token;         /* of the query, decoded; empty where that is not configured */
};

enum credential {
    CREDENTIAL_NONE,
    CREDENTIAL_GOOD,
    CREDENTIAL_BAD,   /* 401; the refusal says why */
    CREDENTIAL_LATER, /* a token, and keys and revocations are not known yet: after gate_load() */
};

/*
 * Looks at `Authorization: Bearer` (RFC 6750), then at the query's token, then at the configured
 * cookie; the first that is there counts.  Another scheme is nothing: Basic or Digest are the web
 * server's own affair, and browsers repeat them to everything below the page.  GOOD: *out holds a
 * reference.  Constant time where a secret is compared.
 */
enum credential gate_identify(struct gate *, const struct credentials *, struct who *out,
                              struct refusal *);

/* Is it the publish key, and not merely a good token?  (For what only the operator shall see.) */
bool gate_shows_key(const struct gate *, struct slice authorization);

/* Have its rights ended (their time, or revoked since)?  Without rights: no. */
bool gate_has_ended(const struct gate *, const struct who *, struct refusal *why);
/* When its rights end: microseconds since 1970; 0: never, or there are none. */
int64_t gate_ends_us(const struct who *);
/* Milliseconds until then, rounded up; 0: over; -1: never. */
int64_t gate_left_ms(const struct who *);

/* --- may it? -------------------------------------------------------------------------------- */

/* VERB_SUBSCRIBE: name is a filter; VERB_PUBLISH: a topic.  RC_OK or RC_DENIED. */
enum rc gate_may(const struct gate *, const struct who *, enum verb, struct slice name) MUST_USE;

/* Must gate_may_hear() be asked for each event of this filter?  (For private ones always.) */
bool gate_doubts(const struct gate *, const struct who *, struct slice filter);
bool gate_may_hear(const struct gate *, const struct who *, const struct event *);

/* --- the site's answers ------------------------------------------------------------------------
 */

/*
 * Can the site be asked about this request?  It has something to say (GATE_ASK), and somebody to
 * ask about: a subject, or one of the configured session cookies.
 */
bool gate_can_ask(const struct gate *, const struct who *, const struct credentials *);

/* Append who it is, as bellpush.may() wants it: {"subject": …, "payload": …, "cookies": {…},
   "address": …}; only the configured cookies. */
void gate_put_who(const struct gate *, struct buf *out, const struct who *,
                  const struct credentials *, struct slice address);

/* Answers are remembered for `authorize_for`, a bounded number of them (memo.h).  description:
   what gate_put_who() made. */
enum word gate_answer(const struct gate *, struct slice description, enum verb, struct slice name);
void gate_answer_put(struct gate *, struct slice description, enum verb, struct slice name,
                     bool may);
/* How often gate_load() has changed what holds: who asked before the last time asks again. */
uint64_t gate_age(const struct gate *);

/*
 * Add what the site has allowed to the rights, good for `authorize_for` and no longer than they
 * were.  RC_NOMEM; RC_LIMIT: together more than rights can hold.
 */
enum rc gate_add_rights(struct gate *, struct who *, enum verb, const struct slice *names,
                        size_t n) MUST_USE;

#endif
