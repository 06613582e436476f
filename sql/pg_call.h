/*
 * pg_call.h - one question from core/source.h: its parameters, and its answer understood.
 *
 * Knows neither connections nor queues: pg_pool.c moves it about.
 */
#ifndef SQL_PG_CALL_H
#define SQL_PG_CALL_H

#include "core/source.h"
#include "sql/pg_conn.h"

enum pg_call_kind {
    PG_PUBLISH,
    PG_REPLAY,
    PG_LOCATE,
    PG_NOTIFY,
    PG_MAY,
    PG_HOOK,
    PG_PRESENCE,
    PG_WHO,
};

struct source_call {
    /* the pool's */
    struct source_call *next, **link; /* in one of its queues; link NULL: in none */
    struct pg_pool *pool;
    uint64_t taken_ms; /* asked */
    uint64_t since_ms; /* waiting for a connection since */
    unsigned tries;
    bool cancelled; /* nobody wants the answer */
    bool failed;
    bool refused; /* failed: the database does not take the input */
    enum rc rc;   /* failed: why */
    char why[PG_WHY_MAX];
    /* the question */
    enum pg_call_kind kind;
    bool has_key;
    bool uncertain; /* a publish that left, and whose answer never came */
    const char *sql;
    struct pg_param params[11];
    size_t n;
    size_t bytes;  /* of memory, roughly */
    int64_t after; /* replay */
    size_t drafts; /* publish */
    size_t names;  /* may */
    struct pg_array arrays[10];
    struct buf text;
    char numbers[6][8];
    union {
        published_fn *published;
        replayed_fn *replayed;
        located_fn *located;
        answered_fn *answered;
        hooked_fn *hooked;
        changed_fn *changed;
        called_fn *called;
    } fn;
    void *arg;
};

/* Each copies; gives.  NULL: no memory. */
struct source_call *pg_call_publish(const struct draft *, size_t n, struct slice key) MUST_USE;
struct source_call *pg_call_replay(int64_t after, const struct slice *filters, size_t n) MUST_USE;
struct source_call *pg_call_locate(int64_t time_us) MUST_USE;
struct source_call *pg_call_may(struct slice who, enum verb, const struct slice *names,
                                size_t n) MUST_USE;
struct source_call *pg_call_hook(struct slice name) MUST_USE;
struct source_call *pg_call_presence(const char *worker, const struct changes *) MUST_USE;
struct source_call *pg_call_who(struct slice topic, struct slice after, size_t most) MUST_USE;
/* NOTIFY channel: a probe; has no callback. */
struct source_call *pg_call_notify(const char *channel) MUST_USE;
void pg_call_free(struct source_call *);

/* Call its callback back with the answer, or with a failure; then free it. */
void pg_call_answer(struct source_call *, const PGresult *, const char *epoch);
void pg_call_fail(struct source_call *, enum rc, const char *why);

#endif
