/*
 * poll.c - GET /poll: long, short, cut, tagged, and inside a <script>.
 */
#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(poll_without_since_tells_the_present_at_once)
{
    const char *topic = stage_topic("present");

    struct poller p;

    poller_init(&p, text("topic=%s", topic), present(topic));
    stage_publish(topic, NULL, "before");
    poller_expect(&p, "before");
    present(topic); /* sees that what has been is not told */
    stage_publish(topic, NULL, "after");
    poller_expect(&p, "after");
    poller_fini(&p);
}
END_TEST

START_TEST(poll_is_held_until_something_happens)
{
    const char *topic = stage_topic("held");
    const char *since = present(topic);
    struct answer *a = stage_get(text("/poll?topic=%s&since=%s&wait=20", topic, since));

    if (!stage_traits()->one_slot)
        stage_expect_open(1);
    stage_publish(topic, "knock", "hello");
    if (stage_traits()->one_slot) { /* perhaps it was answered at once */
        struct slice body = answer_body(a);
        ck_assert_ptr_nonnull(memmem(body.at, body.len, "\"next\":", 7));
        answer_close(a);
        struct poller p;
        poller_init(&p, text("topic=%s", topic), since);
        poller_expect(&p, "hello");
        poller_fini(&p);
        return;
    }
    ck_assert_int_eq(answer_status(a), 200);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "application/json", 16) == 0, "%s", type ? type : "none");
    answer_expect(a, "\"type\":\"knock\"");
    answer_expect(a, "\"data\":\"hello\"");
    answer_body(a);
    answer_close(a);
}
END_TEST

START_TEST(one_commit_comes_in_one_answer)
{
    static const char *const data[] = { "1", "2", "3" };
    const char *topic = stage_topic("commit");
    const char *since = present(topic);

    stage_publish_many(3, topic, data);
    /* A worker may not have heard of it yet, and then it answers later: but never with a part. */
    json_t *answer = get_json(text("/poll?topic=%s&since=%s&wait=20", topic, since));
    while (json_array_size(json_object_get(answer, "events")) == 0) {
        since = text("%s", member(answer, "next"));
        json_decref(answer);
        answer = get_json(text("/poll?topic=%s&since=%s&wait=20", topic, since));
    }
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "events")), 3);
    json_decref(answer);
}
END_TEST

START_TEST(limit_cuts_and_next_goes_on)
{
    static const char *const data[] = { "1", "2", "3", "4", "5" };
    const char *topic = stage_topic("limit");
    const char *since = present(topic);
    size_t seen = 0;

    stage_publish_many(LENGTH(data), topic, data);
    for (int polls = 0; seen < LENGTH(data); polls++) {
        json_t *answer = get_json(text("/poll?topic=%s&since=%s&wait=20&limit=2", topic, since));
        json_t *events = json_object_get(answer, "events"), *e;
        size_t i;
        ck_assert_uint_le(json_array_size(events), 2);
        json_array_foreach(events, i, e) ck_assert_str_eq(member(e, "data"), data[seen++]);
        since = text("%s", member(answer, "next"));
        json_decref(answer);
        ck_assert_int_lt(polls, 1000);
    }
    json_t *rest = get_json(text("/poll?topic=%s&since=%s&wait=0", topic, since));
    ck_assert_uint_eq(json_array_size(json_object_get(rest, "events")), 0);
    json_decref(rest);
}
END_TEST

START_TEST(poll_of_an_unchanged_place_is_304)
{
    const char *topic = stage_topic("tagged");
    const char *since = present(topic);
    const char *target = text("/poll?topic=%s&since=%s&wait=0", topic, since);

    /* Other tests' events move the place: try until two polls meet nothing between them. */
    for (int i = 0;; i++) {
        struct answer *a = stage_get(target);
        ck_assert_int_eq(answer_status(a), 200);
        const char *tag = answer_header(a, "ETag");
        ck_assert_ptr_nonnull(tag);
        const char *headers[] = { text("If-None-Match: \"x\", %s", tag), NULL };
        answer_body(a);
        answer_close(a);
        a = stage_ask(&(struct ask){ .target = target, .headers = headers });
        int status = answer_status(a);
        size_t len = answer_body(a).len;
        answer_close(a);
        if (status == 304) {
            ck_assert_uint_eq(len, 0);
            break;
        }
        ck_assert_int_eq(status, 200);
        ck_assert_int_lt(i, 50);
    }
    stage_publish(topic, NULL, "changed");
    struct poller p;
    poller_init(&p, text("topic=%s", topic), since);
    poller_expect(&p, "changed");
    poller_fini(&p);
}
END_TEST

START_TEST(changed_place_is_not_304)
{
    const char *topic = stage_topic("tagged");
    const char *since = present(topic);
    const char *target = text("/poll?topic=%s&since=%s&wait=0", topic, since);
    struct answer *a = stage_get(target);
    const char *headers[] = { text("If-None-Match: %s", answer_header(a, "ETag")), NULL };

    answer_body(a);
    answer_close(a);
    stage_publish(topic, NULL, "news");
    struct poller p; /* so that every worker may know by now; those that do not yet, say 304 */
    poller_init(&p, text("topic=%s", topic), since);
    poller_expect(&p, "news");
    poller_fini(&p);
    for (int i = 0;; i++) {
        a = stage_ask(&(struct ask){ .target = target, .headers = headers });
        int status = answer_status(a);
        struct slice body = answer_body(a);
        bool has = body.len && memmem(body.at, body.len, "news", 4);
        answer_close(a);
        if (status == 200 && has)
            break;
        ck_assert_int_lt(i, 200);
    }
}
END_TEST

START_TEST(jsonp_calls_back)
{
    const char *topic = stage_topic("jsonp");
    const char *since = present(topic);

    stage_publish(topic, NULL, "</script>\xe2\x80\xa8");
    struct poller p;
    poller_init(&p, text("topic=%s", topic), since);
    poller_next(&p);
    poller_fini(&p);
    struct answer *a = stage_get(
        text("/poll?topic=%s&since=%s&wait=20&callback=app.on_Events%%241", topic, since));
    ck_assert_int_eq(answer_status(a), 200);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strstr(type, "text/javascript"), "%s", type ? type : "none");
    const char *sniff = answer_header(a, "X-Content-Type-Options");
    ck_assert_msg(sniff && strcmp(sniff, "nosniff") == 0, "%s", sniff ? sniff : "none");
    struct slice body = answer_body(a);
    static const char start[] = "/**/app.on_Events$1({\"events\":[";
    ck_assert_uint_gt(body.len, sizeof(start));
    ck_assert(memcmp(body.at, start, sizeof(start) - 1) == 0);
    ck_assert_ptr_null(memmem(body.at, body.len, "</script", 8));
    ck_assert_ptr_null(memmem(body.at, body.len, "\xe2\x80\xa8", 3));
    ck_assert(memcmp(body.at + body.len - 3, ");\n", 3) == 0);
    answer_close(a);
}
END_TEST

START_TEST(gap_is_an_event_of_its_own)
{
    const char *topic = stage_topic("gap");
    const char *headers[] = { "Last-Event-ID: not one of ours", NULL };
    struct answer *a = stage_ask(
        &(struct ask){ .target = text("/poll?topic=%s&wait=20", topic), .headers = headers });

    ck_assert_int_eq(answer_status(a), 200);
    struct slice body = answer_body(a);
    json_t *root = json_loadb(body.at, body.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    json_t *gap = json_array_get(json_object_get(root, "events"), 0);
    ck_assert_str_eq(member(gap, "type"), "bellpush-gap");
    ck_assert_str_eq(member(gap, "reason"), "unknown");
    ck_assert_str_ne(member(gap, "next"), "");
    ck_assert_str_ne(member(root, "next"), "");
    json_decref(root);
    answer_close(a);
}
END_TEST

START_TEST(poll_loop_misses_nothing)
{
    const char *topic = stage_topic("loop"), *other = stage_topic("other");
    struct poller p;
    int published = 0, seen = 0;

    poller_init(&p, text("topic=%s", topic), NULL);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 1 + round % 3; i++) {
            stage_publish(other, NULL, "noise");
            stage_publish(topic, NULL, text("%d", published++));
        }
        for (int i = 0; i < 1 + round % 2 && seen < published; i++)
            poller_expect(&p, text("%d", seen++));
    }
    while (seen < published)
        poller_expect(&p, text("%d", seen++));
    poller_fini(&p);
}
END_TEST

START_TEST(wait_0_answers_at_once)
{
    const char *topic = stage_topic("short");
    const char *since = present(topic);
    json_t *answer = get_json(text("/poll?topic=%s&since=%s&wait=0", topic, since));

    ck_assert_uint_eq(json_array_size(json_object_get(answer, "events")), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(answer, "retry")), 0);
    json_decref(answer);
}
END_TEST

void scenarios_poll(TCase *tc)
{
    tcase_add_test(tc, poll_without_since_tells_the_present_at_once);
    tcase_add_test(tc, poll_is_held_until_something_happens);
    tcase_add_test(tc, one_commit_comes_in_one_answer);
    tcase_add_test(tc, limit_cuts_and_next_goes_on);
    tcase_add_test(tc, poll_of_an_unchanged_place_is_304);
    tcase_add_test(tc, changed_place_is_not_304);
    tcase_add_test(tc, jsonp_calls_back);
    tcase_add_test(tc, gap_is_an_event_of_its_own);
    tcase_add_test(tc, poll_loop_misses_nothing);
    tcase_add_test(tc, wait_0_answers_at_once);
}
