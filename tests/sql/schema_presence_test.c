/*
 * schema_presence_test.c - who is on a topic, as SQL keeps and tells it: sessions and members,
 * processes that have died or been forgotten, and the list that belongs to a place in the log.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sql/schema_presence.h"
#include "tests/suite.h"

/* ---- sessions and members ----------------------------------------------------------------------
 */

START_TEST(the_first_session_and_the_last_are_told)
{
    ck_assert_str_eq(change(SAY("w1", 1, 0, COME("{1,2}", "{t,t}", "{ann,bob}"),
                                .datas = "{\"{\\\"n\\\": 1}\",NULL}")),
                     "f {}");
    ck_assert_str_eq(
        db_ask(db, "SELECT concat_ws(' ', topic, type, content_type, data, private, retained) FROM "
                   "bellpush.events ORDER BY seq LIMIT 1"),
        "$presence/t join application/json {\"member\":\"ann\",\"data\":{\"n\": 1}} f f");
    change(SAY("w1", 2, 1, COME("{3}", "{t}", "{ann}")));
    change(SAY("w2", 1, 0, COME("{1}", "{t}", "{ann}")));
    ck_assert_str_eq(db_ask(db, THERE), "t ann 3, t bob 1");
    change(SAY("w1", 3, 2, .departures = "{1,3}"));
    ck_assert_str_eq(db_ask(db, TOLD), "join t ann, join t bob");
    change(SAY("w2", 2, 1, .departures = "{1}"));
    ck_assert_str_eq(db_ask(db, TOLD), "join t ann, join t bob, leave t ann");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events ORDER BY seq DESC LIMIT 1"),
                     "{\"member\":\"ann\",\"data\":{\"n\": 1}}"); /* as it came */
    ck_assert_str_eq(db_ask(db, THERE), "t bob 1");
}
END_TEST

START_TEST(topics_and_names_are_apart)
{
    change(SAY("w", 1, 0, COME("{1,2,3,4}", "{a/b,a,A,a}", "{ann,ann,ann,Ann}")));
    ck_assert_str_eq(db_ask(db, TOLD), "join a/b ann, join a ann, join A ann, join a Ann");
    change(SAY("w", 2, 1, .departures = "{2}"));
    ck_assert_str_eq(db_ask(db, THERE), "A ann 1, a Ann 1, a/b ann 1");
}
END_TEST

/* A page is loaded again: its new connection comes as the old one goes. */
START_TEST(who_comes_as_it_goes_has_not_been_away)
{
    change(SAY("w", 1, 0, COME("{1}", "{t}", "{ann}"), .datas = "{1}"));
    change(SAY("w", 2, 1, COME("{2}", "{t}", "{ann}"), .departures = "{1}", .datas = "{1}"));
    ck_assert_str_eq(db_ask(db, TOLD), "join t ann");
    ck_assert_str_eq(db_ask(db, THERE), "t ann 1");
    /* But it is news if it shows something else now. */
    change(SAY("w", 3, 2, COME("{3}", "{t}", "{ann}"), .departures = "{2}", .datas = "{2}"));
    ck_assert_str_eq(db_ask(db, TOLD), "join t ann, leave t ann, join t ann");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.present"), "2");
    /* And while another session is there, it is that one's data that count. */
    change(SAY("w", 4, 3, COME("{4}", "{t}", "{ann}"), .datas = "{4}"));
    change(SAY("w", 5, 4, COME("{5}", "{t}", "{ann}"), .departures = "{4}", .datas = "{5}"));
    ck_assert_str_eq(db_ask(db, "SELECT data || ' ' || sessions FROM bellpush.present"), "2 2");
    change(SAY("w", 6, 5, .departures = "{3,5}"));
    ck_assert_str_eq(db_ask(db, THERE), "");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.presence_session"), "0");
}
END_TEST

START_TEST(what_is_no_member_is_refused_whole)
{
    static const struct {
        struct say say;
        const char *state;
    } cases[] = {
        { SAY("w", 1, 0, COME("{1}", "{a+}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{$SYS}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{NULL}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{t}", "{\"\"}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{t}", "{NULL}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{t}", "{\"a\nb\"}")), "22023" },
        { SAY("w", 1, 0, COME("{0}", "{t}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{NULL}", "{t}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{1,2}", "{t}", "{ann}")), "22023" },
        { SAY("", 1, 0, COME("{1}", "{t}", "{ann}")), "22023" },
        { SAY("w", 1, 0, COME("{1}", "{t}", "{ann}"), .datas = "{oops}"), "22P02" },
        { SAY("w", 1, 0, COME("{1}", "{t}", "{ann}"), .range = "0, NULL"), "22023" },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct say s = cases[i].say;
        char datas[64];
        snprintf(datas, sizeof(datas), s.datas ? "'%s'" : "array_fill(NULL::text, ARRAY[1])",
                 s.datas);
        const char *answer =
            db_try(db,
                   "SELECT bellpush.presence_change('%s', %d, %d, '%s', '%s', '%s', %s, '{}', %s, "
                   "1000)",
                   s.worker, s.turn, s.known, s.nrs, s.topics, s.members, datas,
                   s.range ? s.range : "NULL, NULL");
        ck_assert_msg(answer[0] == '!' && strcmp(answer + 1, cases[i].state) == 0,
                      "case %zu gave %s", i, answer);
    }
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.presence_worker"), "0");
    ck_assert_str_eq(db_error(db, "SELECT bellpush.presence_change('w', 1, 0, '{1}', ARRAY[repeat("
                                  "'t', 1015)], '{ann}', '{NULL}', '{}', NULL, NULL, 10)"),
                     "22023 bellpush: a member has 1 to 255 bytes without control characters, and "
                     "its topic at most 1014");
    db_do(db, "SELECT bellpush.presence_change('w', 1, 0, '{1}', ARRAY[repeat('t', 1014)], "
              "ARRAY[repeat('n', 255)], '{NULL}', '{}', NULL, NULL, 10)");
    db_do(db, "SELECT bellpush.set('max_event_bytes', '1kB')");
    ck_assert_str_eq(db_error(db, "SELECT bellpush.presence_change('w', 2, 1, '{2}', '{t}', '{ann}'"
                                  ", ARRAY['\"' || repeat('x', 1000) || '\"'], '{}', NULL, NULL, "
                                  "10)"),
                     "54000 bellpush: a member of 1026 bytes is larger than max_event_bytes");
}
END_TEST

START_TEST(a_topic_takes_so_many_names_and_no_more)
{
    ck_assert_str_eq(
        change(SAY("w", 1, 0, COME("{1,2,3,4,5}", "{t,t,t,u,t}", "{a,b,c,c,a}"), .topic_max = 2)),
        "f {3}");
    ck_assert_str_eq(db_ask(db, THERE), "t a 2, t b 1, u c 1");
    ck_assert_str_eq(change(SAY("v", 1, 0, COME("{1,2,3}", "{t,t,t}", "{b,d,d}"), .topic_max = 2)),
                     "f {2,3}"); /* who is there already may come again */
    /* Who goes in the same statement has made room for the next one only. */
    ck_assert_str_eq(change(SAY("w", 2, 1, .departures = "{1,5}", .topic_max = 2)), "f {}");
    ck_assert_str_eq(change(SAY("v", 2, 1, COME("{4}", "{t}", "{d}"), .topic_max = 2)), "f {}");
    ck_assert_str_eq(db_ask(db, THERE), "t b 2, t d 1, u c 1");
}
END_TEST

/* ---- statements that come twice, too late, or are unknown --------------------------------------
 */

START_TEST(a_statement_is_done_once_and_not_after_a_later_one)
{
    change(SAY("w", 1, 0, COME("{1,2}", "{t,t}", "{a,b}"), .topic_max = 1));
    ck_assert_str_eq(change(SAY("w", 1, 0, COME("{1,2}", "{t,t}", "{a,b}"), .topic_max = 9)),
                     "f {2}"); /* the same answer again */
    change(SAY("w", 2, 1, .departures = "{1}"));
    change(SAY("w", 1, 0, COME("{1,2}", "{t,t}", "{a,b}"))); /* it was held up somewhere */
    ck_assert_str_eq(db_ask(db, TOLD), "join t a, leave t a");
    ck_assert_str_eq(db_ask(db, THERE), "");
}
END_TEST

START_TEST(who_is_not_known_any_more_says_everything_anew)
{
    change(SAY("w", 1, 0, COME("{1,2}", "{t,t}", "{a,b}")));
    db_do(db, "DELETE FROM bellpush.presence_worker; DELETE FROM bellpush.presence_session; DELETE "
              "FROM bellpush.presence_member"); /* restored from a backup, say */
    ck_assert_str_eq(change(SAY("w", 2, 1, COME("{3}", "{t}", "{c}"), .departures = "{1}")),
                     "t {}");
    ck_assert_str_eq(db_ask(db, THERE), "");
    /* In two parts. */
    change(SAY("w", 3, 1, COME("{2}", "{t}", "{b}"), .range = "0, 2"));
    ck_assert_str_eq(db_ask(db, THERE), "t b 1");
    change(SAY("w", 4, 3, COME("{3}", "{t}", "{c}"), .range = "2, 9223372036854775807"));
    ck_assert_str_eq(db_ask(db, THERE), "t b 1, t c 1");
    ck_assert_str_eq(db_ask(db, TOLD), "join t a, join t b, join t b, join t c");
    /* The older half of a table. */
    db_do(db, "UPDATE bellpush.presence_worker SET turn = 3");
    ck_assert_str_eq(change(SAY("w", 5, 4, .departures = "{3}")), "t {}");
}
END_TEST

START_TEST(everything_anew_changes_only_what_is_different)
{
    change(SAY("w", 1, 0, COME("{1,2,3,7}", "{t,t,t,t}", "{a,b,c,g}")));
    change(SAY("v", 1, 0, COME("{2}", "{t}", "{v}")));
    change(SAY("w", 2, 1, COME("{1,4}", "{t,t}", "{a,d}"), .range = "0, 4"));
    ck_assert_str_eq(db_ask(db, THERE), "t a 1, t d 1, t g 1, t v 1");
    ck_assert_str_eq(db_ask(db, TOLD), "join t a, join t b, join t c, join t g, join t v, "
                                       "leave t b, leave t c, join t d");
    /* Nobody is turned away who was there. */
    ck_assert_str_eq(change(SAY("w", 3, 2, COME("{7,8}", "{t,t}", "{g,h}"), .topic_max = 1,
                                .range = "4, 9223372036854775807")),
                     "f {}");
    ck_assert_str_eq(db_ask(db, THERE), "t a 1, t d 1, t g 1, t h 1, t v 1");
    change(SAY("w", 4, 3, .range = "0, 9223372036854775807")); /* a goodbye */
    ck_assert_str_eq(db_ask(db, THERE), "t v 1");
}
END_TEST

/* ---- processes that have died -------------------------------------------------------------------
 */

static const char *report(const char *worker)
{
    return db_ask(db, "SELECT coalesce(bellpush.report('%s', 'h', 1, 1, '{}'), 0)", worker);
}

START_TEST(who_was_not_heard_of_in_four_looks_is_gone)
{
    change(SAY("dead", 1, 0, COME("{1,2}", "{t,u}", "{ann,ann}")));
    change(SAY("alive", 1, 0, COME("{1}", "{t}", "{bob}")));
    for (int i = 0; i < 3; i++) {
        look_after("11 seconds");
        look_after("4 seconds"); /* that is none: too soon */
        ck_assert_str_eq(report("alive"), "1");
        ck_assert_str_eq(db_ask(db, THERE), "t ann 1, t bob 1, u ann 1");
    }
    ck_assert_str_eq(look_after("11 seconds"), "true");
    ck_assert_str_eq(db_ask(db, TOLD),
                     "join t ann, join u ann, join t bob, leave t ann, leave u ann");
    ck_assert_str_eq(look_after("4 seconds"), "false"); /* nothing of it is left now */
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(worker, ' ') FROM bellpush.presence_worker"),
                     "alive");
    for (int i = 0; i < 5; i++) {
        look_after("11 seconds");
        change(SAY("alive", 2 + i, 1 + i)); /* any statement is a sign of life */
    }
    ck_assert_str_eq(db_ask(db, THERE), "t bob 1");
}
END_TEST

/* The database was frozen for an hour, or the clock was set: nobody has had the time to speak. */
START_TEST(an_hour_at_once_is_one_look)
{
    change(SAY("w", 1, 0, COME("{1}", "{t}", "{ann}")));
    look_after("1 hour");
    ck_assert_str_eq(db_ask(db, THERE), "t ann 1");
    look_after("-2 hours");
    ck_assert_str_eq(db_ask(db, "SELECT looks FROM bellpush.presence_worker"), "2");
    look_after("4 seconds");
    ck_assert_str_eq(db_ask(db, "SELECT looks FROM bellpush.presence_worker"), "2");
}
END_TEST

START_TEST(a_crowd_goes_in_small_steps_and_who_comes_back_in_between_is_told)
{
    db_do(db, "SELECT bellpush.presence_change('w', 1, 0, array_agg(i), array_agg('t'::text), "
              "array_agg('m' || i), array_agg(NULL::text), '{}', NULL, NULL, 9999) FROM "
              "generate_series(1::bigint, 2500) i");
    db_do(db, "UPDATE bellpush.presence_worker SET looks = 4");
    ck_assert_str_eq(look_after("0 s"), "true");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.present"), "1500");
    ck_assert_str_eq(report("w"), "-1"); /* it was frozen, and is told that something is lost */
    ck_assert_str_eq(look_after("0 s"), "false"); /* and nothing more goes */
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.present"), "1500");
    ck_assert_str_eq(change(SAY("w", 2, 1, .departures = "{2000}")), "t {}");
    db_do(db, "UPDATE bellpush.presence_worker SET looks = 4");
    ck_assert_str_eq(look_after("0 s"), "true");
    ck_assert_str_eq(look_after("0 s"), "true");
    ck_assert_str_eq(look_after("0 s"), "false");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.present"), "0");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.events WHERE type = 'leave'"),
                     "2500");
    ck_assert_str_eq(report("w"), "0");
}
END_TEST

/* Somebody holds one of its members' rows: housekeeping does not wait for it. */
START_TEST(housekeeping_waits_for_nobody)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));

    change(SAY("w", 1, 0, COME("{1}", "{t}", "{ann}")));
    change(SAY("x", 1, 0, COME("{1}", "{t}", "{bob}")));
    db_do(db, "SET statement_timeout = '5s'; UPDATE bellpush.presence_worker SET looks = 3, "
              "looked_at = looked_at - interval '1 minute'");
    db_do(other, "BEGIN; SELECT FROM bellpush.presence_worker WHERE worker = 'w' FOR UPDATE");
    db_do(other, "UPDATE bellpush.presence_worker SET looked_at = looked_at WHERE worker = 'w'");
    ck_assert_str_eq(db_ask(db, "SELECT m ->> 'more' FROM bellpush.maintain() m"), "true");
    ck_assert_str_eq(db_ask(db, THERE), "t ann 1"); /* the other one is gone */
    ck_assert_str_eq(report("w"), "1");             /* nor does who reports wait */
    db_do(other, "ROLLBACK; UPDATE bellpush.presence_worker SET looks = 4");
    change(SAY("y", 1, 0, COME("{1}", "{t}", "{cid}")));
    db_do(other, "BEGIN; UPDATE bellpush.presence_worker SET turn = turn WHERE worker = 'w'");
    db_do(db, "UPDATE bellpush.presence_worker SET looks = 4 WHERE worker = 'y'");
    ck_assert_str_eq(db_ask(db, "SELECT m ->> 'more' FROM bellpush.maintain() m"), "true");
    ck_assert_str_eq(db_ask(db, THERE), "t ann 1");
    db_do(other, "COMMIT; BEGIN; SELECT FROM bellpush.presence_member FOR UPDATE");
    ck_assert_str_eq(db_ask(db, "SELECT m ->> 'more' FROM bellpush.maintain() m"), "false");
    ck_assert_str_eq(db_ask(db, THERE), "t ann 1");
    db_do(other, "COMMIT");
    ck_assert_str_eq(look_after("0 s"), "true");
    ck_assert_str_eq(db_ask(db, THERE), "");
    PQfinish(other);
}
END_TEST

/* ---- the list -----------------------------------------------------------------------------------
 */

START_TEST(the_list_says_as_of_which_place_it_is)
{
    change(SAY("w", 1, 0, COME("{1,2,3,4}", "{t,t,t,u}", "{bob,ann,ann,x}"), .datas = "{1,2,3,4}"));
    db_do(db, "SELECT bellpush.publish('t', 'hello')");
    ck_assert_str_eq(
        db_ask(db, "SELECT string_agg(concat_ws(' ', member, data, sessions, abs(since_us - "
                   "bellpush._us(now())) < 60000000, epoch = (SELECT epoch FROM bellpush.state), "
                   "head, total), ', ') FROM bellpush.who('t', 10)"),
        "ann 2 2 t, bob 1 1 t, t 4 2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(concat_ws(' ', member, total), ', ') FROM "
                                "bellpush.who('t', 1)"),
                     "ann, 2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(concat_ws(' ', member, total), ', ') FROM "
                                "bellpush.who('t', 10, 'ann')"),
                     "bob, 2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(concat_ws(' ', member, total), ', ') FROM "
                                "bellpush.who('t', 1, 'Zoe')"), /* by their bytes: before ann */
                     "ann, 2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(concat_ws(' ', member, head, total), ', ') FROM "
                                "bellpush.who('nobody', 10)"),
                     "4 0");
}
END_TEST

SUITE(schema_presence)
{
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, presence_db_open, presence_db_close);
    tcase_add_test(tc, the_first_session_and_the_last_are_told);
    tcase_add_test(tc, topics_and_names_are_apart);
    tcase_add_test(tc, who_comes_as_it_goes_has_not_been_away);
    tcase_add_test(tc, what_is_no_member_is_refused_whole);
    tcase_add_test(tc, a_topic_takes_so_many_names_and_no_more);
    tcase_add_test(tc, a_statement_is_done_once_and_not_after_a_later_one);
    tcase_add_test(tc, who_is_not_known_any_more_says_everything_anew);
    tcase_add_test(tc, everything_anew_changes_only_what_is_different);
    tcase_add_test(tc, who_was_not_heard_of_in_four_looks_is_gone);
    tcase_add_test(tc, an_hour_at_once_is_one_look);
    tcase_add_test(tc, a_crowd_goes_in_small_steps_and_who_comes_back_in_between_is_told);
    tcase_add_test(tc, housekeeping_waits_for_nobody);
    tcase_add_test(tc, the_list_says_as_of_which_place_it_is);
}
