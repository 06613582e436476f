/*
 * schema_once_test.c - bellpush.publish_once(): events that say which ones they are.
 */
#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/suite.h"

static PGconn *db;

static void setup(void)
{
    db = db_open(schema_dsn());
}

static void teardown(void)
{
    PQfinish(db);
}

#define LOG                                                                                        \
    "SELECT string_agg(topic || '=' || convert_from(data, 'UTF8'), ' ' ORDER BY seq) FROM "        \
    "bellpush.log"

/* n events on topics a, b, …; keys and hashes as arrays. */
#define ONCE2(data, keys, hashes)                                                                  \
    "SELECT concat_ws(' ', seqs, repeats) FROM bellpush.publish_once('{a,b}', '{NULL,NULL}', "     \
    "'{NULL,NULL}', '{NULL,NULL}', " data ", '{f,f}', '{f,f}', '{0,0}', " keys ", " hashes ")"
#define ONCE3(keys, hashes)                                                                        \
    "SELECT concat_ws(' ', seqs, repeats) FROM bellpush.publish_once('{a,b,c}', "                  \
    "'{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{1,2,3}', '{f,f,f}', "           \
    "'{f,f,f}', '{0,0,0}', " keys ", " hashes ")"

START_TEST(each_event_is_published_once_by_its_own_key)
{
    ck_assert_str_eq(db_ask(db, ONCE2("'{1,2}'", "'{z,k}'", "'{g,h}'")), "{1,2} {}");
    ck_assert_str_eq(db_ask(db, ONCE2("'{1,2}'", "'{z,k}'", "'{g,h}'")), "{1,2} {0,1}");
    /* In other company, some are new. */
    ck_assert_str_eq(db_ask(db, ONCE3("'{n,k,m}'", "'{x,h,y}'")), "{3,2,4} {1}");
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2 a=1 c=3");
}
END_TEST

START_TEST(the_same_event_twice_in_one_batch_is_one)
{
    ck_assert_str_eq(db_ask(db, ONCE3("'{k,l,k}'", "'{h,g,h}'")), "{1,2,1} {2}");
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2");
}
END_TEST

START_TEST(another_content_is_refused_and_takes_all_with_it)
{
    db_do(db, ONCE2("'{1,2}'", "'{k,l}'", "'{h,g}'"));
    ck_assert_str_eq(db_error(db, ONCE3("'{m,l,n}'", "'{h,other,h}'")),
                     "BP001 bellpush: event 1: its key was used for another");
    ck_assert_str_eq(db_error(db, ONCE3("'{m,n,m}'", "'{h,h,other}'")),
                     "BP001 bellpush: event 2: its key was used for another");
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.idempotency"), "2");
}
END_TEST

START_TEST(what_cannot_be_published_leaves_no_key)
{
    ck_assert_str_eq(db_error(db, "SELECT bellpush.publish_once('{a+}', '{NULL}', '{NULL}', "
                                  "'{NULL}', '{1}', '{f}', '{f}', '{0}', '{k}', '{h}')"),
                     "22023 bellpush: topic \"a+\" may not contain a wildcard (+ or #)");
    ck_assert_str_eq(db_error(db, ONCE2("'{1,2}'", "'{k}'", "'{h,g}'")),
                     "22023 bellpush: the arrays of publish_once() differ in length");
    ck_assert_str_eq(db_error(db, ONCE2("'{1,2}'", "'{k,NULL}'", "'{h,g}'")),
                     "22023 bellpush: an idempotency key has 1 to 1024 bytes, and a hash");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.idempotency"), "0");
}
END_TEST

START_TEST(in_relay_mode_the_numbers_come_later)
{
    db_do(db, "SELECT bellpush.set_mode('relay')");
    ck_assert_str_eq(db_ask(db, ONCE2("'{1,2}'", "'{k,l}'", "'{h,g}'")), "{}");
    ck_assert_str_eq(db_ask(db, ONCE2("'{1,2}'", "'{k,l}'", "'{h,g}'")), "{0,1}");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.relay(10)"), 2);
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2");
}
END_TEST

static bool second_waits(void *watcher)
{
    return db_number(watcher, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1;
}

/* Batches that share events in opposite order: the second waits, nobody waits for each other. */
START_TEST(at_the_same_time_the_second_waits_for_the_first)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));
    PGconn *watcher = db_open(schema_dsn_as(PQuser(db)));

    db_do(db, "BEGIN; " ONCE2("'{1,2}'", "'{k,l}'", "'{h,g}'"));
    ck_assert(PQsendQuery(other, ONCE3("'{l,m,k}'", "'{g,x,h}'")));
    ck_assert(wait_until(second_waits, watcher, 10000));
    db_do(db, "COMMIT");
    PGresult *result = PQgetResult(other);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), "{2,3,1} {0,2}");
    PQclear(result);
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2 b=2");
    PQfinish(other);
    PQfinish(watcher);
}
END_TEST

START_TEST(what_the_first_takes_back_the_second_publishes)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));
    PGconn *watcher = db_open(schema_dsn_as(PQuser(db)));

    db_do(db, "BEGIN; " ONCE2("'{1,2}'", "'{k,l}'", "'{h,g}'"));
    ck_assert(PQsendQuery(other, ONCE2("'{1,2}'", "'{l,k}'", "'{g,h}'")));
    ck_assert(wait_until(second_waits, watcher, 10000));
    db_do(db, "ROLLBACK");
    PGresult *result = PQgetResult(other);
    const char *said = PQgetvalue(result, 0, 0);
    ck_assert_msg(strstr(said, " {}") != NULL, "%s", said);
    PQclear(result);
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2");
    PQfinish(other);
    PQfinish(watcher);
}
END_TEST

SUITE(schema_once)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, each_event_is_published_once_by_its_own_key);
    tcase_add_test(tc, the_same_event_twice_in_one_batch_is_one);
    tcase_add_test(tc, another_content_is_refused_and_takes_all_with_it);
    tcase_add_test(tc, what_cannot_be_published_leaves_no_key);
    tcase_add_test(tc, in_relay_mode_the_numbers_come_later);
    tcase_add_test(tc, at_the_same_time_the_second_waits_for_the_first);
    tcase_add_test(tc, what_the_first_takes_back_the_second_publishes);
}
