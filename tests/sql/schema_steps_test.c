/*
 * schema_steps_test.c - the first promise again, in every order of steps there is: a reader who
 * remembers one number never sees a lower one later, sees every committed event once and none that
 * was rolled back, and the log keeps the order of the commits (relay mode: of cause and effect).
 *
 * The model of the same is tests/model/numbering.pml and relay.pml; this is the SQL itself.  A test
 * that cannot fail proves nothing: so the same schedules are played with the schemes that we did
 * not choose and with our own without its locks, and there the promise must be broken.
 */
#include <stdlib.h>

#include "tests/peers/cluster.h"
#include "tests/sql/schema_db.h"
#include "tests/sql/schema_steps.h"
#include "tests/suite.h"

#define STEPS(...)     ((const char *const[]){ __VA_ARGS__, NULL })
#define PUBLISH(event) "SELECT bellpush.publish('t', '" event "')"
#define MANY(one, two) "SELECT bellpush.publish_many('{t,t}', '{" one "," two "}')"
#define BATCH(event)                                                                               \
    "SELECT bellpush.publish_batch('{t}', '{NULL}', '{NULL}', '{NULL}', '{" event                  \
    "}', '{f}', '{f}', '{0}', NULL, NULL)"

static const char *prepared_dsn(const char *mode)
{
    const char *dsn = schema_dsn();
    PGconn *conn = db_open(dsn);
    db_do(conn, "SELECT bellpush.set_mode('%s')", mode);
    PQfinish(conn);
    steps_prepare(dsn);
    return dsn;
}

static void expect_kept(const char *dsn, const struct steps_plan *plan, int least)
{
    struct steps_result r = steps_play(dsn, plan, true);
    ck_assert_msg(r.broken == 0, "broken in %d of %d schedules; %s", r.broken, r.schedules,
                  r.first);
    ck_assert_msg(r.schedules >= least, "only %d schedules", r.schedules);
}

static void expect_broken(const char *dsn, const struct steps_plan *plan, const char *how)
{
    struct steps_result r = steps_play(dsn, plan, false);
    ck_assert_msg(r.broken > 0, "kept in all of %d schedules: this test cannot fail", r.schedules);
    ck_assert_msg(strstr(r.first, how), "broken in another way: %s", r.first);
}

/* One of our own functions with a part of it exchanged. */
static void spoil(const char *dsn, const char *function, const char *part, const char *by)
{
    PGconn *conn = db_open(dsn);
    db_do(conn,
          "DO $do$ DECLARE was text := pg_get_functiondef('bellpush.%s'::regprocedure);"
          " now text := replace(was, $$%s$$, $$%s$$); BEGIN"
          " IF now = was THEN RAISE 'the function has no such part'; END IF; EXECUTE now; END $do$",
          function, part, by);
    PQfinish(conn);
}

/* ---- commit mode ---- */

static const struct steps_plan two_transactions = {
    .sessions = { STEPS("BEGIN; " PUBLISH("a1"), PUBLISH("a2"), "COMMIT"),
                  STEPS("BEGIN; " PUBLISH("b1"), PUBLISH("b2"), "COMMIT") },
    .gates = "a1 before,a2 after,b1 after",
    .expected = "a1 a2 b1 b2",
};

static const struct steps_plan three_transactions = {
    .sessions = { STEPS("BEGIN; " PUBLISH("a1"), "COMMIT"),
                  STEPS("BEGIN; " PUBLISH("b1"), "COMMIT"), STEPS(PUBLISH("c1")) },
    .gates = "a1 before,a1 after,b1 after",
    .expected = "a1 b1 c1",
};

START_TEST(two_commits_stopped_inside_keep_the_order)
{
    expect_kept(prepared_dsn("commit"), &two_transactions, 90);
}
END_TEST

START_TEST(three_commits_keep_the_order)
{
    expect_kept(prepared_dsn("commit"), &three_transactions, 200);
}
END_TEST

/* The gates stop COMMIT at the first event of each call. */
START_TEST(what_one_call_publishes_is_numbered_together_and_in_its_turn)
{
    const struct steps_plan plan = {
        .sessions = { STEPS("BEGIN; " PUBLISH("a1") "; " MANY("a2", "a3"),
                            "SAVEPOINT s; " MANY("a4", "a5") "; ROLLBACK TO s; " PUBLISH("a6"),
                            "COMMIT"),
                      STEPS("BEGIN; " MANY("b1", "b2"), MANY("b3", "b4"), "COMMIT") },
        .gates = "a2 before,a2 after,b1 after",
        .expected = "a1 a2 a3 a6 b1 b2 b3 b4",
    };
    expect_kept(prepared_dsn("commit"), &plan, 70);
}
END_TEST

/* a2 is rolled back to a savepoint in which a1 had already got a number and the lock was taken. */
START_TEST(savepoints_and_rollbacks_leave_nothing_and_take_nothing_with_them)
{
    const struct steps_plan plan = {
        .sessions = { STEPS("BEGIN; " PUBLISH("a1") "; SAVEPOINT s; " BATCH("a2"), "ROLLBACK TO s",
                            PUBLISH("a3"), "COMMIT"),
                      STEPS("BEGIN; " PUBLISH("b1") "; " BATCH("b2"), "ROLLBACK"),
                      STEPS("BEGIN; " BATCH("c1"), "COMMIT") },
        .gates = "a3 after",
        .expected = "a1 a3 c1",
    };
    expect_kept(prepared_dsn("commit"), &plan, 180);
}
END_TEST

START_TEST(a_commit_that_fails_after_numbering_leaves_a_hole)
{
    const char *dsn = prepared_dsn("commit");
    free(cluster_sql(dsn, "CREATE TABLE fate (name text PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);"
                          "INSERT INTO fate VALUES ('sealed')"));
    const struct steps_plan plan = {
        .sessions = { STEPS("BEGIN; " PUBLISH("a1") "; INSERT INTO fate VALUES ('sealed')",
                            "!COMMIT"),
                      STEPS("BEGIN; " PUBLISH("b1"), "COMMIT"), STEPS(PUBLISH("c1")) },
        .gates = "a1 after,b1 after",
        .expected = "b1 c1",
    };
    expect_kept(dsn, &plan, 90);
}
END_TEST

/* ---- relay mode ---- */

/* The relay's transaction is opened by hand, so that it stops between numbering and COMMIT. */
static const struct steps_plan relaying = {
    .sessions = { STEPS("BEGIN; " PUBLISH("a1"), PUBLISH("a2"), "COMMIT"),
                  STEPS("BEGIN; " PUBLISH("b1"), "COMMIT"),
                  STEPS("BEGIN; SELECT bellpush.relay(1)", "COMMIT", "SELECT bellpush.relay(10)") },
    .expected = "a1 a2 b1",
    .order = STEPS_BY_PUBLISH,
    .after = "SELECT bellpush.relay(10)",
};

/* Two relays, as while one process does not know yet that another was elected. */
static const struct steps_plan two_relays = {
    .sessions = { STEPS("BEGIN; " PUBLISH("a1") "; " PUBLISH("a2"), "COMMIT"), STEPS(PUBLISH("b1")),
                  STEPS("BEGIN; SELECT bellpush.relay(1)", "COMMIT"),
                  STEPS("BEGIN; SELECT bellpush.relay(1)", "COMMIT") },
    .expected = "a1 a2 b1",
    .order = STEPS_BY_PUBLISH,
    .after = "SELECT bellpush.relay(10)",
};

START_TEST(a_relay_keeps_cause_before_effect)
{
    expect_kept(prepared_dsn("relay"), &relaying, 550);
}
END_TEST

START_TEST(two_relays_at_once_are_slow_and_not_wrong)
{
    expect_kept(prepared_dsn("relay"), &two_relays, 550);
}
END_TEST

/* Who sleeps while something waits must have been rung for. */
static const char *sleeps_with_work(PGconn *const *sessions, const char *const *answers,
                                    PGconn *control)
{
    PGconn *relay = sessions[2];
    bool asleep = strcmp(answers[2], "t") == 0, heard = false;

    db_do(relay, "SELECT 1"); /* what was rung before is told by now */
    for (PGnotify *n; (n = PQnotifies(relay)); PQfreemem(n))
        heard |= strcmp(n->relname, "bellpush_relay") == 0;
    bool waits = db_number(control, "SELECT count(*) FROM bellpush.inbox") > 0;
    db_do(relay, "SELECT bellpush.relay_wake(); LISTEN bellpush_relay");
    return asleep && waits && !heard ? "lost: the relay sleeps, and nobody has rung" : NULL;
}

static const struct steps_plan sleeping_relay = {
    .sessions = { STEPS("BEGIN; " PUBLISH("a1"), "SAVEPOINT s; " PUBLISH("a2"), "ROLLBACK TO s",
                        "COMMIT"),
                  STEPS("BEGIN; " PUBLISH("b1"), "COMMIT"),
                  STEPS("LISTEN bellpush_relay; SELECT bellpush.relay(10)",
                        "SELECT bellpush.relay_sleep()") },
    .expected = "a1 b1",
    .order = STEPS_BY_PUBLISH,
    .after = "SELECT bellpush.relay(10)",
    .verify = sleeps_with_work,
};

START_TEST(a_sleeping_relay_is_always_rung_for)
{
    expect_kept(prepared_dsn("relay"), &sleeping_relay, 400);
}
END_TEST

/* ---- the mode changes ---- */

static void change_mode_at_every_step(const char *before, const char *change, int least)
{
    const struct steps_plan plan = {
        .sessions = { STEPS("BEGIN; " PUBLISH("a1"), "COMMIT"), STEPS(MANY("b1", "b2")),
                      STEPS(change) },
        .gates = "a1 before,a1 after",
        .expected = "a1 b1 b2",
        .order = STEPS_BY_PUBLISH,
        .before = before,
        .after = "SELECT bellpush.relay(10)",
    };
    expect_kept(prepared_dsn("commit"), &plan, least);
}

START_TEST(changing_to_relay_mode_loses_nothing_at_any_step)
{
    change_mode_at_every_step("SELECT bellpush.set_mode('commit')",
                              "SELECT bellpush.set_mode('relay')", 30);
}
END_TEST

START_TEST(changing_to_commit_mode_loses_nothing_at_any_step)
{
    change_mode_at_every_step("SELECT bellpush.set_mode('relay')",
                              "SELECT bellpush.set_mode('commit')", 30);
}
END_TEST

/* They ask for the mode, and it is just about to be another. */
static void many_meet_a_change(const char *before, const char *change)
{
    const struct steps_plan plan = {
        .sessions = { STEPS(MANY("a1", "a2")), STEPS("BEGIN; " MANY("b1", "b2"), "COMMIT"),
                      STEPS(change, "COMMIT") },
        .expected = "a1 a2 b1 b2",
        .order = STEPS_BY_PUBLISH,
        .before = before,
        .after = "SELECT bellpush.relay(10)",
    };
    expect_kept(prepared_dsn("commit"), &plan, 20);
}

START_TEST(many_that_wait_for_a_change_of_mode_go_by_the_new_one)
{
    many_meet_a_change("SELECT bellpush.set_mode('commit')",
                       "BEGIN; SELECT bellpush.set_mode('relay')");
    many_meet_a_change("SELECT bellpush.set_mode('relay')",
                       "BEGIN; SELECT bellpush.set_mode('commit')");
}
END_TEST

/* ---- the same with what is known to be broken ---- */

START_TEST(control_a_bigserial_loses_events)
{
    const char *dsn = schema_dsn();
    free(cluster_sql(dsn, "CREATE TABLE events (id bigserial, name text)"));
    const struct steps_plan plan = {
        .sessions = { STEPS("BEGIN; INSERT INTO events (name) VALUES ('a1')", "COMMIT"),
                      STEPS("BEGIN; INSERT INTO events (name) VALUES ('b1')", "COMMIT") },
        .expected = "a1 b1",
        .read = "SELECT id, name FROM events WHERE id > %lld ORDER BY id",
    };
    expect_broken(dsn, &plan, "was never seen");
}
END_TEST

START_TEST(control_numbering_without_the_lock)
{
    const char *dsn = prepared_dsn("commit");
    spoil(dsn, "_number()", "pg_advisory_xact_lock(1650813036, 1) IS NULL", "false");
    expect_broken(dsn, &two_transactions, "was never seen");
}
END_TEST

START_TEST(control_many_that_do_not_hold_the_mode_fast)
{
    const char *dsn = prepared_dsn("commit");
    spoil(dsn, "_put(bellpush.log_row[])", "LOCK TABLE bellpush.inbox IN ROW EXCLUSIVE MODE;", "");
    const struct steps_plan plan = {
        .sessions = { STEPS(MANY("a1", "a2")),
                      STEPS("BEGIN; SELECT bellpush.set_mode('relay')", "COMMIT") },
        .expected = "a1 a2",
        .order = STEPS_BY_PUBLISH,
        .before = "SELECT bellpush.set_mode('commit')",
        .after = "SELECT bellpush.relay(10)",
    };
    expect_broken(dsn, &plan, "is lost");
}
END_TEST

START_TEST(control_the_lock_given_back_before_the_commit)
{
    const char *dsn = prepared_dsn("commit");
    spoil(dsn, "_number()", "pg_advisory_xact_lock(1650813036, 1)",
          "pg_advisory_lock(1650813036, 1)");
    spoil(dsn, "_number()", "RETURN NULL;",
          "PERFORM pg_advisory_unlock(1650813036, 1); RETURN NULL;");
    expect_broken(dsn, &three_transactions, "was never seen");
}
END_TEST

START_TEST(control_relays_without_the_lock)
{
    const char *dsn = prepared_dsn("relay");
    spoil(dsn, "relay(int)", "PERFORM bellpush._numbering();", "");
    spoil(dsn, "relay(int)", "ORDER BY nr LIMIT greatest(max_rows, 1)))",
          "ORDER BY nr LIMIT greatest(max_rows, 1) FOR UPDATE SKIP LOCKED))");
    expect_broken(dsn, &two_relays, "was never seen");
}
END_TEST

START_TEST(control_a_relay_that_goes_by_the_last_number_of_the_inbox)
{
    const char *dsn = prepared_dsn("relay");
    free(cluster_sql(dsn, "CREATE TABLE bellpush.mark AS SELECT 0::bigint AS nr"));
    spoil(dsn, "relay(int)", "SELECT nr FROM bellpush.inbox ORDER BY nr",
          "SELECT i.nr FROM bellpush.inbox i, bellpush.mark m WHERE i.nr > m.nr ORDER BY i.nr");
    spoil(dsn, "relay(int)", "RETURN n;",
          "UPDATE bellpush.mark SET nr = (SELECT last_value FROM bellpush.inbox_nr) WHERE n > 0;"
          " RETURN n;");
    expect_broken(dsn, &relaying, "is lost");
}
END_TEST

START_TEST(control_a_publisher_that_only_looks_whether_the_relay_sleeps)
{
    const char *dsn = prepared_dsn("relay");
    spoil(dsn, "_ring()", "IF NOT pg_try_advisory_xact_lock_shared(1650813036, 3) THEN",
          "IF pg_try_advisory_lock_shared(1650813036, 3) THEN"
          " PERFORM pg_advisory_unlock_shared(1650813036, 3); ELSE");
    expect_broken(dsn, &sleeping_relay, "nobody has rung");
}
END_TEST

SUITE(schema_steps)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_test(tc, two_commits_stopped_inside_keep_the_order);
    tcase_add_test(tc, three_commits_keep_the_order);
    tcase_add_test(tc, what_one_call_publishes_is_numbered_together_and_in_its_turn);
    tcase_add_test(tc, savepoints_and_rollbacks_leave_nothing_and_take_nothing_with_them);
    tcase_add_test(tc, a_commit_that_fails_after_numbering_leaves_a_hole);
    tcase_add_test(tc, a_relay_keeps_cause_before_effect);
    tcase_add_test(tc, two_relays_at_once_are_slow_and_not_wrong);
    tcase_add_test(tc, a_sleeping_relay_is_always_rung_for);
    tcase_add_test(tc, changing_to_relay_mode_loses_nothing_at_any_step);
    tcase_add_test(tc, changing_to_commit_mode_loses_nothing_at_any_step);
    tcase_add_test(tc, many_that_wait_for_a_change_of_mode_go_by_the_new_one);
    tcase_add_test(tc, control_a_bigserial_loses_events);
    tcase_add_test(tc, control_numbering_without_the_lock);
    tcase_add_test(tc, control_many_that_do_not_hold_the_mode_fast);
    tcase_add_test(tc, control_the_lock_given_back_before_the_commit);
    tcase_add_test(tc, control_relays_without_the_lock);
    tcase_add_test(tc, control_a_relay_that_goes_by_the_last_number_of_the_inbox);
    tcase_add_test(tc, control_a_publisher_that_only_looks_whether_the_relay_sleeps);
}
