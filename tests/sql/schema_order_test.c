/*
 * schema_order_test.c - the first promise: whoever sees number N has seen all below.  Many writers,
 * a reader that only ever moves forward, and meanwhile the mode is changed, partitions are closed,
 * or the server is killed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/suite.h"

enum { WRITERS = 6, MAX_EACH = 20000 };

/* Publishes w<writer>/<n>, n = 1, 2, …, and remembers which were acknowledged. */
struct writer {
    pthread_t thread;
    const char *dsn;
    int number, each;  /* stop after so many; */
    atomic_bool *stop; /* or when told */
    bool may_die;      /* the server will be killed */
    int tried;
    bool acked[MAX_EACH + 1];
};

/* A plain commit; or an open transaction that has long published when others commit; or one that
   rolls a part back; or a batch. */
static const char *const shapes[] = {
    "SELECT bellpush.publish('w%d', '%d')",
    "BEGIN; SELECT bellpush.publish('w%d', '%d'); SELECT pg_sleep(0.003 * random()); COMMIT",
    "BEGIN; SAVEPOINT s; SELECT bellpush.publish('gone', 'x'); ROLLBACK TO s; "
    "SELECT bellpush.publish('w%d', '%d'); COMMIT",
    "SELECT bellpush.publish_batch('{w%d}','{NULL}','{NULL}','{NULL}','{%d}','{f}','{f}','{0}',"
    "NULL,NULL)",
};

static void *write_events(void *arg)
{
    struct writer *w = arg;
    PGconn *conn = db_open(w->dsn);

    while (w->tried < w->each && !(w->stop && atomic_load(w->stop))) {
        char sql[256];
        int n = ++w->tried;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, shapes[(n + w->number) % (int)LENGTH(shapes)], w->number, n);
#pragma GCC diagnostic pop
        const char *answer = db_try(conn, "%s", sql);
        w->acked[n] = answer[0] != '!';
        if (!w->acked[n] && w->may_die)
            break;
        ck_assert_msg(w->acked[n], "%s: %s", sql, answer);
    }
    PQfinish(conn);
    db_thread_ends();
    return NULL;
}

/* What a reader has seen of each writer, and in which order. */
struct reader {
    int64_t last;
    bool turn;
    bool seen[WRITERS][MAX_EACH + 1];
    int count;
};

static PGconn *reader_open(const char *dsn)
{
    PGconn *conn = db_open(dsn);

    ck_assert_str_eq(db_ask(conn, "SELECT bellpush.prepare_few()"), "t");
    db_do(conn, "SET bytea_output = 'escape'; PREPARE bellpush_read (bigint, int, int) AS"
                " SELECT * FROM bellpush.read($1, $2, $3)");
    return conn;
}

/* Once forward, by read() and with bellpush_few in turn; every number must be new, and above the
 * last. */
static void read_on(PGconn *conn, struct reader *r)
{
    char after[24];
    const char *values[] = { after, r->turn ? "7" : "200", "100000" };

    snprintf(after, sizeof after, "%lld", (long long)r->last);
    PGresult *result =
        PQexecPrepared(conn, r->turn ? "bellpush_few" : "bellpush_read", 3, values, NULL, NULL, 0);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    r->turn = !r->turn;
    for (int i = 0; i < PQntuples(result) - 1; i++) { /* the last closes the page */
        int64_t seq = strtoll(PQgetvalue(result, i, 0), NULL, 10);
        int writer, n = atoi(PQgetvalue(result, i, 5));
        ck_assert_int_gt(seq, r->last);
        ck_assert_int_eq(sscanf(PQgetvalue(result, i, 1), "w%d", &writer), 1);
        ck_assert_msg(!r->seen[writer][n], "w%d/%d twice", writer, n);
        r->seen[writer][n] = true;
        r->last = seq;
        r->count++;
    }
    PQclear(result);
}

static struct writer *writers_start(const char *dsn, int each, atomic_bool *stop, bool may_die)
{
    struct writer *w = calloc(WRITERS, sizeof *w);
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){
            .dsn = dsn, .number = i, .each = each, .stop = stop, .may_die = may_die
        };
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, write_events, &w[i]), 0);
    }
    return w;
}

/* Join; how many were acknowledged. */
static int writers_join(struct writer *w)
{
    int acked = 0;
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
        for (int n = 1; n <= w[i].tried; n++)
            acked += w[i].acked[n];
    }
    return acked;
}

static void expect_all_acked_seen(const struct writer *w, const struct reader *r)
{
    for (int i = 0; i < WRITERS; i++)
        for (int n = 1; n <= w[i].tried; n++)
            ck_assert_msg(!w[i].acked[n] || r->seen[i][n], "w%d/%d was acknowledged and lost", i,
                          n);
}

/* Writers and a reader at once; meanwhile() is called again and again until they have finished. */
static void play(int each, void (*meanwhile)(PGconn *helper, int turn), bool relays)
{
    const char *dsn = schema_dsn();
    PGconn *conn = reader_open(dsn), *helper = db_open(dsn);
    struct reader *r = calloc(1, sizeof *r);
    int64_t deadline = now_ms() + 60000;
    int turn = 0;

    if (relays)
        db_do(conn, "SELECT bellpush.set_mode('relay')");
    struct writer *w = writers_start(dsn, each, NULL, false);
    while (r->count < WRITERS * each) {
        ck_assert_msg(now_ms() < deadline, "only %d events came", r->count);
        if (meanwhile)
            meanwhile(helper, turn++);
        db_do(helper, "SELECT bellpush.relay(50)");
        read_on(conn, r);
    }
    ck_assert_int_eq(writers_join(w), WRITERS * each);
    read_on(conn, r);
    ck_assert_int_eq(r->count, WRITERS * each);
    ck_assert_str_eq(db_ask(conn, "SELECT count(*) FROM bellpush.inbox"), "0");
    PQfinish(conn);
    PQfinish(helper);
    free(w);
    free(r);
}

START_TEST(a_reader_that_moves_forward_misses_nothing)
{
    play(250, NULL, false);
}
END_TEST

START_TEST(through_the_relay_too)
{
    play(250, NULL, true);
}
END_TEST

static void change_mode(PGconn *helper, int turn)
{
    db_do(helper, "SELECT bellpush.set_mode('%s')", turn % 2 ? "relay" : "commit");
}

START_TEST(changing_the_mode_under_load_loses_nothing)
{
    play(250, change_mode, false);
}
END_TEST

static void close_partition(PGconn *helper, int turn)
{
    (void)turn;
    db_do(helper, "SELECT bellpush._rotate()");
}

START_TEST(closing_partitions_under_load_loses_nothing)
{
    play(250, close_partition, false);
}
END_TEST

START_TEST(an_open_transaction_holds_nobody_up)
{
    const char *dsn = schema_dsn();
    PGconn *open = db_open(dsn), *conn = db_open(dsn);

    db_do(open, "BEGIN; SELECT bellpush.publish('t', 'late')");
    db_do(conn, "SET statement_timeout = '5s'; SELECT bellpush.publish('t', 'early')");
    ck_assert_str_eq(db_ask(conn, "SELECT string_agg(data, ' ' ORDER BY seq) FROM bellpush.events"),
                     "early");
    db_do(open, "COMMIT");
    ck_assert_str_eq(db_ask(conn, "SELECT string_agg(data, ' ' ORDER BY seq) FROM bellpush.events"),
                     "early late");
    PQfinish(open);
    PQfinish(conn);
}
END_TEST

static bool heard(void *arg)
{
    PGconn *conn = arg;
    PQconsumeInput(conn);
    PGnotify *n = PQnotifies(conn);
    bool is = n != NULL;
    PQfreemem(n);
    return is;
}

START_TEST(a_sleeping_relay_is_woken_and_an_awake_one_not)
{
    const char *dsn = schema_dsn();
    PGconn *relay = db_open(dsn), *conn = db_open(dsn);

    db_do(conn, "SELECT bellpush.set_mode('relay')");
    db_do(relay, "LISTEN bellpush_relay");
    db_do(conn, "SELECT bellpush.publish('t', '1')"); /* awake: no bell */
    db_do(relay, "SELECT 1");
    ck_assert(!heard(relay));
    ck_assert_str_eq(db_ask(relay, "SELECT bellpush.relay_sleep()"), "f"); /* something waits */
    ck_assert_int_eq(db_number(relay, "SELECT bellpush.relay(100)"), 1);
    ck_assert_int_eq(db_number(relay, "SELECT bellpush.relay(100)"), 0);

    db_do(conn, "BEGIN; SELECT bellpush.publish('t', '2')"); /* not yet committed: may not sleep */
    ck_assert_str_eq(db_ask(relay, "SELECT bellpush.relay_sleep()"), "f");
    db_do(conn, "ROLLBACK");
    ck_assert_str_eq(db_ask(relay, "SELECT bellpush.relay_sleep()"), "t");
    ck_assert_str_eq(db_ask(relay, "SELECT bellpush.relay_sleep()"), "t"); /* twice is once */
    db_do(conn, "SELECT bellpush.publish('t', '3')");
    ck_assert(wait_until(heard, relay, 10000));
    db_do(relay, "SELECT bellpush.relay_wake()");
    db_do(relay, "SELECT bellpush.relay_wake()");
    ck_assert_int_eq(db_number(relay, "SELECT bellpush.relay(100)"), 1);
    db_do(conn, "SELECT bellpush.publish('t', '4')");
    db_do(relay, "SELECT 1");
    ck_assert(!heard(relay));
    PQfinish(relay);
    PQfinish(conn);
}
END_TEST

START_TEST(there_is_one_housekeeper_until_it_goes)
{
    const char *dsn = schema_dsn();
    PGconn *one = db_open(dsn), *two = db_open(dsn);

    ck_assert_str_eq(db_ask(one, "SELECT elected FROM bellpush.housekeeper(true)"), "t");
    ck_assert_str_eq(db_ask(one, "SELECT elected FROM bellpush.housekeeper(true)"), "t");
    ck_assert_str_eq(db_ask(two, "SELECT elected FROM bellpush.housekeeper(true)"), "f");
    PQfinish(one);
    int64_t deadline = now_ms() + 10000;
    while (strcmp(db_ask(two, "SELECT elected FROM bellpush.housekeeper(true)"), "t") != 0)
        ck_assert(now_ms() < deadline);
    PQfinish(two);
}
END_TEST

START_TEST(a_mode_change_that_must_wait_says_for_whom)
{
    const char *dsn = schema_dsn();
    PGconn *open = db_open(dsn), *conn = db_open(dsn);

    db_do(open, "BEGIN; SELECT bellpush.publish('t', 'x')");
    ck_assert_str_eq(
        db_error(conn, "SELECT bellpush.set_mode('relay')"),
        "55P03 bellpush: set_mode() has waited for transactions that published and are "
        "still open");
    db_do(open, "COMMIT");
    /* Within the transaction that has published itself, it numbers that first. */
    db_do(conn,
          "BEGIN; SELECT bellpush.publish('t', 'y'); SELECT bellpush.set_mode('relay'); COMMIT");
    ck_assert_str_eq(db_ask(conn, "SELECT string_agg(data, ' ' ORDER BY seq) FROM bellpush.events"),
                     "x y");
    PQfinish(open);
    PQfinish(conn);
}
END_TEST

/* The server of one test alone, with real fsync, killed while six writers are at it. */
static void kill_under_load(const char *mode, int rounds)
{
    struct cluster *c = cluster_start();
    char *dsn = cluster_database(c, "crash");
    struct reader *r = calloc(1, sizeof *r);
    atomic_bool stop = false;

    free(cluster_sql(dsn, mode));
    for (int round = 0; round < rounds; round++) {
        struct writer *w = writers_start(dsn, MAX_EACH, &stop, true);
        PGconn *conn = reader_open(dsn);
        int64_t deadline = now_ms() + 20000;
        int target = r->count + 200;
        while (r->count < target && now_ms() < deadline) {
            db_do(conn, "SELECT bellpush.relay(100)");
            read_on(conn, r);
        }
        ck_assert_int_ge(r->count, target);
        cluster_stop(c, "immediate");
        PQfinish(conn);
        ck_assert_int_gt(writers_join(w), 0);
        cluster_again(c);

        conn = reader_open(dsn);
        int before;
        do {
            before = r->count;
            db_do(conn, "SELECT bellpush.relay(100000)");
            read_on(conn, r);
        } while (r->count > before);
        expect_all_acked_seen(w, r);
        memset(r->seen, 0, sizeof r->seen); /* the next round's writers begin at 1 again */
        PQfinish(conn);
        free(w);
    }
    free(r);
    free(dsn);
    cluster_free(c);
}

START_TEST(what_was_acknowledged_survives_a_crash)
{
    kill_under_load("SELECT bellpush.set_mode('commit')", 2);
}
END_TEST

START_TEST(what_was_acknowledged_survives_a_crash_in_relay_mode)
{
    kill_under_load("SELECT bellpush.set_mode('relay')", 1);
}
END_TEST

SUITE(schema_order)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_test(tc, a_reader_that_moves_forward_misses_nothing);
    tcase_add_test(tc, through_the_relay_too);
    tcase_add_test(tc, changing_the_mode_under_load_loses_nothing);
    tcase_add_test(tc, closing_partitions_under_load_loses_nothing);
    tcase_add_test(tc, an_open_transaction_holds_nobody_up);
    tcase_add_test(tc, a_sleeping_relay_is_woken_and_an_awake_one_not);
    tcase_add_test(tc, there_is_one_housekeeper_until_it_goes);
    tcase_add_test(tc, a_mode_change_that_must_wait_says_for_whom);
    tcase_add_test(tc, what_was_acknowledged_survives_a_crash);
    tcase_add_test(tc, what_was_acknowledged_survives_a_crash_in_relay_mode);
}
