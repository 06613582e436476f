/*
 * load.h - the publishers and subscribers of a run: processes of their own, so that they go on
 * while faults are made, each writing its record (records.h).
 *
 *      publisher P     one process each: transactions of every sort, chosen by seed: one event,
 *                      many, bulk, rolled back, with savepoints, long open, large, JSON, bytes,
 *                      REPEATABLE READ, watched tables, plain NOTIFY on a recorded channel, and
 *                      POST /publish with an Idempotency-Key, repeated until the outcome is known
 *      subscribers     one process for all: /events (raw and JSON), /stream, long-poll and plain
 *                      polling behind every front; some steady, some leaving and coming back,
 *                      some sleeping for seconds; each goes on from its cursor
 *
 * Both survive everything: a lost connection, a refused one, 503, a cut reply.  They wait as they
 * are told (retry, Retry-After), at most a second, and come back.
 */
#ifndef TESTS_FAULTS_LOAD_H
#define TESTS_FAULTS_LOAD_H

#include "core/buf.h"

/* The topics of a run, and the recorded channel, which is a topic too. */
enum { LOAD_TOPICS = 12 };
extern const char *const load_topics[LOAD_TOPICS];
#define LOAD_CHANNEL "notes"

struct load_front {
    const char *name;
    int port;
    bool sockets; /* WebSockets, too */
};

struct load_spec {
    uint64_t seed;
    const char *folder; /* of the records; exists */
    const char *dsn;    /* of an ordinary publisher; a pooler's or the server's own */
    const char *key;    /* publish_key of the workers */
    const struct load_front *fronts;
    size_t n_fronts;
    int publishers, subscribers; /* 0: as many as usual (6 and 40) */
    bool no_notify, no_http;     /* leave these kinds out */
};

struct load;

/* Make the tables `faults.ledger`, `faults.truth`, `faults.goods` (watched) and the trigger on the
   log, in a database with Bellpush's schema loaded.  Once for each database. */
void load_prepare(const char *dsn);

/* Start all of it; gives.  Everybody runs; it may take a moment until all are connected. */
struct load *load_start(const struct load_spec *) MUST_USE;

struct load_progress {
    int64_t transactions, committed, failed; /* of publishers */
    int64_t sightings, connects, refusals, gaps;
    int subscribers, open; /* open: has an open reply or polls happily right now */
};
void load_look(const struct load *, struct load_progress *);

/* Wait until that many more transactions have been committed, and until each subscriber has seen
   something more; false: not within ms. */
bool load_flows(struct load *, int64_t commits, int64_t ms) MUST_USE;

/*
 * Publishers stop; the last events are committed, one on each topic, and subscribers run until each
 * has seen those it must, ms at most; then everybody ends and truth and ledger are written down.
 * dsn: the server as it is to be found now.  Frees.
 */
void load_finish(struct load *, const char *dsn, int64_t ms);

/* End all of it now, without records.  NULL: nothing happens. */
void load_free(struct load *);

#endif
