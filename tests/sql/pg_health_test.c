/*
 * pg_health_test.c - what the operator is told of a real database: who keeps house, how far behind
 * we are, what came between.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/logged.h"
#include "tests/peers/bouncer.h"
#include "tests/sql/pg_rig.h"

static char *dsn;

static void set_up(void)
{
    dsn = rig_database();
}

static void tear_down(void)
{
    free(dsn);
}

/* ---- the housekeeper --------------------------------------------------------------------------
 */

struct hope {
    struct rig *rig;
    const char *name;
};

static bool is_recorder(void *arg)
{
    struct hope *h = arg;

    return strcmp(h->rig->server.health.recorder, h->name) == 0;
}

/* So many milliseconds later at most this process knows. */
static void expect_recorder(struct rig *r, const char *name, int64_t within_ms)
{
    int64_t begin = now_ms();

    rig_until(r, name, is_recorder, &(struct hope){ r, name });
    ck_assert_int_le(now_ms() - begin, within_ms);
}

static bool is_held(void *arg)
{
    char *held = cluster_sql(arg, "SELECT count(*) FROM bellpush.workers "
                                  "WHERE state ->> 'housekeeper' = 'true'");
    bool is = atoi(held) == 1;

    free(held);
    return is;
}

START_TEST(everybody_knows_who_keeps_house_and_who_comes_next)
{
    pid_t first = rig_process(dsn, NULL);

    ck_assert(wait_until(is_held, dsn, 30 * 1000));
    struct rig *r = rig_listening(dsn, NULL);
    char *us = text_of("%s", r->server.health.process);
    char *its = text_of("%.*s:%d", (int)(strrchr(us, ':') - us), us, (int)first);
    char *line = text_of("housekeeper is now %s\n", its);

    logged_begin(&r->server.log);
    expect_recorder(r, its, 4000);
    logged_expect(&r->server.log, line);
    ck_assert(!r->server.housekeeper);
    rig_run(r, 3000);
    ck_assert_int_eq(logged_count(&r->server.log, "housekeeper"), 1); /* once */
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    expect_recorder(r, us, 5000);
    ck_assert(r->server.housekeeper);
    logged_expect(&r->server.log, "housekeeper: this process");
    run_sql(dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                 "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    rig_until_state(r, SOURCE_AWAY);
    ck_assert_str_eq(r->server.health.recorder, ""); /* for a moment nobody knows */
    logged_expect(&r->server.log, "housekeeper: no longer this process\n");
    expect_recorder(r, us, 15000);
    rig_free(r);
    free(line);
    free(its);
    free(us);
}
END_TEST

/* ---- trouble ----------------------------------------------------------------------------------
 */

static void settled(struct rig *r)
{
    rig_until_state(r, SOURCE_LISTENING);
    rig_until_housekeeper(r);
    rig_run(r, 300);
}

START_TEST(restart_of_the_server_is_a_beginning_and_an_end)
{
    static const char *const settings[] = { "fsync=off", NULL };
    struct cluster *own = cluster_start_with(settings);
    char *mine = cluster_database(own, "restarts");
    struct rig *r = rig_listening(mine, NULL);
    struct source_view view;

    settled(r);
    logged_begin(&r->server.log);
    publish_numbers(mine, "t", 1, 3);
    rig_until_heard(r, 3);
    cluster_stop(own, "fast");
    rig_until_state(r, SOURCE_AWAY);
    rig_run(r, 3000); /* a few attempts */
    ck_assert_uint_ge(r->server.health.attempts, 2);
    ck_assert_int_ge(health_lag_ms(&r->server), 2900);
    source_look(r->server.source, &view);
    ck_assert_int_ge(view.contact_ms, 2900);
    ck_assert_int_lt(view.contact_ms, 60 * 1000);
    cluster_again(own);
    publish_numbers(mine, "t", 4, 10);
    rig_until_heard(r, 10);
    rig_until_state(r, SOURCE_LISTENING);
    rig_run(r, 50);
    ck_assert_int_lt(health_lag_ms(&r->server), 1000);
    source_look(r->server.source, &view);
    ck_assert_int_lt(view.contact_ms, 2000);
    logged_expect(&r->server.log, "database away: ");
    logged_expect(&r->server.log, "database back after ");
    logged_expect(&r->server.log, " events read, 0 publishes refused meanwhile");
    ck_assert_int_eq(logged_count(&r->server.log, "database away"), 1);
    ck_assert_int_le(logged_count(&r->server.log, "database"), 3);
    rig_free(r);
    free(mine);
    cluster_free(own);
}
END_TEST

static bool lags(void *arg)
{
    return health_lag_ms(arg) >= 2000;
}

START_TEST(server_that_falls_silent_is_seen_before_it_is_given_up)
{
    static const char *const settings[] = { "fsync=off", NULL };
    struct cluster *own = cluster_start_with(settings);
    char *mine = cluster_database(own, "frozen");
    struct rig *r = rig_listening(mine, NULL);
    struct source_view view;

    settled(r);
    logged_begin(&r->server.log);
    cluster_freeze(own);
    rig_until(r, "a lag", lags, &r->server);
    ck_assert_int_eq(r->server.source_state, SOURCE_LISTENING); /* as far as anybody knows */
    source_look(r->server.source, &view);
    ck_assert_int_ge(view.contact_ms, 2000);
    rig_until_state(r, SOURCE_AWAY);
    logged_expect(&r->server.log, "database away: no answer within 15 s");
    ck_assert_int_eq(logged_count(&r->server.log, "silent"), 0); /* no pooler is suspected */
    cluster_thaw(own);
    rig_until_state(r, SOURCE_LISTENING);
    logged_expect(&r->server.log, "database back after ");
    ck_assert_int_eq(health_lag_ms(&r->server), 0);
    rig_free(r);
    free(mine);
    cluster_free(own);
}
END_TEST

/* ---- behind a pooler --------------------------------------------------------------------------
 */

static void on_published(void *arg, const struct publication *p)
{
    *(int *)arg = p->rc == RC_OK ? 1 : -1;
}

static bool is_answered(void *arg)
{
    return *(int *)arg != 0;
}

/* 1: committed; -1: not. */
static int publish(struct rig *r)
{
    struct draft d = { .topic = SLICE("t"), .data = SLICE("x") };
    int answer = 0;

    ck_assert_ptr_nonnull(
        source_publish(r->server.source, &d, 1, SLICE_NONE, on_published, &answer));
    rig_until(r, "a publish", is_answered, &answer);
    return answer;
}

START_TEST(pooler_that_is_away_is_named_while_we_listen)
{
    char name[32];

    snprintf(name, sizeof(name), "pooled_%d", (int)getpid());
    char *direct = cluster_database(cluster_shared(), name);
    struct bouncer *b = bouncer_start(
        &(struct bouncer_spec){ .cluster = cluster_shared(), .database = name, .sessions = 2 });
    char *listen = text_of("listen_database=%s", direct);
    const char *settings[] = { listen, NULL };
    struct rig *r = rig_listening(bouncer_dsn(b), settings);
    struct source_view view;

    logged_begin(&r->server.log);
    ck_assert_int_eq(publish(r), 1);
    source_look(r->server.source, &view);
    ck_assert_uint_ge(view.open, 1);
    ck_assert(!view.away);
    bouncer_stop(b, SIGTERM);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(publish(r), -1);
    rig_run(r, 3000); /* and nobody asks for it any more: that makes it no better */
    source_look(r->server.source, &view);
    ck_assert(view.away);
    ck_assert_str_ne(view.why, "");
    ck_assert_uint_eq(view.publishes, 0);
    ck_assert_int_eq(r->server.source_state, SOURCE_LISTENING);
    ck_assert_uint_ge(r->server.stats.publishes_refused, 19);
    ck_assert_uint_eq(r->server.stats.publishes_refused + r->server.stats.publishes_uncertain, 20);
    ck_assert_int_eq(logged_count(&r->server.log, "query connections away: "), 1);
    bouncer_again(b);
    for (int64_t end = now_ms() + 30000; publish(r) != 1;) /* by itself, soon */
        ck_assert_int_lt(now_ms(), end);
    ck_assert_int_eq(logged_count(&r->server.log, "query connections back after "), 1);
    source_look(r->server.source, &view);
    ck_assert(!view.away);
    ck_assert_ptr_null(strstr(logged(&r->server.log), "database away"));
    rig_free(r);
    bouncer_free(b);
    free(listen);
    free(direct);
}
END_TEST

START_TEST(who_polls_knows_the_housekeeper_too)
{
    static const char *const settings[] = { "probe=200ms", NULL };
    char name[32], its[16];

    snprintf(name, sizeof(name), "polls_%d", (int)getpid());
    char *direct = cluster_database(cluster_shared(), name);
    struct bouncer *b = bouncer_start(
        &(struct bouncer_spec){ .cluster = cluster_shared(), .database = name, .sessions = 1 });
    pid_t other = rig_process(direct, NULL);
    ck_assert(wait_until(is_held, direct, 30 * 1000));
    struct rig *r = rig_new(bouncer_dsn(b), settings);
    rig_until_state(r, SOURCE_POLLING);
    rig_run(r, 3000);
    snprintf(its, sizeof(its), ":%d", (int)other);
    ck_assert_ptr_nonnull(strstr(r->server.health.recorder, its));
    ck_assert(!r->server.housekeeper);
    int64_t lag = health_lag_ms(&r->server); /* since the last look */
    ck_assert_int_le(lag, 2000);
    rig_free(r);
    bouncer_free(b);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    free(direct);
}
END_TEST

/* ---- history ----------------------------------------------------------------------------------
 */

START_TEST(another_epoch_is_told_in_the_log)
{
    struct rig *r = rig_listening(dsn, NULL);
    char before[EPOCH_MAX + 1];

    settled(r);
    logged_begin(&r->server.log);
    memcpy(before, r->server.epoch, sizeof(before));
    run_sql(dsn, "SELECT bellpush.new_epoch()");
    for (int64_t end = now_ms() + 10000; strcmp(before, r->server.epoch) == 0;) {
        ck_assert_int_lt(now_ms(), end);
        uv_run(&r->loop, UV_RUN_ONCE);
    }
    logged_expect(&r->server.log, "the log's history has changed (restored, failed over, or "
                                  "new_epoch() was called)");
    rig_free(r);
}
END_TEST

SUITE(pg_health)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, everybody_knows_who_keeps_house_and_who_comes_next);
    tcase_add_test(tc, restart_of_the_server_is_a_beginning_and_an_end);
    tcase_add_test(tc, server_that_falls_silent_is_seen_before_it_is_given_up);
    tcase_add_test(tc, pooler_that_is_away_is_named_while_we_listen);
    tcase_add_test(tc, who_polls_knows_the_housekeeper_too);
    tcase_add_test(tc, another_epoch_is_told_in_the_log);
}
