/*
 * pg_pooler_test.c - a real PgBouncer between: what LISTEN is worth there, and what works without.
 */
#include "tests/peers/bouncer.h"
#include "tests/sql/pg_rig.h"

static char *direct;
static struct bouncer *bouncer;

/* sessions: how many it keeps with the server, so that clients of one pool share them. */
static void start_bouncer(const char *mode, int sessions)
{
    direct = rig_database();
    char *name = cluster_sql(direct, "SELECT current_database()");
    bouncer = bouncer_start(&(struct bouncer_spec){
        .cluster = cluster_shared(), .database = name, .mode = mode, .sessions = sessions });
    free(name);
}

static void stop_bouncer(void)
{
    bouncer_free(bouncer);
    free(direct);
}

static void on_published(void *arg, const struct publication *p)
{
    *(int *)arg = p->rc == RC_OK ? 1 : -1;
}

static bool is_answered(void *arg)
{
    return *(int *)arg != 0;
}

/*
 * A read of ours waits for a lock; the bell rings meanwhile, and is told at the read's end, for
 * then the session happens to be ours.  That is no proof of hearing.
 */
static void ring_during_a_statement(struct rig *r)
{
    uint64_t bells = r->server.stats.bells;
    pid_t locker = fork();

    ck_assert_int_ge(locker, 0);
    if (locker == 0) {
        run_sql(direct, "BEGIN; LOCK TABLE bellpush.log; SELECT pg_sleep(1.8); COMMIT");
        _exit(0);
    }
    for (int64_t end = now_ms() + 4000; now_ms() < end;) { /* time for probes and elections too */
        if (!process_ended(locker, NULL))
            run_sql(direct, "NOTIFY bellpush");
        rig_run(r, 50);
        ck_assert_int_eq(r->server.source_state, SOURCE_POLLING);
    }
    ck_assert_uint_gt(r->server.stats.bells, bells);
}

START_TEST(transaction_pooling_is_noticed_and_polled)
{
    static const char *const settings[] = { "channels=orders", "probe=200ms", NULL };
    struct draft d = { .topic = SLICE("t"), .data = SLICE("102") };
    int answer = 0;

    start_bouncer(NULL, 1);
    struct rig *r = rig_new(bouncer_dsn(bouncer), settings);
    rig_until_state(r, SOURCE_POLLING);
    ck_assert_ptr_nonnull(strstr(r->server.source_why, "listen_database"));
    publish_numbers(direct, "t", 1, 100);
    rig_until_heard(r, 100);
    run_sql(direct, "SELECT bellpush.set_mode('relay')");
    publish_numbers(direct, "t", 101, 101);
    rig_until_heard(r, 101); /* somebody relays, though nobody can be elected */
    run_sql(direct, "SELECT bellpush.set_mode('commit')");
    ck_assert_ptr_nonnull(
        source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &answer));
    rig_until(r, "a publish", is_answered, &answer);
    ck_assert_int_eq(answer, 1);
    rig_until_heard(r, 102);
    check_numbers(r, "t", 102);
    ring_during_a_statement(r);
    ck_assert_int_eq(r->server.source_state, SOURCE_POLLING);
    ck_assert(!r->server.housekeeper);
    char *locks = cluster_sql(direct, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
                                      "AND classid = 1650813036 AND objid = 2 AND database = "
                                      "(SELECT oid FROM pg_database WHERE datname = "
                                      "current_database())");
    ck_assert_str_eq(locks, "0");
    free(locks);
    rig_free(r);
    stop_bouncer();
}
END_TEST

START_TEST(direct_connection_beside_a_pooler_listens)
{
    start_bouncer(NULL, 1);
    char *listen = text_of("listen_database=%s", direct);
    const char *settings[] = { "channels=orders", listen, NULL };
    struct draft d = { .topic = SLICE("t"), .data = SLICE("1") };
    int answer = 0;
    struct rig *r = rig_listening(bouncer_dsn(bouncer), settings);

    ck_assert_ptr_nonnull(
        source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &answer));
    rig_until_heard(r, 1);
    check_numbers(r, "t", 1);
    run_sql(direct, "NOTIFY orders, 'x'");
    rig_until_heard(r, 2);
    rig_free(r);
    free(listen);
    stop_bouncer();
}
END_TEST

START_TEST(session_pooling_proves_itself)
{
    static const char *const settings[] = { "channels=orders", "probe=200ms", NULL };

    start_bouncer("session", 3);
    struct rig *r = rig_listening(bouncer_dsn(bouncer), settings);
    run_sql(direct, "NOTIFY orders, 'x'");
    rig_until_heard(r, 1);
    ck_assert(r->server.housekeeper);
    rig_free(r);
    stop_bouncer();
}
END_TEST

START_TEST(dead_pooler_is_away)
{
    start_bouncer(NULL, 1);
    struct rig *r = rig_new(bouncer_dsn(bouncer), NULL);
    struct draft d = { .topic = SLICE("t"), .data = SLICE("1") };
    int answer = 0;

    rig_until_state(r, SOURCE_POLLING);
    bouncer_stop(bouncer, SIGTERM);
    rig_until_state(r, SOURCE_AWAY);
    ck_assert_ptr_nonnull(
        source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &answer));
    rig_until(r, "a publish", is_answered, &answer);
    ck_assert_int_eq(answer, -1);
    rig_free(r);
    stop_bouncer();
}
END_TEST

START_TEST(silent_server_is_given_up_and_found_again)
{
    start_bouncer("session", 3);
    struct rig *r = rig_listening(bouncer_dsn_tcp(bouncer), NULL);

    kill(bouncer_pid(bouncer), SIGSTOP);
    rig_until_state(r, SOURCE_AWAY); /* no reset, no FIN: only silence */
    ck_assert_ptr_nonnull(strstr(r->server.source_why, "no answer"));
    publish_numbers(direct, "t", 1, 10);
    kill(bouncer_pid(bouncer), SIGCONT);
    rig_until_heard(r, 10);
    rig_until_state(r, SOURCE_LISTENING);
    check_numbers(r, "t", 10);
    rig_free(r);
    stop_bouncer();
}
END_TEST

SUITE(pg_pooler)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_test(tc, transaction_pooling_is_noticed_and_polled);
    tcase_add_test(tc, direct_connection_beside_a_pooler_listens);
    tcase_add_test(tc, session_pooling_proves_itself);
    tcase_add_test(tc, silent_server_is_given_up_and_found_again);
    tcase_add_test(tc, dead_pooler_is_away);
}
