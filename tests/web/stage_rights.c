/*
 * stage_rights.c - what the site has given, on the stage of stone: said in SQL, as a site would.
 */
#include "core/text.h"
#include "tests/mint.h"
#include "tests/scenarios/talk.h"
#include "tests/web/web.h"

static void say(const char *sql, int n, const char *const *values)
{
    PQclear(web_query(sql, n, values));
}

/* The only row's columns, kept. */
static void ask(const char *sql, int n, const char *const *values, const char **columns)
{
    PGresult *r = web_query(sql, n, values);

    ck_assert_msg(PQntuples(r) == 1, "%s: %d rows", sql, PQntuples(r));
    for (int i = 0; i < PQnfields(r); i++)
        columns[i] = text("%s", PQgetvalue(r, 0, i));
    PQclear(r);
}

/* ---- tokens ------------------------------------------------------------------------------------
 */

/* bellpush.token() makes none that has ended: this one is signed here, with the database's key. */
static const char *old_token(const char *subject, const char *subscribe, const char *publish,
                             int seconds)
{
    const char *const values[] = { subject, subscribe, publish, text("%d", seconds) };
    const char *got[3];
    char secret[64];
    struct buf out = BUF_EMPTY;
    size_t len;

    ask("SELECT k.kid, encode(k.secret, 'hex'), jsonb_build_object("
        "'sub', $1::text, 'iat', extract(epoch FROM now()) - 1000, "
        "'exp', extract(epoch FROM now()) + $4::int, 'bellpush', jsonb_build_object("
        "'subscribe', string_to_array($2, ' '), 'publish', string_to_array($3, ' ')))::text "
        "FROM bellpush.token_key k WHERE k.ends_at IS NULL ORDER BY k.made_at DESC LIMIT 1",
        4, values, got);
    ck_assert_int_eq(sodium_hex2bin((unsigned char *)secret, sizeof(secret), got[1], strlen(got[1]),
                                    NULL, &len, NULL),
                     0);
    mint_token(&out, slice_of(text("{\"alg\":\"HS256\",\"kid\":\"%s\"}", got[0])), slice_of(got[2]),
               (struct slice){ secret, len });
    const char *token = text("%.*s", (int)out.len, out.at);
    buf_fini(&out);
    return token;
}

const char *stage_token(const char *subject, const char *subscribe, const char *publish,
                        int seconds)
{
    const char *const values[] = { subscribe, publish, text("%d seconds", seconds), subject };
    const char *token;

    if (seconds < 1)
        return old_token(subject, subscribe, publish, seconds);
    ask("SELECT bellpush.token(string_to_array($1, ' '), string_to_array($2, ' '), "
        "ttl => $3::interval, subject => $4)",
        4, values, &token);
    return token;
}

void stage_revoke(const char *subject)
{
    say("SELECT bellpush.revoke($1)", 1, &subject);
}

/* ---- the site's own login
 * ------------------------------------------------------------------------
 */

void stage_session(const char *session, const char *filter)
{
    const char *const values[] = { session, filter };

    say("SET client_min_messages = warning", 0, NULL);
    say("CREATE TABLE IF NOT EXISTS public.session (id text, filter text)", 0, NULL);
    say("CREATE OR REPLACE FUNCTION bellpush.authorize(who jsonb, verb text, topic text) "
        "RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM public.session s "
        "WHERE s.id = who->'cookies'->>'PHPSESSID' AND bellpush._covers(s.filter, topic)) $$",
        0, NULL);
    say("INSERT INTO public.session VALUES ($1, $2)", 2, values);
    say("SELECT bellpush.ask_again()", 0, NULL);
}

void stage_publish_private(const char *topic, const char *data)
{
    const char *const values[] = { topic, data };
    say("SELECT bellpush.publish($1::text, $2::text, private => true)", 2, values);
}
