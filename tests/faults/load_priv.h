/*
 * load_priv.h - what the processes of a load share: their counters, and where the last events of
 * all stand.
 *
 *      load.c ---- fork ---- publisher.c (one process each), publisher_sql.c, publisher_http.c
 *         |  '----- fork ---- subscriber.c (one for all), subscriber_read.c
 *         '-- load_tables.c: all SQL that is not a publisher's
 */
#ifndef TESTS_FAULTS_LOAD_PRIV_H
#define TESTS_FAULTS_LOAD_PRIV_H

#include <libpq-fe.h>
#include <signal.h>
#include <stdatomic.h>

#include "core/cursor.h"
#include "tests/faults/load.h"
#include "tests/faults/random.h"
#include "tests/faults/records.h"

enum { LOAD_PUBLISHERS_MAX = 64, LOAD_SUBSCRIBERS_MAX = 1000 };

/* LOAD_TOPICS and behind them LOAD_CHANNEL, which is published to as well. */
enum { LOAD_TOPICS_ALL = LOAD_TOPICS + 1 };
const char *load_topic(size_t i);

struct publisher_count {
    _Atomic int64_t transactions, committed, failed;
};

struct subscriber_count {
    _Atomic int64_t sightings, connects, refusals, gaps;
    atomic_bool open;
};

/*
 * In memory that parent and children share.  Where the last event of each topic stands in the log
 * is written before subscribers are told to finish, and does not change any more: a subscriber has
 * seen (or was told that it missed) all that it must when its cursor is there.
 */
struct load_shared {
    struct publisher_count publishers[LOAD_PUBLISHERS_MAX];
    struct subscriber_count subscribers[LOAD_SUBSCRIBERS_MAX];
    char last_epoch[EPOCH_MAX + 1];
    int64_t last_seq[LOAD_TOPICS_ALL];
};

/* The processes; each returns when it was told to finish (SIGTERM) and has, within its child. */
void publisher_run(const struct load_spec *, struct load_shared *, int publisher);
void subscribers_run(const struct load_spec *, struct load_shared *);

/* Set by SIGTERM in a child. */
extern volatile sig_atomic_t load_told_to_finish;

/* Append a topic or filter as a value of a query string. */
void load_put_encoded(struct buf *, const char *topic);

/* Our own failure: says so and ends this process, and so, soon, the whole program. */
_Noreturn void load_fail(const char *format, ...) PRINTF(1, 2);

/* ---- load_tables.c ------------------------------------------------------------------------------
 */

#define LOAD_PUBLISHER_NAME "faults-publisher" /* application_name */

/* Empty what a run before has left in the tables. */
void tables_empty(const char *dsn);

/* Wait until nothing that was published is still on its way, commit the last events, write down
   where they stand.  False: they are not in the log within ms. */
bool tables_end(const struct load_spec *, const char *dsn, struct load_shared *,
                int64_t ms) MUST_USE;

/* Write truth and ledger. */
void tables_write(const char *folder, const char *dsn);

#endif
