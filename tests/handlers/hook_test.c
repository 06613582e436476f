/*
 * hook_test.c - /hook behind the curtain: a database that is away or slow, senders that leave,
 * definitions that are not good, and whose keys are whose.
 */
#include <stdlib.h>

#include "tests/deliveries.h"
#include "tests/handlers/loopback.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

#define SIGNATURE                                                                                  \
    "X-Hub-Signature-256: "                                                                        \
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static struct server *server;
static struct source *source;
static struct slice secret = { "It's a Secret to Everybody", 26 };
static struct hook hook;

static void setup(void)
{
    static const char *const settings[] = { "max_event_bytes=1k", "max_body_bytes=2k", NULL };

    loopback_open(settings);
    server = loopback_server();
    source = loopback_source();
    hook = (struct hook){ .rc = RC_OK,
                          .scheme = SLICE("github"),
                          .topic = SLICE("gh"),
                          .options = SLICE("{}"),
                          .secrets = &secret,
                          .n = 1 };
    fake_hook(source, "gh", &hook);
}

static struct answer *deliver(const char *id)
{
    const char *headers[] = { SIGNATURE, "Content-Type: text/plain",
                              id ? text("X-GitHub-Delivery: %s", id) : NULL, NULL };

    return stage_ask(&(struct ask){ .method = "POST",
                                    .target = "/hook/gh",
                                    .headers = headers,
                                    .body = SLICE("Hello, World!") });
}

static void expect_published(size_t n)
{
    ck_assert_uint_eq(server->stats.published, n);
}

static bool publishes(void *arg)
{
    struct source_view view;

    (void)arg;
    source_look(source, &view);
    return view.publishes > 0;
}

/* ---- the database -----------------------------------------------------------------------------
 */

START_TEST(cursor_is_told)
{
    struct answer *a = deliver("1");

    answer_expect(a, "{\"cursor\":\"");
    answer_close(a);
    fake_relay(source, true);
    a = deliver("2");
    answer_expect(a, "{\"cursor\":null}");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_published(2);
}
END_TEST

START_TEST(definition_waits_for_the_database_to_come_back)
{
    fake_away(source);
    struct answer *a = deliver("1");
    ck_assert(!answer_ended(a));
    fake_back(source);
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_published(1);
}
END_TEST

START_TEST(publish_without_a_database_is_503_for_the_sender_to_try_again)
{
    fake_stall(source, true);
    struct answer *a = deliver("1");
    loopback_until(publishes, NULL, "the publish");
    fake_away(source);
    fake_stall(source, false);
    expect_problem(a, 503);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    answer_close(a);
    fake_back(source);
    a = deliver("1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_published(1);
}
END_TEST

START_TEST(too_many_questions_are_503)
{
    fake_refuse(source, true);
    expect_problem_once(deliver("1"), 503);
    fake_refuse(source, false);
    ck_assert_uint_eq(server->kept_bytes, 0);
}
END_TEST

START_TEST(definition_that_could_not_be_read_is_503)
{
    hook.rc = RC_SOURCE;
    expect_problem_once(deliver("1"), 503);
    hook.rc = RC_LIMIT;
    expect_problem_once(deliver("1"), 503);
}
END_TEST

START_TEST(sender_that_leaves_while_its_hook_is_looked_up_is_forgotten)
{
    struct answer *a = deliver("1");

    ck_assert_uint_eq(server->open_count, 1);
    ck_assert_uint_gt(server->kept_bytes, 0);
    answer_close(a);
    loopback_settle();
    ck_assert_uint_eq(server->kept_bytes, 0);
    expect_published(0);
}
END_TEST

START_TEST(sender_that_leaves_while_it_is_published_has_published)
{
    struct answer *reader = stage_get("/events?topic=gh");

    fake_stall(source, true);
    struct answer *a = deliver("1");
    loopback_until(publishes, NULL, "the publish");
    answer_close(a);
    fake_stall(source, false);
    answer_expect(reader, "data: Hello, World!\n");
    answer_close(reader);
    ck_assert_uint_eq(server->kept_bytes, 0);
}
END_TEST

START_TEST(process_that_stops_sends_its_senders_away)
{
    struct answer *a = deliver("1");

    server_drain(server);
    expect_problem_once(a, 503);
    ck_assert_uint_eq(server->kept_bytes, 0);
}
END_TEST

/* ---- the definition ---------------------------------------------------------------------------
 */

START_TEST(bad_definitions_are_500_and_publish_nothing)
{
    static const struct {
        const char *topic, *type, *options;
    } bad[] = {
        { "gh/{json", "", "{}" },
        { "gh/json.a}", "", "{}" },
        { "gh/{}", "", "{}" },
        { "gh/{body}", "", "{}" },
        { "gh/{header.}", "", "{}" },
        { "gh", "{type}", "{}" },
        { "$SYS/gh", "", "{}" },
        { "gh", "", "[]" },
        { "gh", "", "" },
        { "gh", "", "{\"id\":1}" },
        { "gh", "", "{\"id\":\"{x}\"}" },
        { "gh", "", "{\"private\":\"yes\"}" },
        { "gh", "", "{\"retain\":1}" },
        { "gh", "", "{\"expires\":60}" },
        { "gh", "", "{\"expires\":\"soon\"}" },
        { "gh", "", "{\"tolerance\":\"5m\"}" },
    };

    for (size_t i = 0; i < LENGTH(bad); i++) {
        hook.topic = slice_of(bad[i].topic);
        hook.type = slice_of(bad[i].type);
        hook.options = slice_of(bad[i].options);
        struct answer *a = deliver("1");
        ck_assert_msg(answer_status(a) == 500, "%s %s %s: %d", bad[i].topic, bad[i].type,
                      bad[i].options, answer_status(a));
        expect_problem_once(a, 500);
    }
    expect_published(0);
}
END_TEST

START_TEST(definitions_are_not_told_to_who_cannot_sign)
{
    secret = SLICE("another secret");
    hook.topic = SLICE("gh/{json");
    expect_problem_once(deliver("1"), 401);
    secret = SLICE("It's a Secret to Everybody");
}
END_TEST

START_TEST(results_that_are_no_topic_are_422)
{
    static const struct {
        const char *topic, *type;
    } bad[] = {
        { "gh/+", "" },
        { "gh", "bellpush-gap" },
        { "gh", "{header.x-long}" },
        { "gh", "{json.a}" },
        { "{header.x-long}{header.x-long}{header.x-long}{header.x-long}", "" },
    };
    const char *long_header = text("X-Long: %0300d", 7);

    for (size_t i = 0; i < LENGTH(bad); i++) {
        const char *headers[] = { SIGNATURE, long_header, NULL };
        hook.topic = slice_of(bad[i].topic);
        hook.type = slice_of(bad[i].type);
        expect_problem_once(stage_ask(&(struct ask){ .method = "POST",
                                                     .target = "/hook/gh",
                                                     .headers = headers,
                                                     .body = SLICE("Hello, World!") }),
                            422);
    }
    expect_published(0);
}
END_TEST

START_TEST(redefined_hooks_hold_at_once)
{
    struct answer *a = deliver("1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    secret = SLICE("rotated");
    expect_problem_once(deliver("2"), 401);
    fake_hook(source, "gh", NULL);
    expect_problem_once(deliver("3"), 404);
    secret = SLICE("It's a Secret to Everybody");
}
END_TEST

/* ---- CloudEvents ------------------------------------------------------------------------------
 */

#define EVENT(id) "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"" id "\"}"

static struct answer *cloud(const char *authorization, const char *type, struct slice body)
{
    const char *headers[] = { authorization, type, NULL };

    hook.scheme = SLICE("cloudevents");
    return stage_ask(
        &(struct ask){ .method = "POST", .target = "/hook/gh", .headers = headers, .body = body });
}

#define BEARER "Authorization: Bearer It's a Secret to Everybody"
#define ONE    "Content-Type: application/cloudevents+json"
#define BATCH  "Content-Type: application/cloudevents-batch+json"

static void expect_cloud(const char *authorization, const char *type, struct slice body, int status)
{
    struct answer *a = cloud(authorization, type, body);
    struct slice said = answer_body(a);

    ck_assert_msg(answer_status(a) == status, "%d: %.*s", answer_status(a), (int)said.len, said.at);
    answer_close(a);
}

START_TEST(cloudevents_need_the_secret)
{
    struct slice event = SLICE(EVENT("1"));

    expect_cloud("Authorization: Bearer wrong", ONE, event, 401);
    expect_cloud("Authorization: Bearer ", ONE, event, 401);
    expect_cloud("Authorization: It's a Secret to Everybody", ONE, event, 401);
    expect_cloud("X: y", ONE, event, 401);
    expect_cloud(BEARER "x", ONE, event, 401);
    expect_published(0);
    struct answer *a = cloud("X: y", ONE, event);
    ck_assert_str_eq(answer_header(a, "WWW-Authenticate"), "Bearer realm=\"bellpush\"");
    answer_close(a);
}
END_TEST

START_TEST(cloudevents_are_published_once_each)
{
    expect_cloud(BEARER, ONE, SLICE(EVENT("1")), 200);
    expect_cloud(BEARER, ONE, SLICE(EVENT("1")), 200);
    expect_published(1);
    expect_cloud(BEARER, BATCH, SLICE("[" EVENT("1") "," EVENT("2") "]"), 200);
    expect_published(2);
    expect_cloud(BEARER, BATCH, SLICE("[]"), 200);
    expect_cloud(BEARER, ONE, SLICE("{}"), 400);
    expect_cloud(BEARER, "Content-Type: application/json", SLICE(EVENT("3")), 415);
    expect_published(2);
}
END_TEST

START_TEST(cloudevents_do_not_choose_their_topic)
{
    static const char event[] =
        "{\"specversion\":\"1.0\",\"type\":\"a/#\",\"source\":\"/s\",\"id\":\"1\","
        "\"bellpushtopic\":\"elsewhere\"}";
    struct answer *reader = stage_get("/events?topic=ce/%23"),
                  *other = stage_get("/events?topic=elsewhere");

    hook.topic = SLICE("ce/{json.type}");
    expect_cloud(BEARER, ONE, slice_of(event), 200);
    answer_expect(reader, "topic: ce/a%2F%23\n");
    loopback_settle();
    ck_assert_ptr_null(memmem(answer_so_far(other).at, answer_so_far(other).len, "elsewhere", 9));
    hook.topic = SLICE("{header.x-nothing}");
    expect_cloud(BEARER, ONE, SLICE(EVENT("2")), 422);
    hook.topic = SLICE("$SYS/x");
    expect_cloud(BEARER, ONE, SLICE(EVENT("3")), 500);
    hook.topic = SLICE("a/+");
    expect_cloud(BEARER, ONE, SLICE(EVENT("4")), 422);
    expect_published(1);
    answer_close(reader);
    answer_close(other);
}
END_TEST

static struct answer *may_i(const char *origin)
{
    const char *headers[] = { text("WebHook-Request-Origin: %s", origin), NULL };

    return stage_ask(
        &(struct ask){ .method = "OPTIONS", .target = "/hook/gh", .headers = headers });
}

START_TEST(origins_are_asked_for_before_they_deliver)
{
    hook.options = SLICE("{\"origins\":[\"events.example\",\"bad\\r\\nX: y\"]}");
    struct answer *a = may_i("Events.Example");
    ck_assert_int_eq(answer_status(a), 204);
    ck_assert_str_eq(answer_header(a, "WebHook-Allowed-Origin"), "events.example");
    ck_assert_str_eq(answer_header(a, "WebHook-Allowed-Rate"), "*");
    answer_close(a);
    expect_problem_once(may_i("other.example"), 403);
    expect_problem_once(may_i("bad\r\nX: y"), 403);
    hook.options = SLICE("{}");
    expect_problem_once(may_i("events.example"), 403);
    a = stage_ask(&(struct ask){ .method = "OPTIONS", .target = "/hook/gh" }); /* as a browser */
    ck_assert_int_eq(answer_status(a), 204);
    ck_assert_ptr_null(answer_header(a, "WebHook-Allowed-Origin"));
    answer_close(a);
    fake_hook(source, "gh", NULL);
    expect_problem_once(may_i("events.example"), 404);
}
END_TEST

START_TEST(refusals_say_by_what_one_could_prove_oneself)
{
    hook.secrets = &(struct slice){ "another secret", 14 };
    struct answer *a = deliver("1");
    expect_problem(a, 401);
    ck_assert_str_eq(answer_header(a, "WWW-Authenticate"), "Signature realm=\"bellpush\"");
    answer_close(a);
}
END_TEST

/* ---- whose id ---------------------------------------------------------------------------------
 */

START_TEST(ids_of_a_publisher_and_of_a_sender_are_not_the_same)
{
    static const char *const keys[] = { "hook:gh:1", "gh:1", "1" };

    for (size_t i = 0; i < LENGTH(keys); i++) {
        const char *headers[] = { text("Idempotency-Key: %s", keys[i]), NULL };
        struct answer *a = publish("topic=gh", "text/plain", SLICE("spoilt"), headers);
        ck_assert_int_eq(answer_status(a), 201);
        answer_close(a);
    }
    const char *headers[] = { "Idempotency-Key: hook gh 1", NULL };
    expect_problem_once(publish("topic=gh", "text/plain", SLICE("spoilt"), headers), 400);
    struct answer *a = deliver("1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
}
END_TEST

START_TEST(ids_of_two_hooks_are_not_the_same)
{
    struct answer *a = deliver("1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    fake_hook(source, "gh2", &hook);
    const char *headers[] = { SIGNATURE, "X-GitHub-Delivery: 1", NULL };
    a = stage_ask(&(struct ask){ .method = "POST",
                                 .target = "/hook/gh2",
                                 .headers = headers,
                                 .body = SLICE("Hello, World!") });
    answer_expect(a, "\"}"); /* not repeated */
    answer_close(a);
    expect_published(2);
}
END_TEST

START_TEST(option_id_says_what_names_a_delivery)
{
    hook.options = SLICE("{\"id\":\"content\"}");
    for (int i = 0; i < 3; i++) { /* who has seen one cannot send it again under another id */
        struct answer *a = deliver(text("%d", i));
        ck_assert_int_eq(answer_status(a), 200);
        answer_close(a);
    }
    expect_published(1);
    hook.options = SLICE("{\"id\":\"{header.x-other}\"}");
    expect_problem_once(deliver("1"), 422);
}
END_TEST

START_TEST(ids_that_are_none_are_refused)
{
    expect_problem_once(deliver(text("%0256d", 1)), 422);
    expect_problem_once(deliver("a\x01"), 422);
    expect_problem_once(deliver("\xff\xfe"), 422);
    expect_published(0);
}
END_TEST

/* ---- all the samples, through the door ----------------------------------------------------------
 */

/* Those with a clock are long past: that they are stale says that everything else was right. */
START_TEST(every_scheme_comes_through)
{
    for (const struct sample *s = samples; s < samples + LENGTH(samples); s++) {
        const char *headers[8] = { NULL };
        secret = slice_of(s->secret);
        hook.scheme = slice_of(s->scheme);
        hook.options = s->options ? slice_of(s->options) : SLICE("{}");
        hook.topic = SLICE("gh");
        if (s->url && !s->options)
            hook.options = slice_of(text("{\"url\":\"%s\"}", s->url));
        for (size_t i = 0; s->headers[i][0]; i++)
            headers[i] = text("%s: %s", s->headers[i][0], s->headers[i][1]);
        const char *query = s->options && s->url ? strchr(s->url, '?') : "";
        struct answer *a = stage_ask(&(struct ask){ .method = "POST",
                                                    .target = text("/hook/gh%s", query),
                                                    .headers = headers,
                                                    .body = slice_of(s->body) });
        int status = answer_status(a);
        struct slice said = answer_body(a);
        ck_assert_msg(status == (s->timed ? 401 : 200), "%s: %d %.*s", s->name, status,
                      (int)said.len, said.at);
        if (s->timed)
            ck_assert_ptr_nonnull(memmem(said.at, said.len, "too old", 7));
        answer_close(a);
    }
    secret = SLICE("It's a Secret to Everybody");
}
END_TEST

START_TEST(event_is_bounded_as_every_event)
{
    static char large[1025];
    const char *headers[] = { "X-Gitlab-Token: It's a Secret to Everybody", NULL };

    memset(large, 'x', sizeof(large));
    hook.scheme = SLICE("gitlab");
    expect_problem_once(stage_ask(&(struct ask){ .method = "POST",
                                                 .target = "/hook/gh",
                                                 .headers = headers,
                                                 .body = { large, sizeof(large) } }),
                        413);
    expect_published(0);
}
END_TEST

START_TEST(many_headers_are_refused)
{
    static const char *headers[203];

    for (size_t i = 0; i + 1 < LENGTH(headers); i++)
        headers[i] = text("X-%zu: y", i);
    expect_problem_once(
        stage_ask(&(struct ask){
            .method = "POST", .target = "/hook/gh", .headers = headers, .body = SLICE("x") }),
        400);
}
END_TEST

/* Guessing is slow, and what is delivered counts as any publish does. */
START_TEST(deliveries_are_counted)
{
    static const char *const settings[] = { "requests_per_address=150", "publishes_per_address=1",
                                            NULL };

    loopback_close();
    loopback_open(settings);
    loopback_remote("203.0.113.1");
    source = loopback_source();
    fake_hook(source, "gh", &hook);
    struct answer *a = deliver("1");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
    expect_problem_once(deliver("2"), 429);
    struct ask wrong = { .method = "POST", .target = "/hook/gh", .body = SLICE("x") };
    expect_problem_once(stage_ask(&wrong), 401); /* costs a hundred requests */
    int status;
    do {
        a = stage_ask(&wrong);
        status = answer_status(a);
        answer_close(a);
    } while (status == 401 && loopback_server()->stats.requests < 10);
    ck_assert_int_eq(status, 429);
}
END_TEST

START_TEST(other_methods_are_405)
{
    struct answer *a = stage_ask(&(struct ask){ .method = "PUT", .target = "/hook/gh" });

    expect_problem(a, 405);
    ck_assert_ptr_nonnull(strstr(answer_header(a, "Allow"), "POST"));
    answer_close(a);
}
END_TEST

SUITE(hook)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    tcase_add_test(tc, cursor_is_told);
    tcase_add_test(tc, definition_waits_for_the_database_to_come_back);
    tcase_add_test(tc, publish_without_a_database_is_503_for_the_sender_to_try_again);
    tcase_add_test(tc, too_many_questions_are_503);
    tcase_add_test(tc, definition_that_could_not_be_read_is_503);
    tcase_add_test(tc, sender_that_leaves_while_its_hook_is_looked_up_is_forgotten);
    tcase_add_test(tc, sender_that_leaves_while_it_is_published_has_published);
    tcase_add_test(tc, process_that_stops_sends_its_senders_away);
    tcase_add_test(tc, bad_definitions_are_500_and_publish_nothing);
    tcase_add_test(tc, definitions_are_not_told_to_who_cannot_sign);
    tcase_add_test(tc, results_that_are_no_topic_are_422);
    tcase_add_test(tc, redefined_hooks_hold_at_once);
    tcase_add_test(tc, cloudevents_need_the_secret);
    tcase_add_test(tc, cloudevents_are_published_once_each);
    tcase_add_test(tc, cloudevents_do_not_choose_their_topic);
    tcase_add_test(tc, origins_are_asked_for_before_they_deliver);
    tcase_add_test(tc, refusals_say_by_what_one_could_prove_oneself);
    tcase_add_test(tc, ids_of_a_publisher_and_of_a_sender_are_not_the_same);
    tcase_add_test(tc, ids_of_two_hooks_are_not_the_same);
    tcase_add_test(tc, option_id_says_what_names_a_delivery);
    tcase_add_test(tc, ids_that_are_none_are_refused);
    tcase_add_test(tc, every_scheme_comes_through);
    tcase_add_test(tc, event_is_bounded_as_every_event);
    tcase_add_test(tc, many_headers_are_refused);
    tcase_add_test(tc, deliveries_are_counted);
    tcase_add_test(tc, other_methods_are_405);
}
