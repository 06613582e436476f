/*
 * schema_steps.h - sessions that take their steps one at a time, in every order there is.
 *
 * Each session has a list of statements.  A schedule says whose turn it is; all schedules are
 * played, one after the other, each to its end.  A session is also stopped within its COMMIT, where
 * the plan says so: deferred triggers on the inbox wait for advisory locks that we hold.
 *
 *      gate "a1 before"    COMMIT has begun, event a1 has no number yet
 *      gate "a1 after"     a1 is numbered and in the log, the lock is held, nothing is visible
 *
 * Where a session waits for another one it has no turn until it goes on by itself.  After every
 * step a reader, who remembers one number, reads on.  Events are called by their session's letter
 * (a, b, …).
 */
#ifndef TESTS_SQL_SCHEMA_STEPS_H
#define TESTS_SQL_SCHEMA_STEPS_H

#include <libpq-fe.h>

#include "core/buf.h"

enum { STEPS_SESSIONS = 4, STEPS_MOST = 8 };

/* After which event of its own must another session's commit come, to be ordered before it? */
enum steps_order {
    STEPS_BY_COMMIT,  /* the log keeps the order of commits: the sending of COMMIT */
    STEPS_BY_PUBLISH, /* of cause and effect: the first statement */
};

struct steps_plan {
    const char *const *sessions[STEPS_SESSIONS]; /* statements, NULL-terminated; the last
                                                    ends it; "!…" must fail */
    const char *gates;                           /* "a1 before,a1 after"; NULL: none */
    const char *expected;                        /* all events that must be seen: "a1 a2 b1" */
    enum steps_order order;
    const char *read;   /* SQL with %lld: seq, data; NULL: bellpush.read() */
    const char *before; /* SQL before each schedule; NULL: nothing */
    const char *after;  /* SQL after each, before the last reading; NULL: nothing */
    /* Something else that must hold after each schedule, before `after`: what is wrong, or NULL. */
    const char *(*verify)(PGconn *const *sessions, const char *const *answers, PGconn *control);
};

struct steps_result {
    int schedules;
    int broken;      /* in so many of them the promise did not hold; */
    char first[512]; /* the first of them */
};

/* The gates need triggers in the database of this connection string: put them there. */
void steps_prepare(const char *dsn);

/* Play all schedules, or up to the first that breaks the promise.  An SQL error, or more than 20 s
   without a step, ends the test. */
struct steps_result steps_play(const char *dsn, const struct steps_plan *, bool to_the_end);

#endif
