/*
 * hook.c - POST /hook/NAME: services that ring, and whoever only says so.
 */
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

#define SECRET "a secret of this test"

enum { AT_ONCE = 4 };

/* ---- as the services do it ------------------------------------------------------------------- */

static void sign(const char *secret, const char *text, unsigned char out[32])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, out);
}

static const char *sign_hex(const char *secret, const char *signed_text)
{
    unsigned char mac[32];
    char hex[65];

    sign(secret, signed_text, mac);
    return text("%s", sodium_bin2hex(hex, sizeof hex, mac, sizeof mac));
}

static const char *sign_base64(const char *secret, const char *signed_text)
{
    unsigned char mac[32];
    char out[64];

    sign(secret, signed_text, mac);
    return text(
        "%s", sodium_bin2base64(out, sizeof out, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL));
}

static struct answer *post(const char *hook, const char *const *headers, const char *body)
{
    return stage_ask(&(struct ask){ .method = "POST",
                                    .target = text("/hook/%s", hook),
                                    .headers = headers,
                                    .body = slice_of(body) });
}

/* As GitHub; NULL: the right signature, and the id of no delivery. */
static struct answer *github(const char *hook, const char *body, const char *signature,
                             const char *id)
{
    const char *headers[] = { "Content-Type: application/json", "X-GitHub-Event: push",
                              text("X-Hub-Signature-256: %s",
                                   signature ? signature
                                             : text("sha256=%s", sign_hex(SECRET, body))),
                              id ? text("X-GitHub-Delivery: %s", id) : NULL, NULL };
    return post(hook, headers, body);
}

static void expect_done(struct answer *a, const char *body)
{
    int status = answer_status(a);
    struct slice said = answer_body(a);

    ck_assert_msg(status == 200, "status %d: %.*s", status, (int)said.len, said.at);
    if (body)
        ck_assert_msg(slice_is(said, slice_of(body)), "%.*s", (int)said.len, said.at);
    answer_close(a);
}

static const char *define(const char *scheme, const char *topic, const char *type,
                          const char *secret, const char *options)
{
    const char *name = text("h-%s", scheme);

    const char *old = strcmp(scheme, "standard") == 0 ? "whsec_YW4gb2xkIHNlY3JldA==" : "an old one";

    stage_define_hook(&(struct stage_hook){ name, scheme, topic, type, secret, old, options });
    return name;
}

/* ---- what becomes of a delivery -------------------------------------------------------------- */

START_TEST(delivery_becomes_an_event)
{
    const char *topic = stage_topic("gh"),
               *hook = define("github",
                              text("%s/{json.repository.full_name}/{header.x-github-event}", topic),
                              "{json.action}-{header.X-GitHub-Event}", SECRET, NULL);
    const char *body = "{\"action\": \"opened\",\n \"repository\": {\"full_name\": \"me/it\"}}";
    struct poller p;

    poller_init(&p, text("topic=%s/%%23", topic), NULL);
    expect_done(github(hook, body, NULL, text("%s-1", topic)), NULL);
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "topic"), text("%s/me%%2Fit/push", topic));
    ck_assert_str_eq(member(e, "data"), body); /* as it was, not as it could be */
    ck_assert_str_eq(member(e, "type"), "opened-push");
    ck_assert_str_eq(member(e, "content_type"), "application/json");
    ck_assert_str_eq(member(e, "publisher_id"), text("%s-1", topic));
    poller_fini(&p);
}
END_TEST

START_TEST(same_delivery_is_published_once)
{
    const char *topic = stage_topic("once"), *id = text("%s-1", topic);
    const char *hook = define("github", topic, NULL, SECRET, NULL);
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (int i = 0; i < 3; i++) {
        struct answer *a = github(hook, "{}", NULL, id);
        ck_assert_int_eq(answer_status(a), 200);
        struct slice said = answer_body(a);
        ck_assert_int_eq(memmem(said.at, said.len, "\"repeated\":true", 15) != NULL, i > 0);
        answer_close(a);
    }
    expect_problem_once(github(hook, "{\"changed\":1}", NULL, id), 422);
    stage_publish(topic, NULL, "end");
    poller_expect(&p, "{}");
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(same_delivery_at_once_is_published_once)
{
    const char *topic = stage_topic("at-once"), *id = text("%s-1", topic);
    const char *hook = define("github", topic, NULL, SECRET, NULL);
    struct answer *all[AT_ONCE];
    size_t n = stage_traits()->one_slot ? 2 : AT_ONCE, good = 0;
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (size_t i = 0; i < n; i++)
        all[i] = github(hook, "{}", NULL, id);
    for (size_t i = 0; i < n; i++) {
        int status = answer_status(all[i]);
        ck_assert_msg(status == 200 || status == 409, "status %d", status);
        good += status == 200;
        answer_close(all[i]);
    }
    ck_assert_uint_ge(good, 1);
    stage_publish(topic, NULL, "end");
    poller_expect(&p, "{}");
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(delivery_without_an_id_is_known_by_its_content)
{
    const char *topic = stage_topic("content");
    const char *hook = define("hmac", topic, NULL, SECRET, "{\"header\":\"X-Mac\"}");
    static const char *const bodies[] = { "ding", "ding", "dong", "ding" };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        const char *body = text("%s %s", bodies[i], topic);
        const char *headers[] = { text("X-Mac: %s", sign_hex(SECRET, body)), NULL };
        expect_done(post(hook, headers, body), NULL);
    }
    stage_publish(topic, NULL, "end");
    poller_expect(&p, text("ding %s", topic));
    poller_expect(&p, text("dong %s", topic));
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(data_cannot_forge_a_level)
{
    const char *topic = stage_topic("forge");
    const char *hook = define("github", text("%s/{json.name}/x", topic), NULL, SECRET, NULL);
    struct poller p;

    poller_init(&p, text("topic=%s/%%2B/x", topic), NULL);
    expect_done(github(hook, "{\"name\":\"../a/+/#/$x%2F\\n\\u00fc\"}", NULL, topic), NULL);
    ck_assert_str_eq(member(poller_next(&p), "topic"),
                     text("%s/..%%2Fa%%2F%%2B%%2F%%23%%2F%%24x%%252F%%0A\xc3\xbc/x", topic));
    poller_fini(&p);
}
END_TEST

START_TEST(hooks_may_publish_for_few)
{
    const char *topic = stage_topic("few");
    const char *hook = define("github", topic, NULL, SECRET, "{\"private\":true}");
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    expect_done(github(hook, "{}", NULL, topic), NULL);
    stage_publish(topic, NULL, "end");
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------- */

START_TEST(who_cannot_sign_publishes_nothing)
{
    const char *topic = stage_topic("forged"), *hook = define("github", topic, NULL, SECRET, NULL);
    const char *right = text("sha256=%s", sign_hex(SECRET, "{}"));
    const char *const none[] = { "Content-Type: application/json", NULL };
    const char *const with_key[] = { "Authorization: Bearer " STAGE_KEY, NULL };
    const char *const twice[] = { text("X-Hub-Signature-256: %s", right),
                                  text("X-Hub-Signature-256: %s", right), NULL };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    expect_problem_once(post(hook, none, "{}"), 401);
    expect_problem_once(post(hook, with_key, "{}"), 401);
    expect_problem_once(github(hook, "{} ", right, NULL), 401);
    expect_problem_once(github(hook, "{}", text("sha256=%s", sign_hex("", "{}")), NULL), 401);
    expect_problem_once(github(hook, "{}", right + 7, NULL), 400);
    expect_problem_once(github(hook, "{}", "sha256=", NULL), 400);
    expect_problem_once(post(hook, twice, "{}"), 400);
    stage_publish(topic, NULL, "the only one");
    poller_expect(&p, "the only one");
    poller_fini(&p);
}
END_TEST

START_TEST(answers_name_the_header_and_not_what_was_expected)
{
    const char *topic = stage_topic("told"), *hook = define("github", topic, NULL, SECRET, NULL);
    struct answer *a = github(hook, "{}", text("sha256=%s", sign_hex("wrong", "{}")), NULL);

    expect_problem(a, 401);
    struct slice said = answer_so_far(a);
    const char *expected = sign_hex(SECRET, "{}");
    if (stage_traits()->keeps_status)
        ck_assert_ptr_nonnull(memmem(said.at, said.len, "X-Hub-Signature-256", 19));
    ck_assert_ptr_null(memmem(said.at, said.len, SECRET, strlen(SECRET)));
    ck_assert_ptr_null(memmem(said.at, said.len, expected, strlen(expected)));
    answer_close(a);
}
END_TEST

START_TEST(hooks_that_are_not_there_are_404)
{
    expect_problem_once(github("nobody", "{}", NULL, NULL), 404);
    expect_problem_once(github("no%20body", "{}", NULL, NULL), 404);
    expect_problem_once(stage_get("/hook/nobody"), 404);
    expect_problem_once(stage_get("/hook/"), 404);
}
END_TEST

START_TEST(deliveries_that_lack_what_the_topic_needs_are_422)
{
    const char *topic = stage_topic("lacks");
    static const char *const bodies[] = { "{}",
                                          "{\"a\":{}}",
                                          "{\"a\":{\"b\":[1]}}",
                                          "{\"a\":{\"b\":null}}",
                                          "[]",
                                          "not JSON",
                                          "{\"a\":{\"b\":\"x\"},\"a\":{\"b\":\"y\"}}" };
    const char *hook = define("github", text("%s/{json.a.b}", topic), NULL, SECRET, NULL);
    struct poller p;

    poller_init(&p, text("topic=%s/%%23", topic), NULL);
    for (size_t i = 0; i < LENGTH(bodies); i++)
        expect_problem_once(github(hook, bodies[i], NULL, text("%s-%zu", topic, i)), 422);
    expect_done(github(hook, "{\"a\":{\"b\":-7}}", NULL, topic), NULL);
    ck_assert_str_eq(member(poller_next(&p), "topic"), text("%s/-7", topic));
    poller_fini(&p);
}
END_TEST

START_TEST(bodies_have_bounds_here_too)
{
    const char *topic = stage_topic("large"), *hook = define("github", topic, NULL, SECRET, NULL);
    size_t n = (1 << 20) + 1;
    char *large = malloc(n + 1);

    ck_assert_ptr_nonnull(large);
    memset(large, 'x', n);
    large[n] = '\0';
    expect_problem_once(github(hook, large, NULL, topic), 413);
    const char *const zipped[] = { "Content-Encoding: gzip", NULL };
    expect_problem_once(post(hook, zipped, "x"), 415);
    free(large);
}
END_TEST

/* ---- those with a clock ---------------------------------------------------------------------- */

static struct answer *slack(const char *hook, const char *body, long long at)
{
    const char *headers[] = {
        "Content-Type: application/json", text("X-Slack-Request-Timestamp: %lld", at),
        text("X-Slack-Signature: v0=%s", sign_hex(SECRET, text("v0:%lld:%s", at, body))), NULL
    };
    return post(hook, headers, body);
}

START_TEST(slack_gets_its_challenge_back_and_otherwise_silence)
{
    const char *topic = stage_topic("slack");
    const char *hook = define("slack", topic, "{json.event.type}", SECRET, NULL);
    const char *event = text("{\"event_id\":\"%s\",\"event\":{\"type\":\"message\"}}", topic);
    const char *challenge = "{\"type\":\"url_verification\",\"challenge\":\"3eZbrw1aB<b>\"}";
    const char *const unsigned_headers[] = { "Content-Type: application/json", NULL };
    long long now = time(NULL);
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    expect_done(slack(hook, challenge, now), "3eZbrw1aB<b>");
    expect_problem_once(post(hook, unsigned_headers, challenge), 401);
    expect_problem_once(slack(hook, challenge, now - 400), 401);
    expect_done(slack(hook, event, now), "");
    expect_done(slack(hook, event, now + 1), ""); /* its retry has another time and signature */
    stage_publish(topic, NULL, "end");
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "data"), event);
    ck_assert_str_eq(member(e, "type"), "message");
    ck_assert_str_eq(member(e, "publisher_id"), topic);
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(stale_deliveries_are_refused)
{
    const char *topic = stage_topic("stripe");
    const char *hook = define("stripe", topic, "{json.type}", SECRET, NULL);
    const char *body = text("{\"id\":\"%s\",\"type\":\"invoice.paid\"}", topic);
    static const int ages[] = { 400, -400, 0 };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (size_t i = 0; i < LENGTH(ages); i++) {
        long long at = time(NULL) - ages[i];
        const char *mac = sign_hex(SECRET, text("%lld.%s", at, body));
        const char *headers[] = { text("Stripe-Signature: t=%lld,v1=%064d,v1=%s", at, 0, mac),
                                  "Content-Type: application/json; charset=utf-8", NULL };
        if (ages[i])
            expect_problem_once(post(hook, headers, body), 401);
        else
            expect_done(post(hook, headers, body), NULL);
    }
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "type"), "invoice.paid");
    ck_assert_str_eq(member(e, "publisher_id"), topic);
    poller_fini(&p);
}
END_TEST

START_TEST(standard_webhooks_are_heard)
{
    const char *topic = stage_topic("standard");
    const char *hook = define("standard", topic, NULL, "whsec_c2VjcmV0IG9mIHRoaXMgdGVzdA==", NULL);
    long long now = time(NULL);
    const char *mac = sign_base64("secret of this test", text("%s.%lld.x", topic, now));
    const char *headers[] = {
        text("webhook-id: %s", topic), text("webhook-timestamp: %lld", now),
        text("webhook-signature: v1,%s v1,%s", sign_base64("an old secret", "x"), mac), NULL
    };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    expect_problem_once(post(hook, headers, "y"), 401);
    expect_done(post(hook, headers, "x"), NULL);
    expect_done(post(hook, headers, "x"), NULL); /* replayed: once all the same */
    stage_publish(topic, NULL, "end");
    ck_assert_str_eq(member(poller_next(&p), "publisher_id"), topic);
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(twilio_is_answered_in_its_language)
{
    const char *topic = stage_topic("sms");
    const char *hook = define("twilio", text("%s/{form.To}", topic), NULL, "a token of this test",
                              "{\"url\":\"https://mycompany.com/myapp.php?foo=1&bar=2\"}");
    const char *headers[] = { "X-Twilio-Signature: +MotMw45XpM21lnOppK2tDFBvk8=",
                              "Content-Type: application/x-www-form-urlencoded",
                              text("I-Twilio-Idempotency-Token: %s", topic), NULL };
    const char *body = "Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212"
                       "&Caller=%2B14158675309&From=%2B14158675309";
    struct poller p;

    poller_init(&p, text("topic=%s/%%23", topic), NULL);
    struct answer *a = post(hook, headers, body);
    answer_expect(a, "<Response/>");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    ck_assert_str_eq(member(poller_next(&p), "topic"), text("%s/%%2B18005551212", topic));
    poller_fini(&p);
}
END_TEST

START_TEST(cloudevents_come_with_a_secret)
{
    const char *topic = stage_topic("ce");
    const char *hook = define("cloudevents", topic, NULL, SECRET, NULL);
    const char *id = text("ce-id: %s", topic);
    const char *right[] = { "Authorization: Bearer " SECRET,
                            "ce-specversion: 1.0",
                            "ce-source: /s",
                            "ce-type: t",
                            id,
                            "Content-Type: text/plain",
                            NULL };
    const char *wrong[] = {
        "Authorization: Bearer " SECRET ".", right[1], right[2], right[3], id, right[5], NULL
    };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    expect_problem_once(post(hook, wrong, "x"), 401);
    expect_problem_once(post(hook, wrong + 1, "x"), 401);
    expect_done(post(hook, right, "x"), NULL);
    expect_done(post(hook, right, "x"), NULL);
    stage_publish(topic, NULL, "end");
    ck_assert_str_eq(member(poller_next(&p), "publisher_id"), topic);
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

/* ---- handshakes ------------------------------------------------------------------------------ */

START_TEST(websub_hub_hears_yes_for_our_topic_only)
{
    static const char *const no[] = {
        "hub.mode=subscribe&hub.topic=https%3A%2F%2Fother.example%2Ffeed&hub.challenge=c",
        "hub.mode=unsubscribe&hub.topic=https%3A%2F%2Fa.example%2Ffeed&hub.challenge=c",
        "hub.mode=subscribe&hub.challenge=c",
        "hub.mode=subscribe&hub.topic=https%3A%2F%2Fa.example%2Ffeed",
        "hub.topic=https%3A%2F%2Fa.example%2Ffeed&hub.challenge=c",
        "",
    };
    const char *hook = define("websub", stage_topic("feed"), NULL, SECRET,
                              "{\"hub.topic\":[\"https://b.example/feed\",\"https://a.example/"
                              "feed\"]}");

    expect_done(stage_get(text("/hook/%s?hub.mode=subscribe&hub.topic=https%%3A%%2F%%2Fa.example"
                               "%%2Ffeed&hub.challenge=a%%3Cb+c&hub.lease_seconds=864000",
                               hook)),
                "a<b c");
    for (size_t i = 0; i < LENGTH(no); i++)
        expect_problem_once(stage_get(text("/hook/%s?%s", hook, no[i])), 404);
    expect_problem_once(stage_get(text("/hook/%s?hub.mode=subscribe&hub.mode=subscribe", hook)),
                        400);
    hook = define("websub", "feed", NULL, SECRET, NULL);
    expect_problem_once(stage_get(text("/hook/%s?hub.mode=subscribe&hub.challenge=c", hook)), 404);
}
END_TEST

START_TEST(verify_token_is_asked_for_where_it_is_configured)
{
    const char *hook =
        define("websub", stage_topic("meta"), NULL, SECRET, "{\"hub.verify_token\":\"swordfish\"}");
    const char *ask = text("/hook/%s?hub.mode=subscribe&hub.challenge=17", hook);

    expect_done(stage_get(text("%s&hub.verify_token=swordfish", ask)), "17");
    expect_problem_once(stage_get(text("%s&hub.verify_token=swordfisk", ask)), 404);
    expect_problem_once(stage_get(text("%s&hub.verify_token=", ask)), 404);
    expect_problem_once(stage_get(ask), 404);
}
END_TEST

void scenarios_hook(TCase *tc)
{
    tcase_add_test(tc, delivery_becomes_an_event);
    tcase_add_test(tc, same_delivery_is_published_once);
    tcase_add_test(tc, same_delivery_at_once_is_published_once);
    tcase_add_test(tc, delivery_without_an_id_is_known_by_its_content);
    tcase_add_test(tc, data_cannot_forge_a_level);
    tcase_add_test(tc, hooks_may_publish_for_few);
    tcase_add_test(tc, who_cannot_sign_publishes_nothing);
    tcase_add_test(tc, answers_name_the_header_and_not_what_was_expected);
    tcase_add_test(tc, hooks_that_are_not_there_are_404);
    tcase_add_test(tc, deliveries_that_lack_what_the_topic_needs_are_422);
    tcase_add_test(tc, bodies_have_bounds_here_too);
    tcase_add_test(tc, slack_gets_its_challenge_back_and_otherwise_silence);
    tcase_add_test(tc, stale_deliveries_are_refused);
    tcase_add_test(tc, standard_webhooks_are_heard);
    tcase_add_test(tc, twilio_is_answered_in_its_language);
    tcase_add_test(tc, cloudevents_come_with_a_secret);
    tcase_add_test(tc, websub_hub_hears_yes_for_our_topic_only);
    tcase_add_test(tc, verify_token_is_asked_for_where_it_is_configured);
}
