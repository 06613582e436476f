/*
 * publish.c - POST /publish: one, many, large, twice, and not at all.
 */
#include <stdlib.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(published_event_reaches_its_readers_whole)
{
    const char *topic = stage_topic("one");
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    const char *cursor = publish_ok(text("topic=%s&type=paid&id=my-17", topic), "application/json",
                                    SLICE("{\"n\": 1}"));
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "id"), cursor);
    ck_assert_str_eq(member(e, "data"), "{\"n\": 1}"); /* as it was, not as it could be */
    ck_assert_str_eq(member(e, "content_type"), "application/json");
    ck_assert_str_eq(member(e, "type"), "paid");
    ck_assert_str_eq(member(e, "publisher_id"), "my-17");
    poller_fini(&p);
}
END_TEST

START_TEST(topic_and_words_may_be_of_any_alphabet)
{
    const char *topic = stage_topic("gr\xc3\xbc\xc3\x9f");
    const char *encoded = text("%.*sgr%%C3%%BC%%C3%%9F", (int)(strlen(topic) - 6), topic);
    struct poller p;

    poller_init(&p, text("topic=%s", encoded), NULL);
    publish_ok(text("topic=%s&type=%%E4%%B8%%AD%%20x", encoded), "text/plain", SLICE("x"));
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "topic"), topic);
    ck_assert_str_eq(member(e, "type"), "\xe4\xb8\xad x");
    poller_fini(&p);
}
END_TEST

START_TEST(batch_is_one_commit_in_order)
{
    const char *a = stage_topic("a"), *b = stage_topic("b");
    struct poller p;

    poller_init(&p, text("topic=%s&topic=%s", a, b), NULL);
    const char *body = text("[{\"topic\":\"%s\",\"data\":\"1\",\"type\":\"t\",\"id\":\"i\"},"
                            "{\"topic\":\"%s\",\"data\":{\"k\":[1,null]}},"
                            "{\"topic\":\"%s\",\"data_base64\":\"/w==\"},"
                            "{\"topic\":\"%s\",\"data\":\"\",\"content_type\":\"text/csv\"}]",
                            a, b, a, b);
    struct answer *answer = publish("", "application/json", slice_of(body), NULL);
    ck_assert_int_eq(answer_status(answer), 201);
    struct slice said = answer_body(answer);
    json_t *root = json_loadb(said.at, said.len, 0, NULL);
    json_t *cursors = json_object_get(root, "cursors");
    ck_assert_uint_eq(json_array_size(cursors), 4);
    ck_assert_str_eq(member(root, "cursor"), json_string_value(json_array_get(cursors, 3)));

    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "id"), json_string_value(json_array_get(cursors, 0)));
    ck_assert_str_eq(member(e, "type"), "t");
    ck_assert_str_eq(member(e, "publisher_id"), "i");
    e = poller_next(&p);
    ck_assert_str_eq(member(e, "data"), "{\"k\":[1,null]}");
    ck_assert_str_eq(member(e, "content_type"), "application/json");
    ck_assert_str_eq(member(e, "topic"), b);
    e = poller_next(&p);
    ck_assert_str_eq(member(e, "data"), "/w==");
    ck_assert_str_eq(member(e, "encoding"), "base64");
    e = poller_next(&p);
    ck_assert_str_eq(member(e, "data"), "");
    ck_assert_str_eq(member(e, "content_type"), "text/csv");
    ck_assert_str_eq(member(e, "id"), member(root, "cursor"));
    json_decref(root);
    answer_close(answer);
    poller_fini(&p);
}
END_TEST

START_TEST(bad_batch_publishes_nothing)
{
    static const struct {
        const char *second;
        int status;
    } bad[] = {
        { "{\"topic\":\"a/+\",\"data\":\"x\"}", 422 },
        { "{\"topic\":\"\",\"data\":\"x\"}", 422 },
        { "{\"data\":\"x\"}", 422 },
        { "{\"topic\":\"a\"}", 422 },
        { "{\"topic\":1,\"data\":\"x\"}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"privat\":true}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"private\":\"yes\"}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"expires\":\"soon\"}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"data_base64\":\"eA==\"}", 422 },
        { "{\"topic\":\"a\",\"data_base64\":\"not base64!\"}", 422 },
        { "{\"topic\":\"a\",\"data_base64\":\"AA\xC3\xA9\"}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"type\":\"bellpush-gap\"}", 422 },
        { "{\"topic\":\"a\",\"data\":\"x\",\"type\":\"two\\nlines\"}", 422 },
        { "{\"topic\":\"a\\u0000b\",\"data\":\"x\"}", 422 },
        { "{\"topic\":\"$SYS/x\",\"data\":\"x\"}", 403 },
        { "17", 422 },
        { "{\"topic\":\"a\",\"topic\":\"b\",\"data\":\"x\"}", 400 }, /* which one was meant? */
        { "{\"topic\":\"a\",\"data\":\"x\"", 400 },
    };
    const char *topic = stage_topic("batch");
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        const char *body = text("[{\"topic\":\"%s\",\"data\":\"first\"},%s]", topic, bad[i].second);
        struct answer *a = publish("", "application/json; charset=utf-8", slice_of(body), NULL);
        expect_problem(a, bad[i].status);
        struct slice said = answer_so_far(a);
        if (stage_traits()->keeps_status && bad[i].status != 400)
            ck_assert_msg(memmem(said.at, said.len, "event 1: ", 9), "no index in %.*s",
                          (int)said.len, said.at);
        answer_close(a);
    }
    stage_publish(topic, NULL, "the only one");
    poller_expect(&p, "the only one");
    poller_fini(&p);
}
END_TEST

START_TEST(a_megabyte_fits_and_a_byte_more_does_not)
{
    const size_t megabyte = 1 << 20;
    const char *topic = stage_topic("large");
    char *data = malloc(megabyte + 2);
    struct poller p;

    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i <= megabyte; i++)
        data[i] = (char)('a' + i % 26 + (i % 97 == 0 ? -32 : 0));
    data[megabyte + 1] = '\0';
    poller_init(&p, text("topic=%s", topic), NULL);
    publish_ok(text("topic=%s", topic), "text/plain", (struct slice){ data, megabyte });
    const json_t *got = json_object_get(poller_next(&p), "data");
    ck_assert_uint_eq(json_string_length(got), megabyte);
    ck_assert(memcmp(json_string_value(got), data, megabyte) == 0);
    expect_problem_once(
        publish(text("topic=%s", topic), "text/plain", (struct slice){ data, megabyte + 1 }, NULL),
        413);
    stage_publish(topic, NULL, "next");
    poller_expect(&p, "next");
    poller_fini(&p);
    free(data);
}
END_TEST

START_TEST(idempotency_key_publishes_once)
{
    const char *topic = stage_topic("once");
    const char *headers[] = { text("Idempotency-Key: %s", topic), NULL };
    const char *query = text("topic=%s", topic);
    char first[256] = "";
    struct poller p;

    poller_init(&p, query, NULL);
    for (int i = 0; i < 3; i++) {
        struct answer *a = publish(query, "text/plain", SLICE("pay 100"), headers);
        ck_assert_int_eq(answer_status(a), 201);
        struct slice said = answer_body(a);
        json_t *root = json_loadb(said.at, said.len, 0, NULL);
        if (i == 0)
            strncpy(first, member(root, "cursor"), sizeof(first) - 1);
        ck_assert_str_eq(member(root, "cursor"), first);
        ck_assert_int_eq(json_is_true(json_object_get(root, "repeated")), i > 0);
        json_decref(root);
        answer_close(a);
    }
    expect_problem_once(publish(query, "text/plain", SLICE("pay 200"), headers), 422);
    stage_publish(topic, NULL, "end");
    poller_expect(&p, "pay 100");
    poller_expect(&p, "end");
    poller_fini(&p);
}
END_TEST

START_TEST(nobody_publishes_without_the_key)
{
    const char *topic = stage_topic("locked");
    const char *target = text("/publish?topic=%s", topic);
    static const char *const wrong[][3] = {
        { "Content-Type: text/plain", NULL },
        { "Content-Type: text/plain", "Authorization: Bearer wrong", NULL },
        { "Content-Type: text/plain", "Authorization: Bearer " STAGE_KEY "x", NULL },
        { "Content-Type: text/plain", "Authorization: Bearer", NULL },
    };
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct answer *a = stage_ask(&(struct ask){
            .method = "POST", .target = target, .headers = wrong[i], .body = SLICE("forged") });
        expect_problem(a, 401);
        const char *challenge = answer_header(a, "WWW-Authenticate");
        ck_assert_msg(challenge && strncmp(challenge, "Bearer", 6) == 0, "%s",
                      challenge ? challenge : "no challenge");
        answer_close(a);
    }
    stage_publish(topic, NULL, "the only one");
    poller_expect(&p, "the only one");
    poller_fini(&p);
}
END_TEST

START_TEST(private_event_is_not_told_to_the_public)
{
    const char *topic = stage_topic("private");
    struct poller p;

    poller_init(&p, text("topic=%s", topic), NULL);
    publish_ok(text("topic=%s&private=1", topic), "text/plain", SLICE("not for you"));
    publish_ok(text("topic=%s&retain=1", topic), "text/plain", SLICE("for all"));
    json_t *e = poller_next(&p);
    ck_assert_str_eq(member(e, "data"), "for all");
    ck_assert(json_is_true(json_object_get(e, "retained")));
    poller_fini(&p);
}
END_TEST

START_TEST(event_may_have_no_data)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("empty");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    publish_ok(text("topic=%s&type=ping", topic), NULL, SLICE(""));
    const struct sse_event *e = reader_next(&r);
    ck_assert_str_eq(e->type, "ping");
    ck_assert_str_eq(e->data, "");
    reader_fini(&r);
}
END_TEST

void scenarios_publish(TCase *tc)
{
    tcase_add_test(tc, published_event_reaches_its_readers_whole);
    tcase_add_test(tc, topic_and_words_may_be_of_any_alphabet);
    tcase_add_test(tc, batch_is_one_commit_in_order);
    tcase_add_test(tc, bad_batch_publishes_nothing);
    tcase_add_test(tc, a_megabyte_fits_and_a_byte_more_does_not);
    tcase_add_test(tc, idempotency_key_publishes_once);
    tcase_add_test(tc, nobody_publishes_without_the_key);
    tcase_add_test(tc, private_event_is_not_told_to_the_public);
    tcase_add_test(tc, event_may_have_no_data);
}
