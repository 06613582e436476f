/*
 * follow_test.c - from a cursor through the past into the present.
 */
#include <stdlib.h>

#include "tests/core/follow_rig.h"
#include "tests/suite.h"

/* ---- single paths -------------------------------------------------------------------------- */

START_TEST(who_begins_now_hears_only_what_comes)
{
    struct reader r = { .filter = "a" };

    follow_commit("a");
    follow_turn(3);
    r.pos = 1;
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    ck_assert_uint_eq(r.caught_up, 1);
    follow_commit("a");
    follow_commit("b");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_int_eq(follow_cursor(&r.follow), 3);
    reader_stop(&r);
    follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1);
}
END_TEST

START_TEST(who_comes_before_the_log_is_known_waits_for_it)
{
    struct reader r = { .filter = "#" }, gone = { .filter = "#" };

    reader_start(&r, (struct since){ .kind = SINCE_EARLIEST });
    reader_start(&gone, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert_int_eq(follow_cursor(&r.follow), -1);
    reader_stop(&gone);
    follow_commit("a");
    follow_turn(6);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_uint_eq(gone.events, 0);
    reader_stop(&r);
}
END_TEST

START_TEST(a_recent_cursor_is_served_from_memory_an_old_one_from_the_database)
{
    struct reader recent = { .filter = "a", .pos = 95, .in_past = true },
                  old = { .filter = "a", .pos = 3 };

    follow_turn(2);
    for (int i = 0; i < 100; i++)
        follow_commit("a");
    follow_turn(3);
    reader_start(&recent, reader_cursor(95));
    ck_assert_uint_eq(recent.events, 5); /* at one go */
    ck_assert_uint_eq(follow_server.stats.database_replays, 0);
    reader_start(&old, reader_cursor(3));
    ck_assert_uint_eq(old.events, 0);
    follow_turn(30);
    ck_assert_uint_eq(old.events, 97);
    ck_assert_uint_gt(follow_server.stats.database_replays, 1);
    reader_stop(&recent);
    reader_stop(&old);
}
END_TEST

START_TEST(a_cursor_that_is_none_of_ours_is_told_so)
{
    struct reader foreign = { .filter = "a" }, epoch = { .filter = "a" }, ahead = { .filter = "a" };
    struct since other = { .kind = SINCE_CURSOR, .cursor = { "other", 1 } };

    follow_turn(2);
    follow_commit("a");
    follow_turn(3);
    reader_start(&foreign, (struct since){ .kind = SINCE_FOREIGN });
    ck_assert_uint_eq(foreign.gaps, 1);
    ck_assert_int_eq(foreign.reason, GAP_UNKNOWN);
    reader_start(&epoch, other);
    ck_assert_int_eq(epoch.reason, GAP_EPOCH);
    reader_start(&ahead, reader_cursor(1000));
    follow_turn(3);
    ck_assert_uint_eq(ahead.gaps, 1);
    ck_assert_int_eq(ahead.reason, GAP_UNKNOWN);
    follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(foreign.events, 1);
    ck_assert_uint_eq(epoch.events, 1);
    ck_assert_uint_eq(ahead.events, 1);
    reader_stop(&foreign);
    reader_stop(&epoch);
    reader_stop(&ahead);
}
END_TEST

START_TEST(a_cursor_from_a_process_that_is_ahead_of_us_is_good)
{
    struct reader r = { .filter = "a" };

    follow_turn(2);
    follow_commit("a");
    follow_turn(3);
    fake_mute(follow_server.source); /* this process lags behind */
    follow_commit("a");
    follow_commit("a");
    follow_turn(3);
    ck_assert_int_eq(follow_server.head, 1);
    r.pos = 2;
    reader_start(&r, reader_cursor(2));
    follow_turn(3);
    ck_assert_uint_eq(r.gaps, 0);
    fake_bell(follow_server.source);
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1); /* 3, and not 2 again */
    reader_stop(&r);
}
END_TEST

START_TEST(who_takes_no_more_is_brought_forward_later)
{
    struct reader r = { .filter = "a", .pause_in = 2 };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    for (int i = 0; i < 10; i++)
        follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 2);
    ck_assert_int_eq(follow_cursor(&r.follow), 2);
    follow_resume(&r.follow);
    ck_assert_uint_eq(r.events, 10); /* from the journal */
    r.pause_in = 1;
    for (int i = 0; i < 50; i++)
        follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 11);
    follow_resume(&r.follow);
    follow_turn(30);
    ck_assert_uint_eq(r.events, 60); /* from the database */
    follow_resume(&r.follow);        /* is not paused: nothing happens */
    reader_stop(&r);
}
END_TEST

START_TEST(while_it_is_paused_its_filters_may_be_exchanged)
{
    struct reader r = { .filter = "a" };
    struct slice both[] = { SLICE("a"), SLICE("b") };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    follow_commit("a");
    follow_commit("b");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert(follow_pause(&r.follow));
    ck_assert(follow_pause(&r.follow));
    ck_assert_int_eq(follow_cursor(&r.follow), 2);
    follow_commit("a");
    follow_commit("b");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1);
    r.filter = "#"; /* what it expects from here on: both, and nothing else is committed */
    r.pos = 2;
    ck_assert_int_eq(follow_change(&r.follow, both, 2, &r.follow.who), RC_OK);
    follow_resume(&r.follow);
    ck_assert_uint_eq(r.events, 3); /* the past between the pause and the change, too */
    follow_commit("b");
    follow_turn(3);
    ck_assert_uint_eq(r.events, 4);
    reader_stop(&r);
}
END_TEST

START_TEST(who_reads_the_past_can_be_paused_and_who_waits_for_its_place_cannot)
{
    struct reader r = { .filter = "a" };

    reader_start(&r, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert(!follow_pause(&r.follow));
    follow_turn(2);
    for (int i = 0; i < 60; i++) /* more than the journal holds */
        follow_commit("a");
    follow_turn(3);
    reader_stop(&r);
    r = (struct reader){ .filter = "a" };
    reader_start(&r, reader_cursor(0)); /* the page is on its way */
    ck_assert(follow_pause(&r.follow));
    follow_turn(3);
    ck_assert_uint_eq(r.events, 0);
    follow_resume(&r.follow);
    follow_turn(30);
    ck_assert_uint_eq(r.events, 60);
    reader_stop(&r);
    ck_assert(!follow_pause(&r.follow));
}
END_TEST

START_TEST(retention_that_overtakes_a_sleeper_is_told)
{
    struct reader r = { .filter = "a", .pause_in = 1 };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    for (int i = 0; i < 60; i++)
        follow_commit("a");
    follow_turn(3);
    fake_prune(follow_server.source, follow_truth.pruned = 40);
    follow_resume(&r.follow);
    follow_turn(20);
    ck_assert_uint_eq(r.gaps, 1);
    ck_assert_int_eq(r.reason, GAP_EXPIRED);
    ck_assert_uint_eq(r.events, 1 + 20);
    reader_stop(&r);
}
END_TEST

START_TEST(retention_that_overtakes_the_whole_process_is_told)
{
    struct reader r = { .filter = "a" };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    follow_commit("a");
    follow_turn(3);
    fake_away(follow_server.source);
    for (int i = 0; i < 9; i++)
        follow_commit("a");
    fake_prune(follow_server.source, follow_truth.pruned = 5);
    fake_back(follow_server.source);
    follow_turn(3);
    ck_assert_uint_eq(r.gaps, 1);
    ck_assert_uint_eq(r.events, 1 + 5);
    reader_stop(&r);
}
END_TEST

START_TEST(another_history_is_told_to_everyone)
{
    struct reader live = { .filter = "a" }, paused = { .filter = "a", .pause_in = 1 };

    follow_turn(2);
    reader_start(&live, (struct since){ .kind = SINCE_NOW });
    reader_start(&paused, (struct since){ .kind = SINCE_NOW });
    follow_commit("a");
    follow_commit("a");
    follow_turn(3);
    fake_away(follow_server.source);
    fake_restore(follow_server.source, "second");
    fake_back(follow_server.source);
    follow_turn(3);
    ck_assert_str_eq(follow_server.epoch, "second");
    ck_assert_int_eq(live.reason, GAP_EPOCH);
    ck_assert_uint_eq(live.gaps, 1);
    ck_assert_uint_eq(paused.gaps, 1);
    follow_truth.head = 0;
    follow_commit("a");
    follow_turn(3);
    ck_assert_uint_eq(live.events, 3);
    follow_resume(&paused.follow);
    ck_assert_uint_eq(paused.events, 2);
    reader_stop(&live);
    reader_stop(&paused);
}
END_TEST

START_TEST(private_and_expired_events_are_passed_over)
{
    struct reader r = { .filter = "#" };

    follow_turn(2);
    reader_start(&r, (struct since){ .kind = SINCE_NOW });
    follow_commit_draft((struct draft){ .topic = SLICE("a"), .is_private = true });
    follow_commit("a");
    fake_clock(follow_server.source, -60000);
    follow_commit_draft((struct draft){ .topic = SLICE("a"), .expires_ms = 1000 });
    follow_truth.topic[follow_truth.head] = NULL;
    follow_turn(3);
    ck_assert_uint_eq(r.events, 1);
    ck_assert_int_eq(follow_cursor(&r.follow), 3);
    reader_stop(&r);
}
END_TEST

START_TEST(too_many_questions_end_the_reader_that_asks)
{
    struct reader r = { .filter = "a" };

    follow_turn(2);
    fake_refuse(follow_server.source, true);
    reader_start(&r, (struct since){ .kind = SINCE_EARLIEST });
    ck_assert_uint_eq(r.failures, 1);
    ck_assert_uint_eq(hub_subscribers(follow_server.hub), 0);
}
END_TEST

/* ---- all at once, by chance ---------------------------------------------------------------- */

enum { READERS = 12 };

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % sides;
}

static void one_chance(struct reader *readers)
{
    static const char *const topics[] = { "a", "a/b", "a/b/c", "b", "b/b", "$s/a" };
    struct reader *r = &readers[dice(READERS)];

    switch (dice(16)) {
    case 0:
        fake_away(follow_server.source);
        break;
    case 1:
    case 2:
        fake_back(follow_server.source);
        break;
    case 3:
        fake_mute(follow_server.source);
        break;
    case 4:
    case 5:
        fake_bell(follow_server.source);
        break;
    case 6:
        if (follow_truth.holes_allowed && dice(4) == 0 && follow_truth.head > follow_truth.pruned)
            fake_prune(follow_server.source,
                       follow_truth.pruned +=
                       1 + dice((unsigned)(follow_truth.head - follow_truth.pruned)));
        break;
    case 7:
        follow_resume(&r->follow);
        break;
    case 8: /* reconnects with its cursor */
        if (r->started && follow_cursor(&r->follow) >= 0) {
            reader_missed_nothing(r, follow_cursor(&r->follow) + 1);
            r->pos = follow_cursor(&r->follow);
        }
        if (r->started)
            reader_stop(r);
        reader_start(r, reader_cursor(r->pos));
        break;
    case 9:
        r->pause_in = (int)dice(5);
        break;
    case 10:
        r->close_in = (int)dice(9);
        break;
    default:
        for (unsigned i = dice(5); i > 0; i--)
            follow_commit(topics[dice(LENGTH(topics))]);
    }
    follow_turn((int)dice(3));
}

static void play(uint64_t seed, bool holes_allowed)
{
    static const char *const filters[] = { "#", "a/#", "+", "a/+", "b", "+/b/#", "$s/#" };
    struct reader readers[READERS] = { 0 };

    dice_state = seed * 2 + 1;
    follow_truth.holes_allowed = holes_allowed;
    follow_turn(2);
    for (size_t i = 0; i < READERS; i++) {
        readers[i].filter = filters[i % LENGTH(filters)];
        readers[i].takes_runs = i % 2;
        reader_start(&readers[i], reader_cursor(0));
    }
    for (int step = 0; step < 1500; step++)
        one_chance(readers);
    fake_back(follow_server.source);
    fake_bell(follow_server.source);
    for (size_t i = 0; i < READERS; i++) {
        readers[i].pause_in = readers[i].close_in = 0;
        if (!readers[i].started)
            reader_start(&readers[i], reader_cursor(readers[i].pos));
    }
    for (int i = 0; i < 2000; i++) {
        follow_turn(1);
        for (size_t k = 0; k < READERS; k++)
            follow_resume(&readers[k].follow);
    }
    for (size_t i = 0; i < READERS; i++) {
        ck_assert_int_eq(follow_cursor(&readers[i].follow), follow_truth.head);
        reader_missed_nothing(&readers[i], follow_truth.head + 1);
        ck_assert_uint_eq(readers[i].failures, 0);
        if (!holes_allowed)
            ck_assert_uint_eq(readers[i].gaps, 0);
        reader_stop(&readers[i]);
    }
}

START_TEST(whatever_happens_nothing_is_lost_doubled_or_swapped)
{
    play((uint64_t)_i + 1, false);
}
END_TEST

START_TEST(whatever_retention_does_every_hole_is_told)
{
    play((uint64_t)_i + 1000, true);
}
END_TEST

SUITE(follow)
{
    tcase_add_checked_fixture(tc, follow_rig_set_up, follow_rig_tear_down);
    tcase_add_test(tc, who_begins_now_hears_only_what_comes);
    tcase_add_test(tc, who_comes_before_the_log_is_known_waits_for_it);
    tcase_add_test(tc, a_recent_cursor_is_served_from_memory_an_old_one_from_the_database);
    tcase_add_test(tc, a_cursor_that_is_none_of_ours_is_told_so);
    tcase_add_test(tc, a_cursor_from_a_process_that_is_ahead_of_us_is_good);
    tcase_add_test(tc, who_takes_no_more_is_brought_forward_later);
    tcase_add_test(tc, while_it_is_paused_its_filters_may_be_exchanged);
    tcase_add_test(tc, who_reads_the_past_can_be_paused_and_who_waits_for_its_place_cannot);
    tcase_add_test(tc, retention_that_overtakes_a_sleeper_is_told);
    tcase_add_test(tc, retention_that_overtakes_the_whole_process_is_told);
    tcase_add_test(tc, another_history_is_told_to_everyone);
    tcase_add_test(tc, private_and_expired_events_are_passed_over);
    tcase_add_test(tc, too_many_questions_end_the_reader_that_asks);
    tcase_add_loop_test(tc, whatever_happens_nothing_is_lost_doubled_or_swapped, 0, 24);
    tcase_add_loop_test(tc, whatever_retention_does_every_hole_is_told, 0, 24);
}
