/*
 * fault_disk.c - the database's disk is full.
 *
 * What then happens is PostgreSQL's choice: a transaction that needs a new page of a table is
 * refused; one that needs a new file of the journal (WAL) takes the server down, and it cannot come
 * up again until there is room.  Workers tell both, and publishers learn that nothing was
 * committed.
 */
#include <libpq-fe.h>
#include <stdlib.h>

#include "tests/faults/database.h"
#include "tests/peers/disk.h"
#include "tests/peers/process.h"

enum { DIES_MS = 30000, NOTICE_MS = 10000, FILLS_MS = 30000, QUEUE_LEAVE = 1 << 20 };

static bool server_died(void *arg)
{
    const struct site *s = arg;

    disk_fill(cluster_data(s->cluster), 0); /* what it has given back meanwhile */
    return cluster_died(s->cluster);
}

/* As a busy day would: use up what was laid out of the journal (WAL) in advance. */
static bool journal_is_used_up(void *arg)
{
    struct site *s = arg;
    char *dsn = cluster_dsn(s->cluster, "postgres");

    free(cluster_try(dsn, "SELECT pg_logical_emit_message(true, 'day', ''), pg_switch_wal()"));
    free(dsn);
    return server_died(s);
}

static void disk_full(struct act *a)
{
    struct cluster *c = a->site->cluster;
    bool deadly = act_choose(a, 0, 1);
    int64_t began_us = now_us();

    if (deadly)
        database_quiet(a);
    disk_fill(cluster_data(c), 0);
    if (!deadly)
        evidence_log(a, 0, "No space left on device");
    else if (act_wait(a, journal_is_used_up, a->site, DIES_MS))
        database_away(a, NOTICE_MS);
    bool died = act_wait(a, server_died, a->site, act_choose(a, 1000, 8000));
    act_note(a, "PostgreSQL %s", died ? "has died of it" : "lives on");
    disk_clear(cluster_data(c));
    if (cluster_died(c)) {
        if (!deadly) /* it chose to */
            a->unheard_since_us = began_us;
        cluster_again(c);
    }
    evidence_status(a, 0, "database.state", "listening");
    act_heard(a);
    act_flows(a, 20);
}

FAULT(disk_full, .name = "disk-full", .what = "the database's disk is full for a while",
      .flavour = SITE_SMALL, .run = disk_full);

/* ---- the queue of notifications -----------------------------------------------------------------
 *
 * PostgreSQL keeps what was notified until every session that listens has taken it, and one that
 * sits in an open transaction takes nothing.  Here the queue's disk is full: a COMMIT with a
 * NOTIFY, ours too, is refused; and because a session that reads the queue must first make room in
 * memory by writing, the listening ones die of it, and nobody can LISTEN until there is room.  (On
 * a disk with room the queue may grow to 8 GB, and then only the COMMITs are refused;
 * pg_limit_test.c has what a worker then does.)
 */

static PGconn *sit_in_a_transaction(struct act *a)
{
    PGconn *conn = PQconnectdb(a->site->dsn);
    static const char *const steps[] = { "LISTEN faults_sleeper", "BEGIN", "SELECT 1" };

    for (size_t i = 0; i < LENGTH(steps); i++)
        PQclear(PQexec(conn, steps[i]));
    if (PQtransactionStatus(conn) != PQTRANS_INTRANS)
        act_fail(a, "nobody sits in a transaction: %s", PQerrorMessage(conn));
    return conn;
}

/* A page of the queue for each. */
static bool queue_is_full(void *arg)
{
    const struct site *s = arg;
    char *error = cluster_try(s->dsn, "SELECT pg_notify('faults_filler', repeat(n::text, 1900))"
                                      " FROM generate_series(1000, 1020) AS n");
    bool full = strcmp(error, "00000") != 0;

    free(error);
    return full;
}

static void notify_queue_full(struct act *a)
{
    PGconn *sleeper = sit_in_a_transaction(a);
    char *queue = text_of("%s/pg_notify", cluster_data(a->site->cluster));

    database_quiet(a);
    disk_fill(queue, QUEUE_LEAVE);
    if (!act_wait(a, queue_is_full, a->site, FILLS_MS))
        act_fail(a, "the queue of notifications is never full");
    evidence_log(a, 0, "No space left on device");
    act_last(a, act_choose(a, 2000, 10000));
    PQfinish(sleeper);
    disk_clear(queue); /* to take pages away it first writes them out */
    free(queue);
    /* Looking at it is what makes PostgreSQL shorten it. */
    free(cluster_sql(a->site->dsn, "SELECT pg_notification_queue_usage()"));
    evidence_status(a, 0, "database.state", "listening");
    act_heard(a);
    act_flows(a, 20);
}

FAULT(notify_queue_full, .name = "notify-queue-full",
      .what = "the queue of notifications is full, and its disk, too", .flavour = SITE_SMALL,
      .run = notify_queue_full);
