/*
 * pg_gate_test.c - what the gate is told by a real database: keys, revocations, the site's word.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/gate.h"
#include "tests/sql/pg_rig.h"

static char *dsn;
static struct rig *rig;

static void set_up(void)
{
    dsn = rig_database();
    rig = rig_listening(dsn, NULL);
}

static void tear_down(void)
{
    rig_free(rig);
    free(dsn);
}

static enum credential identify(const char *token, struct who *who, struct refusal *why)
{
    char *header = text_of("Bearer %s", token);
    enum credential c = gate_identify(
        rig->server.gate, &(struct credentials){ .authorization = slice_of(header) }, who, why);

    free(header);
    return c;
}

static bool is_loaded(void *arg)
{
    (void)arg;
    return gate_is_loaded(rig->server.gate);
}

static bool has_ended(void *who)
{
    struct refusal why;
    return gate_has_ended(rig->server.gate, who, &why) && why.flaw == FLAW_REVOKED;
}

START_TEST(a_token_made_in_sql_is_good_until_it_is_revoked)
{
    struct who who, other;
    struct refusal why;
    char *token = cluster_sql(dsn, "SELECT bellpush.token('{a/#}', '{b}', subject => 'alice')");
    char *second = cluster_sql(dsn, "SELECT bellpush.token('{a/#}', subject => 'bob')");

    rig_until(rig, "the gate", is_loaded, NULL);
    ck_assert_int_eq(identify(token, &who, &why), CREDENTIAL_GOOD);
    ck_assert_int_eq(identify(second, &other, &why), CREDENTIAL_GOOD);
    ck_assert_int_eq(gate_may(rig->server.gate, &who, VERB_PUBLISH, SLICE("b")), RC_OK);
    ck_assert_int_eq(gate_may(rig->server.gate, &who, VERB_PUBLISH, SLICE("a")), RC_DENIED);
    ck_assert(!has_ended(&who));
    run_sql(dsn, "SELECT bellpush.revoke('alice')");
    rig_until(rig, "the revocation", has_ended, &who);
    ck_assert(!has_ended(&other));
    who_unref(&who);
    ck_assert_int_eq(identify(token, &who, &why), CREDENTIAL_BAD);
    ck_assert_int_eq(why.flaw, FLAW_REVOKED);
    /* What is given to her after that is good. */
    char *third = cluster_sql(dsn, "SELECT bellpush.token('{a/#}', subject => 'alice')");
    ck_assert_int_eq(identify(third, &who, &why), CREDENTIAL_GOOD);
    who_unref(&who);
    who_unref(&other);
    free(token);
    free(second);
    free(third);
}
END_TEST

START_TEST(a_key_that_has_ended_signs_nothing_any_more)
{
    struct who who;
    struct refusal why;
    char *token = cluster_sql(dsn, "SELECT bellpush.token('{a}')");

    rig_until(rig, "the gate", is_loaded, NULL);
    run_sql(dsn, "SELECT bellpush.new_token_key('0')");
    for (int64_t end = now_ms() + 20000; now_ms() < end;) {
        if (identify(token, &who, &why) == CREDENTIAL_BAD)
            break;
        who_unref(&who);
        rig_run(rig, 20);
    }
    ck_assert_int_eq(identify(token, &who, &why), CREDENTIAL_BAD);
    ck_assert_int_eq(why.flaw, FLAW_UNKNOWN_KEY);
    free(token);
}
END_TEST

struct said {
    int calls;
    enum rc rc;
    bool may[4];
    size_t n;
};

static void on_answers(void *arg, const struct answers *a)
{
    struct said *s = arg;

    s->calls++;
    s->rc = a->rc;
    s->n = a->n;
    for (size_t i = 0; i < a->n && i < LENGTH(s->may); i++)
        s->may[i] = a->may[i];
}

static bool is_said(void *arg)
{
    return ((struct said *)arg)->calls > 0;
}

static struct said ask(const char *who, enum verb verb, const struct slice *names, size_t n)
{
    struct said s = { 0 };

    ck_assert_ptr_nonnull(
        source_may(rig->server.source, slice_of(who), verb, names, n, on_answers, &s));
    ck_assert_int_eq(s.calls, 0); /* never from within */
    rig_until(rig, "the site's answer", is_said, &s);
    return s;
}

START_TEST(the_site_is_asked_and_its_errors_are_no_answer)
{
    const struct slice names[] = { SLICE("a/b"), SLICE("c"), SLICE("a/#") };

    run_sql(dsn, "SELECT bellpush.grant_topic('alice', 'a/#')");
    struct said s = ask("{\"subject\":\"alice\"}", VERB_SUBSCRIBE, names, 3);
    ck_assert_int_eq(s.rc, RC_OK);
    ck_assert_uint_eq(s.n, 3);
    ck_assert(s.may[0] && !s.may[1] && s.may[2]);
    s = ask("{\"subject\":\"alice\"}", VERB_PUBLISH, names, 1);
    ck_assert(s.rc == RC_OK && !s.may[0]);
    run_sql(dsn, "CREATE FUNCTION bellpush.authorize(who jsonb, verb text, topic text) RETURNS "
                 "boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'the site is broken'; END $$");
    s = ask("{}", VERB_SUBSCRIBE, names, 3);
    ck_assert_int_eq(s.rc == RC_OK, false);
}
END_TEST

static bool can_be_asked(void *arg)
{
    (void)arg;
    struct rights *rights;
    const char *why;
    const struct rights_fields alice = { .subject = SLICE("alice") };
    ck_assert_int_eq(rights_new(&alice, &rights, &why), RC_OK);
    struct who who = { .rights = rights };
    bool can = gate_can_ask(rig->server.gate, &who, &(struct credentials){ .token = SLICE_NONE });
    who_unref(&who);
    return can;
}

static bool is_forgotten(void *arg)
{
    (void)arg;
    return gate_answer(rig->server.gate, SLICE("{}"), VERB_SUBSCRIBE, SLICE("a")) == WORD_UNKNOWN;
}

/* What a worker must know is the same before and after; what it remembers is wrong all the same. */
START_TEST(what_the_site_said_is_forgotten_when_it_may_say_something_else)
{
    static const char *const changes[] = { "SELECT bellpush.ask_again()",
                                           "SELECT bellpush.revoke_topic('alice', 'a/#')",
                                           "SELECT bellpush.grant_topic('alice', 'c/#')" };

    run_sql(dsn, "SELECT bellpush.grant_topic('alice', 'a/#'), bellpush.grant_topic('bob', 'b')");
    rig_until(rig, "the gate", is_loaded, NULL);
    rig_until(rig, "the rights", can_be_asked, NULL);
    for (size_t i = 0; i < LENGTH(changes); i++) {
        gate_answer_put(rig->server.gate, SLICE("{}"), VERB_SUBSCRIBE, SLICE("a"), true);
        ck_assert(!is_forgotten(NULL));
        run_sql(dsn, "%s", changes[i]);
        rig_until(rig, "what it says to be forgotten", is_forgotten, NULL);
    }
}
END_TEST

struct hooked {
    int calls;
    enum rc rc;
    size_t n;
    char topic[100], secret[100], options[100];
    bool has_type;
};

static void on_hook(void *arg, const struct hook *h)
{
    struct hooked *k = arg;

    k->calls++;
    k->rc = h->rc;
    k->n = h->n;
    k->has_type = h->type.at != NULL;
    if (h->rc != RC_OK)
        return;
    snprintf(k->topic, sizeof k->topic, "%.*s", (int)h->topic.len, h->topic.at);
    snprintf(k->options, sizeof k->options, "%.*s", (int)h->options.len, h->options.at);
    snprintf(k->secret, sizeof k->secret, "%.*s", (int)h->secrets[h->n - 1].len,
             h->secrets[h->n - 1].at);
}

static bool is_hooked(void *arg)
{
    return ((struct hooked *)arg)->calls > 0;
}

START_TEST(a_hook_is_found_with_all_its_secrets)
{
    struct hooked k = { 0 };

    run_sql(dsn, "SELECT bellpush.define_hook('gh', 'github', 'gh/{json.a}', "
                 "'{secret-one,secret-two}')");
    ck_assert_ptr_nonnull(source_hook(rig->server.source, SLICE("gh"), on_hook, &k));
    rig_until(rig, "the hook", is_hooked, &k);
    ck_assert_int_eq(k.rc, RC_OK);
    ck_assert_uint_eq(k.n, 2);
    ck_assert(!k.has_type);
    ck_assert_str_eq(k.topic, "gh/{json.a}");
    ck_assert_str_eq(k.secret, "secret-two");
    ck_assert_str_eq(k.options, "{}");
    k = (struct hooked){ 0 };
    ck_assert_ptr_nonnull(source_hook(rig->server.source, SLICE("none"), on_hook, &k));
    rig_until(rig, "the answer", is_hooked, &k);
    ck_assert_int_eq(k.rc, RC_DENIED);
}
END_TEST

SUITE(pg_gate)
{
    tcase_add_unchecked_fixture(tc, rig_cluster, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_token_made_in_sql_is_good_until_it_is_revoked);
    tcase_add_test(tc, a_key_that_has_ended_signs_nothing_any_more);
    tcase_add_test(tc, the_site_is_asked_and_its_errors_are_no_answer);
    tcase_add_test(tc, what_the_site_said_is_forgotten_when_it_may_say_something_else);
    tcase_add_test(tc, a_hook_is_found_with_all_its_secrets);
}
