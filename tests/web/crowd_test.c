/*
 * crowd_test.c - many clients at once: as many streams as a way can bear, and more clients than a
 * one-request site has processes for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/web/crowd.h"
#include "tests/web/web.h"

enum { MANY = 1000, TIGHT = 50, EVENTS = 12 };

START_TEST(a_thousand_streams_get_every_event)
{
    const char *topic = stage_topic("crowd");
    struct crowd *c = crowd_new(topic, CROWD_STREAM, MANY);

    crowd_settle(c);
    stage_expect_open(MANY);
    for (int i = 1; i <= 3; i++) {
        web_publish_numbers(topic, i, i);
        crowd_expect(c, i);
    }
    web_publish_numbers(topic, 4, 40);
    crowd_expect(c, 40);
    ck_assert_uint_eq(crowd_open(c), MANY);
    ck_assert_uint_eq(crowd_returns(c), 0);
    crowd_free(c);
    stage_expect_open(0);
}
END_TEST

/* Capacity (DESIGN.md section 5): degrade to short polls, but never hang and never lose. */
static void serve_too_many(enum crowd_way way)
{
    const char *topic = stage_topic("tight");
    struct crowd *c = crowd_new(topic, way, TIGHT);

    crowd_settle(c);
    for (int i = 1; i <= EVENTS; i++) {
        web_publish_numbers(topic, i, i);
        crowd_run(c, 200); /* events come at any moment of the clients' coming and going */
    }
    crowd_expect(c, EVENTS);
    pid_t pids[4 * WEB_PROCESSES];
    size_t workers = front_workers(web.front, pids, LENGTH(pids));
    if (web.kind == FRONT_APACHE_FCGID || web.kind == FRONT_SHARED_FCGI)
        ck_assert_msg(workers <= WEB_PROCESSES, "%zu workers", workers);
    printf("%s: %d %s, %d events: came back %zu times, refused %zu times, %zu workers now\n",
           web.way->traits.name, TIGHT,
           way == CROWD_STREAM ? "streams"
           : way == CROWD_POLL ? "polls"
                               : "streams and polls",
           EVENTS, crowd_returns(c), crowd_refusals(c), workers);
    ck_assert_uint_eq(crowd_refusals(c), 0);
    crowd_free(c);
}

START_TEST(fifty_streams_on_ten_processes_get_every_event)
{
    serve_too_many(CROWD_STREAM);
}
END_TEST

START_TEST(fifty_polls_on_ten_processes_get_every_event)
{
    serve_too_many(CROWD_POLL);
}
END_TEST

START_TEST(fifty_streams_and_polls_on_ten_processes_get_every_event)
{
    serve_too_many(CROWD_MIXED);
}
END_TEST

void crowd_tests(TCase *tc, const struct web_way *way)
{
    if (way->traits.streams >= MANY)
        tcase_add_test(tc, a_thousand_streams_get_every_event);
    if (way->traits.one_slot) {
        tcase_add_test(tc, fifty_streams_on_ten_processes_get_every_event);
        tcase_add_test(tc, fifty_polls_on_ten_processes_get_every_event);
        tcase_add_test(tc, fifty_streams_and_polls_on_ten_processes_get_every_event);
    }
}
