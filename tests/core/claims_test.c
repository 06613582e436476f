#include "core/claims.h"
#include "core/conf.h"
#include "tests/core/memory.h"
#include "tests/page.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_S  INT64_C(1800000000)
#define US     INT64_C(1000000)
#define NOW_US (NOW_S * US)
#define EXP    "\"exp\":1800000600"

static const struct claims_policy usual = { .leeway_s = 30, .now_us = NOW_US };

/* --- helpers --------------------------------------------------------------------------------- */

static struct rights *good(const struct claims_policy *policy, struct slice json)
{
    struct rights *r = NULL;
    struct refusal refusal = { .why = "" };
    struct page page = page_of(json);
    enum rc rc = claims_read(policy, page.bytes, &r, &refusal);
    ck_assert_msg(rc == RC_OK, "%s: %.*s", refusal.why, (int)json.len, json.at);
    ck_assert_ptr_nonnull(r);
    page_fini(&page);
    return r;
}

static void fine(const struct claims_policy *policy, const char *json)
{
    rights_unref(good(policy, slice_of(json)));
}

static void refused_slice(const struct claims_policy *policy, struct slice json, enum flaw flaw,
                          const char *why)
{
    struct rights *r = NULL;
    struct refusal refusal = { .flaw = FLAW_NONE };
    struct page page = page_of(json);
    ck_assert_msg(claims_read(policy, page.bytes, &r, &refusal) == RC_DENIED, "%.*s", (int)json.len,
                  json.at);
    ck_assert_ptr_null(r);
    ck_assert_msg(refusal.flaw == flaw, "%s instead of %s: %s: %.*s", flaw_word(refusal.flaw),
                  flaw_word(flaw), refusal.why, (int)json.len, json.at);
    if (why)
        ck_assert_str_eq(refusal.why, why);
    ck_assert_uint_gt(strlen(refusal.why), 10);
    ck_assert_int_eq(claims_read(policy, page.bytes, &r, NULL), RC_DENIED);
    page_fini(&page);
}

static void refused(const char *json, enum flaw flaw, const char *why)
{
    refused_slice(&usual, slice_of(json), flaw, why);
}

/* --- what becomes of good claims ------------------------------------------------------------- */

START_TEST(claims_become_rights)
{
    struct rights *r =
        good(&usual, SLICE("{\"iss\":\"shop\",\"sub\":\"anna\",\"jti\":\"7f3a\",\"iat\":1799999999,"
                           "\"exp\":1800000600,\"nbf\":1799999999.5,\"other\":{\"x\":[]},"
                           "\"bellpush\":{\"subscribe\":[\"orders/anna/#\",\"news/+\"],"
                           "\"publish\":[\"chat/+\"],\"payload\":{\"name\": \"Anna\", \"n\": 1.5},"
                           "\"later\":true}}"));
    const struct rights_fields *f = rights_fields(r);
    ck_assert(slice_is(f->issuer, SLICE("shop")));
    ck_assert(slice_is(f->subject, SLICE("anna")));
    ck_assert(slice_is(f->token_id, SLICE("7f3a")));
    ck_assert_int_eq(f->issued_us, 1799999999 * US);
    ck_assert_int_eq(f->expires_us, (1800000600 + 30) * US);
    ck_assert(slice_is(f->payload, SLICE("{\"name\":\"Anna\",\"n\":1.5}")));
    ck_assert_uint_eq(f->filters[VERB_SUBSCRIBE].n, 2);
    ck_assert_uint_eq(f->filters[VERB_PUBLISH].n, 1);
    ck_assert(rights_match(r, VERB_SUBSCRIBE, SLICE("orders/anna/42")));
    ck_assert(rights_match(r, VERB_SUBSCRIBE, SLICE("news/today")));
    ck_assert(!rights_match(r, VERB_SUBSCRIBE, SLICE("chat/1")));
    ck_assert(rights_match(r, VERB_PUBLISH, SLICE("chat/1")));
    rights_unref(r);
}
END_TEST

START_TEST(without_the_claim_nothing_is_granted)
{
    static const char *const texts[] = {
        "{" EXP "}",
        "{" EXP ",\"bellpush\":{}}",
        "{" EXP ",\"bellpush\":{\"subscribe\":[],\"publish\":[]}}",
        "{" EXP ",\"Bellpush\":{\"subscribe\":[\"#\"]}}",
        "{" EXP ",\"mercure\":{\"subscribe\":[\"*\"]}}",
        "{" EXP ",\"subscribe\":[\"#\"]}",
    };
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct rights *r = good(&usual, slice_of(texts[i]));
        for (enum verb verb = 0; verb < VERB__COUNT; verb++)
            ck_assert_uint_eq(rights_fields(r)->filters[verb].n, 0);
        ck_assert_uint_eq(rights_fields(r)->subject.len, 0);
        ck_assert_uint_eq(rights_fields(r)->payload.len, 0);
        rights_unref(r);
    }
}
END_TEST

/* --- times -------------------------------------------------------------------------------------
 */

static void at_offset(char json[64], const char *name, int64_t offset_s)
{
    snprintf(json, 64, "{%s\"%s\":%lld}", strcmp(name, "exp") == 0 ? "" : EXP ",", name,
             (long long)(NOW_S + offset_s));
}

/* A token is good until its exp and the leeway are over, and not one microsecond longer. */
START_TEST(a_token_expires_when_its_rights_do)
{
    struct claims_policy policy = usual;
    char json[64];
    at_offset(json, "exp", -29);
    struct rights *r = good(&policy, slice_of(json));
    int64_t end_us = rights_fields(r)->expires_us;
    ck_assert_int_eq(end_us, NOW_US + 1 * US);
    policy.now_us = end_us - 1;
    fine(&policy, json);
    ck_assert(!rights_expired(r, policy.now_us));
    policy.now_us = end_us;
    refused_slice(&policy, slice_of(json), FLAW_EXPIRED, "expired 30 seconds ago");
    ck_assert(rights_expired(r, policy.now_us));
    rights_unref(r);

    policy = (struct claims_policy){ .now_us = NOW_US };
    at_offset(json, "exp", 1);
    fine(&policy, json);
    at_offset(json, "exp", 0);
    refused_slice(&policy, slice_of(json), FLAW_EXPIRED, "expired 0 seconds ago");
}
END_TEST

START_TEST(a_person_is_told_how_long_ago)
{
    static const struct {
        int64_t offset_s;
        const char *why;
    } cases[] = {
        { -31, "expired 31 seconds ago" },    { -60, "expired 1 minute ago" },
        { -330, "expired 5 minutes ago" },    { -3600, "expired 1 hour ago" },
        { -86400, "expired 1 day ago" },      { -864000, "expired 10 days ago" },
        { -NOW_S, "expired 20833 days ago" },
    };
    char json[64];
    for (size_t i = 0; i < LENGTH(cases); i++) {
        at_offset(json, "exp", cases[i].offset_s);
        refused(json, FLAW_EXPIRED, cases[i].why);
    }
    at_offset(json, "nbf", 300);
    refused(json, FLAW_EARLY, "not valid (nbf) for another 5 minutes");
    at_offset(json, "iat", 7200);
    refused(json, FLAW_EARLY, "issued (iat) in the future, by 2 hours");
}
END_TEST

START_TEST(the_future_is_refused_beyond_the_leeway)
{
    static const char *const names[] = { "nbf", "iat" };
    char json[64];
    for (size_t i = 0; i < LENGTH(names); i++) {
        at_offset(json, names[i], 30);
        fine(&usual, json);
        at_offset(json, names[i], 31);
        refused(json, FLAW_EARLY, NULL);
        at_offset(json, names[i], -31);
        fine(&usual, json);
    }
}
END_TEST

START_TEST(a_token_must_expire_unless_that_was_allowed)
{
    struct claims_policy policy = usual;
    refused("{}", FLAW_NO_EXPIRY, NULL);
    refused("{\"sub\":\"anna\"}", FLAW_NO_EXPIRY, NULL);
    policy.may_last_forever = true;
    struct rights *r = good(&policy, SLICE("{}"));
    ck_assert_int_eq(rights_fields(r)->expires_us, 0);
    ck_assert(!rights_expired(r, INT64_MAX));
    rights_unref(r);
    refused_slice(&policy, SLICE("{\"exp\":1}"), FLAW_EXPIRED, NULL);
    refused_slice(&policy, SLICE("{\"exp\":null}"), FLAW_MALFORMED, NULL);
}
END_TEST

START_TEST(a_time_is_a_number_of_seconds)
{
    static const char *const bad[] = {
        "\"1800000600\"",
        "null",
        "true",
        "[1800000600]",
        "{}",
        "-1",
        "-0.5",
        "1e300",
        "253402300800",
        "9223372036854775807",
        "-9223372036854775808",
        "1800000600000",
    };
    static const char *const names[] = { "exp", "nbf", "iat" };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        for (size_t j = 0; j < LENGTH(names); j++) {
            char json[96];
            snprintf(json, sizeof json, "{%s\"%s\":%s}", j ? EXP "," : "", names[j], bad[i]);
            refused(json, FLAW_MALFORMED, NULL);
        }
    }
    refused("{\"exp\":1e999}", FLAW_MALFORMED, NULL);
    refused("{\"exp\":99999999999999999999}", FLAW_MALFORMED, NULL);
    refused("{\"exp\":NaN}", FLAW_MALFORMED, NULL);
    refused("{\"exp\":Infinity}", FLAW_MALFORMED, NULL);
    fine(&usual, "{\"exp\":253402300799}");
    fine(&usual, "{\"exp\":1.8000006e9}");
    fine(&usual, "{\"exp\":1800000600,\"nbf\":0,\"iat\":0}");

    struct rights *r = good(&usual, SLICE("{\"exp\":1800000600.25,\"iat\":1.5}"));
    ck_assert_int_eq(rights_fields(r)->expires_us, 1800000630 * US + 250000);
    ck_assert_int_eq(rights_fields(r)->issued_us, 1500000);
    rights_unref(r);
}
END_TEST

/* --- by whom, for whom -------------------------------------------------------------------------
 */

START_TEST(the_issuer_must_be_a_trusted_one)
{
    char shop[] = "shop", login[] = "https://login.example/";
    char *names[] = { shop, login };
    struct conf_list issuers = { names, LENGTH(names) };
    struct claims_policy policy = usual;
    policy.issuers = &issuers;
    fine(&policy, "{" EXP ",\"iss\":\"shop\"}");
    fine(&policy, "{" EXP ",\"iss\":\"https://login.example/\"}");
    static const char *const bad[] = { "\"Shop\"",
                                       "\"shop \"",
                                       "\"\"",
                                       "\"https://login.example\"",
                                       "\"https://login.example/evil\"",
                                       "\"sho\"" };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char json[96];
        snprintf(json, sizeof json, "{" EXP ",\"iss\":%s}", bad[i]);
        refused_slice(&policy, slice_of(json), FLAW_ISSUER, NULL);
    }
    refused_slice(&policy, SLICE("{" EXP "}"), FLAW_ISSUER, NULL);
    refused_slice(&policy, SLICE("{" EXP ",\"iss\":[\"shop\"]}"), FLAW_MALFORMED, NULL);
    refused("{" EXP ",\"iss\":1}", FLAW_MALFORMED, NULL);
    fine(&usual, "{" EXP ",\"iss\":\"anybody\"}");
    issuers.n = 0;
    fine(&policy, "{" EXP ",\"iss\":\"anybody\"}");
}
END_TEST

START_TEST(the_audience_must_be_this_server)
{
    struct claims_policy policy = usual;
    policy.audience = "bellpush";
    fine(&policy, "{" EXP ",\"aud\":\"bellpush\"}");
    fine(&policy, "{" EXP ",\"aud\":[\"bellpush\"]}");
    fine(&policy, "{" EXP ",\"aud\":[\"other\",\"bellpush\",\"third\"]}");
    static const char *const others[] = { "\"other\"", "\"Bellpush\"", "\"\"",
                                          "[]",        "[\"other\"]",  "[\"bell\",\"push\"]" };
    for (size_t i = 0; i < LENGTH(others); i++) {
        char json[96];
        snprintf(json, sizeof json, "{" EXP ",\"aud\":%s}", others[i]);
        refused_slice(&policy, slice_of(json), FLAW_AUDIENCE, NULL);
        refused(json, FLAW_AUDIENCE, NULL); /* nor where the server has no name */
    }
    refused_slice(&policy, SLICE("{" EXP "}"), FLAW_AUDIENCE, NULL);
    static const char *const bad[] = {
        "1", "null", "{\"bellpush\":1}", "[\"bellpush\",1]", "[[\"bellpush\"]]", "[null]"
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char json[96];
        snprintf(json, sizeof json, "{" EXP ",\"aud\":%s}", bad[i]);
        refused_slice(&policy, slice_of(json), FLAW_MALFORMED, NULL);
        refused(json, FLAW_MALFORMED, NULL);
    }
    policy.audience = "";
    fine(&policy, "{" EXP "}");
    refused_slice(&policy, SLICE("{" EXP ",\"aud\":\"\"}"), FLAW_AUDIENCE, NULL);
}
END_TEST

/* Whoever is not meant learns nothing about the times. */
START_TEST(a_token_for_somebody_else_is_not_called_expired)
{
    refused("{\"exp\":1,\"aud\":\"other\"}", FLAW_AUDIENCE, NULL);
}
END_TEST

/* --- what it grants ----------------------------------------------------------------------------
 */

START_TEST(a_grant_of_a_wrong_type_is_refused)
{
    static const char *const bad[] = {
        "null",
        "true",
        "\"#\"",
        "[]",
        "[\"#\"]",
        "{\"subscribe\":\"#\"}",
        "{\"subscribe\":null}",
        "{\"subscribe\":{\"0\":\"#\"}}",
        "{\"subscribe\":[1]}",
        "{\"subscribe\":[\"a\",null]}",
        "{\"subscribe\":[[\"a\"]]}",
        "{\"publish\":\"a\"}",
        "{\"publish\":[{}]}",
        "{\"publish\":true}",
        "{\"subscribe\":[\"\"]}",
        "{\"subscribe\":[\"a#\"]}",
        "{\"subscribe\":[\"#/a\"]}",
        "{\"publish\":[\"a+\"]}",
        "{\"publish\":[\"a\\nb\"]}",
        "{\"subscribe\":[\"a\\u0000b\"]}",
        "{\"payload\":1}",
        "{\"payload\":\"{}\"}",
        "{\"payload\":[]}",
        "{\"payload\":null}",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char json[128];
        snprintf(json, sizeof json, "{" EXP ",\"bellpush\":%s}", bad[i]);
        refused(json, FLAW_MALFORMED, NULL);
    }
}
END_TEST

START_TEST(subject_and_token_id_are_short_words)
{
    static const char *const bad[] = {
        "1",           "null",        "[\"a\"]",         "{}",
        "\"a\\nb\"",   "\"\\u0000\"", "\"\\u001b[31m\"", "\"\\u009b31m\"",
        "\"\\u007f\"", "\"\xFF\"",    "\"\\ud800\""
    };
    static const char *const names[] = { "sub", "jti", "iss" };
    char longest[256], json[400];
    memset(longest, 'x', 255);
    longest[255] = '\0';
    for (size_t j = 0; j < LENGTH(names); j++) {
        for (size_t i = 0; i < LENGTH(bad); i++) {
            snprintf(json, sizeof json, "{" EXP ",\"%s\":%s}", names[j], bad[i]);
            refused(json, FLAW_MALFORMED, NULL);
        }
        snprintf(json, sizeof json, "{" EXP ",\"%s\":\"%s\"}", names[j], longest);
        fine(&usual, json);
        snprintf(json, sizeof json, "{" EXP ",\"%s\":\"%s.\"}", names[j], longest);
        refused(json, FLAW_TOO_LARGE, NULL);
        snprintf(json, sizeof json, "{" EXP ",\"%s\":\"\"}", names[j]);
        fine(&usual, json);
    }
}
END_TEST

static void put_times(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_puts(b, text);
}

START_TEST(more_than_100_filters_are_refused)
{
    static const char *const verbs[] = { "subscribe", "publish" };
    for (size_t verb = 0; verb < LENGTH(verbs); verb++)
        for (size_t n = 100; n <= 101; n++) {
            struct buf json = BUF_EMPTY;
            buf_printf(&json, "{" EXP ",\"bellpush\":{\"%s\":[\"a\"", verbs[verb]);
            put_times(&json, ",\"a\"", n - 1);
            buf_puts(&json, "]}}");
            if (n == 100)
                rights_unref(good(&usual, buf_slice(&json)));
            else
                refused_slice(&usual, buf_slice(&json), FLAW_TOO_LARGE, NULL);
            buf_fini(&json);
        }
}
END_TEST

START_TEST(a_payload_may_have_4096_bytes)
{
    for (size_t n = 4096; n <= 4097; n++) {
        struct buf json = BUF_EMPTY;
        buf_puts(&json, "{" EXP ",\"bellpush\":{\"payload\":{ \"a\" : \"");
        put_times(&json, "x", n - strlen("{\"a\":\"\"}"));
        buf_puts(&json, "\"}}}");
        if (n == 4096) {
            struct rights *r = good(&usual, buf_slice(&json));
            ck_assert_uint_eq(rights_fields(r)->payload.len, 4096);
            rights_unref(r);
        } else {
            refused_slice(&usual, buf_slice(&json), FLAW_TOO_LARGE, NULL);
        }
        buf_fini(&json);
    }
}
END_TEST

START_TEST(deep_claims_are_refused)
{
    for (size_t depth = CLAIMS_DEPTH_MAX - 1; depth <= 3000; depth += 2900) {
        struct buf json = BUF_EMPTY;
        buf_puts(&json, "{" EXP ",\"x\":");
        put_times(&json, "[", depth);
        put_times(&json, "]", depth);
        buf_puts(&json, "}");
        if (depth < CLAIMS_DEPTH_MAX)
            rights_unref(good(&usual, buf_slice(&json)));
        else
            refused_slice(&usual, buf_slice(&json), FLAW_TOO_LARGE, NULL);
        buf_fini(&json);
    }
}
END_TEST

START_TEST(a_claim_made_twice_is_refused)
{
    refused("{\"exp\":1,\"exp\":1800000600}", FLAW_MALFORMED, NULL);
    refused("{" EXP ",\"sub\":\"anna\",\"sub\":\"root\"}", FLAW_MALFORMED, NULL);
    refused("{" EXP ",\"sub\":\"anna\",\"s\\u0075b\":\"root\"}", FLAW_MALFORMED, NULL);
    refused("{" EXP ",\"bellpush\":{},\"bellpush\":{\"subscribe\":[\"#\"]}}", FLAW_MALFORMED, NULL);
    refused("{" EXP ",\"bellpush\":{\"publish\":[],\"publish\":[\"#\"]}}", FLAW_MALFORMED, NULL);
}
END_TEST

START_TEST(claims_are_one_object)
{
    static const char *const bad[] = {
        "",   " ", "null", "[]",          "\"{}\"",
        "17", "{", "{}{}", "{" EXP "} x", "Example of Ed25519 signing"
    };
    for (size_t i = 0; i < LENGTH(bad); i++)
        refused(bad[i], FLAW_MALFORMED, NULL);
    refused_slice(&usual, SLICE("{" EXP "}\0"), FLAW_MALFORMED, NULL);
}
END_TEST

START_TEST(a_reason_repeats_nothing_of_the_claims)
{
    static const char *const texts[] = {
        "{" EXP ",\"LEAK\":1,\"LEAK\":1}",
        "{" EXP ",\"aud\":\"LEAK\"}",
        "{" EXP ",\"bellpush\":{\"subscribe\":[\"LEAK#\"]}}",
        "{" EXP ",\"sub\":\"LEAK\\n\"}",
        "LEAK",
    };
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct rights *r = NULL;
        struct refusal refusal = { .flaw = FLAW_NONE };
        ck_assert_int_eq(claims_read(&usual, slice_of(texts[i]), &r, &refusal), RC_DENIED);
        ck_assert_ptr_null(strstr(refusal.why, "LEAK"));
    }
}
END_TEST

START_TEST(every_flaw_has_a_word)
{
    for (enum flaw flaw = 0; flaw < FLAW__COUNT; flaw++) {
        ck_assert_ptr_nonnull(flaw_word(flaw));
        for (enum flaw other = 0; other < flaw; other++)
            ck_assert_str_ne(flaw_word(flaw), flaw_word(other));
    }
}
END_TEST

START_TEST(memory_may_run_out)
{
    MEMORY_SCRIPT(nth)
    {
        struct rights *r = NULL;
        struct refusal refusal = { .flaw = FLAW_NONE };
        enum rc rc = claims_read(&usual, SLICE("{" EXP "}"), &r, &refusal);
        ck_assert_int_eq(rc, memory_failed() ? RC_NOMEM : RC_OK);
        ck_assert_int_eq(refusal.flaw, memory_failed() ? FLAW_NOMEM : FLAW_NONE);
        rights_unref(r);
    }
}
END_TEST

SUITE(claims)
{
    tcase_add_test(tc, claims_become_rights);
    tcase_add_test(tc, without_the_claim_nothing_is_granted);
    tcase_add_test(tc, a_token_expires_when_its_rights_do);
    tcase_add_test(tc, a_person_is_told_how_long_ago);
    tcase_add_test(tc, the_future_is_refused_beyond_the_leeway);
    tcase_add_test(tc, a_token_must_expire_unless_that_was_allowed);
    tcase_add_test(tc, a_time_is_a_number_of_seconds);
    tcase_add_test(tc, the_issuer_must_be_a_trusted_one);
    tcase_add_test(tc, the_audience_must_be_this_server);
    tcase_add_test(tc, a_token_for_somebody_else_is_not_called_expired);
    tcase_add_test(tc, a_grant_of_a_wrong_type_is_refused);
    tcase_add_test(tc, subject_and_token_id_are_short_words);
    tcase_add_test(tc, more_than_100_filters_are_refused);
    tcase_add_test(tc, a_payload_may_have_4096_bytes);
    tcase_add_test(tc, deep_claims_are_refused);
    tcase_add_test(tc, a_claim_made_twice_is_refused);
    tcase_add_test(tc, claims_are_one_object);
    tcase_add_test(tc, a_reason_repeats_nothing_of_the_claims);
    tcase_add_test(tc, every_flaw_has_a_word);
    tcase_add_test(tc, memory_may_run_out);
}
