/*
 * presence_away_test.c - members while the database is away, has lost us, or there is no memory;
 * and at the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/core/presence_rig.h"
#include "tests/suite.h"

/* ---- the database is away, or has lost us ------------------------------------------------------
 */

START_TEST(while_the_database_is_away_news_wait)
{
    struct guest a, b, c;

    join(&a, "t", "a");
    until_told();
    fake_away(rig_server.source);
    turn(2);
    leave(&a);
    join(&b, "t", "b");
    join(&c, "t", "c");
    turn(5);
    leave(&c);
    turn(5);
    ck_assert(!presence_is_told(rig_server.presence));
    ck_assert_int_eq(b.calls, 0);
    fake_back(rig_server.source);
    turn(3);
    until_told();
    ck_assert_int_eq(b.rc, RC_OK);
    ck_assert_uint_eq(ear.joins, 2); /* not c: gone before anybody knew */
    ck_assert(hears("t", "b") && ear.there == 1);
    leave(&b);
    until_told();
}
END_TEST

/* The statement waits in the source while the database goes away under it. */
START_TEST(an_answer_that_waits_for_the_database_comes_after_its_return)
{
    struct guest a;

    join(&a, "t", "a");
    turn(1);
    ck_assert_int_eq(a.member.state, MEMBER_TELLING);
    fake_away(rig_server.source);
    turn(3);
    ck_assert_int_eq(a.calls, 0);
    fake_back(rig_server.source);
    until_told();
    ck_assert_int_eq(a.rc, RC_OK);
    leave(&a);
    until_told();
}
END_TEST

START_TEST(after_the_lease_has_ended_everybody_joins_anew)
{
    struct guest g[3], late;

    for (int by_report = 0; by_report < 2; by_report++) {
        join(&g[0], "t", "a");
        join(&g[1], "t", "b");
        join(&g[2], "u", "a");
        until_told();
        fake_lapse(rig_server.source);
        turn(3);
        ck_assert_uint_eq(ear.there, 0);
        if (by_report) {
            fake_report(rig_server.source);
            until_told();
            ck_assert_uint_eq(ear.there, 3);
        }
        leave(&g[1]);
        join(&late, "t", "late");
        until_told();
        ck_assert_uint_eq(ear.there, 3);
        ck_assert(hears("t", "a") && hears("u", "a") && hears("t", "late"));
        ck_assert_int_eq(late.rc, RC_OK);
        ck_assert_int_eq(g[0].calls, 1); /* it is not told a second time */
        fake_report(rig_server.source);  /* all is well: no statement */
        size_t statements = fake_statements(rig_server.source);
        turn(5);
        ck_assert_uint_eq(fake_statements(rig_server.source), statements);
        leave(&g[0]);
        leave(&g[2]);
        leave(&late);
        until_told();
        ck_assert_uint_eq(ear.there, 0);
    }
}
END_TEST

/* Did it take place or not?  Both ways it comes to the same, with no event twice. */
START_TEST(an_answer_that_is_lost_is_found_out)
{
    struct guest a, b, c;

    for (int takes_place = 0; takes_place < 2; takes_place++) {
        join(&a, "t", "a");
        until_told();
        join(&b, "t", "b");
        join(&c, "t", "c");
        leave(&a);
        fake_uncertain(rig_server.source, takes_place);
        turn(3);
        leave(&c);
        ck_assert_int_eq(b.calls, 0);
        for (int64_t until = (int64_t)uv_now(&rig_loop) + 30000;
             !presence_is_told(rig_server.presence) && (int64_t)uv_now(&rig_loop) < until;)
            uv_run(&rig_loop, UV_RUN_ONCE); /* after a moment it is tried again */
        until_told();
        ck_assert_int_eq(b.calls, 1);
        ck_assert_int_eq(b.rc, RC_OK);
        ck_assert_uint_eq(ear.there, 1);
        ck_assert(hears("t", "b"));
        leave(&b);
        until_told();
        ck_assert_uint_eq(ear.there, 0);
    }
}
END_TEST

enum { CROWD = 2500 };

START_TEST(a_crowd_is_told_anew_in_parts_while_it_goes_on_changing)
{
    struct guest *g = calloc(CROWD, sizeof(*g)), late;
    char name[20];

    rig_conf.joins_per_connection = CROWD + 1;
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        join(&g[i], "t", name);
    }
    until_told();
    fake_lapse(rig_server.source);
    fake_report(rig_server.source);
    turn(2); /* the first part is on its way, or done */
    leave(&g[1]);
    leave(&g[CROWD - 1]);
    join(&late, "t", "late");
    until_told();
    ck_assert_uint_eq(ear.there, CROWD - 1);
    ck_assert(hears("t", "late") && !hears("t", "m1") && !hears("t", "m2499"));
    for (int i = 0; i < CROWD; i++)
        leave(&g[i]);
    leave(&late);
    until_told();
    ck_assert_uint_eq(ear.there, 0);
    free(g);
}
END_TEST

/* ---- the end ----------------------------------------------------------------------------------
 */

static void on_end(void *arg)
{
    ++*(int *)arg;
}

START_TEST(who_leaves_with_the_process_is_told_before_it_ends)
{
    struct guest a, b;
    int ends = 0;

    presence_end(rig_server.presence, on_end, &ends); /* rig_nobody was here */
    ck_assert_int_eq(ends, 1);
    join(&a, "t", "a");
    until_told();
    join(&b, "t", "b");
    turn(1);
    leave(&a);
    leave(&b);
    presence_end(rig_server.presence, on_end, &ends);
    ck_assert_int_eq(ends, 1);
    for (int i = 0; i < 50 && ends == 1; i++)
        turn(1);
    ck_assert_int_eq(ends, 2);
    turn(3);
    ck_assert_uint_eq(ear.leaves, 2);
    /* While the database is away rig_nobody can be told, and when it is slow not for ever. */
    join(&a, "t", "a");
    until_told();
    leave(&a);
    fake_mute(rig_server.source);
    fake_uncertain(rig_server.source, false);
    presence_end(rig_server.presence, on_end, &ends);
    turn(5); /* it will be tried again after a second, and this answer is lost, too */
    fake_refuse(rig_server.source, true);
    ck_assert_int_eq(ends, 2);
    for (int64_t until = (int64_t)uv_now(&rig_loop) + 30000;
         ends == 2 && (int64_t)uv_now(&rig_loop) < until;)
        uv_run(&rig_loop, UV_RUN_ONCE);
    ck_assert_int_eq(ends, 3);
    fake_away(rig_server.source);
    presence_end(rig_server.presence, on_end, &ends);
    ck_assert_int_eq(ends, 4);
}
END_TEST

/* ---- memory -----------------------------------------------------------------------------------
 */

START_TEST(without_memory_nobody_joins)
{
    struct guest g = { 0 };
    const char *why;

    MEMORY_SCRIPT(nth)
    {
        enum rc rc = try_join(&g, "a topic of some length", "a name of some length", "123", &why);
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        presence_leave(&g.member);
        ck_assert_uint_eq(presence_count(rig_server.presence) + rig_joiner.members, 0);
    }
}
END_TEST

/* There is none to note who has left: then everybody is told anew, without him. */
START_TEST(without_memory_for_who_has_left_he_is_seen_to_be_missing)
{
    struct guest a, b;

    join(&a, "t", "a");
    join(&b, "t", "b");
    until_told();
    memory_fail_at(0);
    leave(&a);
    ck_assert(memory_end());
    until_told();
    ck_assert_uint_eq(ear.leaves, 1);
    ck_assert(hears("t", "b") && ear.there == 1);
    leave(&b);
    until_told();
    ck_assert_uint_eq(ear.joins, 2);
}
END_TEST

START_TEST(without_memory_for_a_statement_it_is_tried_again)
{
    struct guest a;

    join(&a, "t", "a");
    fake_refuse(rig_server.source, true);
    turn(3);
    ck_assert_int_eq(a.member.state, MEMBER_WAITING);
    fake_refuse(rig_server.source, false);
    for (int64_t until = (int64_t)uv_now(&rig_loop) + 30000;
         a.calls == 0 && (int64_t)uv_now(&rig_loop) < until;)
        uv_run(&rig_loop, UV_RUN_ONCE);
    ck_assert_int_eq(a.rc, RC_OK);
    leave(&a);
    until_told();
}
END_TEST

SUITE(presence_away)
{
    tcase_add_checked_fixture(tc, presence_rig_set_up, presence_rig_tear_down);
    tcase_add_test(tc, while_the_database_is_away_news_wait);
    tcase_add_test(tc, an_answer_that_waits_for_the_database_comes_after_its_return);
    tcase_add_test(tc, after_the_lease_has_ended_everybody_joins_anew);
    tcase_add_test(tc, an_answer_that_is_lost_is_found_out);
    tcase_add_test(tc, a_crowd_is_told_anew_in_parts_while_it_goes_on_changing);
    tcase_add_test(tc, who_leaves_with_the_process_is_told_before_it_ends);
    tcase_add_test(tc, without_memory_nobody_joins);
    tcase_add_test(tc, without_memory_for_who_has_left_he_is_seen_to_be_missing);
    tcase_add_test(tc, without_memory_for_a_statement_it_is_tried_again);
}
