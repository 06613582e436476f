/*
 * upset_test.c - everything between the log and the client dies or is restarted in turn; clients
 * come back with their cursor and have lost nothing.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/web/crowd.h"
#include "tests/web/web.h"

enum { FEW = 20, FEWER = 4, PIDS = 64, TURN_MS = 50, TURNS_MAX = 1000 };

static size_t few(void)
{
    return web.way->traits.one_slot ? FEWER : FEW;
}

static void signal_workers(int signal)
{
    pid_t pids[PIDS];
    size_t n = front_workers(web.front, pids, PIDS);

    ck_assert_uint_gt(n, 0);
    for (size_t i = 0; i < n && i < PIDS; i++)
        kill(pids[i], signal);
}

START_TEST(worker_is_killed_and_nothing_is_lost)
{
    const char *topic = stage_topic("killed");
    struct crowd *c = crowd_new(topic, CROWD_MIXED, few());

    crowd_settle(c);
    web_publish_numbers(topic, 1, 5);
    crowd_expect(c, 5);
    size_t before = crowd_returns(c);
    for (int i = 0; i < TURNS_MAX && front_workers(web.front, NULL, 0) == 0; i++)
        crowd_turn(c, TURN_MS); /* CGI: between two requests there is none */
    signal_workers(SIGKILL);
    web_publish_numbers(topic, 6, 10);
    crowd_expect(c, 10);
    ck_assert_uint_gt(crowd_returns(c), before);
    crowd_free(c);
}
END_TEST

/* By a last chunk, as nginx does, or with its connection. */
static bool reply_is_over(void *arg)
{
    static const char last[] = "\r\n0\r\n\r\n";
    enum { LAST_LEN = sizeof last - 1 };

    http_wait(arg, TURN_MS);
    struct slice all = http_body(arg);
    return http_ended(arg) ||
           (all.len > LAST_LEN && memcmp(all.at + all.len - LAST_LEN, last, LAST_LEN) == 0);
}

/* A browser keeps the connection for what it asks next, and waits. */
START_TEST(stream_of_a_killed_worker_ends_though_its_connection_might_be_kept)
{
    char *raw =
        text_of("GET /push/events?topic=%s HTTP/1.1\r\nHost: here\r\n\r\n", stage_topic("ends"));
    struct http *h =
        http_new(&(struct http_ask){ .port = front_port(web.front), .raw = slice_of(raw) });

    while (http_body(h).len == 0 || !memmem(http_body(h).at, http_body(h).len, "id: ", 4))
        ck_assert(http_wait(h, WEB_PATIENCE_MS));
    signal_workers(SIGKILL);
    ck_assert(wait_until(reply_is_over, h, WEB_PATIENCE_MS));
    http_free(h);
    free(raw);
}
END_TEST

START_TEST(worker_is_stopped_and_says_farewell)
{
    const char *topic = stage_topic("stopped");
    char *target = text_of("/events?topic=%s", topic);
    struct answer *a = stage_get(target);
    struct crowd *c = crowd_new(topic, CROWD_STREAM, few());

    crowd_settle(c);
    answer_expect(a, "id: ");
    signal_workers(SIGTERM);
    answer_expect(a, "(drain)");
    answer_expect(a, "retry: ");
    (void)answer_body(a);
    answer_close(a);
    web_publish_numbers(topic, 1, 5);
    crowd_expect(c, 5);
    ck_assert_uint_ge(crowd_returns(c), few());
    crowd_free(c);
    free(target);
    stage_expect_open(0);
}
END_TEST

START_TEST(web_server_is_reloaded_and_nothing_is_lost)
{
    const char *topic = stage_topic("reloaded");
    struct crowd *c = crowd_new(topic, CROWD_MIXED, few());
    int said = 0;

    crowd_settle(c);
    front_reload(web.front);
    /* lighttpd (as Debian sets it) gives streams five seconds more; the others let them go on. */
    while (said < 20 || (web.kind == FRONT_LIGHTTPD && crowd_returns(c) < few())) {
        ck_assert_int_lt(said, TURNS_MAX);
        said++;
        web_publish_numbers(topic, said, said);
        crowd_run(c, TURN_MS);
    }
    crowd_expect(c, said);
    crowd_free(c);
    struct crowd *later = crowd_new(topic, CROWD_MIXED, few());
    crowd_settle(later);
    crowd_free(later);
}
END_TEST

static bool database_is_away(void *arg)
{
    static const char state[] = "\"state\":\"away\"";
    struct answer *a = stage_get("/status");
    struct slice body = answer_body(a);
    (void)arg;
    bool seen = memmem(body.at, body.len, state, sizeof state - 1) != NULL;
    answer_close(a);
    return seen;
}

START_TEST(database_is_restarted_and_streams_stay_open)
{
    struct cluster *own = cluster_start();
    struct web before = web_aside(own, NULL, NULL);
    const char *topic = stage_topic("restart");
    struct crowd *c = crowd_new(topic, CROWD_STREAM, few());

    crowd_settle(c);
    web_publish_numbers(topic, 1, 3);
    crowd_expect(c, 3);
    cluster_stop(own, "immediate");
    ck_assert(wait_until(database_is_away, NULL, WEB_PATIENCE_MS));
    crowd_turn(c, TURN_MS);
    ck_assert_uint_eq(crowd_returns(c), 0);

    char *target = text_of("/publish?topic=%s", topic);
    static const char *const key[] = { "Authorization: Bearer " STAGE_KEY, NULL };
    struct answer *a = stage_ask(
        &(struct ask){ .method = "POST", .target = target, .headers = key, .body = SLICE("lost") });
    ck_assert_int_eq(answer_status(a), 503);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    answer_close(a);
    free(target);

    cluster_again(own);
    web_forget_database();
    web_publish_numbers(topic, 4, 8);
    crowd_expect(c, 8);
    ck_assert_uint_eq(crowd_open(c), few());
    ck_assert_uint_eq(crowd_returns(c), 0);
    crowd_free(c);
    web_back(before);
    cluster_free(own);
}
END_TEST

void upset_tests(TCase *tc, const struct web_way *way)
{
    tcase_add_test(tc, worker_is_killed_and_nothing_is_lost);
    tcase_add_test(tc, web_server_is_reloaded_and_nothing_is_lost);
    if (way->lasting) {
        tcase_add_test(tc, stream_of_a_killed_worker_ends_though_its_connection_might_be_kept);
        tcase_add_test(tc, worker_is_stopped_and_says_farewell);
        tcase_add_test(tc, database_is_restarted_and_streams_stay_open);
    }
}
