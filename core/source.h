/*
 * source.h - where events come from and go to: the database, seen from core.
 *
 * Declared here, defined in sql/pg_source.c; tests link a fake instead - the linker chooses.
 * The source feeds the server through server_epoch(), server_events(), server_state(),
 * server_gate() and presence_known() (see server.h, presence.h); everybody else asks questions with
 * the functions below.
 *
 * Questions are copied, answered by a callback on the loop thread, never from within the asking
 * call.  While the database is away, replays and locates wait for its return; publishes are
 * answered with RC_SOURCE at once, because nobody should believe in a publish that waits.
 */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include "core/event.h"
#include "core/rights.h"

struct server;
struct source;      /* opaque */
struct source_call; /* a question under way; opaque */

/* Start connecting; gives.  NULL: no memory, or the configuration is unusable (logged). */
struct source *source_new(struct server *) MUST_USE;

/* Close everything and free; open calls are cancelled.  done() when no handle of it is left. */
void source_free(struct source *, void (*done)(void *arg), void *arg);

/* The callback will not come.  NULL: nothing happens.  A publish under way still takes place. */
void source_cancel(struct source_call *);

/* --- publish ------------------------------------------------------------------------------- */

struct draft { /* an event that has no number yet */
    struct slice topic, type, content_type, id, data;
    int64_t expires_ms; /* from now; 0: never */
    bool retain, is_private;
    /*
     * An event that says itself which one it is: published once under this key (1 to 255 bytes),
     * whatever comes with it; a repetition must agree in the digest.  All drafts of a publish have
     * one, or none has.
     */
    struct slice once, digest;
};

struct publication { /* what a publish came to */
    enum rc rc;      /* RC_OK committed; RC_SOURCE database away or outcome unknown; RC_SYNTAX or
                        RC_LIMIT: the database refused the input; RC_AGAIN: same idempotency key
                        still under way; RC_DENIED: key already used for another body */
    const char *why; /* for a person; "" when RC_OK */
    const int64_t *seqs; /* in the order of the drafts; NULL in relay mode: numbered soon */
    size_t n;
    bool uncertain; /* RC_SOURCE: the connection broke before the answer, so it may be committed */
    bool repeated;  /* answered from an earlier publish with the same idempotency key */
    const int64_t *repeats; /* drafts with `once`: places of those that were there before; ascending
                             */
    size_t repeat_n;
};
typedef void published_fn(void *arg, const struct publication *);

/*
 * Commit n drafts in one transaction, all or nothing.  key: idempotency key, or empty, as it must
 * be for drafts with `once`.
 * NULL: no memory, or too many publishes wait (the callback does not come).
 */
struct source_call *source_publish(struct source *, const struct draft *, size_t n,
                                   struct slice key, published_fn *, void *arg) MUST_USE;

/* --- the gate -------------------------------------------------------------------------------- */

struct answers {     /* of the site, to "may it?" */
    enum rc rc;      /* RC_OK; RC_SOURCE: away, or the site's own function failed (logged) */
    const bool *may; /* one for each name */
    size_t n;
};
typedef void answered_fn(void *arg, const struct answers *);

/*
 * bellpush.may(who, verb, names): the rights in tables, and the site's own function.  who: JSON.
 * While the database is away it waits for its return.  NULL: no memory, or too many wait.
 */
struct source_call *source_may(struct source *, struct slice who, enum verb,
                               const struct slice *names, size_t n, answered_fn *,
                               void *arg) MUST_USE;

struct hook {   /* a webhook's definition; lent for the callback */
    enum rc rc; /* RC_OK; RC_DENIED: there is none of this name; RC_SOURCE */
    struct slice scheme, topic, type, options; /* options: JSON object */
    const struct slice *secrets;
    size_t n;
};
typedef void hooked_fn(void *arg, const struct hook *);

struct source_call *source_hook(struct source *, struct slice name, hooked_fn *,
                                void *arg) MUST_USE;

/* --- presence -------------------------------------------------------------------------------- */

struct arrival {                    /* a member of this process (core/presence.h) */
    int64_t nr;                     /* ascending */
    struct slice topic, name, data; /* data: JSON text; empty: none */
};

/* What this process's members are, as far as it is news; or, anew, a part of all of them. */
struct changes {
    int64_t turn;  /* one more each time: what comes too late or twice is known by it */
    int64_t known; /* the last one that was answered with RC_OK; 0: none */
    const struct arrival *arrivals;
    size_t n;
    const int64_t *departures; /* by their numbers; unknown ones do no harm */
    size_t departure_n;
    bool anew;           /* these are all there are of the numbers in (after, upto] */
    int64_t after, upto; /* after 0: whatever the database knew of this process may be wrong */
    int64_t topic_max;   /* so many names may be on a topic */
};

struct changed {
    enum rc rc;      /* RC_OK committed; RC_SYNTAX or RC_LIMIT: the database refuses the input,
                        nothing is changed; anything else: it is not known what is */
    const char *why; /* for a person; "" when RC_OK */
    bool lost; /* nothing is changed: the database has forgotten this process; tell all anew */
    const int64_t *full; /* arrivals whose topic has as many as may be */
    size_t n;
};
typedef void changed_fn(void *arg, const struct changed *);

/* One at a time.  While the database is away it waits for its return.  NULL: no memory. */
struct source_call *source_presence(struct source *, const struct changes *, changed_fn *,
                                    void *arg) MUST_USE;

struct present {             /* somebody on a topic, through any process */
    struct slice name, data; /* of who came first; empty: none */
    int64_t since_us;        /* 1970 UTC */
    int64_t sessions;
};

struct roll {   /* who is there, as of one moment of the log */
    enum rc rc; /* RC_OK; RC_LIMIT: too many questions wait; RC_SOURCE */
    const char *epoch;
    int64_t head;                  /* what the log tells after this number is not yet in here */
    const struct present *members; /* by name (its bytes); the first of them */
    size_t n;
    int64_t count; /* how many there are in all */
};
typedef void called_fn(void *arg, const struct roll *);

/* Those behind the name `after`, which need not be there; empty: from the first.  While the database
   is away it waits for its return.  NULL: no memory. */
struct source_call *source_who(struct source *, struct slice topic, struct slice after, size_t most,
                               called_fn *, void *arg) MUST_USE;

/* --- read the past ------------------------------------------------------------------------- */

struct replay {
    enum rc rc; /* RC_OK; RC_LIMIT: too many questions wait; RC_SOURCE: refused, or lost again and
                   again */
    struct event *const *events; /* ascending; lent for the callback: ref what you keep */
    size_t n;
    int64_t upto;      /* every matching event with after < seq <= upto is among them */
    int64_t pruned_to; /* retention's mark, read after the rows: where it has passed `after`, some
                          of them may be missing */
};
typedef void replayed_fn(void *arg, const struct replay *);

/*
 * Matching events after a number, in pages: ask again from upto while more is wanted.  Pages are
 * bounded in count, bytes and rows looked at.  upto > after unless nothing is committed after it.
 */
struct source_call *source_replay(struct source *, int64_t after, const struct slice *filters,
                                  size_t n, replayed_fn *, void *arg) MUST_USE;

struct place {
    enum rc rc;
    const char *epoch;
    int64_t pruned_to; /* everything at or below may be gone */
    int64_t head;      /* number of the newest committed event */
    int64_t seq;       /* number after which the asked time begins; pruned_to <= seq <= head */
};
typedef void located_fn(void *arg, const struct place *);

/* Where in the log was time_us (microseconds since 1970)?  0: its beginning. */
struct source_call *source_locate(struct source *, int64_t time_us, located_fn *,
                                  void *arg) MUST_USE;

/* --- how it stands, for /status ------------------------------------------------------------- */

struct source_view {
    int64_t contact_ms;     /* since the last answer where it listens; -1: none yet */
    size_t open, busy, max; /* connections for questions and publishes */
    bool away;              /* they cannot be had, and why; "" otherwise */
    const char *why;        /* lent until the loop goes on */
    size_t publishes;       /* not yet answered, and since when the oldest of them waits */
    int64_t publish_ms;
    size_t questions; /* the others not yet answered */
};

void source_look(const struct source *, struct source_view *);

#endif
