/*
 * follow_run_test.c - events of one topic that come together: who gets them as one, who one by one.
 */
#include "tests/core/follow_rig.h"
#include "tests/suite.h"

/* So many events on "a" come together. */
static void commit_run(int n)
{
    while (n-- > 0)
        follow_commit("a");
    follow_turn(3);
}

START_TEST(events_of_one_topic_that_come_together_are_handed_out_as_a_run)
{
    struct reader takes = { .filter = "a", .takes_runs = true }, refuses = { .filter = "#" };

    follow_turn(2);
    reader_start(&takes, (struct since){ .kind = SINCE_NOW });
    reader_start(&refuses, (struct since){ .kind = SINCE_NOW });
    commit_run(5);
    ck_assert_uint_eq(takes.runs, 1);
    ck_assert_uint_eq(takes.events, 5);
    ck_assert_uint_eq(refuses.events, 5);
    commit_run(1); /* is none */
    ck_assert_uint_eq(takes.runs, 1);
    ck_assert_uint_eq(takes.events, 6);
    reader_stop(&takes);
    reader_stop(&refuses);
}
END_TEST

START_TEST(who_takes_no_more_after_a_run_goes_on_after_it)
{
    struct reader pauses = { .filter = "a", .takes_runs = true, .pause_in = 5 },
                  leaves = { .filter = "a", .takes_runs = true, .close_in = 5 };

    follow_turn(2);
    reader_start(&pauses, (struct since){ .kind = SINCE_NOW });
    reader_start(&leaves, (struct since){ .kind = SINCE_NOW });
    commit_run(5);
    ck_assert_uint_eq(pauses.runs, 1);
    ck_assert_uint_eq(leaves.runs, 1);
    ck_assert(!leaves.started);
    commit_run(3);
    ck_assert_uint_eq(pauses.events, 5);
    ck_assert_int_eq(follow_cursor(&pauses.follow), 5);
    follow_resume(&pauses.follow);
    follow_turn(3);
    ck_assert_uint_eq(pauses.events, 8);
    ck_assert_uint_eq(leaves.events, 5);
    reader_stop(&pauses);
}
END_TEST

START_TEST(of_a_run_that_not_all_may_hear_each_hears_what_it_may)
{
    struct reader r = { .filter = "a", .takes_runs = true };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    follow_commit("a");
    follow_commit_draft((struct draft){ .topic = SLICE("a"), .is_private = true });
    follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 2);
    fake_clock(follow_server.source, -60000);
    follow_commit("a");
    follow_commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 1000 });
    follow_truth.topic[follow_truth.head] = NULL;
    follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 4);
    ck_assert_uint_eq(r.runs, 0);
    ck_assert_int_eq(follow_cursor(&r.follow), 6);
    follow_commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 3600000 }); /* lasts */
    commit_run(1);
    ck_assert_uint_eq(r.events, 6);
    ck_assert_uint_eq(r.runs, 1);
    reader_stop(&r);
}
END_TEST

START_TEST(who_is_amid_a_run_hears_the_rest_of_it)
{
    struct reader ahead = { .filter = "a", .takes_runs = true, .pos = 2 };

    follow_turn(2);
    fake_mute(follow_server.source);
    commit_run(5);
    reader_start(&ahead,
                 reader_cursor(2)); /* given out by a process that has heard of it already */
    follow_turn(3);
    fake_bell(follow_server.source);
    follow_turn(3);
    ck_assert_uint_eq(ahead.events, 3);
    ck_assert_uint_eq(ahead.runs, 0);
    reader_stop(&ahead);
}
END_TEST

SUITE(follow_run)
{
    tcase_add_checked_fixture(tc, follow_rig_set_up, follow_rig_tear_down);
    tcase_add_test(tc, events_of_one_topic_that_come_together_are_handed_out_as_a_run);
    tcase_add_test(tc, who_takes_no_more_after_a_run_goes_on_after_it);
    tcase_add_test(tc, of_a_run_that_not_all_may_hear_each_hears_what_it_may);
    tcase_add_test(tc, who_is_amid_a_run_hears_the_rest_of_it);
}
