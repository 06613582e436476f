/*
 * schema_publish_test.c - what goes into the log: every way of publishing, what is refused, and
 * that exactly what was committed is there.
 */

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

#define BATCH_OF_ONE(topic)                                                                        \
    "SELECT seqs FROM bellpush.publish_batch('{" topic "}', '{NULL}', '{NULL}', '{NULL}', '{x}', " \
    "'{f}', '{f}', '{0}', NULL, NULL)"

/* The log as one line: "topic=data topic=data". */
#define LOG                                                                                        \
    "SELECT string_agg(topic || '=' || coalesce(data, '?'), ' ' ORDER BY seq) FROM "               \
    "bellpush.events"

START_TEST(plain_literals_are_text)
{
    db_do(db, "SELECT bellpush.publish('a', 'b')");
    ck_assert_str_eq(db_ask(db, LOG), "a=b");
    ck_assert_str_eq(db_ask(db, "SELECT content_type IS NULL AND type IS NULL AND id IS NULL AND "
                                "NOT (private OR retained OR recorded) FROM bellpush.events"),
                     "t");
}
END_TEST

START_TEST(every_kind_of_data_keeps_its_bytes_and_type)
{
    db_do(db, "SELECT bellpush.publish('j', '{\"a\": 1}'::jsonb);"
              "SELECT bellpush.publish('k', '{\"a\":1 }'::json);"
              "SELECT bellpush.publish('b', '\\x00ff'::bytea);"
              "SELECT bellpush.publish('v', 'text'::varchar);"
              "SELECT bellpush.publish('x', '<a/>', content_type => 'application/xml');"
              "SELECT bellpush.publish(topic => 'ü', data => 'ß€')");
    ck_assert_str_eq(db_ask(db, LOG), "j={\"a\": 1} k={\"a\":1 } b=? v=text x=<a/> ü=ß€");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(coalesce(content_type, '-'), ' ' ORDER BY seq) "
                                "FROM bellpush.events"),
                     "application/json application/json application/octet-stream - "
                     "application/xml -");
    ck_assert_str_eq(db_ask(db, "SELECT bytes FROM bellpush.events WHERE topic = 'b'"), "\\x00ff");
}
END_TEST

START_TEST(all_options_arrive)
{
    db_do(db, "SELECT bellpush.publish('t', 'd', type => 'tick', retain => true, private => true, "
              "id => 'mine', expires => '1 hour')");
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws(' ', type, id, private, retained, "
                                "expires - at BETWEEN '59 min 59 s' AND '1 hour') "
                                "FROM bellpush.events"),
                     "tick mine t t t");
}
END_TEST

static const struct refusal {
    const char *sql, *error;
} refusals[] = {
    { "SELECT bellpush.publish('', 'x')", "22023 bellpush: a topic is needed, this one is empty" },
    { "SELECT bellpush.publish(NULL, 'x')", "22023 bellpush: a topic is needed, this one is NULL" },
    { "SELECT bellpush.publish('a/+', 'x')",
      "22023 bellpush: topic \"a/+\" may not contain a wildcard (+ or #)" },
    { "SELECT bellpush.publish('a#', 'x')",
      "22023 bellpush: topic \"a#\" may not contain a wildcard (+ or #)" },
    { "SELECT bellpush.publish(E'a\\nb', 'x')",
      "22023 bellpush: topic \"a?b\" may not contain a control character" },
    { "SELECT bellpush.publish(E'a\\x7f', 'x')",
      "22023 bellpush: topic \"a?\" may not contain a control character" },
    { "SELECT bellpush.publish(repeat('ü', 513), 'x')", "22023 bellpush: topic \"ü" },
    { "SELECT bellpush.publish('a', NULL)", "22023 bellpush: data may not be NULL (topic \"a\")" },
    { "SELECT bellpush.publish('a', NULL::jsonb)", "22023 bellpush: data may not be NULL" },
    { "SELECT bellpush.publish('a', 'x', type => E'a\\nid: 7')",
      "22023 bellpush: type may not contain a control character or line break" },
    { "SELECT bellpush.publish('a', 'x', content_type => E'a\\r')",
      "22023 bellpush: content_type may not contain a control character" },
    { "SELECT bellpush.publish('a', 'x', id => repeat('i', 201))",
      "22023 bellpush: id has 201 bytes, at most 200 are allowed" },
    { "SELECT bellpush.publish('a', 'x', expires => '-1 s')",
      "22023 bellpush: expires must be more than nothing" },
    { "SELECT bellpush.publish('a', repeat('x', 1048577))",
      "54000 bellpush: an event of 1048577 bytes is larger than max_event_bytes (1048576)" },
    { "SELECT bellpush.publish_many('{a,b}', '{x}')",
      "22023 bellpush: 2 topics and 1 datas were given" },
    { "SELECT bellpush.publish_many('{a,b/#}', '{x,y}')",
      "22023 bellpush: topic \"b/#\" may not contain a wildcard" },
    { "SELECT bellpush.publish_many('{}'::jsonb)",
      "22023 bellpush: publish_many() wants a JSON array" },
    { "SELECT bellpush.publish_many('[1]'::jsonb)", "22023 bellpush: event 1 is no JSON object" },
    { "SELECT bellpush.publish_many('[{\"topic\":\"a\",\"data\":1},{\"topic\":\"a\"}]'::jsonb)",
      "22023 bellpush: event 2 needs data or data_base64" },
    { "SELECT bellpush.publish_many('[{\"topic\":\"a\",\"dta\":1}]'::jsonb)",
      "22023 bellpush: event 1 has an unknown member \"dta\"" },
    { "SELECT bellpush.publish_many('[{\"topic\":7,\"data\":1}]'::jsonb)",
      "22023 bellpush: event 1: member \"topic\" has the wrong JSON type" },
    { "SELECT bellpush.publish_many('[{\"topic\":\"a\",\"data_base64\":\"$\"}]'::jsonb)",
      "22023 bellpush: event 1: " },
    { "SELECT bellpush.publish_batch('{}','{}','{}','{}','{}','{}','{}','{}',NULL,NULL)",
      "22023 bellpush: nothing to publish" },
    { "SELECT bellpush.publish_batch('{a}','{}','{x}','{x}','{x}','{f}','{f}','{0}',NULL,NULL)",
      "22023 bellpush: the arrays of publish_batch() differ in length" },
    { "SELECT bellpush.publish_batch('{a}',NULL,'{x}','{x}','{x}','{f}','{f}','{0}',NULL,NULL)",
      "22023 bellpush: the arrays of publish_batch() differ in length" },
    { "SELECT bellpush.publish_batch('{a}','{x}','{x}','{x}','{x}','{f}','{f}','{0}','k',NULL)",
      "22023 bellpush: an idempotency key has 1 to 1024 bytes, and a hash" },
    { "SELECT bellpush.publish_batch('{a+}','{x}','{x}','{x}','{x}','{f}','{f}','{0}',NULL,NULL)",
      "22023 bellpush: topic \"a+\" may not contain a wildcard" },
    { "SELECT bellpush.record('{a}','{}')",
      "22023 bellpush: 1 channels and 0 payloads were given" },
    { "SELECT bellpush.set_mode('both')",
      "22023 bellpush: the mode is commit or relay, not \"both\"" },
    { "SELECT bellpush.set_mode(NULL)", "22023 bellpush: the mode is commit or relay, not NULL" },
    { "SELECT bellpush.set('retension', '1 h')",
      "22023 bellpush: there is no setting \"retension\"" },
    { "SELECT bellpush.set('retention', 'soon')", "22023 bellpush: retention cannot be \"soon\"" },
    { "SELECT bellpush.set('retention', NULL)", "22023 bellpush: retention cannot be NULL" },
    { "SELECT bellpush.set('retention', '-1 h')", "22023 bellpush: retention cannot be \"-1 h\"" },
    { "SELECT bellpush.set('retention_bytes', '1kB')",
      "22023 bellpush: retention_bytes cannot be \"1kB\": 0 (no limit) or at least 8MB" },
    { "SELECT bellpush.set('max_event_bytes', '17MB')",
      "22023 bellpush: max_event_bytes cannot be \"17MB\": from 1kB to 16MB" },
    { "SELECT bellpush.set('max_event_bytes', 'many')",
      "22023 bellpush: max_event_bytes cannot be" },
    { "SELECT bellpush.replay(0, '{}', 1, 1, 1)",
      "22023 bellpush: replay() wants at least one filter" },
    { "SELECT bellpush.replay(0, '{a+}', 1, 1, 1)",
      "22023 bellpush: filter \"a+\": + and # stand for" },
    { "SELECT bellpush.replay(0, '{#/a}', 1, 1, 1)", "22023 bellpush: filter \"#/a\": + and #" },
    { "SELECT bellpush.replay(0, ARRAY[NULL], 1, 1, 1)", "22023 bellpush: a filter has 1 to 1024" },
};

START_TEST(bad_arguments_are_told_at_the_call)
{
    for (const struct refusal *r = refusals; r < refusals + LENGTH(refusals); r++) {
        const char *error = db_error(db, "%s", r->sql);
        ck_assert_msg(strncmp(error, r->error, strlen(r->error)) == 0, "%s\n  gave %s\n  not  %s",
                      r->sql, error, r->error);
    }
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log"), "0");
}
END_TEST

START_TEST(only_what_commits_is_in_the_log_and_in_order)
{
    db_do(db, "BEGIN; SELECT bellpush.publish('t', 'gone'); ROLLBACK");
    db_do(db, "BEGIN; SELECT bellpush.publish('t', '1');"
              "SAVEPOINT a; SELECT bellpush.publish('t', 'gone'); ROLLBACK TO a;"
              "SELECT bellpush.publish('t', '2');"
              "SAVEPOINT b; SELECT bellpush.publish('t', '3'); RELEASE b;"
              "SELECT bellpush.publish('t', '4')");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log"), "0"); /* not before COMMIT */
    db_do(db, "COMMIT");
    ck_assert_str_eq(db_ask(db, LOG), "t=1 t=2 t=3 t=4");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
}
END_TEST

/* In commit mode a row is out of the inbox before its trigger fires, also a large one; a row that
   nobody has taken out the trigger takes out itself. */
START_TEST(the_inbox_is_empty_before_and_after_the_commit)
{
    db_do(db, "CREATE TABLE watched (id int); SELECT bellpush.watch('watched', 'w')");
    db_do(db, "BEGIN; SELECT bellpush.publish('t', '1', retain => true),"
              " bellpush.publish('b', '\\x32'::bytea, content_type => 'text/x'), "
              "bellpush.publish('j', '3'::jsonb),"
              " bellpush.publish_many('{m}', '{4}'), bellpush.publish('l', repeat('5', 1000000));"
              " INSERT INTO watched VALUES (6)");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
    db_do(db,
          "INSERT INTO bellpush.inbox (topic, data, expires_us, flags) VALUES ('i', '7', 0, 0)");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "1");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log"), "0");
    db_do(db, "COMMIT");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic || left(data, 1), ' ' ORDER BY seq) || ' '"
                                " || max(size) FROM bellpush.events"),
                     "t1 b2 j3 m4 l5 w{ i7 1000000");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ') FROM bellpush.retained"), "t");
    db_do(db, "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SELECT bellpush.publish('now', '8')");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events ORDER BY seq DESC LIMIT 1"), "8");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
    db_do(db, "COMMIT");
}
END_TEST

START_TEST(the_bell_rings_once_for_a_transaction)
{
    PGnotify *bell;
    int bells = 0;
    PGconn *ear = db_open(schema_dsn_as(PQuser(db)));

    db_do(ear, "LISTEN bellpush");
    db_do(db, "BEGIN; SELECT bellpush.publish('t', i::text) FROM generate_series(1, 50) i; COMMIT");
    db_do(ear, "SELECT 1"); /* what has been sent arrives before the answer */
    while ((bell = PQnotifies(ear))) {
        ck_assert_str_eq(bell->extra, "");
        PQfreemem(bell);
        bells++;
    }
    ck_assert_int_eq(bells, 1);
    PQfinish(ear);
}
END_TEST

START_TEST(many_at_once_keep_their_order)
{
    ck_assert_int_eq(db_number(db, "SELECT bellpush.publish_many(array_agg('m/' || i), "
                                   "array_agg(i::text)) FROM generate_series(1, 1000) i"),
                     1000);
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(data, ',' ORDER BY seq) = "
                                "(SELECT string_agg(i::text, ',') FROM generate_series(1, 1000) i) "
                                "FROM bellpush.events"),
                     "t");
    ck_assert_int_eq(db_number(db,
                               "SELECT bellpush.publish_many('[{\"topic\": \"a\", \"data\": \"s\"},"
                               " {\"topic\": \"b\", \"data\": {\"n\": 1}, \"type\": \"x\", "
                               "\"expires\": 60}, {\"topic\": \"c\", \"data_base64\": \"AP8=\", "
                               "\"private\": true}]')"),
                     3);
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(concat_ws('|', topic, type, data, bytes, "
                                "content_type, private, expires IS NOT NULL), ' ' ORDER BY seq) "
                                "FROM bellpush.events WHERE topic !~ '^m/'"),
                     "a|s|\\x73|f|f b|x|{\"n\": 1}|\\x7b226e223a20317d|application/json|f|t "
                     "c|\\x00ff|application/octet-stream|t|f");
}
END_TEST

/* As it goes through the inbox: each row's topic and for how many events it stands. */
#define PUT "SELECT string_agg(topic || events, ' ' ORDER BY id) FROM put"

static void watch_the_inbox(void)
{
    db_do(
        db,
        "CREATE TABLE put (id serial, topic text, events int); "
        "CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.put (topic, events) VALUES (NEW.topic, coalesce(cardinality(NEW.many), "
        "1)); RETURN NULL; END $$; CREATE TRIGGER put AFTER INSERT ON bellpush.inbox "
        "FOR EACH ROW EXECUTE FUNCTION put()");
}

START_TEST(small_events_of_one_call_share_a_row_of_the_inbox)
{
    watch_the_inbox();
    db_do(db,
          "BEGIN; SELECT bellpush.publish('a', '0'), bellpush.publish_many('{b,c,d}', '{1,2,3}'), "
          "bellpush.publish_many('[{\"topic\": \"e\", \"data\": \"4\", \"id\": \"i\"}, "
          "{\"topic\": \"f\", \"data\": \"5\"}]'), bellpush.publish_many('{g}', '{6}')");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log"), "0");
    db_do(db, "COMMIT");
    ck_assert_str_eq(db_ask(db, PUT), "a1 b3 e2 g1");
    ck_assert_str_eq(db_ask(db, LOG), "a=0 b=1 c=2 d=3 e=4 f=5 g=6");
    ck_assert_str_eq(db_ask(db, "SELECT id FROM bellpush.log WHERE topic = 'e'"), "i");
    db_do(db,
          "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; SELECT bellpush.publish_many('{h,i}', '{7,8}')");
    ck_assert_str_eq(db_ask(db, LOG), "a=0 b=1 c=2 d=3 e=4 f=5 g=6 h=7 i=8");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
    db_do(db, "COMMIT; BEGIN; SELECT bellpush.publish_many('{j,k}', '{9,9}')");
    ck_assert_str_eq(db_ask(db, BATCH_OF_ONE("l")), "{12}"); /* numbers what came before */
    db_do(db, "ROLLBACK");
    ck_assert_str_eq(db_ask(db, "SELECT max(seq) FROM bellpush.log"), "9");
}
END_TEST

START_TEST(large_and_retained_events_have_a_row_each)
{
    watch_the_inbox();
    db_do(db, "SELECT bellpush.publish_many('{a,b}', ARRAY['1', repeat('2', 1025)])");
    db_do(db, "SELECT bellpush.publish_many('{c,d}', '{3,4}', retain => true)");
    db_do(db, "SELECT bellpush.publish_many('[{\"topic\": \"e\", \"data\": \"5\"}, {\"topic\": "
              "\"c\", \"data\": \"\", \"retain\": true}]')");
    ck_assert_str_eq(db_ask(db, PUT), "a1 b1 c1 d1 e1 c1");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic || size, ' ' ORDER BY seq) FROM "
                                "bellpush.events"),
                     "a1 b1025 c1 d1 e1 c0");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ') FROM bellpush.retained"), "d");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.inbox"), "0");
}
END_TEST

/* The transaction's snapshot is older than the mode. */
START_TEST(many_know_the_mode_of_this_moment)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));

    db_do(db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bellpush.state");
    db_do(other, "SELECT bellpush.set_mode('relay')");
    db_do(db, "SELECT bellpush.publish_many('{a,b}', '{1,2}'); COMMIT");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ' ORDER BY nr) FROM bellpush.inbox "
                                "WHERE many IS NULL"),
                     "a b");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.relay(10)"), 2);
    db_do(db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bellpush.state");
    db_do(other, "SELECT bellpush.set_mode('commit')");
    db_do(db, "SELECT bellpush.publish_many('{c,d}', '{3,4}'); COMMIT");
    ck_assert_str_eq(db_ask(db, LOG), "a=1 b=2 c=3 d=4");
    PQfinish(other);
}
END_TEST

START_TEST(an_event_of_a_mebibyte_comes_back_whole)
{
    db_do(db, "SELECT bellpush.publish('big', repeat('0123456789abcdef', 65536))");
    ck_assert_str_eq(db_ask(db, "SELECT octet_length(data) || ' ' || (data = "
                                "convert_to(repeat('0123456789abcdef', 65536), 'UTF8')) "
                                "FROM bellpush.read(0, 10, 1)"),
                     "1048576 true");
    db_do(db, "SELECT bellpush.set('max_event_bytes', '1kB')");
    ck_assert_str_eq(
        db_error(db, "SELECT bellpush.publish('a', repeat('x', 1025))"),
        "54000 bellpush: an event of 1025 bytes is larger than max_event_bytes (1024)");
    db_do(db, "SELECT bellpush.publish('a', repeat('x', 1024))");
    db_do(db, "SELECT bellpush.set('max_event_bytes', '2MB')");
    db_do(db, "SELECT bellpush.publish('a', repeat('x', 2097152))");
}
END_TEST

START_TEST(the_last_value_is_retained_until_cleared)
{
    db_do(db, "SELECT bellpush.publish('r/1', 'old', retain => true);"
              "SELECT bellpush.publish('r/1', 'new', retain => true);"
              "SELECT bellpush.publish('r/1', 'passing');"
              "SELECT bellpush.publish('r/2', 'x', retain => true, expires => '1 hour')");
#define KEPT "SELECT string_agg(topic || '=' || convert_from(data, 'UTF8'), ' ' ORDER BY topic) "
    ck_assert_str_eq(db_ask(db, KEPT "FROM bellpush.last_values('{r/+}')"), "r/1=new r/2=x");
    db_do(db, "SELECT bellpush.publish('r/1', '', retain => true)");
    ck_assert_str_eq(db_ask(db, KEPT "FROM bellpush.last_values('{#}')"), "r/2=x");
    db_do(db, "UPDATE bellpush.retained SET expires_us = 1");
    ck_assert_str_eq(db_ask(db, KEPT "FROM bellpush.last_values('{#}')"), "");
    db_do(db, "SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.retained"), "0");
}
END_TEST

#define BATCH(topics, data, key, hash)                                                             \
    "SELECT seqs::text || repeated FROM bellpush.publish_batch(" topics ", '{NULL,t}', "           \
    "'{NULL,NULL}', '{NULL,i}', " data ", '{f,t}', '{t,f}', '{0,60000}', " key ", " hash ")"

START_TEST(a_batch_is_numbered_at_once_after_what_came_before)
{
    db_do(db, "BEGIN; SELECT bellpush.publish('first', '0')");
    ck_assert_str_eq(db_ask(db, BATCH("'{p,q}'", "'{1,2}'", "NULL", "NULL")), "{2,3}false");
    db_do(db, "SELECT bellpush.publish('last', '3'); COMMIT");
    ck_assert_str_eq(db_ask(db, LOG), "first=0 p=1 q=2 last=3");
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws('|', type, id, private, retained, expires > at) "
                                "FROM bellpush.events WHERE topic = 'q'"),
                     "t|i|f|t|t");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.retained"), "\\x32");
}
END_TEST

START_TEST(an_idempotency_key_publishes_once)
{
    ck_assert_str_eq(db_ask(db, BATCH("'{p,q}'", "'{1,2}'", "'key'", "'h'")), "{1,2}false");
    ck_assert_str_eq(db_ask(db, BATCH("'{p,q}'", "'{1,2}'", "'key'", "'h'")), "{1,2}true");
    ck_assert_str_eq(db_error(db, BATCH("'{p,q}'", "'{1,3}'", "'key'", "'g'")),
                     "BP001 bellpush: the idempotency key was used for another body");
    ck_assert_str_eq(db_ask(db, LOG), "p=1 q=2");
    db_do(db, "UPDATE bellpush.idempotency SET at = now() - interval '25 hours'");
    db_do(db, "SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.idempotency"), "0");
    db_do(db, "SELECT bellpush.set_mode('relay')");
    ck_assert_str_eq(db_ask(db, "SELECT seqs IS NULL AND NOT repeated FROM bellpush.publish_batch("
                                "'{p}','{t}','{NULL}','{t}','{5}','{f}','{f}','{0}','k2','h')"),
                     "t");
    ck_assert_str_eq(db_ask(db, "SELECT seqs IS NULL AND repeated FROM bellpush.publish_batch("
                                "'{p}','{t}','{NULL}','{t}','{5}','{f}','{f}','{0}','k2','h')"),
                     "t");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.relay(10)"), 1);
    ck_assert_str_eq(db_ask(db, LOG), "p=1 q=2 p=5");
}
END_TEST

static bool second_waits(void *arg)
{
    return strcmp(db_ask(arg, "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = "
                              "(SELECT oid FROM pg_database WHERE datname = current_database())"),
                  "1") == 0;
}

START_TEST(the_same_key_at_the_same_time_waits_for_the_first)
{
    PGconn *other = db_open(schema_dsn_as(PQuser(db)));
    PGconn *watcher = db_open(schema_dsn_as(PQuser(db)));

    db_do(db, "BEGIN; " BATCH("'{p,q}'", "'{1,2}'", "'key'", "'h'"));
    ck_assert(PQsendQuery(other, BATCH("'{p,q}'", "'{1,2}'", "'key'", "'h'")));
    ck_assert(wait_until(second_waits, watcher, 10000));
    db_do(db, "COMMIT");
    PGresult *result = PQgetResult(other);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), "{1,2}true");
    PQclear(result);
    PQfinish(other);
    PQfinish(watcher);
    ck_assert_str_eq(db_ask(db, LOG), "p=1 q=2");
}
END_TEST

START_TEST(notifies_are_recorded_whatever_their_channel_is_called)
{
    db_do(db, "SELECT bellpush.record('{orders,a/b,c+d,e#}', '{1,2,NULL,\"\"}')");
    ck_assert_str_eq(db_ask(db, LOG), "orders=1 a/b=2 c%2Bd= e%23=");
}
END_TEST

START_TEST(where_postgres_refuses_so_do_we)
{
    ck_assert_str_eq(db_error(db, "BEGIN READ ONLY; SELECT bellpush.publish('a', 'b')"),
                     "25006 cannot execute INSERT in a read-only transaction");
    db_do(db, "ROLLBACK");
    db_do(db, "BEGIN; SELECT bellpush.publish('a', 'b')");
    ck_assert_str_eq(db_error(db, "PREPARE TRANSACTION 'x'"),
                     "0A000 cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or "
                     "NOTIFY");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.log"), "0");
}
END_TEST

START_TEST(a_numbering_commit_is_never_asynchronous)
{
    db_do(db, "SET synchronous_commit = off; BEGIN; SELECT bellpush.publish('a', 'b')");
    ck_assert_str_eq(db_ask(db, "SHOW synchronous_commit"), "off");
    db_do(db, "SET CONSTRAINTS ALL IMMEDIATE");
    ck_assert_str_eq(db_ask(db, "SHOW synchronous_commit"), "local");
    db_do(db, "COMMIT");
    ck_assert_str_eq(db_ask(db, "SHOW synchronous_commit"), "off");
    db_do(db, "BEGIN; SELECT bellpush.record('{a}', '{b}')");
    ck_assert_str_eq(db_ask(db, "SHOW synchronous_commit"), "local");
    db_do(db, "COMMIT");
}
END_TEST

SUITE(schema_publish)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, open_db, close_db);
    tcase_add_test(tc, plain_literals_are_text);
    tcase_add_test(tc, every_kind_of_data_keeps_its_bytes_and_type);
    tcase_add_test(tc, all_options_arrive);
    tcase_add_test(tc, bad_arguments_are_told_at_the_call);
    tcase_add_test(tc, only_what_commits_is_in_the_log_and_in_order);
    tcase_add_test(tc, the_inbox_is_empty_before_and_after_the_commit);
    tcase_add_test(tc, the_bell_rings_once_for_a_transaction);
    tcase_add_test(tc, many_at_once_keep_their_order);
    tcase_add_test(tc, small_events_of_one_call_share_a_row_of_the_inbox);
    tcase_add_test(tc, large_and_retained_events_have_a_row_each);
    tcase_add_test(tc, many_know_the_mode_of_this_moment);
    tcase_add_test(tc, an_event_of_a_mebibyte_comes_back_whole);
    tcase_add_test(tc, the_last_value_is_retained_until_cleared);
    tcase_add_test(tc, a_batch_is_numbered_at_once_after_what_came_before);
    tcase_add_test(tc, an_idempotency_key_publishes_once);
    tcase_add_test(tc, the_same_key_at_the_same_time_waits_for_the_first);
    tcase_add_test(tc, notifies_are_recorded_whatever_their_channel_is_called);
    tcase_add_test(tc, where_postgres_refuses_so_do_we);
    tcase_add_test(tc, a_numbering_commit_is_never_asynchronous);
}
