/*
 * pg_listen_test.c - what is committed is heard, in order, once, whatever breaks meanwhile.
 */
#include "tests/sql/pg_rig.h"

static char *dsn;
static struct cluster *own; /* that may be stopped */

static void set_up(void)
{
    dsn = rig_database();
}

static void tear_down(void)
{
    free(dsn);
}

START_TEST(publishes_are_heard_in_order)
{
    struct rig *r = rig_listening(dsn, NULL);

    publish_numbers(dsn, "orders/1", 1, 100);
    run_sql(dsn, "SELECT bellpush.publish('bytes', '\\x00ff0a'::bytea)");
    rig_until_heard(r, 101);
    check_numbers(r, "orders/1", 100);
    ck_assert_str_eq(r->heard[100].topic, "bytes");
    ck_assert_uint_eq(r->heard[100].len, 3);
    ck_assert_mem_eq(r->heard[100].data, "\x00\xff\n", 3);
    ck_assert_int_eq(r->server.head, r->heard[100].seq);
    rig_free(r);
}
END_TEST

START_TEST(rollbacks_are_not_heard)
{
    struct rig *r = rig_listening(dsn, NULL);

    run_sql(dsn, "BEGIN; SELECT bellpush.publish('t', 'never'); ROLLBACK");
    run_sql(dsn, "SELECT bellpush.publish('t', '1')");
    rig_until_heard(r, 1);
    check_numbers(r, "t", 1);
    rig_free(r);
}
END_TEST

START_TEST(burst_rings_once_and_is_read_in_pages)
{
    struct rig *r = rig_listening(dsn, NULL);
    uint64_t bells = r->server.stats.bells, reads = r->server.stats.reads;

    run_sql(dsn, "SELECT bellpush.publish('burst', i::text) FROM generate_series(1, 10000) i");
    rig_until_heard(r, 10000);
    check_numbers(r, "burst", 10000);
    ck_assert_uint_eq(r->server.stats.bells - bells, 1);
    ck_assert_uint_ge(r->server.stats.reads - reads, 10);
    ck_assert_uint_le(r->server.stats.reads - reads, 25); /* and a look once a second */
    rig_free(r);
}
END_TEST

/* A calm log is read with another statement than a busy one. */
START_TEST(few_and_many_are_heard_alike)
{
    struct rig *r = rig_listening(dsn, NULL);
    int count = 0;

    for (int n = 1; n <= 24; n++) {
        int burst = n % 12 * 7; /* 64 are few */
        run_sql(dsn, "SELECT bellpush.publish('t', i::text) FROM generate_series(%d, %d) i",
                count + 1, count + burst);
        count += burst;
        rig_until_heard(r, (size_t)count);
    }
    ck_assert_uint_eq(r->told, 22); /* each burst at one go, where there was one */
    /* And the other one is used, not only there to be used: what was asked last stays to be seen.
     */
    for (bool seen = false; !seen;) {
        ck_assert_int_lt(count, 1200);
        publish_numbers(dsn, "t", count + 1, count + 1);
        rig_until_heard(r, (size_t)++count);
        char *few = cluster_sql(dsn, "SELECT count(*) FROM pg_stat_activity WHERE datname ="
                                     " current_database() AND query LIKE '%PREPARE bellpush_few%'"
                                     " AND pid <> pg_backend_pid()");
        seen = strcmp(few, "1") == 0;
        free(few);
    }
    check_numbers(r, "t", count);
    rig_free(r);
}
END_TEST

/* A calm log is asked for what is small, and has something else. */
START_TEST(large_among_small_is_read_in_its_turn)
{
    static const unsigned kib[] = { 1, 64, 65, 1, 66 };
    struct rig *r = rig_listening(dsn, NULL);

    for (size_t n = 0; n < 3 * LENGTH(kib); n += LENGTH(kib)) {
        run_sql(dsn, "SELECT bellpush.publish('t', repeat('x', 1024 * kib)) FROM "
                     "unnest('{1,64,65,1,66}'::int[]) kib");
        rig_until_heard(r, n + LENGTH(kib));
        for (size_t i = 0; i < LENGTH(kib); i++)
            ck_assert_uint_eq(r->heard[n + i].len, 1024 * kib[i]);
    }
    rig_free(r);
}
END_TEST

START_TEST(who_may_not_read_the_log_itself_hears_as_well)
{
    char *name = text_of("hears_%d", (int)getpid()), *as = text_of("%s user=%s", dsn, name),
         *admin = text_of("%s user=postgres", dsn);

    run_sql(admin, "CREATE ROLE %s LOGIN", name);
    run_sql(dsn, "SELECT bellpush.grant_worker('%s'); REVOKE SELECT ON bellpush.log FROM %s", name,
            name);
    struct rig *r = rig_listening(as, NULL);
    for (int n = 1; n <= 3; n++) {
        publish_numbers(dsn, "t", 5 * n - 4, 5 * n);
        rig_until_heard(r, 5 * (size_t)n);
    }
    check_numbers(r, "t", 15);
    ck_assert_uint_eq(r->server.stats.reconnects, 0);
    rig_free(r);
    run_sql(admin, "DROP OWNED BY %s; DROP ROLE %s", name, name);
    free(name);
    free(as);
    free(admin);
}
END_TEST

START_TEST(large_events_are_read_whole)
{
    struct rig *r = rig_listening(dsn, NULL);

    run_sql(dsn, "SELECT bellpush.publish('large', repeat(i::text, 1048576)) "
                 "FROM generate_series(1, 9) i");
    rig_until_heard(r, 9);
    for (int i = 0; i < 9; i++) {
        ck_assert_uint_eq(r->heard[i].len, 1 << 20);
        ck_assert_int_eq(r->heard[i].data[(1 << 20) - 1], '1' + i);
    }
    rig_free(r);
}
END_TEST

START_TEST(what_was_before_is_not_heard_but_located)
{
    publish_numbers(dsn, "old", 1, 3);
    struct rig *r = rig_listening(dsn, NULL);

    ck_assert_int_ge(r->server.head, 3);
    publish_numbers(dsn, "new", 1, 1);
    rig_until_heard(r, 1);
    check_numbers(r, "new", 1);
    rig_free(r);
}
END_TEST

START_TEST(terminated_session_loses_nothing)
{
    struct rig *r = rig_listening(dsn, NULL);

    for (int i = 0; i < 5; i++) {
        publish_numbers(dsn, "t", 20 * i + 1, 20 * i + 10);
        run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE datname = current_database() AND pid <> pg_backend_pid()");
        publish_numbers(dsn, "t", 20 * i + 11, 20 * i + 20);
        rig_until_heard(r, 20 * (size_t)i + 20);
        rig_until_state(r, SOURCE_LISTENING);
    }
    check_numbers(r, "t", 100);
    ck_assert_uint_ge(r->server.stats.reconnects, 5);
    rig_free(r);
}
END_TEST

START_TEST(retention_that_was_quicker_is_told)
{
    struct rig *r = rig_listening(dsn, NULL);

    publish_numbers(dsn, "t", 1, 1);
    rig_until_heard(r, 1);
    int64_t first = r->heard[0].seq;
    /* While this process looks elsewhere, much is published and the older half is pruned. */
    run_sql(dsn, "SELECT bellpush.publish('t', i::text) FROM generate_series(2, 2501) i");
    run_sql(dsn, "DELETE FROM bellpush.log WHERE seq <= %lld", (long long)first + 1200);
    run_sql(dsn, "UPDATE bellpush.state SET pruned_to = %lld", (long long)first + 1200);
    rig_until_heard(r, 1 + 1300);
    ck_assert_int_eq(atoi(r->heard[1].data), 1202);
    ck_assert_int_eq(atoi(r->heard[1300].data), 2501);
    /* The journal does not claim to know what is gone: that is where followers see the gap. */
    ck_assert_int_ge(journal_floor(r->server.journal), first + 1200);
    rig_free(r);
}
END_TEST

START_TEST(new_epoch_is_noticed_while_live)
{
    struct rig *r = rig_listening(dsn, NULL);
    char before[EPOCH_MAX + 1];

    memcpy(before, r->server.epoch, sizeof(before));
    ck_assert_str_ne(before, "");
    run_sql(dsn, "SELECT bellpush.new_epoch()");
    for (int64_t end = now_ms() + 10000; strcmp(before, r->server.epoch) == 0;) {
        ck_assert_int_lt(now_ms(), end);
        uv_run(&r->loop, UV_RUN_ONCE);
    }
    publish_numbers(dsn, "t", 1, 3);
    rig_until_heard(r, 3);
    check_numbers(r, "t", 3);
    rig_free(r);
}
END_TEST

/* Rows of the new history are never told under cursors of the old one, however soon they come. */
START_TEST(events_of_a_new_epoch_are_told_as_such)
{
    struct rig *r = rig_listening(dsn, NULL);

    for (int i = 1; i <= 20; i++) {
        size_t had = r->count;
        publish_numbers(dsn, "t", i, i);
        rig_until_heard(r, had + 1);
        char *epoch = cluster_sql(dsn, "WITH made AS (SELECT bellpush.new_epoch() AS e), "
                                       "said AS (SELECT bellpush.publish('u', e) FROM made) "
                                       "SELECT e FROM made, said");
        /* It may be heard, or lie in the gap that followers are told of; then it says the truth. */
        for (int64_t end = now_ms() + 10000; strcmp(epoch, r->server.epoch) != 0;) {
            ck_assert_int_lt(now_ms(), end);
            uv_run(&r->loop, UV_RUN_ONCE);
        }
        free(epoch);
    }
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->heard[i].topic, "u") == 0)
            ck_assert_str_eq(r->heard[i].data, r->heard[i].epoch);
    rig_free(r);
}
END_TEST

START_TEST(missing_schema_is_named_and_awaited)
{
    char name[32];

    snprintf(name, sizeof(name), "bare_%d", (int)getpid());
    char *bare = cluster_empty_database(cluster_shared(), name);
    struct rig *r = rig_new(bare, NULL);
    rig_until_why(r, "sql/bellpush.sql");
    ck_assert_int_eq(r->server.source_state, SOURCE_AWAY);
    ck_assert_ptr_nonnull(strstr(r->server.source_why, name));
    char *schema = cluster_schema();
    free(cluster_sql(bare, schema));
    rig_until_state(r, SOURCE_LISTENING); /* by itself, some seconds later */
    free(schema);
    rig_free(r);
    free(bare);
}
END_TEST

START_TEST(newer_schema_is_refused_in_words)
{
    run_sql(dsn, "INSERT INTO bellpush.schema_version (version) VALUES (999)");
    struct rig *r = rig_new(dsn, NULL);

    rig_until_why(r, "999");
    ck_assert_int_eq(r->server.source_state, SOURCE_AWAY);
    rig_free(r);
}
END_TEST

START_TEST(unusable_settings_are_refused_at_start)
{
    static const char *const bad[] = { "channels=bellpush", NULL };
    struct rig *r = rig_new(dsn, bad);

    ck_assert_ptr_null(r->server.source);
    rig_free(r);
    r = rig_new("host=x password='oops", NULL);
    ck_assert_ptr_null(r->server.source);
    rig_free(r);
}
END_TEST

START_TEST(unreachable_server_is_away_not_fatal)
{
    struct rig *r = rig_new("host=/nonexistent", NULL);

    rig_until_why(r, "/nonexistent");
    ck_assert_int_eq(r->server.source_state, SOURCE_AWAY);
    rig_free(r);
    r = rig_new("host=no-such-host.invalid", NULL);
    rig_until_why(r, "no-such-host.invalid");
    ck_assert_ptr_null(strchr(r->server.source_why, '\n'));
    rig_free(r);
}
END_TEST

START_TEST(names_are_looked_up_and_ports_kept)
{
    /* Two names, one nobody listens at; the last entry is the socket that works. */
    char *many = text_of("%s host=localhost,%s port=1,5432 user=postgres dbname=postgres", "",
                         cluster_socket(cluster_shared()));
    struct rig *r = rig_new(many, NULL);

    rig_until_why(r, "sql/bellpush.sql"); /* it has answered */
    rig_free(r);
    free(many);
}
END_TEST

START_TEST(stops_at_any_moment)
{
    for (int turns = 0; turns < 40; turns++) {
        struct rig *r = rig_new(dsn, NULL);
        for (int i = 0; i < turns; i++)
            uv_run(&r->loop, UV_RUN_NOWAIT);
        rig_free(r);
    }
    struct rig *r = rig_new("host=localhost port=1", NULL); /* while a name is looked up */
    rig_free(r);
}
END_TEST

SUITE(pg_listen)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, publishes_are_heard_in_order);
    tcase_add_test(tc, rollbacks_are_not_heard);
    tcase_add_test(tc, burst_rings_once_and_is_read_in_pages);
    tcase_add_test(tc, few_and_many_are_heard_alike);
    tcase_add_test(tc, large_among_small_is_read_in_its_turn);
    tcase_add_test(tc, who_may_not_read_the_log_itself_hears_as_well);
    tcase_add_test(tc, large_events_are_read_whole);
    tcase_add_test(tc, what_was_before_is_not_heard_but_located);
    tcase_add_test(tc, terminated_session_loses_nothing);
    tcase_add_test(tc, retention_that_was_quicker_is_told);
    tcase_add_test(tc, new_epoch_is_noticed_while_live);
    tcase_add_test(tc, events_of_a_new_epoch_are_told_as_such);
    tcase_add_test(tc, missing_schema_is_named_and_awaited);
    tcase_add_test(tc, newer_schema_is_refused_in_words);
    tcase_add_test(tc, unusable_settings_are_refused_at_start);
    tcase_add_test(tc, unreachable_server_is_away_not_fatal);
    tcase_add_test(tc, names_are_looked_up_and_ports_kept);
    tcase_add_test(tc, stops_at_any_moment);
}

/* ---- crashes of the server, on a cluster of its own ---------------------------------------------
 */

static struct rig *fail_over_rig;

START_TEST(server_crash_loses_nothing)
{
    static const char *const settings[] = { "fsync=off", NULL };

    own = cluster_start_with(settings);
    char *mine = cluster_database(own, "crash");
    struct rig *r = rig_listening(mine, NULL);
    char epoch[EPOCH_MAX + 1];
    memcpy(epoch, r->server.epoch, sizeof(epoch));
    for (int i = 0; i < 3; i++) {
        publish_numbers(mine, "t", 100 * i + 1, 100 * i + 50);
        cluster_stop(own, "immediate");
        rig_until_state(r, SOURCE_AWAY);
        cluster_again(own);
        publish_numbers(mine, "t", 100 * i + 51, 100 * i + 100);
        rig_until_heard(r, 100 * (size_t)i + 100);
        rig_until_state(r, SOURCE_LISTENING);
    }
    check_numbers(r, "t", 300);
    ck_assert_str_eq(epoch, r->server.epoch);
    rig_free(r);
    free(mine);
    cluster_free(own);
}
END_TEST

static bool is_of_another_epoch(void *arg)
{
    return strcmp(arg, fail_over_rig->server.epoch) != 0;
}

START_TEST(fail_over_to_a_lagging_standby_begins_another_history)
{
    static const char *const settings[] = { "fsync=off", NULL };
    char epoch[EPOCH_MAX + 1];

    own = cluster_start_with(settings);
    char *mine = cluster_database(own, "moves");
    struct rig *r = fail_over_rig = rig_listening(mine, NULL);
    publish_numbers(mine, "t", 1, 5);
    rig_until_heard(r, 5);
    cluster_back_up(own);
    publish_numbers(mine, "t", 6, 10); /* delivered, and then nobody has them */
    rig_until_heard(r, 10);
    memcpy(epoch, r->server.epoch, sizeof(epoch));
    cluster_fail_over(own);
    rig_until(r, "another epoch", is_of_another_epoch, epoch);
    rig_until_state(r, SOURCE_LISTENING);
    publish_numbers(mine, "t", 11, 13);
    rig_until_heard(r, 13);
    for (int i = 0; i < 13; i++)
        ck_assert_int_eq(atoi(r->heard[i].data), i + 1);
    /* Numbers are given out again, which is why a cursor names its history. */
    ck_assert_int_le(r->heard[10].seq, r->heard[9].seq);
    rig_free(r);
    free(mine);
    cluster_free(own);
}
END_TEST

SUITE(pg_crash)
{
    tcase_add_test(tc, server_crash_loses_nothing);
    tcase_add_test(tc, fail_over_to_a_lagging_standby_begins_another_history);
}
