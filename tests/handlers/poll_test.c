/*
 * poll_test.c - /poll behind the curtain: absence, capacity, drains, batches.
 */
#include <stdlib.h>

#include "tests/handlers/loopback.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

static struct server *server;
static struct source *source;

static void open_with(const char *const *settings)
{
    loopback_open(settings);
    server = loopback_server();
    source = loopback_source();
}

static void setup(void)
{
    static const char *const settings[] = { "poll_wait=200ms", "journal_events=4", NULL };
    open_with(settings);
}

static json_t *body_of(struct answer *a)
{
    struct slice body = answer_body(a);
    json_t *root = json_loadb(body.len ? body.at : "", body.len, 0, NULL);
    ck_assert_msg(root != NULL, "%.*s", (int)body.len, body.at);
    return root;
}

static size_t events_of(json_t *root)
{
    return json_array_size(json_object_get(root, "events"));
}

START_TEST(hold_ends_empty_with_the_place_moved_on)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0");

    stage_publish("other", NULL, "x");
    ck_assert_int_eq(answer_status(a), 200);
    json_t *root = body_of(a);
    ck_assert_uint_eq(events_of(root), 0);
    ck_assert_str_eq(member(root, "next"), "fake-1");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "retry")), 0); /* ask again at once */
    ck_assert_ptr_null(answer_header(a, "Retry-After"));
    ck_assert_ptr_null(answer_header(a, "ETag"));
    json_decref(root);
    answer_close(a);
}
END_TEST

START_TEST(database_away_holds_and_then_gives_the_old_place_back)
{
    fake_away(source);
    /* From another history, so that only the database could say more. */
    struct answer *known = stage_get("/poll?topic=t&since=fake-9");
    struct answer *past = stage_get("/poll?topic=t&since=earliest");
    loopback_settle();
    stage_expect_open(2);
    json_t *root = body_of(known);
    ck_assert_int_eq(answer_status(known), 200);
    ck_assert_uint_eq(events_of(root), 0);
    ck_assert_str_eq(member(root, "next"), "fake-9");
    json_decref(root);
    expect_problem(past, 503);
    ck_assert_ptr_nonnull(answer_header(past, "Retry-After"));
    answer_close(known);
    answer_close(past);
    fake_back(source);
}
END_TEST

START_TEST(database_that_returns_answers_the_held_poll)
{
    fake_away(source);
    struct answer *a = stage_get("/poll?topic=t&since=earliest");
    stage_publish("t", NULL, "meanwhile");
    loopback_settle();
    fake_back(source);
    answer_expect(a, "\"data\":\"meanwhile\"");
    answer_close(a);
}
END_TEST

START_TEST(several_commits_of_one_turn_come_together)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0");

    stage_publish("t", NULL, "1");
    stage_publish("t", NULL, "2");
    stage_publish("noise", NULL, "3");
    json_t *root = body_of(a);
    ck_assert_uint_eq(events_of(root), 2);
    ck_assert_str_eq(member(root, "next"), "fake-3"); /* behind the noise too */
    json_decref(root);
    answer_close(a);
}
END_TEST

START_TEST(bytes_cut_a_batch_as_the_limit_does)
{
    char *data = malloc(400001);
    const char *cursor = "fake-0";
    size_t seen = 0, polls = 0;

    ck_assert_ptr_nonnull(data);
    memset(data, 'x', 400000);
    data[400000] = '\0';
    for (int i = 0; i < 7; i++)
        stage_publish("t", NULL, data);
    for (; seen < 7; polls++) {
        struct answer *a = stage_get(text("/poll?topic=t&since=%s", cursor));
        json_t *root = body_of(a);
        ck_assert_uint_le(events_of(root), 3);
        seen += events_of(root);
        cursor = text("%s", member(root, "next"));
        ck_assert_str_eq(cursor, text("fake-%zu", seen));
        json_decref(root);
        answer_close(a);
        ck_assert_uint_lt(polls, 10);
    }
    free(data);
}
END_TEST

START_TEST(nobody_gets_more_than_poll_limit)
{
    static const char *const parameters[] = { "", "&limit=99999", "&limit=2", "&limit=1" };

    for (int i = 0; i < 4; i++)
        stage_publish("t", NULL, "x");
    loopback_settle();
    loopback_server()->conf->poll_limit = 2;
    for (size_t i = 0; i < LENGTH(parameters); i++) {
        struct answer *a = stage_get(text("/poll?topic=t&since=fake-0%s", parameters[i]));
        json_t *root = body_of(a);
        ck_assert_uint_eq(events_of(root), i < 3 ? 2 : 1);
        json_decref(root);
        answer_close(a);
    }
}
END_TEST

START_TEST(pages_of_the_past_neither_lose_nor_repeat)
{
    const char *cursor = "fake-0";
    int expected = 1;

    for (int i = 1; i <= 150; i++)
        stage_publish(i % 5 ? "noise" : "t", NULL, text("%d", i));
    loopback_settle();
    for (int polls = 0; strcmp(cursor, "fake-150") != 0; polls++) {
        struct answer *a = stage_get(text("/poll?topic=t&wait=0&limit=3&since=%s", cursor));
        json_t *root = body_of(a), *e;
        size_t i;
        json_array_foreach(json_object_get(root, "events"), i, e)
            ck_assert_str_eq(member(e, "data"), text("%d", 5 * expected++));
        cursor = text("%s", member(root, "next"));
        json_decref(root);
        answer_close(a);
        ck_assert_int_lt(polls, 100);
    }
    ck_assert_int_eq(expected, 31);
}
END_TEST

START_TEST(expired_cursor_is_a_gap_and_then_events)
{
    for (int i = 1; i <= 30; i++)
        stage_publish("t", NULL, text("%d", i));
    loopback_settle();
    fake_prune(source, 20);
    struct answer *a = stage_get("/poll?topic=t&since=fake-2&wait=0");
    json_t *root = body_of(a);
    json_t *gap = json_array_get(json_object_get(root, "events"), 0);
    ck_assert_str_eq(member(gap, "reason"), "expired");
    ck_assert_str_eq(member(gap, "from"), "fake-2");
    ck_assert_str_eq(member(gap, "next"), "fake-20");
    ck_assert_str_eq(member(json_array_get(json_object_get(root, "events"), 1), "data"), "21");
    json_decref(root);
    answer_close(a);
}
END_TEST

START_TEST(drain_answers_at_once_and_spreads_the_clients)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0");

    server_drain(server);
    json_t *root = body_of(a);
    ck_assert_str_eq(member(root, "next"), "fake-0");
    ck_assert_int_gt(json_integer_value(json_object_get(root, "retry")), 0);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    json_decref(root);
    answer_close(a);
}
END_TEST

START_TEST(a_full_process_answers_at_once_then_refuses)
{
    struct answer *held[20];

    server->max_open = 20;
    for (int i = 0; i < 19; i++)
        held[i] = stage_get("/events?topic=t");
    stage_expect_open(19);
    struct answer *a = stage_get("/poll?topic=t&since=fake-0");
    json_t *root = body_of(a);
    ck_assert_uint_eq(events_of(root), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(root, "retry")), 0);
    ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
    json_decref(root);
    answer_close(a);
    server->max_open = 19;
    expect_problem_once(stage_get("/poll?topic=t&since=fake-0"), 503);
    for (int i = 0; i < 19; i++)
        answer_close(held[i]);
    server->max_open = 0;
}
END_TEST

START_TEST(client_that_leaves_a_held_poll_leaves_nothing)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0&callback=x");
    struct answer *b = stage_get("/poll?topic=t&since=earliest&wait=1");

    stage_publish("t", NULL, "x"); /* on its way when they leave */
    answer_close(a);
    answer_close(b);
    stage_expect_open(0);
}
END_TEST

START_TEST(too_many_questions_are_503)
{
    for (int i = 1; i <= 10; i++)
        stage_publish("t", NULL, "x");
    loopback_settle();
    fake_refuse(source, true);
    expect_problem_once(stage_get("/poll?topic=t&since=fake-1"), 503);
    expect_problem_once(stage_get("/poll?topic=t&since=earliest"), 503);
    fake_refuse(source, false);
}
END_TEST

START_TEST(tags_belong_to_their_question)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0&wait=0");
    const char *tag = text("%s", answer_header(a, "ETag"));
    answer_close(a);
    a = stage_get("/poll?topic=u&since=fake-0&wait=0");
    ck_assert_str_ne(answer_header(a, "ETag"), tag);
    ck_assert_str_eq(answer_header(a, "Cache-Control"), "private, no-cache");
    answer_close(a);
    const char *headers[] = { text("If-None-Match: %.*s", (int)strlen(tag) - 1, tag), NULL };
    a = stage_ask(&(struct ask){ .target = "/poll?topic=t&since=fake-0&wait=0",
                                 .headers = headers }); /* cut short: not it */
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);
}
END_TEST

static void expect_body(struct answer *a, const char *expected)
{
    struct slice body = answer_body(a);
    ck_assert_str_eq(text("%.*s", (int)body.len, body.at), expected);
    answer_close(a);
}

#define HELLO                                                                                      \
    ":\nretry: 2000\nevent: bellpush-hello\n"                                                      \
    "data: {\"type\":\"bellpush-hello\",\"retry\":2000,\"heartbeat\":200}\n\n"
#define END(retry, place)                                                                          \
    "retry: " retry "\nid: " place "\nevent: bellpush-end\n"                                       \
    "data: {\"type\":\"bellpush-end\",\"reason\":\"poll\",\"retry\":" retry ",\"id\":\"" place     \
    "\"}\n\n"

START_TEST(format_sse_is_the_text_of_a_stream_that_has_ended)
{
    struct answer *a = stage_get("/poll?topic=t&since=fake-0&format=sse");

    stage_publish("other", NULL, "x");
    expect_body(a, HELLO END("0", "fake-1"));
    a = stage_get("/poll?topic=t&since=fake-1&format=sse");
    stage_publish("t", "ty", "a\nb");
    stage_publish("other", NULL, "x");
    answer_expect(a, HELLO "id: fake-2\ndata: {\"id\":\"fake-2\",\"topic\":\"t\",\"type\":\"ty\","
                           "\"data\":\"a\\nb\",\"time\":\"");
    answer_expect(a, "Z\"}\n\n" END("0", "fake-3"));
    answer_close(a);
    expect_body(stage_get("/poll?topic=t&since=gone-9&format=sse"),
                HELLO "id: fake-3\nevent: bellpush-gap\ndata: {\"type\":\"bellpush-gap\","
                      "\"id\":\"fake-3\",\"reason\":\"epoch\",\"from\":\"gone-9\","
                      "\"next\":\"fake-3\"}\n\n" END("0", "fake-3"));
}
END_TEST

START_TEST(head_of_a_poll_names_what_get_would_bring)
{
    static const char *const asked[][2] = {
        { "/poll?topic=t", "application/json" },
        { "/poll?topic=t&format=sse", "text/event-stream" },
        { "/poll?topic=t&format=sse&callback=x", "text/javascript; charset=utf-8" },
    };
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct answer *head = stage_ask(&(struct ask){ .method = "HEAD", .target = asked[i][0] });
        struct answer *get = stage_get(asked[i][0]);
        ck_assert_str_eq(answer_header(head, "Content-Type"), asked[i][1]);
        ck_assert_str_eq(answer_header(get, "Content-Type"), asked[i][1]);
        answer_close(head);
        answer_close(get);
    }
}
END_TEST

SUITE(poll)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    tcase_add_test(tc, hold_ends_empty_with_the_place_moved_on);
    tcase_add_test(tc, database_away_holds_and_then_gives_the_old_place_back);
    tcase_add_test(tc, database_that_returns_answers_the_held_poll);
    tcase_add_test(tc, several_commits_of_one_turn_come_together);
    tcase_add_test(tc, bytes_cut_a_batch_as_the_limit_does);
    tcase_add_test(tc, nobody_gets_more_than_poll_limit);
    tcase_add_test(tc, pages_of_the_past_neither_lose_nor_repeat);
    tcase_add_test(tc, expired_cursor_is_a_gap_and_then_events);
    tcase_add_test(tc, drain_answers_at_once_and_spreads_the_clients);
    tcase_add_test(tc, a_full_process_answers_at_once_then_refuses);
    tcase_add_test(tc, client_that_leaves_a_held_poll_leaves_nothing);
    tcase_add_test(tc, too_many_questions_are_503);
    tcase_add_test(tc, tags_belong_to_their_question);
    tcase_add_test(tc, format_sse_is_the_text_of_a_stream_that_has_ended);
    tcase_add_test(tc, head_of_a_poll_names_what_get_would_bring);
}
