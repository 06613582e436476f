/*
 * health_test.c - a trouble is one line when it begins and one when it ends, and numbers between.
 */
#include "core/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/server.h"
#include "tests/logged.h"
#include "tests/suite.h"

static uv_loop_t loop;
static struct conf conf;
static struct server s;

static void server_make(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(server_init(&s, &loop, &conf), RC_OK);
    logged_begin(&s.log);
}

static void server_unmake(void)
{
    server_fini(&s);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

/* Time passes: what has been noted was so long ago. */
static void pass(uint64_t ms)
{
    s.health.state_ms -= ms;
    if (s.health.said_ms)
        s.health.said_ms -= ms;
    if (s.health.behind_ms)
        s.health.behind_ms -= ms;
}

static int lines(void)
{
    return logged_count(&s.log, "\n");
}

START_TEST(away_is_told_once_and_its_end_with_what_happened_meanwhile)
{
    server_state(&s, SOURCE_LISTENING, "");
    logged_expect(&s.log, "info");
    logged_expect(&s.log, "database: listening");
    ck_assert_int_eq(lines(), 1);
    server_state(&s, SOURCE_LISTENING, "");
    ck_assert_int_eq(lines(), 1);

    server_state(&s, SOURCE_AWAY, "terminated");
    logged_expect(&s.log, "database away: terminated");
    for (int i = 0; i < 3; i++)
        server_state(&s, SOURCE_AWAY, i < 2 ? "refused" : "starting up");
    ck_assert_int_eq(lines(), 2); /* no flood: not every reason, and no attempt */
    ck_assert_uint_eq(s.health.attempts, 3);
    ck_assert_str_eq(s.source_why, "starting up");
    pass(12300);
    s.stats.events += 512;
    s.stats.publishes_refused += 7;
    server_state(&s, SOURCE_LISTENING, "");
    logged_expect(&s.log, "database back after 12.3 s, 3 attempts: listening; 512 events read, "
                          "7 publishes refused meanwhile");
    ck_assert_int_eq(lines(), 3);
    ck_assert_uint_eq(s.health.attempts, 0);
}
END_TEST

START_TEST(while_it_stays_away_there_is_a_word_now_and_then)
{
    server_state(&s, SOURCE_AWAY, "no such host");
    ck_assert_int_eq(lines(), 1);
    pass(10 * 1000);
    server_state(&s, SOURCE_AWAY, "no such host");
    ck_assert_int_eq(lines(), 1); /* the same reason: not yet */
    server_state(&s, SOURCE_AWAY, "refused");
    logged_expect(&s.log, "database still away after 10.0 s, 3 attempts: refused");
    pass(60 * 1000);
    server_state(&s, SOURCE_AWAY, "refused");
    logged_expect(&s.log, "database still away after 70.0 s, 4 attempts: refused");
    ck_assert_int_eq(lines(), 3);
    server_state(&s, SOURCE_LISTENING, "");
    logged_expect(&s.log, "database back after 70.0 s, 4 attempts: listening");
}
END_TEST

START_TEST(polling_is_told_with_its_reason_and_its_end)
{
    server_state(&s, SOURCE_POLLING, "LISTEN is silent");
    logged_expect(&s.log, "warn");
    logged_expect(&s.log, "database: polling: LISTEN is silent");
    pass(3500);
    server_state(&s, SOURCE_LISTENING, "");
    logged_expect(&s.log, "listening again after 3.5 s of polling");
    server_state(&s, SOURCE_POLLING, "LISTEN is silent");
    ck_assert_int_eq(logged_count(&s.log, "polling: LISTEN is silent"), 2);
    server_state(&s, SOURCE_AWAY, "gone");
    server_state(&s, SOURCE_POLLING, "LISTEN is silent");
    logged_expect(&s.log, "attempts: polling; 0 events read");
    ck_assert_int_eq(lines(), 5);
}
END_TEST

START_TEST(change_of_housekeeper_is_told_by_everybody)
{
    health_recorder(&s, "");
    ck_assert_int_eq(lines(), 0);
    health_recorder(&s, "far:12");
    health_recorder(&s, "far:12");
    logged_expect(&s.log, "housekeeper is now far:12");
    ck_assert_int_eq(lines(), 1);
    health_recorder(&s, s.health.process);
    logged_expect(&s.log, "housekeeper: this process");
    health_recorder(&s, "");
    logged_expect(&s.log, "housekeeper: no longer this process\n");
    health_recorder(&s, s.health.process);
    health_recorder(&s, "near:7");
    logged_expect(&s.log, "housekeeper: no longer this process, but near:7");
}
END_TEST

START_TEST(lag_grows_from_the_moment_something_may_be_untold)
{
    ck_assert_int_eq(health_lag_ms(&s), -1); /* nothing is known of the log */
    ck_assert_int_eq(server_epoch(&s, "e", 0, 5), 5);
    server_state(&s, SOURCE_LISTENING, "");
    ck_assert_int_eq(health_lag_ms(&s), 0);
    server_state(&s, SOURCE_AWAY, "gone");
    pass(2000);
    server_state(&s, SOURCE_AWAY, "gone");
    ck_assert_int_eq(health_lag_ms(&s), 2000);
    server_state(&s, SOURCE_LISTENING, "");
    ck_assert_int_eq(health_lag_ms(&s), 0);
    s.health.behind_ms = uv_now(&loop) - 300; /* a bell that was not answered */
    server_state(&s, SOURCE_AWAY, "gone");
    ck_assert_int_eq(health_lag_ms(&s), 300); /* counts on from there */
}
END_TEST

START_TEST(clock_that_is_set_is_noticed_and_named)
{
    health_look(&s);
    ck_assert_int_eq(lines(), 0);
    s.health.wall_us += 3600 * INT64_C(1000000); /* as if it had been an hour ahead */
    health_look(&s);
    logged_expect(&s.log, "clock set back by 3600.0 s");
    s.health.wall_us -= 90 * INT64_C(1000000);
    health_look(&s);
    logged_expect(&s.log, "clock set forward by 90.0 s");
    health_look(&s);
    ck_assert_int_eq(lines(), 2);
    ck_assert_uint_eq(s.stats.clock_jumps, 2);
}
END_TEST

START_TEST(shortage_of_memory_is_told_once_and_its_end)
{
    for (int i = 0; i < 1000; i++)
        health_no_memory(&s, "an answer");
    health_look(&s);
    logged_expect(&s.log, "no memory for an answer");
    ck_assert_int_eq(lines(), 1);
    ck_assert(s.health.short_ms);
    s.health.short_ms -= 8000;
    s.health.short_last_ms -= 6000;
    health_look(&s);
    logged_expect(&s.log, "memory again: it was short for 2.0 s, 1000 times there was none");
    ck_assert_uint_eq(s.health.short_ms, 0);
    health_look(&s);
    ck_assert_int_eq(lines(), 2);
}
END_TEST

START_TEST(full_house_is_told_once_and_its_end)
{
    s.open_count = s.max_open = 7;
    for (int i = 0; i < 1000; i++)
        ck_assert(server_grant(&s, 1000).refuse);
    health_look(&s);
    logged_expect(&s.log, "full: requests are refused, for 7 replies are open");
    ck_assert_int_eq(lines(), 1);
    s.health.full_ms -= 8000;
    s.health.full_last_ms -= 3000;
    s.open_count = 1;
    health_look(&s);
    logged_expect(&s.log, "room again: for 5.0 s 1000 requests were refused");
    health_look(&s);
    ck_assert_int_eq(lines(), 2);
    s.open_count = s.max_open = 0;
}
END_TEST

START_TEST(another_history_is_named_with_its_cause)
{
    ck_assert_int_eq(server_epoch(&s, "one", 0, 5), 5);
    ck_assert_int_eq(server_epoch(&s, "two", 0, 3), 3);
    logged_expect(&s.log, "the log's history has changed (restored, failed over, or new_epoch() "
                          "was called): epoch two, head 3; was one, 5");
    ck_assert_int_eq(server_epoch(&s, "two", 0, 1), 1);
    logged_expect(&s.log, "(its newest events are gone): epoch two, head 1; was two, 3");
    ck_assert_int_eq(server_epoch(&s, "two", 7, 9), 7);
    logged_expect(&s.log, "retention has overtaken this process: events 2 to 7 are gone");
    ck_assert_int_eq(logged_count(&s.log, "gap told to 0 readers"), 3);
}
END_TEST

START_TEST(descriptors_are_counted_but_not_all_the_time)
{
    size_t n = health_descriptors(&s);
    int more = dup(0);

    ck_assert_uint_gt(n, 3);
    ck_assert_uint_eq(health_descriptors(&s), n); /* remembered */
    s.health.counted_ms = 0;
    ck_assert_uint_eq(health_descriptors(&s), n + 1);
    close(more);
}
END_TEST

SUITE(health)
{
    tcase_add_checked_fixture(tc, server_make, server_unmake);
    tcase_add_test(tc, away_is_told_once_and_its_end_with_what_happened_meanwhile);
    tcase_add_test(tc, while_it_stays_away_there_is_a_word_now_and_then);
    tcase_add_test(tc, polling_is_told_with_its_reason_and_its_end);
    tcase_add_test(tc, change_of_housekeeper_is_told_by_everybody);
    tcase_add_test(tc, lag_grows_from_the_moment_something_may_be_untold);
    tcase_add_test(tc, clock_that_is_set_is_noticed_and_named);
    tcase_add_test(tc, shortage_of_memory_is_told_once_and_its_end);
    tcase_add_test(tc, full_house_is_told_once_and_its_end);
    tcase_add_test(tc, another_history_is_named_with_its_cause);
    tcase_add_test(tc, descriptors_are_counted_but_not_all_the_time);
}
