/*
 * schema_load_test.c - loading sql/bellpush.sql: by whom, twice, over older and newer versions; and
 * who may do what afterwards.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/sql/schema_db.h"
#include "tests/suite.h"

/* text with the first `from` replaced; gives. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    ck_assert_msg(at, "bellpush.sql no longer says: %s", from);
    return text_of("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

START_TEST(loading_again_changes_nothing_and_needs_no_quiet)
{
    PGconn *db = db_open(schema_dsn()), *open;
    char *schema = cluster_schema();

    db_do(db, "SELECT bellpush.set_mode('relay'), bellpush.set('retention', '7 days')");
    db_do(db, "CREATE TABLE shop (id int); SELECT bellpush.watch('shop', 's/{id}')");
    db_do(db, "SELECT bellpush.publish('t', '1')");
    const char *epoch = db_ask(db, "SELECT epoch FROM bellpush.hello('x')");
    open = db_open(schema_dsn_as(PQuser(db)));
    db_do(open, "BEGIN; SELECT bellpush.publish('t', '2'); SELECT * FROM bellpush.read(0, 1, 1)");
    db_do(db, "SET statement_timeout = '10s'");
    db_do(db, "%s", schema); /* beside an open publisher and reader */
    db_do(open, "COMMIT; INSERT INTO shop VALUES (1)");
    db_do(db, "SELECT bellpush.relay(10)");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ' ORDER BY seq) FROM bellpush.events"),
                     "t t s/1");
    ck_assert_str_eq(db_ask(db,
                            "SELECT concat_ws(' ', mode, epoch = '%s', (SELECT value FROM "
                            "bellpush.settings WHERE name = 'retention')) FROM bellpush.hello('')",
                            epoch),
                     "relay t 7 days");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(version::text, ' ' ORDER BY version) FROM "
                                "bellpush.schema_version"),
                     "1 2 3 4 5");
    PQfinish(open);
    PQfinish(db);
    free(schema);
}
END_TEST

START_TEST(loading_makes_no_noise)
{
    const char *dsn = schema_empty_dsn();
    char *schema = cluster_schema(), *folder = temp_folder("load");
    char *path = text_of("%s/s.sql", folder), *log = text_of("%s/log", folder);
    file_write(path, slice_of(schema));
    const char *argv[] = {
        "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", path, NULL
    };
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(process_run(&(struct process_spec){ .argv = argv, .log = log }, 30000), 0);
    char *said = file_read(log);
    ck_assert_str_eq(said, "");
    free(said);
    free(log);
    free(path);
    free(folder);
    free(schema);
}
END_TEST

START_TEST(an_upgrade_runs_only_the_steps_that_are_missing)
{
    PGconn *db = db_open(schema_dsn());
    char *schema = cluster_schema();
    char *number =
        replaced(schema, "this_version CONSTANT int := 5", "this_version CONSTANT int := 6");
    char *next = replaced(number, "END $load$;",
                          "IF had < 6 THEN\n"
                          "  ALTER TABLE bellpush.worker ADD COLUMN extra int DEFAULT 42;\n"
                          "  INSERT INTO bellpush.schema_version (version) VALUES (6);\n"
                          "END IF;\nEND $load$;");

    db_do(db, "SELECT bellpush.publish('t', 'kept')");
    db_do(db, "%s", next);
    db_do(db, "%s", next);
    ck_assert_str_eq(db_ask(db, "SELECT schema_version FROM bellpush.hello('x')"), "6");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events"), "kept");
    db_do(db, "SELECT extra FROM bellpush.worker");
    ck_assert_str_eq(db_error(db, "%s", schema),
                     "P0001 bellpush: the database has version 6 of the schema, this file is the "
                     "older version 5");
    db_do(db, "ROLLBACK");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events"), "kept");

    /* And all of them, where there is nothing yet. */
    PQfinish(db);
    PGconn *fresh = db_open(schema_empty_dsn());
    db_do(fresh, "%s", next);
    ck_assert_str_eq(db_ask(fresh, "SELECT string_agg(version::text, ' ' ORDER BY version) FROM "
                                   "bellpush.schema_version"),
                     "1 2 3 4 5 6");
    PQfinish(fresh);
    free(next);
    free(number);
    free(schema);
}
END_TEST

/* A database of an older version, as far as what the next one adds and changes matters. */
static void make_version_4(PGconn *db)
{
    db_do(db, "ALTER TABLE bellpush.inbox DROP COLUMN many; DELETE FROM bellpush.schema_version "
              "WHERE version = 5");
}

static void make_version_3(PGconn *db)
{
    make_version_4(db);
    db_do(db, "DROP FUNCTION bellpush.who; CREATE FUNCTION bellpush.who(topic text, max_rows int) "
              "RETURNS void LANGUAGE sql AS ''; DELETE FROM bellpush.schema_version WHERE version "
              "= 4");
}

static void make_version_2(PGconn *db)
{
    make_version_3(db);
    db_do(db, "DROP TABLE bellpush.presence_worker, bellpush.presence_session, "
              "bellpush.presence_member CASCADE; DROP FUNCTION bellpush.report, bellpush.who, "
              "bellpush.presence_change; CREATE FUNCTION bellpush.report(worker text, host text, "
              "pid int, open_requests int, state jsonb) RETURNS void LANGUAGE sql AS ''; DELETE "
              "FROM bellpush.schema_version WHERE version = 3");
}

static void make_version_1(PGconn *db)
{
    make_version_2(db);
    db_do(db, "DROP TABLE bellpush.token_key, bellpush.revoked, bellpush.topic_right, "
              "bellpush.hook CASCADE; DROP SEQUENCE bellpush.listener_nr; DELETE FROM "
              "bellpush.schema_version WHERE version = 2");
}

static void an_older_version_becomes_this_one_and_keeps_what_it_has(void (*make)(PGconn *))
{
    PGconn *db = db_open(schema_dsn());
    char *schema = cluster_schema();

    db_do(db, "SELECT bellpush.publish('t', 'kept')");
    const char *epoch = db_ask(db, "SELECT epoch FROM bellpush.hello('x')");
    make(db);
    db_do(db, "%s", schema);
    ck_assert_str_eq(db_ask(db,
                            "SELECT concat_ws(' ', schema_version, epoch = '%s', head) FROM "
                            "bellpush.hello('x')",
                            epoch),
                     "5 t 1");
    ck_assert_str_eq(db_ask(db, "SELECT coalesce(bellpush.report('w', 'h', 1, 1, NULL), -7)"),
                     "-7"); /* it gives something now */
    db_do(db, "SELECT bellpush.presence_change('w', 1, 0, '{1}', '{t}', '{ann}', '{1}', '{}', "
              "NULL, NULL, 10)");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.report('w', 'h', 1, 1, NULL)"), "1");
    ck_assert_str_eq(db_ask(db, "SELECT topic || ' ' || type FROM bellpush.events WHERE seq > 1"),
                     "$presence/t join");
    ck_assert_str_eq(db_ask(db, "SELECT concat(member, total) FROM bellpush.who('t', 10) LIMIT 1"),
                     "ann"); /* there is one function of this name, whoever calls it */
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events WHERE seq = 1"), "kept");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.gate() WHERE kind = 'key'"), "1");
    db_do(db, "SELECT bellpush.publish_many('{m,m}', '{1,2}')");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(data, ' ' ORDER BY seq) FROM bellpush.events "
                                "WHERE topic = 'm'"),
                     "1 2");
    PQfinish(db);
    free(schema);
}

START_TEST(version_1_becomes_this_one)
{
    an_older_version_becomes_this_one_and_keeps_what_it_has(make_version_1);
}
END_TEST

START_TEST(version_2_becomes_this_one)
{
    an_older_version_becomes_this_one_and_keeps_what_it_has(make_version_2);
}
END_TEST

START_TEST(version_3_becomes_this_one)
{
    an_older_version_becomes_this_one_and_keeps_what_it_has(make_version_3);
}
END_TEST

START_TEST(version_4_becomes_this_one)
{
    an_older_version_becomes_this_one_and_keeps_what_it_has(make_version_4);
}
END_TEST

/* As of a role that a site has made for its workers, in a database of its own. */
START_TEST(an_upgrade_gives_what_it_adds_to_roles_that_were_granted_the_older_version)
{
    PGconn *db = db_open(schema_dsn());
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    char *schema = cluster_schema();
    char *worker = text_of("%s_worker", PQdb(db)), *caller = text_of("%s_caller", PQdb(db));

    db_do(admin, "CREATE ROLE %s; CREATE ROLE %s", worker, caller);
    db_do(db, "SELECT bellpush.grant_worker('%s')", worker);
    db_do(db, "GRANT EXECUTE ON FUNCTION bellpush.hello TO %s", caller);
    make_version_3(db);
    db_do(db, "REVOKE SELECT ON bellpush.log FROM %s", worker);
    db_do(db, "%s", schema);
    ck_assert_str_eq(db_ask(db,
                            "SELECT concat_ws(' ', has_function_privilege('%s', "
                            "'bellpush.who(text, int, text)', 'execute'), "
                            "has_table_privilege('%s', 'bellpush.log', 'select'), "
                            "has_function_privilege('%s', 'bellpush.relay(int)', 'execute'))",
                            worker, worker, caller),
                     "t t f");
    db_do(db, "SELECT bellpush.revoke_all('%s'), bellpush.revoke_all('%s')", worker, caller);
    db_do(admin, "DROP ROLE %s; DROP ROLE %s", worker, caller);
    PQfinish(admin);
    PQfinish(db);
    free(caller);
    free(worker);
    free(schema);
}
END_TEST

START_TEST(a_foreign_schema_is_left_alone_and_an_empty_one_is_used)
{
    PGconn *db = db_open(schema_empty_dsn());
    char *schema = cluster_schema();

    db_do(db, "CREATE SCHEMA bellpush; CREATE TABLE bellpush.log (x int)");
    ck_assert_str_eq(
        db_error(db, "%s", schema),
        "P0001 bellpush: there is a schema \"bellpush\" already, and it is not of this "
        "program");
    db_do(db, "ROLLBACK; DROP TABLE bellpush.log");
    db_do(db, "%s", schema); /* as where an administrator has made it for somebody */
    db_do(db, "SELECT bellpush.publish('a', 'b')");
    PQfinish(db);
    free(schema);
}
END_TEST

START_TEST(where_roles_cannot_be_made_nothing_is_given_to_strangers)
{
    PGconn *db = db_open(schema_dsn());
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    char *schema = cluster_schema();

    /* Somebody else on this server has roles of our names. */
    db_do(admin,
          "DO $$ BEGIN CREATE ROLE bellpush_worker; EXCEPTION WHEN duplicate_object THEN END $$");
    db_do(db, "%s", schema);
    ck_assert_str_eq(db_ask(admin,
                            "SELECT has_schema_privilege('bellpush_worker', 'bellpush', 'usage') "
                            "OR has_function_privilege('bellpush_worker', "
                            "'bellpush.read(bigint,int,bigint)', 'execute')"),
                     "f");
    ck_assert_str_eq(db_ask(admin, "SELECT count(*) FROM pg_proc p, aclexplode(coalesce(proacl, "
                                   "acldefault('f', proowner))) a WHERE pronamespace = "
                                   "'bellpush'::regnamespace AND a.grantee = 0"),
                     "0"); /* PUBLIC has nothing */
    ck_assert_str_eq(db_ask(admin, "SELECT count(*) FROM pg_class c, aclexplode(relacl) a WHERE "
                                   "relnamespace = 'bellpush'::regnamespace AND a.grantee = 0"),
                     "0");
    ck_assert_str_eq(db_ask(admin, "SELECT count(*) FROM pg_proc WHERE pronamespace = "
                                   "'bellpush'::regnamespace AND prosecdef AND NOT "
                                   "'search_path=pg_catalog, pg_temp' = ANY (proconfig)"),
                     "0"); /* every SECURITY DEFINER function has its path pinned */
    PQfinish(db);
    PQfinish(admin);
    free(schema);
}
END_TEST

static const struct may {
    const char *sql;
    bool publisher, worker;
} mays[] = {
    { "SELECT bellpush.publish('t', 'x')", true, false },
    { "SELECT bellpush.publish('t', '{}'::jsonb)", true, false },
    { "SELECT bellpush.publish_many('{t}', '{x}')", true, false },
    { "SELECT bellpush.escape('a/b')", true, false },
    { "SELECT bellpush.cursor()", true, true },
    { "SELECT bellpush.hello('x')", false, true },
    { "SELECT bellpush.read(0, 1, 1)", false, true },
    { "SELECT bellpush.replay(0, '{a}', 1, 1, 1)", false, true },
    { "SELECT bellpush.locate(0)", false, true },
    { "SELECT bellpush.last_values('{#}')", false, true },
    { "SELECT bellpush.publish_batch('{a}','{x}','{x}','{x}','{x}','{f}','{f}','{0}','k','h')",
      false, true },
    { "SELECT bellpush.publish_once('{a}','{x}','{x}','{x}','{x}','{f}','{f}','{0}','{k}','{h}')",
      false, true },
    { "SELECT bellpush.record('{a}', '{b}')", false, true },
    { "SELECT bellpush.relay(1)", false, true },
    { "SELECT bellpush.relay_sleep(), bellpush.relay_wake()", false, true },
    { "SELECT bellpush.housekeeper(true), bellpush.listening()", false, true },
    { "SELECT bellpush.maintain()", false, true },
    { "SELECT bellpush.report('w', 'h', 1, 1, NULL)", false, true },
    { "SELECT bellpush.gate()", false, true },
    { "SELECT bellpush.may('{}', 'publish', '{a}')", false, true },
    { "SELECT bellpush.hook_of('h')", false, true },
    { "SELECT bellpush.presence_change('w', 1, 0, '{1}', '{t}', '{m}', '{1}', '{}', NULL, NULL, 9)",
      false, true },
    { "SELECT bellpush.who('t', 10)", false, true },
    { "SELECT * FROM bellpush.present", false, true },
    { "SELECT * FROM bellpush.presence_session", false, false },
    { "SELECT bellpush._presence_lapse(1)", false, false },
    { "SELECT bellpush.token()", false, false },
    { "SELECT bellpush.revoke('a')", false, false },
    { "SELECT bellpush.grant_topic('a', 'b')", false, false },
    { "SELECT bellpush.new_token_key()", false, false },
    { "SELECT bellpush.define_hook('a', 'hmac', 'b', '{longenough}')", false, false },
    { "SELECT * FROM bellpush.token_key", false, false },
    { "SELECT * FROM bellpush.hook", false, false },
    { "SELECT * FROM bellpush.stats, bellpush.settings, bellpush.workers", false, true },
    { "SELECT * FROM bellpush.subscribers", false, true },
    { "SELECT bellpush.prepare_few()", false, true },
    { "SELECT * FROM bellpush.log, bellpush.state", false, true },
    { "UPDATE bellpush.state SET epoch = 'x'", false, false },
    { "DELETE FROM bellpush.log", false, false },
    { "SELECT * FROM bellpush.events", false, false },
    { "SELECT * FROM bellpush.retained", false, false },
    { "INSERT INTO bellpush.inbox (topic, data, expires_us, flags) VALUES ('a', '', 0, 0)", false,
      false },
    { "SELECT bellpush.set('retention', '1 s')", false, false },
    { "SELECT bellpush.set_mode('relay')", false, false },
    { "SELECT bellpush.new_epoch()", false, false },
    { "SELECT bellpush.watch('pg_class', 'a')", false, false },
    { "SELECT bellpush._append('{a}','{a}','{a}','{a}','{a}','{0}','{0}')", false, false },
    { "SELECT nextval('bellpush.seq')", false, false },
};

START_TEST(each_role_may_do_its_work_and_no_more)
{
    PGconn *db = db_open(schema_dsn());
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    char name[2][64];

    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "%s_%s", PQdb(db), i ? "worker" : "publisher");
        db_do(admin, "CREATE ROLE %s LOGIN", name[i]);
        db_do(db, "SELECT bellpush.grant_%s('%s')", i ? "worker" : "publisher", name[i]);
        PGconn *as = db_open(schema_dsn_as(name[i]));
        for (const struct may *m = mays; m < mays + LENGTH(mays); m++) {
            bool may = i ? m->worker : m->publisher;
            const char *answer = db_try(as, "%s", m->sql);
            ck_assert_msg(may ? answer[0] != '!' : strcmp(answer, "!42501") == 0, "%s: %s gave %s",
                          name[i], m->sql, answer);
        }
        PQfinish(as);
        db_do(db, "SELECT bellpush.revoke_all('%s')", name[i]);
        db_do(admin, "DROP ROLE %s", name[i]); /* nothing of it is left */
    }
    PQfinish(admin);
    PQfinish(db);
}
END_TEST

START_TEST(an_owner_who_may_make_roles_gets_them)
{
    PGconn *db = db_open(schema_empty_dsn());
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    char *schema = cluster_schema();

    db_do(admin, "ALTER ROLE %s CREATEROLE", PQuser(db));
    db_do(db, "%s", schema);
    ck_assert_str_eq(db_ask(admin,
                            "SELECT has_function_privilege('bellpush_worker', "
                            "'bellpush.read(bigint,int,bigint)', 'execute') AND "
                            "NOT has_function_privilege('bellpush_publisher', "
                            "'bellpush.read(bigint,int,bigint)', 'execute') AND "
                            "has_schema_privilege('bellpush_publisher', 'bellpush', 'usage')"),
                     "t");
    PQfinish(db);
    PQfinish(admin);
    free(schema);
}
END_TEST

SUITE(schema_load)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_test(tc, loading_again_changes_nothing_and_needs_no_quiet);
    tcase_add_test(tc, loading_makes_no_noise);
    tcase_add_test(tc, an_upgrade_runs_only_the_steps_that_are_missing);
    tcase_add_test(tc, version_1_becomes_this_one);
    tcase_add_test(tc, version_2_becomes_this_one);
    tcase_add_test(tc, version_3_becomes_this_one);
    tcase_add_test(tc, version_4_becomes_this_one);
    tcase_add_test(tc, an_upgrade_gives_what_it_adds_to_roles_that_were_granted_the_older_version);
    tcase_add_test(tc, a_foreign_schema_is_left_alone_and_an_empty_one_is_used);
    tcase_add_test(tc, where_roles_cannot_be_made_nothing_is_given_to_strangers);
    tcase_add_test(tc, each_role_may_do_its_work_and_no_more);
    tcase_add_test(tc, an_owner_who_may_make_roles_gets_them);
}
