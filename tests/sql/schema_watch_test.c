/*
 * schema_watch_test.c - tables that tell of their changes: what they say, to whom, and that no
 * value in a row can forge a topic or break the writer's own statement.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sql/schema_db.h"
#include "tests/suite.h"

static PGconn *db;

static void open_db(void)
{
    db = db_open(schema_dsn());
    db_do(db, "CREATE TABLE shop (id int PRIMARY KEY, name text, price numeric, note json)");
}

static void close_db(void)
{
    PQfinish(db);
}

/* What the log says since the last call: "topic body|topic body". */
static const char *told(void)
{
    const char *text =
        db_ask(db, "SELECT coalesce(string_agg(topic || ' ' || data, '|' ORDER BY seq), "
                   "'') FROM bellpush.events");
    db_do(db, "DELETE FROM bellpush.log");
    return text;
}

START_TEST(rows_tell_what_happened_to_them)
{
    db_do(db, "SELECT bellpush.watch('shop', 'shop/{id}')");
    db_do(db, "INSERT INTO shop VALUES (1, 'bell', 2.50, '{}')");
    ck_assert_str_eq(told(), "shop/1 {\"op\": \"INSERT\", \"new\": {\"id\": 1, \"name\": \"bell\", "
                             "\"note\": {}, \"price\": 2.50}, \"table\": \"public.shop\"}");
    db_do(db, "UPDATE shop SET price = 3");
    ck_assert_str_eq(told(), "shop/1 {\"op\": \"UPDATE\", \"new\": {\"id\": 1, \"name\": \"bell\", "
                             "\"note\": {}, \"price\": 3}, \"table\": \"public.shop\"}");
    db_do(db, "UPDATE shop SET price = 3");
    ck_assert_str_eq(told(), "");
    db_do(db, "DELETE FROM shop");
    ck_assert_str_eq(told(), "shop/1 {\"op\": \"DELETE\", \"old\": {\"id\": 1, \"name\": \"bell\", "
                             "\"note\": {}, \"price\": 3}, \"table\": \"public.shop\"}");
    db_do(db, "INSERT INTO shop VALUES (2, 'a'); TRUNCATE shop");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.events"), "1");
    ck_assert_str_eq(db_ask(db, "SELECT content_type FROM bellpush.events"), "application/json");
}
END_TEST

START_TEST(chosen_columns_and_operations_only)
{
    db_do(db,
          "SELECT bellpush.watch('shop', 'p', operations => '{update}', columns => '{id,price}', "
          "type => 'price', private => true, retain => true)");
    db_do(db, "INSERT INTO shop VALUES (1, 'bell', 2)");
    db_do(db, "UPDATE shop SET name = 'gong'");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.events"), "0");
    db_do(db, "UPDATE shop SET price = 4");
    ck_assert_str_eq(db_ask(db, "SELECT type || private || retained FROM bellpush.events"),
                     "pricetruetrue");
    ck_assert_str_eq(told(), "p {\"op\": \"UPDATE\", \"new\": {\"id\": 1, \"price\": 4}, "
                             "\"table\": \"public.shop\"}");
    db_do(db, "DELETE FROM shop");
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(every_payload_says_its_part)
{
    db_do(
        db,
        "SELECT bellpush.watch('shop', 'k', payload => 'keys', name => 'k'), "
        "bellpush.watch('shop', 'o', payload => 'old_new', columns => '{id,price}', name => 'o'), "
        "bellpush.watch('shop', 'c', payload => 'changes', name => 'c')");
    db_do(db, "INSERT INTO shop VALUES (1, 'bell', 2)");
    ck_assert_str_eq(told(), "c {\"op\": \"INSERT\", \"key\": {\"id\": 1}, \"new\": {\"id\": 1, "
                             "\"name\": \"bell\", \"note\": null, \"price\": 2}, "
                             "\"table\": \"public.shop\"}"
                             "|k {\"op\": \"INSERT\", \"key\": {\"id\": 1}, "
                             "\"table\": \"public.shop\"}"
                             "|o {\"op\": \"INSERT\", \"new\": {\"id\": 1, \"price\": 2}, "
                             "\"table\": \"public.shop\"}");
    db_do(db, "UPDATE shop SET price = NULL, id = 7");
    ck_assert_str_eq(told(),
                     "c {\"op\": \"UPDATE\", \"key\": {\"id\": 7}, \"new\": {\"id\": 7, "
                     "\"price\": null}, \"table\": \"public.shop\", \"old_key\": {\"id\": 1}}"
                     "|k {\"op\": \"UPDATE\", \"key\": {\"id\": 7}, "
                     "\"table\": \"public.shop\", \"old_key\": {\"id\": 1}}"
                     "|o {\"op\": \"UPDATE\", \"new\": {\"id\": 7, \"price\": null}, \"old\": "
                     "{\"id\": 1, \"price\": 2}, \"table\": \"public.shop\"}");
    db_do(db, "DELETE FROM shop");
    ck_assert_str_eq(told(), "c {\"op\": \"DELETE\", \"key\": {\"id\": 7}, \"old\": {\"id\": 7, "
                             "\"name\": \"bell\", \"note\": null, \"price\": null}, "
                             "\"table\": \"public.shop\"}"
                             "|k {\"op\": \"DELETE\", \"key\": {\"id\": 7}, "
                             "\"table\": \"public.shop\"}"
                             "|o {\"op\": \"DELETE\", \"old\": {\"id\": 7, \"price\": null}, "
                             "\"table\": \"public.shop\"}");
}
END_TEST

START_TEST(a_condition_chooses_rows)
{
    db_do(db,
          "SELECT bellpush.watch('shop', 's', condition => 'NEW.price > 10', "
          "operations => '{INSERT,UPDATE}', columns => '{id}', payload => 'old_new'), "
          "bellpush.watch('shop', 'd', condition => 'OLD.price > 10', operations => '{DELETE}', "
          "name => 'gone', columns => '{id}')");
    db_do(db, "INSERT INTO shop VALUES (1, 'x', 10), (2, 'y', 11)");
    db_do(db, "UPDATE shop SET id = 3, price = 20 WHERE id = 1");
    db_do(db, "DELETE FROM shop");
    ck_assert_str_eq(db_ask(db,
                            "SELECT string_agg(topic || (data::jsonb->>'op') || "
                            "coalesce(data::jsonb->'new'->>'id', data::jsonb->'old'->>'id'), ' ' "
                            "ORDER BY seq) FROM bellpush.events"),
                     "sINSERT2 sUPDATE3 dDELETE2 dDELETE3");
}
END_TEST

START_TEST(a_row_that_moves_leaves_and_arrives)
{
    db_do(db, "SELECT bellpush.watch('shop', 'of/{name}', columns => '{id,price}')");
    db_do(db, "INSERT INTO shop VALUES (1, 'ann', 5)");
    told();
    db_do(db, "UPDATE shop SET name = 'bob', price = 6");
    ck_assert_str_eq(
        told(), "of/ann {\"op\": \"DELETE\", \"old\": {\"id\": 1, \"price\": 5}, \"moved\": true, "
                "\"table\": \"public.shop\"}"
                "|of/bob {\"op\": \"INSERT\", \"new\": {\"id\": 1, \"price\": 6}, \"moved\": true, "
                "\"table\": \"public.shop\"}");
}
END_TEST

START_TEST(a_retained_row_is_there_until_it_is_deleted_or_moves)
{
    db_do(db, "SELECT bellpush.watch('shop', 'of/{name}', columns => '{id}', retain => true)");
    db_do(db, "INSERT INTO shop VALUES (1, 'ann'), (2, 'bob'), (3, 'cem')");
    db_do(db, "UPDATE shop SET name = 'dan' WHERE id = 3");
    db_do(db, "DELETE FROM shop WHERE id = 1");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ' ORDER BY topic) FROM "
                                "bellpush.last_values('{of/+}')"),
                     "of/bob of/dan");
    db_do(db, "SELECT bellpush.set_mode('relay')");
    db_do(db, "DELETE FROM shop");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.relay(100)"), 2);
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.retained"), "0");
}
END_TEST

static const struct hostile {
    const char *value, *topic; /* SQL expression; what {name} makes of it */
} hostiles[] = {
    { "'a/b'", "x/a%2Fb/y" },
    { "'+'", "x/%2B/y" },
    { "'#'", "x/%23/y" },
    { "'$SYS'", "x/%24SYS/y" },
    { "'%2F'", "x/%252F/y" },
    { "E'a\\nb'", "x/a%0Ab/y" },
    { "E'\\x7f\\x01'", "x/%7F%01/y" },
    { "''", "x//y" },
    { "NULL", "x/%00/y" },
    { "'%00'", "x/%2500/y" },
    { "'ü €'", "x/ü €/y" },
    { "'{id}'", "x/{id}/y" },
    { "'\\0'", "x/\\0/y" },
    { "repeat('x', 1021)", "its MD5" },
};

START_TEST(no_value_can_forge_a_topic)
{
    db_do(db, "SELECT bellpush.watch('shop', 'x/{name}/y', name => 'middle'), "
              "bellpush.watch('shop', '{name}', name => 'whole')");
    for (const struct hostile *h = hostiles; h < hostiles + LENGTH(hostiles); h++) {
        db_do(db, "DELETE FROM shop");
        told();
        db_do(db, "INSERT INTO shop VALUES (1, %s)", h->value);
        const char *topic =
            db_ask(db, "SELECT topic FROM bellpush.events WHERE topic LIKE 'x/%%/y'");
        if (strstr(h->value, "repeat")) { /* its MD5: asked of the server */
            ck_assert_str_eq(topic, db_ask(db, "SELECT 'x/%%~' || md5(%s) || '/y'", h->value));
            continue;
        }
        ck_assert_msg(strcmp(topic, h->topic) == 0, "%s gave %s", h->value, topic);
        ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.events WHERE topic ~ "
                                    "'^[$]|[+#]|^$' OR topic !~ '^x/' AND topic ~ '/'"),
                         "0");
    }
}
END_TEST

START_TEST(a_row_too_large_tells_its_key_only)
{
    db_do(db, "SELECT bellpush.set('max_event_bytes', '2kB'), bellpush.watch('shop', 's/{id}')");
    db_do(db, "INSERT INTO shop VALUES (1, repeat('x', 3000))");
    ck_assert_str_eq(told(), "s/1 {\"op\": \"INSERT\", \"key\": {\"id\": 1}, \"table\": "
                             "\"public.shop\", \"truncated\": true}");
    db_do(db, "CREATE TABLE nokey (name text); SELECT bellpush.watch('nokey', 'n/{name}')");
    db_do(db, "INSERT INTO nokey VALUES (repeat('y', 5000))");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events"),
                     "{\"op\": \"INSERT\", \"key\": null, \"table\": \"public.nokey\", "
                     "\"truncated\": true}");
    db_do(db, "DELETE FROM bellpush.log; ALTER TABLE nokey ADD PRIMARY KEY (name)");
    ck_assert_str_eq(db_try(db, "INSERT INTO nokey SELECT string_agg(md5(i::text), '') FROM "
                                "generate_series(1, 70) i"),
                     "");
    ck_assert_str_eq(db_ask(db, "SELECT data FROM bellpush.events"),
                     "{\"op\": \"INSERT\", \"key\": null, \"table\": \"public.nokey\", "
                     "\"truncated\": true}");
}
END_TEST

static const struct refusal {
    const char *args, *error;
} refusals[] = {
    { "'shop', 'a/{ide}'", "42703 bellpush: table shop has no column \"ide\"" },
    { "'shop', 'a', columns => '{id,nope}'", "42703 bellpush: table shop has no column \"nope\"" },
    { "'shop', 'a', columns => '{}'", "22023 bellpush: columns is empty" },
    { "'shop', 'a/{id'", "22023 bellpush: topic \"a/{id\" has a brace without its partner" },
    { "'shop', 'a/id}'", "22023 bellpush: topic \"a/id}\" has a brace without its partner" },
    { "'shop', 'a/{}'", "22023 bellpush: topic \"a/{}\" has a brace without its partner" },
    { "'shop', 'a/#'", "22023 bellpush: topic \"a/#\" may not contain a wildcard" },
    { "'shop', ''", "22023 bellpush: a topic is needed, this one is empty" },
    { "'shop', NULL", "22023 bellpush: a topic is needed, this one is NULL" },
    { "'shop', repeat('x', 1000) || '{id}'", "22023 bellpush: the topic is too long" },
    { "'shop', 'a', operations => '{TRUNCATE}'",
      "22023 bellpush: operations are INSERT, UPDATE and DELETE, not \"TRUNCATE\"" },
    { "'shop', 'a', operations => '{}'",
      "22023 bellpush: operations are INSERT, UPDATE and DELETE, not nothing" },
    { "'shop', 'a', operations => '{INSERT,NULL}'", "22023 bellpush: operations are" },
    { "'shop', 'a', payload => 'all'", "22023 bellpush: payload is new, old_new, changes or keys" },
    { "'nokey', 'a', payload => 'keys'", "22023 bellpush: payload keys needs a primary key" },
    { "'shop', 'a', name => 'x y'", "22023 bellpush: the name of a watch has 1 to 40 letters" },
    { "'shop', 'a', type => E'x\\ny'", "22023 bellpush: type may not contain a control" },
    { "'shop', 'a', condition => 'NEW.price >'",
      "42601 bellpush: the condition cannot be used for" },
    { "'shop', 'a', condition => 'NEW.nix > 1', operations => '{INSERT}'",
      "42703 bellpush: the condition cannot be used for INSERT: column new.nix does not exist" },
    { "'shop', 'a', condition => 'OLD.price > 1', operations => '{INSERT}'",
      "42P17 bellpush: the condition cannot be used for INSERT" },
    { "'nix', 'a'", "42P01 relation \"nix\" does not exist" },
    { "'a_view', 'a'", "42809 bellpush: \"a_view\" is not a table" },
    { "NULL, 'a'", "42809 bellpush: NULL is not a table" },
};

START_TEST(bad_watches_are_told_at_the_call)
{
    db_do(db, "CREATE TABLE nokey (x int); CREATE VIEW a_view AS SELECT 1");
    for (const struct refusal *r = refusals; r < refusals + LENGTH(refusals); r++) {
        const char *error =
            db_error(db, "SET search_path = public; SELECT bellpush.watch(%s)", r->args);
        const char *schema = strstr(error, "public.");
        char plain[512]; /* whether a name is shown with its schema is the server's business */
        snprintf(plain, sizeof plain, "%.*s%s", schema ? (int)(schema - error) : (int)strlen(error),
                 error, schema ? schema + 7 : "");
        ck_assert_msg(strncmp(plain, r->error, strlen(r->error)) == 0, "%s\n  gave %s\n  not  %s",
                      r->args, error, r->error);
    }
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.watches"), "0");
}
END_TEST

START_TEST(watches_are_listed_replaced_and_ended)
{
    db_do(db, "CREATE TABLE \"Odd \"\"Name\" (\"Col umn\" text)");
    db_do(db,
          "SELECT bellpush.watch('\"Odd \"\"Name\"', E'o/{Col umn}/\\\\000''x', name => 'odd')");
    db_do(db, "SELECT bellpush.watch('shop', 'a'), bellpush.watch('shop', 'b', name => 'two', "
              "condition => 'NEW.id = 1', operations => '{INSERT,UPDATE}')");
    db_do(db, "SELECT bellpush.watch('shop', 'c/{id}', columns => '{id,name}', type => 't')");
    ck_assert_str_eq(db_ask(db,
                            "SELECT string_agg(concat_ws(' ', relation, name, topic, operations, "
                            "columns, condition, payload, type, enabled), '; ' ORDER BY name) "
                            "FROM bellpush.watches"),
                     "\"Odd \"\"Name\" odd o/{Col umn}/\\000'x {DELETE,INSERT,UPDATE} new t; "
                     "shop two b {INSERT,UPDATE} NEW.id = 1 new t; "
                     "shop watch c/{id} {DELETE,INSERT,UPDATE} {id,name} new t t");
    db_do(db, "INSERT INTO \"Odd \"\"Name\" VALUES ('v')");
    ck_assert_str_eq(db_ask(db, "SELECT topic FROM bellpush.events"), "o/v/\\000'x");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.unwatch('shop', 'two')"), 1);
    ck_assert_int_eq(db_number(db, "SELECT bellpush.unwatch('shop', 'two')"), 0);
    ck_assert_int_eq(db_number(db, "SELECT bellpush.unwatch('shop')"), 1);
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.watches"), "1");
    db_do(db, "DROP TABLE \"Odd \"\"Name\"");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.watches"), "0");
}
END_TEST

START_TEST(partitions_tell_under_the_name_of_the_whole)
{
    db_do(db, "CREATE TABLE m (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
              "CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10);"
              "SELECT bellpush.watch('m', 'm/{id}', payload => 'keys');"
              "CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20)");
    db_do(db, "INSERT INTO m VALUES (1, 1), (2, 12)");
    ck_assert_str_eq(told(), "m/1 {\"op\": \"INSERT\", \"key\": {\"at\": 1, \"id\": 1}, "
                             "\"table\": \"public.m\"}"
                             "|m/2 {\"op\": \"INSERT\", \"key\": {\"at\": 12, \"id\": 2}, "
                             "\"table\": \"public.m\"}");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(relation::text, ' ') FROM bellpush.watches"),
                     "m");
    ck_assert_int_eq(db_number(db, "SELECT bellpush.unwatch('m')"), 1);
    db_do(db, "INSERT INTO m VALUES (3, 3)");
    ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_writer_needs_no_right_here)
{
    PGconn *admin = db_open(schema_dsn_as("postgres"));
    char role[64];
    snprintf(role, sizeof role, "%s_writer", PQdb(db));
    db_do(admin, "CREATE ROLE %s LOGIN", role);
    db_do(db, "GRANT INSERT, UPDATE ON shop TO %s; SELECT bellpush.watch('shop', 's/{id}')", role);
    PGconn *writer = db_open(schema_dsn_as(role));
    db_do(writer, "INSERT INTO shop VALUES (5)");
    db_do(writer, "BEGIN; INSERT INTO shop VALUES (6); COMMIT");
    ck_assert_str_eq(db_error(writer, "SELECT bellpush.publish('a', 'b')"),
                     "42501 permission denied for schema bellpush");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic, ' ' ORDER BY seq) FROM bellpush.events"),
                     "s/5 s/6");
    PQfinish(writer);
    db_do(db, "DROP TABLE shop");
    db_do(admin, "DROP ROLE %s", role);
    PQfinish(admin);
}
END_TEST

SUITE(schema_watch)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, open_db, close_db);
    tcase_add_test(tc, rows_tell_what_happened_to_them);
    tcase_add_test(tc, chosen_columns_and_operations_only);
    tcase_add_test(tc, every_payload_says_its_part);
    tcase_add_test(tc, a_condition_chooses_rows);
    tcase_add_test(tc, a_row_that_moves_leaves_and_arrives);
    tcase_add_test(tc, a_retained_row_is_there_until_it_is_deleted_or_moves);
    tcase_add_test(tc, no_value_can_forge_a_topic);
    tcase_add_test(tc, a_row_too_large_tells_its_key_only);
    tcase_add_test(tc, bad_watches_are_told_at_the_call);
    tcase_add_test(tc, watches_are_listed_replaced_and_ended);
    tcase_add_test(tc, partitions_tell_under_the_name_of_the_whole);
    tcase_add_test(tc, a_writer_needs_no_right_here);
}
