/*
 * schema_keep_test.c - what is kept and what goes: retention by age and by size, partitions, and
 * that housekeeping never holds anybody up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/suite.h"

static PGconn *db;

static void open_db(void)
{
    db = db_open(schema_dsn());
}

static void close_db(void)
{
    PQfinish(db);
}

/* As if everything in the log had been published so much earlier. */
static void age(const char *interval)
{
    db_do(
        db,
        "UPDATE bellpush.log SET at_us = at_us - (extract(epoch FROM interval '%s') * 1e6)::bigint",
        interval);
}

#define STEP                                                                                       \
    "SELECT concat_ws(' ', m->>'rotated', m->>'dropped', m->>'busy') FROM bellpush.maintain() m"
#define LOG "SELECT coalesce(string_agg(data, ' ' ORDER BY seq), '') FROM bellpush.events"

START_TEST(a_fresh_log_is_left_alone)
{
    ck_assert_str_eq(db_ask(db, STEP), "false 0 false");
    db_do(db, "SELECT bellpush.publish('t', '1')");
    ck_assert_str_eq(db_ask(db, STEP), "false 0 false");
    age("1 hour");
    ck_assert_str_eq(db_ask(db, STEP), "false 0 false");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.part"), "2");
}
END_TEST

START_TEST(old_events_go_by_age_and_pruned_to_says_so)
{
    db_do(db, "SELECT bellpush.publish('t', '1'), bellpush.publish('t', '2')");
    age("2 hours");
    ck_assert_str_eq(db_ask(db, STEP), "true 0 false"); /* closed: older than 24 h / 16 */
    db_do(db, "SELECT bellpush.publish('t', '3')");
    ck_assert_str_eq(db_ask(db, LOG), "1 2 3");
    age("21 hours");
    ck_assert_str_eq(db_ask(db, STEP), "true 0 false");
    db_do(db, "SELECT bellpush.publish('t', '4')");
    age("90 minutes"); /* now 1 and 2 are 24.5 hours old, 3 is not */
    ck_assert_str_eq(db_ask(db, STEP), "true 1 false");
    ck_assert_str_eq(db_ask(db, LOG), "3 4");
    ck_assert_str_eq(db_ask(db, "SELECT pruned_to FROM bellpush.hello('x')"), "2");
    /* Whoever reads on from before is told, by the last row, which has no topic. */
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(coalesce(topic, '-' || at_us), ' ') FROM "
                                "bellpush.read(1, 10, 100)"),
                     "t t -2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(coalesce(topic, '-' || at_us), ' ') FROM "
                                "bellpush.replay(1, '{t}', 10, 100, 10)"),
                     "t t -2");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(coalesce(topic, '-' || at_us), ' ') FROM "
                                "bellpush.read(2, 10, 100)"),
                     "t t -2");
    age("22 hours");
    db_do(db, "SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, LOG), "4");
    int64_t seq4 = db_number(db, "SELECT seq FROM bellpush.events");
    age("23 hours");
    db_do(db, "SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, LOG), "");
    /* An emptied log ends where it ended: a reader that has seen all has missed nothing. */
    ck_assert_int_eq(db_number(db, "SELECT head FROM bellpush.hello('x')"), seq4);
    ck_assert_int_eq(db_number(db, "SELECT pruned_to FROM bellpush.hello('x')"), seq4);
    ck_assert_int_eq(db_number(db, "SELECT seq FROM bellpush.locate(0)"), seq4);
    db_do(db, "SELECT bellpush.publish('t', '5')");
    ck_assert_int_gt(db_number(db, "SELECT seq FROM bellpush.read(%lld, 10, 100)", (long long)seq4),
                     seq4);
    ck_assert_int_le(db_number(db, "SELECT count(*) FROM bellpush.part"), 3);
}
END_TEST

/* Times that lie ahead must not keep the log for ever: nobody prunes what ends in a year. */
START_TEST(clock_that_was_ahead_does_not_stop_retention)
{
    db_do(db, "SELECT bellpush.publish('t', '1')");
    age("-365 days");
    ck_assert_str_eq(db_ask(db, STEP), "true 0 false"); /* closed: it was begun in the future */
    db_do(db, "SELECT bellpush.publish('t', '2')");
    ck_assert_str_eq(db_ask(db, STEP), "false 0 false");
    ck_assert_str_eq(db_ask(db, LOG), "1 2");
    age("23 hours"); /* 1 is older than 2 */
    ck_assert_str_eq(db_ask(db, STEP), "true 0 false");
    db_do(db, "SELECT bellpush.publish('t', '3')");
    age("90 minutes");
    ck_assert_str_eq(db_ask(db, STEP), "true 2 false");
    ck_assert_str_eq(db_ask(db, LOG), "3");
    ck_assert_str_eq(db_ask(db, "SELECT pruned_to > 0 FROM bellpush.hello('x')"), "t");
}
END_TEST

START_TEST(old_events_go_by_size)
{
    db_do(db, "SELECT bellpush.set('retention_bytes', '8MB')");
    db_do(db, "CREATE TABLE noise AS SELECT string_agg(md5(random()::text), '') AS x "
              "FROM generate_series(1, 8192)"); /* 256 kB that do not compress */
    for (int i = 1; i <= 60; i++) {
        db_do(db, "SELECT bellpush.publish('t', '%d ' || x) FROM noise", i);
        db_do(db, "SELECT bellpush.maintain()");
    }
    int64_t kept = db_number(db, "SELECT count(*) FROM bellpush.events");
    ck_assert_int_ge(kept, 16);
    ck_assert_int_le(kept, 33);
    ck_assert_int_le(db_number(db, "SELECT log_bytes FROM bellpush.stats"), 9 * 1024 * 1024);
    ck_assert_str_eq(db_ask(db, "SELECT split_part(data, ' ', 1) FROM bellpush.events "
                                "ORDER BY seq DESC LIMIT 1"),
                     "60");
    ck_assert_str_eq(db_ask(db, "SELECT count(DISTINCT split_part(data, ' ', 1)) = 60 - "
                                "min(split_part(data, ' ', 1)::int) + 1 FROM bellpush.events"),
                     "t"); /* only the oldest have gone */
    ck_assert_str_eq(db_ask(db, "SELECT pruned_to > 0 AND pruned_to < (SELECT min(seq) FROM "
                                "bellpush.events) FROM bellpush.hello('x')"),
                     "t");
}
END_TEST

START_TEST(without_housekeeping_the_tail_takes_everything)
{
    db_do(db, "SELECT setval('bellpush.seq', 99999998)");
    db_do(db, "SELECT bellpush.publish('t', i::text) FROM generate_series(1, 4) i");
    db_do(db, "SELECT setval('bellpush.seq', 345678901)");
    db_do(db, "SELECT bellpush.publish('t', '5')");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log_100000000"), "4");
    ck_assert_str_eq(db_ask(db, STEP), "true 0 false");
    ck_assert_str_eq(db_ask(db,
                            "SELECT string_agg(lo || '-' || coalesce(hi::text, ''), ' ' ORDER BY "
                            "lo) FROM bellpush.part"),
                     "0-100000000 100000000-400000000 400000000-");
    db_do(db, "SELECT bellpush.publish('t', '6')");
    ck_assert_str_eq(db_ask(db, LOG), "1 2 3 4 5 6");
    ck_assert_str_eq(db_ask(db, "SELECT max(seq) FROM bellpush.log"), "345678903");
}
END_TEST

START_TEST(a_long_reader_delays_pruning_but_nobody_else)
{
    PGconn *reader = db_open(schema_dsn_as(PQuser(db)));
    db_do(db, "SELECT bellpush.publish('t', '1')");
    age("2 hours");
    db_do(db, "SELECT bellpush.maintain()");
    db_do(db, "SELECT bellpush.publish('t', '2')");
    age("2 days");
    db_do(reader, "BEGIN; SELECT count(*) FROM bellpush.log");
    int64_t began = now_ms();
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws(' ', m->>'rotated', m->>'dropped', m->>'busy', "
                                "m->>'more') FROM bellpush.maintain() m"),
                     "false 0 true true");
    ck_assert_int_lt(now_ms() - began, 5000); /* it has waited for 100 ms, not for the reader */
    db_do(db, "SET statement_timeout = '5s'; SELECT bellpush.publish('t', '3')");
    db_do(reader, "COMMIT");
    ck_assert_str_eq(db_ask(db, STEP), "true 1 false");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.part"), "3");
    ck_assert_str_eq(db_ask(db, LOG), "2 3");
    PQfinish(reader);
}
END_TEST

START_TEST(two_at_once_do_not_both_keep_house)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));
    db_do(other, "BEGIN; SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.maintain()->>'skipped'"), "true");
    db_do(other, "COMMIT");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.maintain()->>'skipped'"), "");
    PQfinish(other);
}
END_TEST

START_TEST(settings_are_checked_shown_and_rung)
{
    PGconn *ear = db_open(schema_dsn_as(PQuser(db)));
    db_do(ear, "LISTEN bellpush");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.set('retention', '2 days')"), "2 days");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.set('retention_bytes', '1 GB')"), "1073741824");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.set('max_event_bytes', '4MB')"), "4194304");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.set('mode', 'relay')"), "relay");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(name || '=' || value, ' ' ORDER BY name) "
                                "FROM bellpush.settings WHERE meaning <> ''"),
                     "max_event_bytes=4194304 mode=relay retention=2 days "
                     "retention_bytes=1073741824");
    db_do(ear, "SELECT 1");
    PGnotify *bell = PQnotifies(ear);
    ck_assert_ptr_nonnull(bell);
    PQfreemem(bell);
    PQfinish(ear);
}
END_TEST

SUITE(schema_keep)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, open_db, close_db);
    tcase_add_test(tc, a_fresh_log_is_left_alone);
    tcase_add_test(tc, old_events_go_by_age_and_pruned_to_says_so);
    tcase_add_test(tc, clock_that_was_ahead_does_not_stop_retention);
    tcase_add_test(tc, old_events_go_by_size);
    tcase_add_test(tc, without_housekeeping_the_tail_takes_everything);
    tcase_add_test(tc, a_long_reader_delays_pruning_but_nobody_else);
    tcase_add_test(tc, two_at_once_do_not_both_keep_house);
    tcase_add_test(tc, settings_are_checked_shown_and_rung);
}
