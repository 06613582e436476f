/*
 * pg_notify_test.c - plain NOTIFYs become events, once each, and the relay is handed over.
 */
#include <libpq-fe.h>
#include <sys/wait.h>

#include "tests/sql/pg_rig.h"

#define LOCK_OF(what, n)                                                                           \
    "SELECT " what " FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_database d "      \
    "ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.classid = 1650813036 "              \
    "AND l.objid = " #n " AND l.mode = 'ExclusiveLock' AND l.granted AND d.datname = "             \
    "current_database()"

static const char *const settings[] = { "channels=orders,Other Channel", NULL };
static char *dsn;

static void set_up(void)
{
    dsn = rig_database();
}

static void tear_down(void)
{
    free(dsn);
}

/* ---- waiting for what SQL says ------------------------------------------------------------------
 */

struct query {
    const char *sql, *expected;
};

static bool gives(void *arg)
{
    struct query *q = arg;
    char *got = cluster_sql(dsn, q->sql);
    bool same = strcmp(got, q->expected) == 0;

    free(got);
    return same;
}

static void until_sql(const char *sql, const char *expected)
{
    if (!wait_until(gives, &(struct query){ sql, expected }, 60 * 1000)) {
        char *got = cluster_sql(dsn, sql);
        ck_abort_msg("%s: %s, not %s", sql, got, expected);
    }
}

/* The process that holds the housekeeper's lock, by the application_name of its connection. */
static pid_t housekeeper(void)
{
    until_sql("SELECT count(*) FROM (" LOCK_OF("1", 2) ") x", "1");
    char *name = cluster_sql(dsn, LOCK_OF("application_name", 2));
    pid_t pid = (pid_t)atoi(name);

    free(name);
    return pid;
}

static pid_t start(void)
{
    static const char *const with[] = { "channels=orders", "database_pool=1", NULL };

    return rig_process(dsn, with);
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* In the background: count transactions with one statement each, %d its number. */
static pid_t write_many(const char *statement, int count)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    run_sql(dsn,
            "DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM %s; COMMIT; PERFORM pg_sleep(0.0005); "
            "END LOOP; END $$",
            count, statement);
    _exit(0);
}

static void check_log(int count)
{
    char *expected = text_of("%d", count);
    until_sql("SELECT count(*) FROM bellpush.events", expected);
    /* In order, once each; and still so after everybody had time to say something twice. */
    until_sql("SELECT count(*) FROM (SELECT data::int AS n, row_number() OVER (ORDER BY seq) AS nr "
              "FROM bellpush.events) x WHERE n = nr",
              expected);
    free(expected);
}

/* ---- in one process -----------------------------------------------------------------------------
 */

START_TEST(notify_becomes_an_event)
{
    struct rig *r = rig_listening(dsn, settings);

    run_sql(dsn, "NOTIFY orders, 'before the election'");
    rig_until_heard(r, 1);
    ck_assert_str_eq(r->heard[0].topic, "orders");
    ck_assert_str_eq(r->heard[0].data, "before the election");
    ck_assert_uint_eq(r->heard[0].flags, EVENT_NOTIFIED);
    run_sql(dsn, "NOTIFY \"Other Channel\"");
    run_sql(dsn, "NOTIFY unlisted, 'x'");
    run_sql(dsn, "SELECT pg_notify('orders', 'first'), pg_notify('orders', 'second'), "
                 "pg_notify('orders', 'first')");
    rig_until_heard(r, 4);
    ck_assert_str_eq(r->heard[1].topic, "Other Channel");
    ck_assert_str_eq(r->heard[1].data, "");
    ck_assert_str_eq(r->heard[2].data, "first");
    ck_assert_str_eq(r->heard[3].data, "second");
    ck_assert_uint_eq(r->server.stats.recorded, 4);
    rig_free(r);
}
END_TEST

START_TEST(longest_payload_is_recorded)
{
    struct rig *r = rig_listening(dsn, settings);

    run_sql(dsn, "SELECT pg_notify('orders', repeat('x', 7999))");
    rig_until_heard(r, 1);
    ck_assert_uint_eq(r->heard[0].len, 7999);
    rig_free(r);
}
END_TEST

START_TEST(two_sources_record_once)
{
    struct rig *a = rig_listening(dsn, settings), *b = rig_listening(dsn, settings);

    rig_until_housekeeper(a);
    pid_t writer = write_many("pg_notify('orders', i::text)", 500);
    while (a->count < 500 || b->count < 500) {
        uv_run(&a->loop, UV_RUN_NOWAIT);
        uv_run(&b->loop, UV_RUN_ONCE);
    }
    waitpid(writer, NULL, 0);
    ck_assert(!b->server.housekeeper);
    check_numbers(a, "orders", 500);
    check_numbers(b, "orders", 500);
    rig_free(a); /* in order: the next one takes over what it has heard, which is nothing new */
    rig_until_housekeeper(b);
    run_sql(dsn, "NOTIFY orders, '501'");
    rig_until_heard(b, 501);
    check_numbers(b, "orders", 501);
    rig_free(b);
}
END_TEST

START_TEST(recorder_that_loses_its_connection_loses_nothing)
{
    struct rig *r = rig_listening(dsn, settings);
    int n = 0;

    rig_until_housekeeper(r);
    for (int i = 0; i < 5; i++) {
        run_sql(dsn,
                "DO $$ BEGIN FOR i IN %d..%d LOOP PERFORM pg_notify('orders', i::text); COMMIT; "
                "END LOOP; END $$",
                n + 1, n + 200);
        n += 200;
        /* It has heard at least some, has recorded perhaps some; then the session ends. */
        rig_until_heard(r, (size_t)n - 199);
        rig_until_heard(r, (size_t)n);
        run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE datname = current_database() AND pid <> pg_backend_pid()");
        rig_until_state(r, SOURCE_AWAY);
        rig_until_state(r, SOURCE_LISTENING);
        rig_until_housekeeper(r);
    }
    check_numbers(r, "orders", n);
    rig_free(r);
}
END_TEST

/* ---- in several ---------------------------------------------------------------------------------
 */

START_TEST(killed_recorder_loses_and_doubles_nothing)
{
    enum { COUNT = 6000 };
    pid_t pids[3];

    for (int i = 0; i < 3; i++)
        pids[i] = start();
    until_sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
              "AND application_name ~ '^[0-9]+$'",
              "4"); /* three listen, and the elected one keeps house */
    pid_t writer = write_many("pg_notify('orders', i::text)", COUNT);
    for (int i = 0; i < 4; i++) {
        char *some = text_of("SELECT count(*) > %d FROM bellpush.events", 1000 * i + 300);
        until_sql(some, "t"); /* in mid-stream */
        free(some);
        pid_t victim = housekeeper();
        for (int j = 0; j < 3; j++)
            if (pids[j] == victim) {
                stop(victim);
                pids[j] = start();
            }
    }
    waitpid(writer, NULL, 0);
    check_log(COUNT);
    run_sql(dsn, "NOTIFY orders, '%d'", COUNT + 1);
    check_log(COUNT + 1);
    for (int i = 0; i < 3; i++)
        stop(pids[i]);
}
END_TEST

static bool has_relayed(void *arg)
{
    return *(uint64_t *)arg == 490; /* the answer may come after the bell */
}

/* A NOTIFY that comes, and is recorded, while a new process has begun to listen but does not yet
   know how far the log goes: it will never see it in the log that it reads from there. */
START_TEST(what_was_recorded_while_a_process_joined_is_not_doubled)
{
    pid_t first = start();
    PGconn *lock = PQconnectdb(dsn);

    until_sql("SELECT count(*) FROM (" LOCK_OF("1", 2) ") x", "1");
    run_sql(dsn, "NOTIFY orders, '1'");
    check_log(1);
    PQclear(PQexec(lock, "BEGIN; LOCK TABLE bellpush.schema_version")); /* hello() waits for it */
    pid_t second = start();
    until_sql("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = "
              "'bellpush.schema_version'::regclass",
              "t");
    run_sql(dsn, "NOTIFY orders, '2'");
    check_log(2);
    PQclear(PQexec(lock, "COMMIT"));
    PQfinish(lock);
    until_sql("SELECT count(*) FROM bellpush.workers", "2");
    stop(first);
    ck_assert_int_eq(housekeeper(), second);
    run_sql(dsn, "NOTIFY orders, '3'");
    check_log(3);
    stop(second);
}
END_TEST

/* The old recorder's session outlives it, as one that is frozen does; others come meanwhile.  What
   was notified between them is known to the first of those only. */
START_TEST(who_has_listened_longest_records)
{
    PGconn *frozen = PQconnectdb(dsn);

    PQclear(PQexec(frozen, "SELECT bellpush.listening()"));
    PQclear(PQexec(frozen, "SELECT bellpush.housekeeper(true)"));
    pid_t processes[4];
    for (int i = 0; i < (int)LENGTH(processes); i++) {
        char *listeners = text_of("%d", i + 2);
        processes[i] = start();
        until_sql("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE "
                  "l.classid = 1650813037 AND d.datname = current_database()",
                  listeners);
        run_sql(dsn, "NOTIFY orders, '%d'", i + 1);
        free(listeners);
    }
    until_sql("SELECT count(*) FROM bellpush.workers", "4"); /* all have stood for election once */
    PQfinish(frozen);
    check_log(4);
    ck_assert_int_eq(housekeeper(), processes[0]);
    /* The eldest now, alive but stuck, does not keep the place vacant for ever. */
    kill(processes[1], SIGSTOP);
    stop(processes[0]);
    run_sql(dsn, "NOTIFY orders, '5'");
    check_log(5);
    pid_t next = housekeeper();
    ck_assert(next == processes[2] || next == processes[3]);
    kill(processes[1], SIGCONT);
    for (int i = 1; i < (int)LENGTH(processes); i++)
        stop(processes[i]);
}
END_TEST

START_TEST(relay_delivers_sleeps_and_wakes)
{
    struct rig *r = rig_listening(dsn, NULL);

    rig_until_housekeeper(r);
    publish_numbers(dsn, "t", 1, 10);
    run_sql(dsn, "SELECT bellpush.set_mode('relay')");
    publish_numbers(dsn, "t", 11, 500);
    rig_until_heard(r, 500);
    rig_until(r, "the relay", has_relayed, &r->server.stats.relayed);
    ck_assert_str_eq(r->server.mode, "relay");
    for (int i = 501; i <= 520; i++) { /* each finds it asleep, or about to fall asleep */
        int64_t begin = now_ms();
        publish_numbers(dsn, "t", i, i);
        rig_until_heard(r, (size_t)i);
        ck_assert_int_lt(now_ms() - begin, 900); /* rung, not found by the clock */
        rig_run(r, 20);
    }
    /* A transaction that stays open keeps it awake and is relayed at its commit. */
    pid_t pid = fork();
    if (pid == 0) {
        run_sql(dsn, "BEGIN; SELECT bellpush.publish('t', '521'); SELECT pg_sleep(0.3); COMMIT");
        _exit(0);
    }
    rig_until_heard(r, 521);
    waitpid(pid, NULL, 0);
    run_sql(dsn, "SELECT bellpush.set_mode('commit')");
    publish_numbers(dsn, "t", 522, 530);
    rig_until_heard(r, 530);
    check_numbers(r, "t", 530);
    rig_free(r);
}
END_TEST

START_TEST(killed_relay_is_replaced)
{
    enum { COUNT = 3000 };
    pid_t pids[2];

    run_sql(dsn, "SELECT bellpush.set_mode('relay')");
    for (int i = 0; i < 2; i++)
        pids[i] = start();
    pid_t writer = write_many("bellpush.publish('t', i::text)", COUNT);
    for (int i = 0; i < 3; i++) {
        char *some = text_of("SELECT count(*) > %d FROM bellpush.events", 800 * i + 100);
        until_sql(some, "t");
        free(some);
        pid_t victim = housekeeper();
        for (int j = 0; j < 2; j++)
            if (pids[j] == victim) {
                stop(victim);
                pids[j] = start();
            }
    }
    waitpid(writer, NULL, 0);
    check_log(COUNT);
    for (int i = 0; i < 2; i++)
        stop(pids[i]);
}
END_TEST

START_TEST(process_reports_itself)
{
    struct rig *r = rig_listening(dsn, NULL);
    struct query q = { "SELECT filter || subscribers FROM bellpush.subscribers", "#1" };

    rig_until(r, "the report", gives, &q);
    rig_free(r);
}
END_TEST

SUITE(pg_notify)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, notify_becomes_an_event);
    tcase_add_test(tc, longest_payload_is_recorded);
    tcase_add_test(tc, two_sources_record_once);
    tcase_add_test(tc, recorder_that_loses_its_connection_loses_nothing);
    tcase_add_test(tc, killed_recorder_loses_and_doubles_nothing);
    tcase_add_test(tc, who_has_listened_longest_records);
    tcase_add_test(tc, what_was_recorded_while_a_process_joined_is_not_doubled);
    tcase_add_test(tc, relay_delivers_sleeps_and_wakes);
    tcase_add_test(tc, killed_relay_is_replaced);
    tcase_add_test(tc, process_reports_itself);
}
