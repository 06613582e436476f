/*
 * publish_test.c - /publish behind the curtain: relay mode, absence, answers that come too late.
 */
#include <stdlib.h>

#include "tests/handlers/loopback.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

static struct server *server;
static struct source *source;

static void setup(void)
{
    static const char *const settings[] = { "max_batch=3", "max_body_bytes=2m", NULL };

    loopback_open(settings);
    server = loopback_server();
    source = loopback_source();
}

START_TEST(relay_mode_numbers_later)
{
    fake_relay(source, true);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), NULL);
    ck_assert_int_eq(answer_status(a), 202);
    struct slice body = answer_body(a);
    ck_assert(slice_is(body, SLICE("{\"cursor\":null}\n")));
    ck_assert_uint_eq(server->stats.published, 1);
    answer_close(a);
}
END_TEST

START_TEST(database_away_is_503_at_once)
{
    fake_away(source);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), NULL);
    expect_problem(a, 503);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    answer_expect(a, "nothing was published");
    answer_close(a);
    fake_back(source);
}
END_TEST

START_TEST(too_many_waiting_publishes_are_503)
{
    fake_refuse(source, true);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), NULL);
    expect_problem(a, 503);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    answer_close(a);
    fake_refuse(source, false);
}
END_TEST

START_TEST(publisher_that_leaves_has_published)
{
    struct answer *reader = stage_get("/events?topic=t");

    fake_stall(source, true);
    struct answer *a = publish("topic=t", "text/plain", SLICE("sent and gone"), NULL);
    loopback_settle();
    stage_expect_open(2);
    answer_close(a);
    stage_expect_open(1);
    fake_stall(source, false);
    answer_expect(reader, "data: sent and gone\n");
    answer_close(reader);
}
END_TEST

START_TEST(drain_waits_for_a_publish_under_way)
{
    fake_stall(source, true);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), NULL);
    loopback_settle();
    server_drain(server);
    loopback_settle();
    ck_assert(!answer_ended(a));
    fake_stall(source, false);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
}
END_TEST

START_TEST(batches_and_bodies_have_their_limits)
{
    static const char item[] = "{\"topic\":\"t\",\"data\":\"x\"}";
    const char *three = text("[%s,%s,%s]", item, item, item);
    const char *four = text("[%s,%s,%s,%s]", item, item, item, item);
    struct answer *a = publish("", "application/json", slice_of(three), NULL);

    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    expect_problem_once(publish("", "application/json", slice_of(four), NULL), 413);

    size_t size = (2 << 20) + 1;
    char *huge = calloc(1, size);
    ck_assert_ptr_nonnull(huge);
    expect_problem_once(publish("topic=t", "text/plain", (struct slice){ huge, size }, NULL), 413);
    free(huge);
}
END_TEST

START_TEST(json_of_any_depth_is_survived)
{
    enum { DEPTH = 100000 };
    char *deep = malloc(2 * DEPTH);

    ck_assert_ptr_nonnull(deep);
    memset(deep, '[', DEPTH);
    memset(deep + DEPTH, ']', DEPTH);
    expect_problem_once(publish("", "application/json", (struct slice){ deep, 2 * DEPTH }, NULL),
                        400);
    free(deep);
}
END_TEST

START_TEST(strings_with_nul_and_escapes_are_data)
{
    struct answer *a =
        publish("", "application/json",
                SLICE("[{\"topic\":\"t\",\"data\":\"a\\u0000b\\n\\ud83d\\udd14\"}]"), NULL);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    json_t *root = get_json("/poll?topic=t&since=fake-0&wait=0");
    json_t *data = json_object_get(json_array_get(json_object_get(root, "events"), 0), "data");
    ck_assert_uint_eq(json_string_length(data), 8);
    ck_assert(memcmp(json_string_value(data), "a\0b\n\xf0\x9f\x94\x94", 8) == 0);
    json_decref(root);
}
END_TEST

START_TEST(without_a_configured_key_publishing_is_off)
{
    static const char *const settings[] = { "publish_key=", NULL };

    loopback_close();
    loopback_open(settings);
    /* Who shows something that is nothing is told so, as everywhere. */
    expect_problem_once(publish("topic=t", "text/plain", SLICE("x"), NULL), 401);
    struct ask bare = { .method = "POST", .target = "/publish?topic=t", .body = SLICE("x") };
    expect_problem_once(stage_ask(&bare), 403);
}
END_TEST

START_TEST(long_idempotency_key_is_400)
{
    char header[sizeof("Idempotency-Key: ") + 256] = "Idempotency-Key: ";
    const char *headers[] = { header, NULL };

    memset(header + strlen(header), 'k', 255);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), headers);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    header[strlen(header)] = 'k';
    expect_problem_once(publish("topic=t", "text/plain", SLICE("x"), headers), 400);
    headers[0] = "Idempotency-Key: ";
    expect_problem_once(publish("topic=t", "text/plain", SLICE("x"), headers), 400);
}
END_TEST

SUITE(publish)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    tcase_add_test(tc, relay_mode_numbers_later);
    tcase_add_test(tc, database_away_is_503_at_once);
    tcase_add_test(tc, too_many_waiting_publishes_are_503);
    tcase_add_test(tc, publisher_that_leaves_has_published);
    tcase_add_test(tc, drain_waits_for_a_publish_under_way);
    tcase_add_test(tc, batches_and_bodies_have_their_limits);
    tcase_add_test(tc, json_of_any_depth_is_survived);
    tcase_add_test(tc, strings_with_nul_and_escapes_are_data);
    tcase_add_test(tc, without_a_configured_key_publishing_is_off);
    tcase_add_test(tc, long_idempotency_key_is_400);
}
