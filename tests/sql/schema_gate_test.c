/*
 * schema_gate_test.c - tokens, revocations, rights and webhooks, as SQL gives and keeps them.
 *
 * What token() makes is taken apart here by other means than those that made it.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/topic.h"
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

/* ---- tokens ---------------------------------------------------------------------------------- */

START_TEST(hmac_is_that_of_rfc_4231)
{
    static const struct {
        const char *key, *message, *mac;
    } cases[] = {
        /* sections 4.2, 4.3, 4.7 (a key longer than a block) */
        { "repeat('0b', 20)", "'Hi There'",
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { "encode('Jefe', 'hex')", "'what do ya want for nothing?'",
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { "repeat('aa', 131)", "'Test Using Larger Than Block-Size Key - Hash Key First'",
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        ck_assert_str_eq(db_ask(db, "SELECT encode(bellpush._hmac(decode(%s, 'hex'), %s), 'hex')",
                                cases[i].key, cases[i].message),
                         cases[i].mac);
}
END_TEST

/* The JSON of one part of a token; gives. */
static json_t *part(const char *text, size_t len)
{
    unsigned char bytes[8192];
    size_t n;

    ck_assert_int_eq(sodium_base642bin(bytes, sizeof bytes, text, len, NULL, &n, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    json_t *json = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

START_TEST(a_token_says_what_it_was_asked_and_is_signed)
{
    const char *token = db_ask(db, "SELECT bellpush.token('{orders/#}', '{chat/+}', '10 minutes', "
                                   "'älice', '{\"shop\": 7}', 'https://shop', 'bell')");
    const char *dot = strchr(token, '.'), *last = strrchr(token, '.');
    json_t *head = part(token, (size_t)(dot - token));
    json_t *claims = part(dot + 1, (size_t)(last - dot - 1));
    const char *alg, *kid, *sub, *iss, *aud, *jti, *subscribe, *publish;
    double iat, exp, now = atof(db_ask(db, "SELECT extract(epoch FROM now())"));
    int shop;

    ck_assert_int_eq(json_unpack(head, "{s:s,s:s}", "alg", &alg, "kid", &kid), 0);
    ck_assert_str_eq(alg, "HS256");
    ck_assert_int_eq(json_unpack(claims, "{s:s,s:s,s:s,s:s,s:F,s:F,s:{s:[s],s:[s],s:{s:i}}}", "sub",
                                 &sub, "iss", &iss, "aud", &aud, "jti", &jti, "iat", &iat, "exp",
                                 &exp, "bellpush", "subscribe", &subscribe, "publish", &publish,
                                 "payload", "shop", &shop),
                     0);
    ck_assert_str_eq(sub, "älice");
    ck_assert_str_eq(iss, "https://shop");
    ck_assert_str_eq(aud, "bell");
    ck_assert_str_eq(subscribe, "orders/#");
    ck_assert_str_eq(publish, "chat/+");
    ck_assert_int_eq(shop, 7);
    ck_assert(iat > now - 60 && iat < now + 60);
    ck_assert(exp >= iat + 600 && exp < iat + 602);

    unsigned char mac[32], secret[33];
    char text[64];
    const char *hex = db_ask(
        db, "SELECT encode(value, 'hex') FROM bellpush.gate() WHERE kind = 'key' AND name = '%s'",
        kid);
    size_t n;
    ck_assert_int_eq(sodium_hex2bin(secret, sizeof secret, hex, strlen(hex), NULL, &n, NULL), 0);
    ck_assert_uint_eq(n, 32);
    crypto_auth_hmacsha256(mac, (const unsigned char *)token, (size_t)(last - token), secret);
    sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    ck_assert_str_eq(last + 1, text);
    json_decref(head);
    json_decref(claims);
}
END_TEST

START_TEST(what_a_token_cannot_be_is_said)
{
    static const char *const bad[][2] = {
        { "token('{a/#/b}')", "22023 bellpush: filter \"a/#/b\": + and # stand for whole levels, "
                              "and # is the last" },
        { "token('{\"\"}')", "22023 bellpush: a filter has 1 to 1024 bytes and no control "
                             "characters" },
        { "token(ttl => '0')", "22023 bellpush: a token lives from 1 second to 400 days, not "
                               "00:00:00" },
        { "token(ttl => NULL)", "22023 bellpush: a token lives from 1 second to 400 days, not "
                                "NULL" },
        { "token(subject => repeat('x', 256))", "22023 bellpush: a subject has at most 255 bytes "
                                                "and no control characters" },
        { "token(array_fill('a'::text, '{101}'))", "22023 bellpush: a token holds at most 100 "
                                                   "filters of each kind" },
        { "revoke()", "22023 bellpush: revoke a subject or a token: revoke('alice') or "
                      "revoke(token_id => '…')" },
        { "revoke('a', 'b')", "22023 bellpush: revoke a subject or a token: revoke('alice') or "
                              "revoke(token_id => '…')" },
        { "grant_topic('', 'a')", "22023 bellpush: a subject has 1 to 255 bytes; '*' is everybody "
                                  "who has one" },
        { "grant_topic('a', 'b', 'listen')", "22023 bellpush: the verb is subscribe or publish, "
                                             "not \"listen\"" },
        { "define_hook('a b', 'hmac', 't', '{12345678}')",
          "22023 bellpush: a hook's name has 1 to 64 letters, digits, dots, dashes and "
          "underscores" },
        { "define_hook('a', 'md5', 't', '{12345678}')", "22023 bellpush: there is no scheme "
                                                        "\"md5\"" },
        { "define_hook('a', 'hmac', 't', '{short}')",
          "22023 bellpush: a hook has 1 to 10 secrets of 8 to 1024 bytes; all of them are good" },
        { "define_hook('a', 'hmac', 't/#', '{12345678}')",
          "22023 bellpush: topic \"t/#\" may not contain a wildcard (+ or #)" },
        { "new_token_key('-1 day')", "22023 bellpush: the other keys cannot end after -1 days" },
    };
    for (size_t i = 0; i < LENGTH(bad); i++)
        ck_assert_str_eq(db_error(db, "SELECT bellpush.%s", bad[i][0]), bad[i][1]);
}
END_TEST

START_TEST(a_new_key_signs_and_the_old_one_ends)
{
    const char *kids = "SELECT string_agg(CASE WHEN until_us = 0 THEN 'signs' ELSE 'ends' END, ' ' "
                       "ORDER BY at_us DESC) FROM bellpush.gate() WHERE kind = 'key'";
    const char *head = "SELECT convert_from(decode(split_part(bellpush.token(), '.', 1) || '=', "
                       "'base64'), 'UTF8')::json ->> 'kid'";

    ck_assert_str_eq(db_ask(db, "%s", kids), "signs");
    const char *made = db_ask(db, "SELECT bellpush.new_token_key()");
    ck_assert_str_eq(db_ask(db, "%s", kids), "signs ends");
    const char *kid = db_try(db, "%s", head);
    if (kid[0] != '!') /* base64 needs as many '=' as it needs */
        ck_assert_str_eq(kid, made);
    db_do(db, "SELECT bellpush.new_token_key('0')");
    ck_assert_str_eq(db_ask(db, "%s", kids), "signs");
}
END_TEST

/* ---- revocations, rights --------------------------------------------------------------------- */

START_TEST(a_revocation_is_in_the_log_and_in_the_gate)
{
    db_do(db, "SELECT bellpush.revoke('alice'), bellpush.revoke(token_id => 'j1')");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(kind || ' ' || name, ', ' ORDER BY kind) FROM "
                                "bellpush.gate() WHERE kind <> 'key' AND at_us <= until_us"),
                     "subject alice, token j1");
    ck_assert_str_eq(db_ask(db, "SELECT string_agg(topic || ' ' || flags, ', ') FROM bellpush.log"),
                     "$bellpush/gate 1, $bellpush/gate 1");
    const char *before = db_ask(db, "SELECT at_us FROM bellpush.gate() WHERE kind = 'subject'");
    db_do(db, "SELECT bellpush.revoke('alice')"); /* again: what was issued since, too */
    ck_assert_int_gt(db_number(db, "SELECT at_us FROM bellpush.gate() WHERE kind = 'subject'"),
                     atoll(before));
    db_do(db, "UPDATE bellpush.revoked SET until = now() - interval '1 second'");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.gate() WHERE kind <> 'key'"), "0");
    db_do(db, "SELECT bellpush.maintain()");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.revoked"), "0");
}
END_TEST

START_TEST(the_database_and_the_program_cover_alike)
{
    static const char *const filters[] = { "a",      "#",      "+",     "a/#",   "a/+",
                                           "+/b",    "+/+",    "+/#",   "/#",    "/+",
                                           "a/+/c",  "a/b",    "a/b/c", "+/b/#", "$SYS",
                                           "$SYS/#", "$SYS/+", "a//c",  "a/",    "/",
                                           "//",     "a/b/#",  "ü/+",   "a/+/#", "+/+/#" };

    for (size_t o = 0; o < LENGTH(filters); o++)
        for (size_t i = 0; i < LENGTH(filters); i++) {
            bool ours = filter_covers(slice_of(filters[o]), slice_of(filters[i]));
            /* The parent of "/#" would be the empty topic, which is none: only the program knows.
             */
            if (strcmp(filters[i], "/#") == 0 && strcmp(filters[o], "+/+/#") == 0)
                continue;
            ck_assert_msg(*db_ask(db, "SELECT bellpush._covers('%s', '%s')", filters[o],
                                  filters[i]) == (ours ? 't' : 'f'),
                          "%s covers %s: the program says %d", filters[o], filters[i], ours);
        }
}
END_TEST

#define MAY(who, verb, names)                                                                      \
    db_ask(db, "SELECT array_to_string(bellpush.may('%s', '%s', '%s'), ',')", who, verb, names)

START_TEST(rights_in_the_table_are_of_subjects)
{
    const char *alice = "{\"subject\": \"alice\"}", *nobody = "{}";

    ck_assert_str_eq(MAY(alice, "subscribe", "{a}"), "f");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.gate() WHERE kind = 'ask'"), "0");
    db_do(db, "SELECT bellpush.grant_topic('alice', 'a/#'), bellpush.grant_topic('*', 'all'), "
              "bellpush.grant_topic('alice', 'chat', 'publish', now() + interval '1 hour')");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.gate() WHERE kind = 'ask'"), "1");
    ck_assert_str_eq(MAY(alice, "subscribe", "{a,a/+/c,b,all,#,chat}"), "t,t,f,t,f,f");
    ck_assert_str_eq(MAY(alice, "publish", "{chat,a}"), "t,f");
    ck_assert_str_eq(MAY(nobody, "subscribe", "{a,all}"), "f,f");
    ck_assert_str_eq(MAY("{\"subject\": \"\"}", "subscribe", "{a,all}"), "f,f");
    db_do(db, "UPDATE bellpush.topic_right SET until = now() - interval '1 second'");
    ck_assert_str_eq(MAY(alice, "publish", "{chat}"), "f");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.revoke_topic('alice', 'a/#')"), "1");
    ck_assert_str_eq(MAY(alice, "subscribe", "{a}"), "f");
}
END_TEST

START_TEST(the_sites_own_function_is_asked)
{
    db_do(db, "CREATE TABLE session (id text, buyer int); INSERT INTO session VALUES ('s1', 7)");
    db_do(db,
          "CREATE FUNCTION bellpush.authorize(who jsonb, verb text, topic text) RETURNS boolean "
          "LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM public.session s WHERE s.id = who #>> "
          "'{cookies,PHPSESSID}' AND topic LIKE 'buyers/' || s.buyer || '/%%') $$");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.gate() WHERE kind = 'ask'"), "1");
    ck_assert_str_eq(MAY("{\"cookies\": {\"PHPSESSID\": \"s1\"}}", "subscribe",
                         "{buyers/7/orders,buyers/8/orders}"),
                     "t,f");
    ck_assert_str_eq(MAY("{\"cookies\": {\"PHPSESSID\": \"s2\"}}", "subscribe", "{buyers/7/x}"),
                     "f");
    db_do(db, "CREATE OR REPLACE FUNCTION bellpush.authorize(who jsonb, verb text, topic text) "
              "RETURNS boolean LANGUAGE sql AS $$ SELECT NULL::boolean $$");
    ck_assert_str_eq(MAY("{}", "publish", "{a}"), "f"); /* what is not said is not allowed */
    /* The workers are told to ask again by an event of the log, which nobody else hears. */
    db_do(db, "SELECT bellpush.ask_again()");
    ck_assert_str_eq(db_ask(db, "SELECT topic || ' ' || (flags & 1) FROM bellpush.log "
                                "ORDER BY seq DESC LIMIT 1"),
                     "$bellpush/gate 1");
}
END_TEST

START_TEST(a_hook_is_told_to_the_worker_and_its_secrets_to_nobody_else)
{
    db_do(db, "SELECT bellpush.define_hook('gh', 'github', 'gh/{json.repository.name}', "
              "'{secret-one,secret-two}', 'push')");
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws(' ', scheme, topic, type, secrets, options) FROM "
                                "bellpush.hook_of('gh')"),
                     "github gh/{json.repository.name} push {secret-one,secret-two} {}");
    ck_assert_str_eq(db_ask(db, "SELECT concat_ws(' ', name, scheme, secrets) FROM bellpush.hooks"),
                     "gh github 2");
    db_do(db, "SELECT bellpush.define_hook('gh', 'github', 'x', '{secret-two}')");
    ck_assert_str_eq(db_ask(db, "SELECT topic FROM bellpush.hook_of('gh')"), "x");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.drop_hook('gh')"), "t");
    ck_assert_str_eq(db_ask(db, "SELECT count(*) FROM bellpush.hook_of('gh')"), "0");
    ck_assert_str_eq(db_ask(db, "SELECT bellpush.drop_hook('gh')"), "f");
}
END_TEST

SUITE(schema_gate)
{
    tcase_add_unchecked_fixture(tc, schema_server, NULL);
    tcase_add_checked_fixture(tc, open_db, close_db);
    tcase_add_test(tc, hmac_is_that_of_rfc_4231);
    tcase_add_test(tc, a_token_says_what_it_was_asked_and_is_signed);
    tcase_add_test(tc, what_a_token_cannot_be_is_said);
    tcase_add_test(tc, a_new_key_signs_and_the_old_one_ends);
    tcase_add_test(tc, a_revocation_is_in_the_log_and_in_the_gate);
    tcase_add_test(tc, the_database_and_the_program_cover_alike);
    tcase_add_test(tc, rights_in_the_table_are_of_subjects);
    tcase_add_test(tc, the_sites_own_function_is_asked);
    tcase_add_test(tc, a_hook_is_told_to_the_worker_and_its_secrets_to_nobody_else);
}
