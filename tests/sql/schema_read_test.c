/*
 * schema_read_test.c - what comes out of the log: read(), replay(), locate(), cursors and epochs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/topic.h"
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

#define SEQS "SELECT coalesce(string_agg(seq::text, ' ' ORDER BY seq), '') FROM bellpush."

START_TEST(read_stops_by_rows_and_bytes_but_gives_one)
{
    db_do(db, "SELECT bellpush.publish('t', repeat('x', 100)) FROM generate_series(1, 10)");
    ck_assert_str_eq(db_ask(db, SEQS "read(0, 1000, 100000)"), "1 2 3 4 5 6 7 8 9 10");
    ck_assert_str_eq(db_ask(db, SEQS "read(7, 1000, 100000)"), "8 9 10");
    ck_assert_str_eq(db_ask(db, SEQS "read(2, 3, 100000)"), "3 4 5");
    ck_assert_str_eq(db_ask(db, SEQS "read(2, 100, 299)"), "3 4");
    ck_assert_str_eq(db_ask(db, SEQS "read(2, 100, 300)"), "3 4 5");
    ck_assert_str_eq(db_ask(db, SEQS "read(2, 100, 1)"), "3");
    ck_assert_str_eq(db_ask(db, SEQS "read(2, 0, 0)"), "3");
    ck_assert_str_eq(db_ask(db, SEQS "read(10, 100, 100)"), "");
}
END_TEST

static PGresult *few(PGconn *conn, const char *after, const char *max_rows, const char *max_data)
{
    const char *values[] = { after, max_rows, max_data };
    PGresult *r = PQexecPrepared(conn, "bellpush_few", 3, values, NULL, NULL, 0);

    ck_assert_msg(PQresultStatus(r) == PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    return r;
}

START_TEST(few_rows_are_those_that_read_gives)
{
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.prepare_few()"), "t");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.prepare_few()"), "t"); /* twice is once */
    for (int round = 0; round < 3; round++) {
        db_do(db, "SELECT bellpush.publish('t', i::text, type => nullif('a', left(i::text, 1)),"
                  " id => 'x', private => i %% 2 = 0, expires => '1 h')"
                  " FROM generate_series(1, 5) i; SELECT bellpush.publish('u', '')");
        for (int after = 0; after <= 6 * round + 6; after++) {
            char from[16], sql[128];
            snprintf(from, sizeof from, "%lld",
                     (long long)db_number(db,
                                          "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM "
                                          "bellpush.log ORDER BY seq LIMIT %d) l",
                                          after));
            snprintf(sql, sizeof sql, "SELECT * FROM bellpush.read(%s, 4, 100000)", from);
            PGresult *is = few(db, from, "4", "1"), *want = PQexec(db, sql);
            ck_assert_int_eq(PQntuples(is), PQntuples(want));
            ck_assert_int_eq(PQnfields(is), PQnfields(want));
            for (int row = 0; row < PQntuples(is); row++)
                for (int column = 0; column < PQnfields(is); column++) {
                    ck_assert_str_eq(PQgetvalue(is, row, column), PQgetvalue(want, row, column));
                    ck_assert_int_eq(PQgetisnull(is, row, column), PQgetisnull(want, row, column));
                }
            PQclear(is);
            PQclear(want);
        }
        db_do(db,
              "SELECT bellpush._rotate(), bellpush.new_epoch()"); /* another plan; another word */
    }
    db_do(db, "DEALLOCATE bellpush_few");
}
END_TEST

START_TEST(what_is_large_comes_without_its_data)
{
    db_do(db, "SELECT bellpush.prepare_few(), bellpush.publish('t', repeat('x', n)) "
              "FROM unnest('{2,0,3,100000,2}'::int[]) n");
    PGresult *r = few(db, "0", "10", "2");
    ck_assert_int_eq(PQntuples(r), 6);
    for (int row = 0; row < 5; row++) {
        ck_assert_int_eq(PQgetisnull(r, row, 5), row == 2 || row == 3);
        ck_assert_str_eq(PQgetvalue(r, row, 1), "t");
    }
    PQclear(r);
}
END_TEST

static bool waits(void *arg)
{
    return db_number(arg, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1;
}

/* Retention is committed while the statement waits for its locks: so it must tell of it. */
START_TEST(few_rows_know_of_a_partition_that_has_just_gone)
{
    static const char *const values[] = { "0", "4", "1" };
    PGconn *keeper = db_open(schema_dsn_as(PQuser(db)));

    db_do(db,
          "SELECT bellpush.publish('t', '1'), bellpush.publish('t', '2'), bellpush.prepare_few()");
    db_do(db, "SELECT bellpush._rotate()");
    db_do(db, "SELECT bellpush.publish('t', '3')");
    PGresult *r = few(db, "0", "4", "1"); /* it has a plan */
    ck_assert_int_eq(PQntuples(r), 4);
    PQclear(r);
    db_do(keeper, "BEGIN; DROP TABLE bellpush.log_0; UPDATE bellpush.state SET pruned_to = 2");
    ck_assert(PQsendQueryPrepared(db, "bellpush_few", 3, values, NULL, NULL, 0));
    ck_assert(wait_until(waits, keeper, 10000));
    db_do(keeper, "COMMIT");
    r = PQgetResult(db);
    ck_assert_msg(PQresultStatus(r) == PGRES_TUPLES_OK, "%s", PQerrorMessage(db));
    ck_assert_int_eq(PQntuples(r), 2);
    ck_assert_str_eq(PQgetvalue(r, 0, 5), "\\x33");
    ck_assert_str_eq(PQgetvalue(r, 1, 6), "2");
    PQclear(r);
    ck_assert_ptr_null(PQgetResult(db));
    PQfinish(keeper);
}
END_TEST

START_TEST(read_and_replay_differ_about_what_has_expired)
{
    db_do(db, "SELECT bellpush.publish('t', '1'), bellpush.publish('t', '2', expires => '1 hour')");
    db_do(db, "UPDATE bellpush.log SET expires_us = 1 WHERE seq = 2");
    ck_assert_str_eq(db_ask(db, SEQS "read(0, 10, 100)"), "1 2");
    ck_assert_str_eq(db_ask(db, SEQS "replay(0, '{t}', 10, 100, 10) WHERE topic IS NOT NULL"), "1");
    ck_assert_str_eq(db_ask(db, SEQS "replay(0, '{#}', 10, 100, 10) WHERE topic IS NOT NULL"), "1");
}
END_TEST

/* Every topic against every filter, by the database and by the program: they must agree. */
START_TEST(the_database_and_the_program_match_alike)
{
    static const char *const topics[] = { "a",   "a/b",     "a/b/c", "b",      "/",      "/a",
                                          "a/",  "a//c",    "$SYS",  "$SYS/x", "a/$x",   "ü/ß",
                                          "a.b", "a*",      "a\\b",  "(a|b)",  "[a]{2}", "^a$",
                                          "a b", "a/b/c/d", "A",     "%00",    "a?c",    "é/x/y" };
    static const char *const filters[] = { "a",    "#",      "+",      "a/#",  "a/+",   "+/b",
                                           "+/+",  "+/#",    "/#",     "/+",   "a/+/c", "+/b/#",
                                           "$SYS", "$SYS/#", "$SYS/+", "ü/+",  "a.b",   "a*",
                                           "a\\b", "(a|b)",  "[a]{2}", "^a$",  "a//c",  "a/",
                                           "+/",   "//#",    "a/+/#",  "+/$x", "+/x/+", "a/+/+/d" };
    size_t matches = 0;

    for (size_t t = 0; t < LENGTH(topics); t++) {
        PGresult *r = PQexecParams(db, "SELECT bellpush.publish($1, 'x')", 1, NULL, &topics[t],
                                   NULL, NULL, 0);
        ck_assert_int_eq(PQresultStatus(r), PGRES_TUPLES_OK);
        PQclear(r);
    }
    for (size_t f = 0; f < LENGTH(filters); f++) {
        const char *sql =
            "SELECT topic FROM bellpush.replay(0, ARRAY[$1, 'no/such'], 100, 10000, 100)"
            " WHERE topic IS NOT NULL ORDER BY seq";
        PGresult *r = PQexecParams(db, sql, 1, NULL, &filters[f], NULL, NULL, 0);
        ck_assert_msg(PQresultStatus(r) == PGRES_TUPLES_OK, "%s", PQerrorMessage(db));
        int row = 0;
        for (size_t t = 0; t < LENGTH(topics); t++) {
            bool is = row < PQntuples(r) && strcmp(PQgetvalue(r, row, 0), topics[t]) == 0;
            ck_assert_msg(is == topic_matches(slice_of(filters[f]), slice_of(topics[t])),
                          "filter %s topic %s: the database says %d", filters[f], topics[t], is);
            row += is;
            matches += is;
        }
        ck_assert_int_eq(row, PQntuples(r));
        PQclear(r);
    }
    ck_assert_uint_gt(matches, 90);
}
END_TEST

/* The pages of one replay, put together; every page's last row says where to go on. */
static const char *walk(const char *filters, const char *limits, int *pages)
{
    static char all[4096];
    long long after = 0, upto;
    *pages = 0;
    all[0] = '\0';
    for (;;) {
        const char *page = db_ask(
            db,
            "SELECT max(seq) FILTER (WHERE topic IS NULL) || ' ' || coalesce(string_agg("
            "convert_from(data, 'UTF8'), '' ORDER BY seq) FILTER (WHERE topic IS NOT NULL), '') "
            "FROM bellpush.replay(%lld, '%s', %s)",
            after, filters, limits);
        ck_assert_int_eq(sscanf(page, "%lld", &upto), 1);
        strncat(all, strchr(page, ' ') + 1, sizeof all - strlen(all) - 1);
        ++*pages;
        ck_assert_int_ge(upto, after);
        if (upto == after)
            return all;
        after = upto;
    }
}

START_TEST(a_replay_in_pages_is_the_same_as_at_once)
{
    int pages;
    db_do(db, "SELECT bellpush.publish(CASE i %% 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b/x' ELSE 'c' END, "
              "chr(96 + i)) FROM generate_series(1, 26) i");
    ck_assert_str_eq(walk("{a,c}", "100, 10000, 100", &pages), "bcefhiklnoqrtuwxz");
    ck_assert_int_eq(pages, 2);
    ck_assert_str_eq(walk("{a,c,c}", "3, 10000, 100", &pages), "bcefhiklnoqrtuwxz");
    ck_assert_str_eq(walk("{a,c}", "100, 2, 100", &pages), "bcefhiklnoqrtuwxz");
    ck_assert_int_gt(pages, 8);
    ck_assert_str_eq(walk("{b/#}", "100, 10000, 4", &pages), "adgjmpsvy");
    ck_assert_int_eq(pages, 8); /* 26 rows, 4 at a time, and one look at the end */
    ck_assert_str_eq(walk("{+/x,a}", "2, 10000, 5", &pages), "acdfgijlmoprsuvxy");
    ck_assert_str_eq(walk("{+/x,a}", "100, 1, 5", &pages), "acdfgijlmoprsuvxy");
    ck_assert_str_eq(walk("{none/#}", "100, 10000, 100", &pages), "");
    ck_assert_str_eq(walk("{none}", "100, 10000, 100", &pages), "");
}
END_TEST

static bool six_read_by_topic(void *arg)
{
    return db_number(arg, "SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes "
                          "WHERE indexrelname LIKE 'log_0_topic_seq%%'") == 6;
}

START_TEST(an_exact_replay_uses_the_index_of_topics)
{
    db_do(
        db,
        "INSERT INTO bellpush.log SELECT i, CASE WHEN i %% 10000 = 5 THEN 'rare' ELSE 'often' END,"
        " NULL, NULL, NULL, '', i, 0, 0 FROM generate_series(1, 60000) i");
    db_do(db, "ANALYZE bellpush.log_0");
    db_do(db, "SELECT count(*) FROM bellpush.replay(0, '{rare}', 100, 100000, 1000)");
    PQreset(db); /* a backend reports its counts when it ends */
    ck_assert(wait_until(six_read_by_topic, db, 10000));
}
END_TEST

START_TEST(locate_finds_the_place_of_a_time)
{
    db_do(db, "INSERT INTO bellpush.log SELECT i * i, 't', NULL, NULL, NULL, '', i * 1000, 0, 0 "
              "FROM generate_series(1, 300) i");
    for (int ms = 0; ms <= 302; ms++) {
        int64_t at = ms * 1000LL + 1; /* after event ms: that one is before, the next is not */
        int64_t want = ms > 300 ? 90000 : (int64_t)ms * ms;
        int64_t seq = db_number(db, "SELECT seq FROM bellpush.locate(%lld)", (long long)at);
        ck_assert_msg(seq >= want && seq < (int64_t)(ms + 1) * (ms + 1), "%d ms: %lld", ms,
                      (long long)seq);
        ck_assert_int_eq(db_number(db,
                                   "SELECT count(*) FROM bellpush.log WHERE seq > %lld AND "
                                   "at_us < %lld OR seq <= %lld AND at_us >= %lld",
                                   (long long)seq, (long long)at, (long long)seq, (long long)at),
                         0);
    }
    ck_assert_str_eq(db_ask(db, "SELECT seq || ' ' || pruned_to || ' ' || head FROM "
                                "bellpush.locate(0)"),
                     "0 0 90000");
}
END_TEST

START_TEST(an_empty_log_has_places_too)
{
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws(' ', schema_version, pruned_to, head, mode, "
                                "max_event_bytes) FROM bellpush.hello('test')"),
                     "5 0 0 commit 1048576");
    ck_assert_str_eq(db_ask(db, "SELECT seq || ' ' || head FROM bellpush.locate(5)"), "0 0");
    ck_assert_str_eq(db_ask(db, SEQS "replay(0, '{a}', 1, 1, 1)"), "0");
    ck_assert_str_eq(db_ask(db, SEQS "replay(0, '{#}', 1, 1, 1)"), "0");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.cursor() ~ '^[0-9a-z]{8,16}-0$'"), "t");
}
END_TEST

START_TEST(a_cursor_belongs_to_what_the_transaction_sees)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));
    db_do(db, "SELECT bellpush.publish('t', '1')");
    db_do(db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    const char *epoch = db_ask(other, "SELECT epoch FROM bellpush.hello('x')");
    db_do(other, "SELECT bellpush.publish('t', '2')");
    char want[64];
    snprintf(want, sizeof want, "%s-1", epoch);
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.cursor()"), want);
    db_do(db, "COMMIT");
    snprintf(want, sizeof want, "%s-2", epoch);
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.cursor()"), want);
    PQfinish(other);
}
END_TEST

START_TEST(another_timeline_or_a_wish_begins_a_new_epoch)
{
    db_do(db, "SELECT bellpush.publish('t', '1')");
    const char *first = db_ask(db, "SELECT epoch FROM bellpush.hello('x')");
    ck_assert_str_eq(db_ask(db, "SELECT epoch FROM bellpush.hello('x')"), first);
    db_do(db, "UPDATE bellpush.state SET origin = 'elsewhere/1/00000001'");
    const char *second = db_ask(db, "SELECT epoch FROM bellpush.hello('x')");
    ck_assert_str_ne(first, second);
    ck_assert_str_eq(db_ask(db, "SELECT epoch FROM bellpush.hello('x')"), second);
    const char *third = db_ask(db, "SELECT bellpush.new_epoch()");
    ck_assert_str_ne(second, third);
    ck_assert_str_eq(db_ask(db, "SELECT epoch FROM bellpush.hello('x')"), third);
    db_do(db, "SELECT bellpush.publish('t', '2')");
    ck_assert_str_eq(db_ask(db, SEQS "read(0, 10, 100)"), "1 2");
}
END_TEST

START_TEST(a_copied_database_is_another_history)
{
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    const char *epoch = db_ask(db, "SELECT epoch FROM bellpush.hello('x')");
    char copy[64];
    snprintf(copy, sizeof copy, "%s_copy", PQdb(db));
    char name[64], user[64];
    snprintf(name, sizeof name, "%s", PQdb(db));
    snprintf(user, sizeof user, "%s", PQuser(db));
    PQfinish(db);
    PQfinish(admin);
    char dsn[512];
    snprintf(dsn, sizeof dsn, "%s dbname=postgres", schema_dsn_as("postgres"));
    admin = db_open(dsn);
    db_do(admin, "CREATE DATABASE %s TEMPLATE %s OWNER %s", copy, name, user);
    snprintf(dsn, sizeof dsn, "%s dbname=%s", schema_dsn_as(user), copy);
    PGconn *there = db_open(dsn);
    ck_assert_str_ne(db_ask(there, "SELECT epoch FROM bellpush.hello('x')"), epoch);
    PQfinish(there);
    db_do(admin, "DROP DATABASE %s", copy);
    PQfinish(admin);
    db = db_open(schema_dsn_as(user));
    ck_assert_str_eq(db_ask(db, "SELECT epoch FROM bellpush.hello('x')"), epoch);
}
END_TEST

START_TEST(the_view_of_events_shows_text_where_it_is_text)
{
    db_do(db, "SELECT bellpush.publish('a', '\\xff'::bytea, content_type => 'text/plain');"
              "SELECT bellpush.publish('b', 'x', content_type => 'application/vnd.x+json');"
              "SELECT bellpush.publish('c', 'x', content_type => 'image/png')");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(coalesce(data, '?'), '' ORDER BY seq) "
                                "FROM bellpush.events"),
                     "?x?");
    ck_assert_str_eq(db_ask(db, "SELECT bool_and(cursor = replace(bellpush.cursor(), '-3', '-' || "
                                "seq)) AND max(at) BETWEEN now() - interval '1 min' AND "
                                "clock_timestamp() FROM bellpush.events"),
                     "t");
}
END_TEST

START_TEST(workers_report_and_vanish)
{
    db_do(db,
          "SELECT bellpush.report('h:1', 'h', 1, 5, '{\"filters\": {\"a/#\": 3, \"b\": 2}}');"
          "SELECT bellpush.report('h:2', 'h', 2, 1, '{\"filters\": {\"a/#\": 1, \"c\": \"x\"}}');"
          "SELECT bellpush.report('h:3', 'h', 3, 0, NULL)");
    ck_assert_str_eq(db_ask(db,
                            "SELECT string_agg(concat_ws(' ', filter, subscribers, workers), ', ' "
                            "ORDER BY filter) FROM bellpush.subscribers"),
                     "a/# 4 2, b 2 1");
    ck_assert_str_eq(db_ask(db, "SELECT workers || ' ' || open_requests FROM bellpush.stats"),
                     "3 6");
    db_do(db, "UPDATE bellpush.worker SET at = at - interval '61 s' WHERE pid = 1");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(worker, ' ' ORDER BY worker) FROM "
                                "bellpush.workers"),
                     "h:2 h:3");
    db_do(db, "SELECT bellpush.report('h:2', 'h', 2, 1, NULL)");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.worker"), "2");
}
END_TEST

SUITE(schema_read)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, open_db, close_db);
    tcase_add_test(tc, read_stops_by_rows_and_bytes_but_gives_one);
    tcase_add_test(tc, few_rows_are_those_that_read_gives);
    tcase_add_test(tc, what_is_large_comes_without_its_data);
    tcase_add_test(tc, few_rows_know_of_a_partition_that_has_just_gone);
    tcase_add_test(tc, read_and_replay_differ_about_what_has_expired);
    tcase_add_test(tc, the_database_and_the_program_match_alike);
    tcase_add_test(tc, a_replay_in_pages_is_the_same_as_at_once);
    tcase_add_test(tc, an_exact_replay_uses_the_index_of_topics);
    tcase_add_test(tc, locate_finds_the_place_of_a_time);
    tcase_add_test(tc, an_empty_log_has_places_too);
    tcase_add_test(tc, a_cursor_belongs_to_what_the_transaction_sees);
    tcase_add_test(tc, another_timeline_or_a_wish_begins_a_new_epoch);
    tcase_add_test(tc, a_copied_database_is_another_history);
    tcase_add_test(tc, the_view_of_events_shows_text_where_it_is_text);
    tcase_add_test(tc, workers_report_and_vanish);
}
