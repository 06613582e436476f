/*
 * publisher_priv.h - one publisher: who it is, its connection, what it is doing.
 *
 *      publisher.c        connects, begins, commits, tells acks.P what became of it
 *      publisher_sorts.c  what stands between BEGIN and COMMIT: every sort of transaction
 *      publisher_post.c   POST /publish, which has its own transaction elsewhere
 */
#ifndef TESTS_FAULTS_PUBLISHER_PRIV_H
#define TESTS_FAULTS_PUBLISHER_PRIV_H

#include "tests/faults/load_priv.h"

enum outcome { OUTCOME_COMMITTED, OUTCOME_ROLLEDBACK, OUTCOME_UNKNOWN };

struct publisher {
    const struct load_spec *spec;
    struct publisher_count *count;
    uint64_t random;
    int64_t born_us; /* with it keys of two runs differ */
    PGconn *conn;    /* NULL: none */
    bool warned;     /* by the server, since the last question */
    FILE *acks;
    int number, transaction, event; /* the last name that was given */
};

static inline int64_t choose(struct publisher *p, int64_t low, int64_t high)
{
    return random_between(&p->random, low, high);
}

/* The next event of this transaction. */
void publisher_name(struct publisher *, char out[NAME_TEXT_MAX]);
const char *publisher_topic(struct publisher *);

/* Data with the name somewhere in it, and a NUL. */
void publisher_data(struct publisher *, const char *name, struct buf *out);

/* Do nothing for so long; SIGTERM ends it early. */
void publisher_pause(int64_t ms);

/* Ask with parameters, all text; false: an error, or no answer in time (then conn is NULL). */
bool publisher_ask(struct publisher *, const char *sql, int n, const char *const *values) MUST_USE;

struct sort { /* of transactions */
    int weight;
    const char *begin;
    bool rolls_back; /* in the end */
    enum kind kind;
    bool (*fill)(struct publisher *); /* false: it failed */
};
enum { SORTS = 13 };
extern const struct sort sorts[SORTS];

/* Until its outcome is known, or, once told to finish, for a few seconds.  *before_us: of the first
   try; names: "NAME:TOPIC" each behind a tab. */
enum outcome publisher_post(struct publisher *, int64_t *before_us, struct buf *names) MUST_USE;

#endif
