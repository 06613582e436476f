/*
 * status_test.c - what an operator sees: each member of /status, and its gauge in /metrics, moves
 * with the thing it tells of.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/handlers/loopback.h"
#include "tests/logged.h"
#include "tests/suite.h"

static struct server *server;

static void set_up(void)
{
    static const char *const settings[] = { "queue_bytes=16384", "queue_age=300ms", NULL };

    loopback_open(settings);
    server = loopback_server();
}

/* ---- asking ------------------------------------------------------------------------------ */

static json_t *status_of(struct answer *a)
{
    json_error_t error;
    struct slice body = answer_body(a);
    json_t *all = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, &error);

    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_msg(all, "%s in %.*s", error.text, (int)body.len, body.at);
    answer_close(a);
    return all;
}

static json_t *status(void)
{
    return status_of(stage_get("/status"));
}

static json_t *status_with_key(void)
{
    static const char *const key[] = { "Authorization: Bearer " STAGE_KEY, NULL };

    return status_of(stage_ask(&(struct ask){ .target = "/status", .headers = key }));
}

/* "database.queries.state" and such; the member must be there. */
static json_t *member(json_t *all, const char *path)
{
    char name[64];

    for (json_t *at = all;;) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        at = json_object_get(at, name);
        ck_assert_msg(at, "no member %s", path);
        if (!path[len])
            return at;
        path += len + 1;
    }
}

static double number(json_t *all, const char *path)
{
    ck_assert_msg(json_is_number(member(all, path)), "%s", path);
    return json_number_value(member(all, path));
}

static const char *string(json_t *all, const char *path)
{
    ck_assert_msg(json_is_string(member(all, path)), "%s", path);
    return json_string_value(member(all, path));
}

/* The value of a gauge or a counter; NAN: it is not there. */
static double metric(const char *name)
{
    struct answer *a = stage_get("/metrics");
    struct buf all = BUF_EMPTY;
    char line[80];
    double value = NAN;

    buf_putc(&all, '\n');
    buf_put(&all, answer_body(a));
    buf_putc(&all, '\0');
    ck_assert_int_eq(buf_rc(&all), RC_OK);
    snprintf(line, sizeof(line), "\nbellpush_%s ", name);
    const char *at = strstr(all.at, line);
    if (at)
        value = strtod(at + strlen(line), NULL);
    buf_fini(&all);
    answer_close(a);
    return value;
}

/* ---- the database ------------------------------------------------------------------------ */

START_TEST(a_healthy_process_says_so)
{
    json_t *all = status();

    ck_assert_str_eq(string(all, "database.state"), "listening");
    ck_assert_str_eq(string(all, "database.why"), "");
    ck_assert_str_eq(string(all, "database.queries.state"), "up");
    ck_assert_double_ge(number(all, "database.for_s"), 0);
    ck_assert_double_eq(number(all, "database.attempts"), 0);
    ck_assert_double_eq(number(all, "log.lag_ms"), 0);
    ck_assert(json_is_null(member(all, "log.last_event_s")));
    ck_assert(json_is_null(member(all, "log.delay_ms")));
    ck_assert(json_is_null(member(all, "database.recorder")));
    ck_assert(json_is_true(member(all, "accepting")));
    ck_assert_double_eq(number(all, "slow"), 0);
    ck_assert_double_gt(number(all, "descriptors.used"), 3);
    ck_assert_double_eq(number(all, "publishing.waiting"), 0);
    ck_assert_double_eq(metric("up"), 1);
    ck_assert_double_eq(metric("lag_seconds"), 0);
    ck_assert(isnan(metric("last_event_seconds")));
    json_decref(all);
}
END_TEST

START_TEST(away_has_a_beginning_a_length_and_a_lag)
{
    fake_away(loopback_source());
    server->health.state_ms -= 4500;
    server->health.behind_ms -= 4500;
    json_t *all = status();
    ck_assert_str_eq(string(all, "database.state"), "away");
    ck_assert_double_ge(number(all, "database.for_s"), 4.5);
    ck_assert_double_lt(number(all, "database.for_s"), 60);
    ck_assert_int_eq((int)strlen(string(all, "database.since")), 27);
    ck_assert_double_ge(number(all, "log.lag_ms"), 4500);
    ck_assert_str_eq(string(all, "database.queries.state"), "away");
    ck_assert_double_eq(metric("up"), 0);
    ck_assert_double_eq(metric("query_connections_away"), 1);
    ck_assert_double_ge(metric("lag_seconds"), 4.5);
    ck_assert_double_ge(metric("state_seconds"), 4.5);
    json_decref(all);
    fake_back(loopback_source());
    loopback_settle();
    all = status();
    ck_assert_str_eq(string(all, "database.state"), "listening");
    ck_assert_double_lt(number(all, "database.for_s"), 4);
    ck_assert_double_eq(number(all, "log.lag_ms"), 0);
    json_decref(all);
}
END_TEST

START_TEST(machines_are_named_only_to_who_has_the_key)
{
    char host[256] = "", self[300];

    gethostname(host, sizeof(host) - 1);
    snprintf(self, sizeof(self), "%s:%d", host, (int)getpid());
    health_recorder(server, "db-worker.internal:77");
    json_t *all = status();
    ck_assert_str_eq(string(all, "database.recorder"), "…:77");
    snprintf(self, sizeof(self), "…:%d", (int)getpid());
    ck_assert_str_eq(string(all, "process"), self);
    json_decref(all);
    all = status_with_key();
    ck_assert_str_eq(string(all, "database.recorder"), "db-worker.internal:77");
    snprintf(self, sizeof(self), "%s:%d", host, (int)getpid());
    ck_assert_str_eq(string(all, "process"), self);
    json_decref(all);
    ck_assert_double_eq(metric("housekeeper_known"), 1);
}
END_TEST

START_TEST(publishes_that_wait_are_seen)
{
    fake_stall(loopback_source(), true);
    struct answer *p = stage_ask(
        &(struct ask){ .method = "POST",
                       .target = "/publish?topic=t",
                       .headers = (const char *const[]){ "Authorization: Bearer " STAGE_KEY, NULL },
                       .body = SLICE("x") });
    loopback_settle();
    json_t *all = status();
    ck_assert_double_eq(number(all, "publishing.waiting"), 1);
    ck_assert_double_eq(metric("publishes_waiting"), 1);
    json_decref(all);
    fake_stall(loopback_source(), false);
    ck_assert_int_eq(answer_status(p), 201);
    all = status();
    ck_assert_double_eq(number(all, "publishing.waiting"), 0);
    json_decref(all);
    answer_close(p);
}
END_TEST

/* ---- the log and its readers ------------------------------------------------------------- */

START_TEST(last_event_has_an_age_and_a_delay)
{
    stage_publish("t", NULL, "x");
    loopback_settle();
    server->health.told_ms -= 2500;
    json_t *all = status();
    ck_assert_double_ge(number(all, "log.last_event_s"), 2.5);
    ck_assert_double_lt(number(all, "log.last_event_s"), 60);
    ck_assert_double_lt(fabs(number(all, "log.delay_ms")), 60 * 1000);
    ck_assert_double_ge(metric("last_event_seconds"), 2.5);
    ck_assert_double_eq(number(all, "counts.events"), 1);
    json_decref(all);
}
END_TEST

static bool is_closed(void *arg)
{
    (void)arg;
    return server->stats.slow_closed > 0;
}

START_TEST(slow_readers_are_seen_and_their_end_is_told)
{
    static char large[4001];
    struct answer *a = stage_get("/events?topic=t");

    logged_begin(&server->log);
    answer_expect(a, "retry: ");
    loopback_settle();
    memset(large, 'x', sizeof(large) - 1);
    loopback_take(a, false);
    for (int i = 0; i < 6; i++)
        stage_publish("t", NULL, large);
    loopback_settle();
    json_t *all = status();
    ck_assert_double_eq(number(all, "slow"), 1);
    ck_assert_double_eq(metric("slow_readers"), 1);
    json_decref(all);
    loopback_take(a, true); /* it takes, and is slow no more */
    loopback_settle();
    ck_assert_double_eq(metric("slow_readers"), 0);
    loopback_take(a, false);
    for (int i = 0; i < 6; i++)
        stage_publish("t", NULL, large);
    loopback_settle();
    ck_assert_double_eq(metric("slow_readers"), 1);
    loopback_until(is_closed, NULL, "the slow reader's end");
    ck_assert_double_eq(metric("slow_readers"), 0);
    all = status();
    ck_assert_double_eq(number(all, "counts.slow_closed"), 1);
    json_decref(all);
    logged_expect(&server->log, "slow reader closed: ");
    logged_expect(&server->log, "none was taken for 0.3 s, cursor fake-");
    answer_close(a);
}
END_TEST

START_TEST(gap_of_a_sleeping_reader_is_told_to_the_operator)
{
    struct source *source = loopback_source();

    for (int i = 0; i < 20; i++)
        stage_publish("t", NULL, "x");
    loopback_settle();
    fake_prune(source, 15);
    journal_reset(server->journal, 20);
    logged_begin(&server->log);
    struct answer *a = stage_get("/events?topic=t&since=fake-3");
    answer_expect(a, "bellpush-gap");
    logged_expect(&server->log, "retention has overtaken a reader: gap told, 4 to 15");
    answer_close(a);
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------------- */

START_TEST(want_of_anything_is_seen)
{
    server->health.not_accepting = true;
    health_no_memory(server, "a test");
    server->health.connections = 12;
    server->health.descriptors_max = 4096;
    json_t *all = status();
    ck_assert(json_is_false(member(all, "accepting")));
    ck_assert_double_eq(number(all, "connections"), 12);
    ck_assert_double_eq(number(all, "descriptors.limit"), 4096);
    ck_assert_double_eq(metric("accepting"), 0);
    ck_assert(json_is_true(member(all, "memory.short")));
    ck_assert_double_gt(number(all, "memory.resident"), 1e5);
    ck_assert_double_eq(metric("memory_short"), 1);
    ck_assert_double_gt(metric("resident_bytes"), 1e5);
    ck_assert_double_eq(metric("max_descriptors"), 4096);
    json_decref(all);
}
END_TEST

START_TEST(every_count_is_in_both)
{
    json_t *all = status(), *counts = member(all, "counts"), *value;
    const char *name;
    char total[80];

    ck_assert_uint_ge(json_object_size(counts), 18);
    json_object_foreach(counts, name, value)
    {
        snprintf(total, sizeof(total), "%s_total", name);
        if (strcmp(name, "requests") != 0) /* asking counts too */
            ck_assert_double_eq(metric(total), json_number_value(value));
    }
    json_decref(all);
}
END_TEST

SUITE(status)
{
    tcase_add_checked_fixture(tc, set_up, loopback_teardown);
    tcase_add_test(tc, a_healthy_process_says_so);
    tcase_add_test(tc, away_has_a_beginning_a_length_and_a_lag);
    tcase_add_test(tc, machines_are_named_only_to_who_has_the_key);
    tcase_add_test(tc, publishes_that_wait_are_seen);
    tcase_add_test(tc, last_event_has_an_age_and_a_delay);
    tcase_add_test(tc, slow_readers_are_seen_and_their_end_is_told);
    tcase_add_test(tc, gap_of_a_sleeping_reader_is_told_to_the_operator);
    tcase_add_test(tc, want_of_anything_is_seen);
    tcase_add_test(tc, every_count_is_in_both);
}
