/*
 * schema_presence_many_test.c - several processes at once, in every order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sql/schema_presence.h"
#include "tests/suite.h"

/* ---- many at once -------------------------------------------------------------------------------
 */

enum { WORKERS = 5 };

/* So many changes of a worker at random: four names on two topics, several at a time. */
#define AT_RANDOM                                                                                  \
    "DO $do$ DECLARE gone bigint[]; BEGIN FOR i IN 1..%d LOOP "                                    \
    "gone := ARRAY(SELECT nr FROM bellpush.presence_session WHERE worker = 'w%d' AND random() < "  \
    "0.6); "                                                                                       \
    "PERFORM bellpush.presence_change('w%d', i, i - 1, array_agg(10 * i + j), "                    \
    "array_agg('t' || (random() * 1)::int), array_agg('m' || (random() * 3)::int), "               \
    "array_agg((random() * 1)::int::text), gone, NULL, NULL, 1000) "                               \
    "FROM generate_series(1::bigint, (random() * 3)::int + 1) j; COMMIT; END LOOP; END $do$"

/* The same, as those who are at the end of a statement: the rest goes in the end. */
#define CROSSWISE                                                                                  \
    "SELECT count(*) FROM (SELECT type, lag(type, 1, 'leave') OVER (PARTITION BY topic, "          \
    "data::json ->> 'member' ORDER BY seq) AS before FROM bellpush.events) x WHERE type = before"

/* What the log says of those who are there after a number (%s), "topic member" in order. */
#define BY_THE_LOG                                                                                 \
    "SELECT coalesce(string_agg(w, ',' ORDER BY w), '') FROM (SELECT DISTINCT ON (topic, m) "      \
    "substr(topic, 11) || ' ' || m COLLATE \"C\" AS w, type FROM (SELECT seq, topic, type, "       \
    "data::json ->> 'member' AS m FROM bellpush.events WHERE seq <= %s) e ORDER BY topic, m, seq " \
    "DESC) x WHERE type = 'join'"

static void start(PGconn *conns[], int rounds)
{
    char sql[2048];

    for (int i = 0; i < WORKERS; i++) {
        conns[i] = db_open(schema_dsn_as(PQuser(db)));
        db_do(conns[i], "SET synchronous_commit = off");
        snprintf(sql, sizeof(sql), AT_RANDOM, rounds, i, i);
        ck_assert_int_eq(PQsendQuery(conns[i], sql), 1);
    }
}

/* False: somebody is still at it. */
static bool have_ended(PGconn *conns[])
{
    bool all = true;

    for (int i = 0; i < WORKERS; i++) {
        PQconsumeInput(conns[i]);
        all &= !PQisBusy(conns[i]);
    }
    return all;
}

static int finish(PGconn *conns[])
{
    int errors = 0;

    for (int i = 0; i < WORKERS; i++) {
        for (PGresult *r; (r = PQgetResult(conns[i])); PQclear(r))
            if (PQresultStatus(r) != PGRES_COMMAND_OK) {
                fprintf(stderr, "%s", PQresultErrorMessage(r));
                errors++;
            }
        PQfinish(conns[i]);
    }
    return errors;
}

START_TEST(several_processes_at_once_agree_with_what_is_told)
{
    PGconn *conns[WORKERS];
    int snapshots = 0;

    db_do(db, "CREATE TABLE snapshot (head bigint, members text)");
    start(conns, 300);
    for (bool more = true; more; snapshots++) {
        more = !have_ended(conns);
        db_do(db, "INSERT INTO snapshot SELECT max(head), coalesce(string_agg('t0 ' || member, ',' "
                  "ORDER BY member COLLATE \"C\") FILTER (WHERE member IS NOT NULL), '') FROM "
                  "bellpush.who('t0', 100)");
    }
    ck_assert_int_eq(finish(conns), 0);
    ck_assert_int_gt(db_number(db, "SELECT count(*) FROM bellpush.events"), 300);
    ck_assert_int_gt(snapshots, 20);
    ck_assert_str_eq(db_ask(db, CROSSWISE), "0");
    ck_assert_str_eq(db_ask(db, BY_THE_LOG, "10000000"),
                     db_ask(db,
                            "SELECT string_agg(topic || ' ' || member, ',' ORDER BY topic || ' ' "
                            "|| member COLLATE \"C\") FROM bellpush.present"));
    ck_assert_str_eq(
        db_ask(db, "SELECT count(*) FROM (SELECT topic, member, sessions FROM bellpush.present "
                   "EXCEPT SELECT topic, member, count(*) FROM bellpush.presence_session GROUP BY "
                   "1, 2) x"),
        "0");
    /* Each list is what the log says of its place. */
    ck_assert_str_eq(db_ask(db,
                            "SELECT count(*) FROM snapshot s WHERE members <> (" BY_THE_LOG
                            " AND w LIKE 't0 %%%%')",
                            "s.head"),
                     "0");
}
END_TEST

/* That can fail: without the lock on a member's row the same goes wrong. */
START_TEST(control_members_without_their_lock)
{
    PGconn *conns[WORKERS];

    db_do(db,
          "DO $do$ DECLARE f oid := 'bellpush._presence_settle'::regproc; was text := "
          "pg_get_functiondef(f); BEGIN IF strpos(was, 'r.member FOR UPDATE') = 0 THEN RAISE "
          "'the function has no such part'; END IF; EXECUTE replace(was, 'r.member FOR UPDATE', "
          "'r.member'); END $do$");
    start(conns, 300);
    int errors = finish(conns);
    bool wrong =
        db_number(db, CROSSWISE) > 0 ||
        db_number(db, "SELECT count(*) FROM (SELECT topic, member, sessions FROM bellpush.present "
                      "EXCEPT SELECT topic, member, count(*) FROM bellpush.presence_session GROUP "
                      "BY 1, 2) x") > 0;
    ck_assert(errors > 0 || wrong);
}
END_TEST

/* ---- relay mode ---------------------------------------------------------------------------------
 */

START_TEST(in_relay_mode_it_is_told_in_the_same_order_a_moment_later)
{
    PGconn *conns[WORKERS];

    db_do(db, "SELECT bellpush.set_mode('relay')");
    db_do(db, "CREATE TABLE snapshot (head bigint, members text[])");
    start(conns, 200);
    for (bool more = true; more;) {
        more = !have_ended(conns);
        db_do(db, "INSERT INTO snapshot SELECT max(head), coalesce(array_agg(member) FILTER (WHERE "
                  "member IS NOT NULL), '{}') FROM bellpush.who('t0', 100)");
        db_do(db, "SELECT bellpush.relay(7)");
    }
    ck_assert_int_eq(finish(conns), 0);
    while (db_number(db, "SELECT bellpush.relay(1000)") > 0)
        ;
    ck_assert_str_eq(db_ask(db, CROSSWISE), "0");
    ck_assert_str_eq(db_ask(db, BY_THE_LOG, "10000000"),
                     db_ask(db,
                            "SELECT string_agg(topic || ' ' || member, ',' ORDER BY topic || ' ' "
                            "|| member COLLATE \"C\") FROM bellpush.present"));
    /* Whoever begins with a list, and puts and takes away by name what is told after it, ends with
       the truth. */
    ck_assert_str_eq(
        db_ask(db,
               "SELECT count(*) FROM snapshot s WHERE ARRAY(SELECT m FROM (SELECT DISTINCT ON (m) "
               "m, type FROM (SELECT 0 AS seq, unnest(s.members) AS m, 'join' AS type UNION ALL "
               "SELECT seq, data::json ->> 'member', type FROM bellpush.events WHERE seq > s.head "
               "AND topic = '$presence/t0') e ORDER BY m, seq DESC) x WHERE type = 'join' ORDER BY "
               "m COLLATE \"C\") <> ARRAY(SELECT member FROM bellpush.present WHERE topic = 't0' "
               "ORDER BY member COLLATE \"C\")"),
        "0");
    /* Those of a silent process, too. */
    db_do(db, "UPDATE bellpush.presence_worker SET looks = 4");
    for (int i = 0; i < WORKERS; i++)
        look_after("0 s");
    ck_assert_str_eq(db_ask(db, THERE), "");
    while (db_number(db, "SELECT bellpush.relay(1000)") > 0)
        ;
    ck_assert_str_eq(db_ask(db, BY_THE_LOG, "10000000"), "");
}
END_TEST

/* ---- every order of steps -----------------------------------------------------------------------
 */

#define JOIN(worker, turn, nr)                                                                     \
    "SELECT bellpush.presence_change('" worker "', " turn ", " turn " - 1, '{" nr                  \
    "}', '{t}', '{ann}', '{NULL}', '{}', NULL, NULL, 10)"
#define LEAVE(worker, turn, nr)                                                                    \
    "SELECT bellpush.presence_change('" worker "', " turn ", " turn                                \
    " - 1, '{}', '{}', '{}', '{}', '{" nr "}', NULL, NULL, 10)"

static const char *crosswise(PGconn *const *sessions, const char *const *answers, PGconn *control)
{
    (void)sessions;
    (void)answers;
    if (db_number(control, CROSSWISE) > 0)
        return "somebody joins twice, or leaves twice";
    if (db_number(control, "SELECT (SELECT count(*) FROM bellpush.present) + (SELECT count(*) FROM "
                           "bellpush.presence_session)") > 0)
        return "somebody is left";
    return db_number(control, "SELECT count(*) FROM bellpush.events WHERE type = 'leave'") > 0
               ? NULL
               : "nobody has left";
}

START_TEST(two_processes_with_one_name_in_every_order)
{
    const struct steps_plan plan = {
        .sessions = { (const char *const[]){ "BEGIN; " JOIN("a", "1", "1"), "COMMIT",
                                             "BEGIN; " LEAVE("a", "2", "1"), "COMMIT", NULL },
                      (const char *const[]){ "BEGIN; " JOIN("b", "1", "1"), "COMMIT",
                                             "BEGIN; " LEAVE("b", "2", "1"), "COMMIT", NULL } },
        .expected = "",
        .read = "SELECT 0, '' WHERE %lld < 0",
        .before = "TRUNCATE bellpush.presence_worker, bellpush.presence_session, "
                  "bellpush.presence_member, bellpush.log",
        .verify = crosswise,
    };
    struct steps_result r = steps_play(schema_dsn_as(PQuser(db)), &plan, true);

    ck_assert_msg(r.broken == 0, "broken in %d of %d schedules; %s", r.broken, r.schedules,
                  r.first);
    ck_assert_int_ge(r.schedules, 20);
}
END_TEST

static const char *nobody_is_left(PGconn *const *sessions, const char *const *answers,
                                  PGconn *control)
{
    (void)sessions;
    (void)answers;
    return db_number(control, "SELECT count(*) FROM bellpush.present") > 0 ? "a ghost" : NULL;
}

/* A statement whose connection broke is still at work while the next one says how it really is. */
START_TEST(a_statement_that_was_given_up_does_no_harm_in_any_order)
{
    const struct steps_plan plan = {
        .sessions = { (const char *const[]){ JOIN("a", "2", "2"), NULL },
                      (const char *const[]){ "BEGIN; SELECT bellpush.presence_change('a', 3, 1, "
                                             "'{}', '{}', '{}', '{}', '{}', 0, "
                                             "9223372036854775807, 10)",
                                             "COMMIT", NULL } },
        .expected = "",
        .read = "SELECT 0, '' WHERE %lld < 0",
        .before = "TRUNCATE bellpush.presence_worker, bellpush.presence_session, "
                  "bellpush.presence_member; " JOIN("a", "1", "1"),
        .verify = nobody_is_left,
    };
    struct steps_result r = steps_play(schema_dsn_as(PQuser(db)), &plan, true);

    ck_assert_msg(r.broken == 0, "broken in %d of %d schedules; %s", r.broken, r.schedules,
                  r.first);
    ck_assert_int_ge(r.schedules, 3);
}
END_TEST

SUITE(schema_presence_many)
{
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, presence_db_open, presence_db_close);
    tcase_add_test(tc, several_processes_at_once_agree_with_what_is_told);
    tcase_add_test(tc, control_members_without_their_lock);
    tcase_add_test(tc, in_relay_mode_it_is_told_in_the_same_order_a_moment_later);
    tcase_add_test(tc, two_processes_with_one_name_in_every_order);
    tcase_add_test(tc, a_statement_that_was_given_up_does_no_harm_in_any_order);
}
