/*
 * events.c - GET /events: what an EventSource must see.
 */
#include <stdio.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(stream_speaks_before_there_is_an_event)
{
    if (stage_traits()->gathers)
        return;
    struct answer *a = stage_get(text("/events?topic=%s", stage_topic("quiet")));

    ck_assert_int_eq(answer_status(a), 200);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "text/event-stream", 17) == 0, "%s", type ? type : "none");
    const char *cache = answer_header(a, "Cache-Control");
    ck_assert_msg(cache && strstr(cache, "no-store"), "%s", cache ? cache : "none");
    answer_expect(a, "retry: ");
    answer_expect(a, "id: "); /* its place, so that a reconnect misses nothing */
    answer_close(a);
}
END_TEST

START_TEST(events_arrive_one_by_one_in_order)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("orders");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    for (int i = 0; i < 5; i++) {
        const char *data = text("event %d", i);
        stage_publish(topic, NULL, data);
        const struct sse_event *e = reader_next(&r); /* before the next is published */
        ck_assert_str_eq(e->data, data);
        ck_assert_str_eq(e->type, "message");
        ck_assert_str_eq(e->topic, topic);
        ck_assert_str_ne(e->last_id, "");
    }
    reader_fini(&r);
}
END_TEST

START_TEST(type_becomes_the_event_field)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("typed");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    stage_publish(topic, "order-paid", "17");
    ck_assert_str_eq(reader_next(&r)->type, "order-paid");
    stage_publish(topic, NULL, "18");
    ck_assert_str_eq(reader_next(&r)->type, "message");
    reader_fini(&r);
}
END_TEST

START_TEST(one_stream_hears_several_topics)
{
    if (stage_traits()->gathers)
        return;
    const char *a = stage_topic("a"), *b = stage_topic("b"), *c = stage_topic("c");
    struct reader r;

    reader_init(&r, text("topic=%s&topic=%s", a, b));
    stage_publish(a, NULL, "1");
    stage_publish(c, NULL, "not asked for");
    stage_publish(b, NULL, "2");
    stage_publish(a, NULL, "3");
    reader_expect(&r, "1");
    reader_expect(&r, "2");
    ck_assert_str_eq(r.event->topic, b);
    reader_expect(&r, "3");
    reader_fini(&r);
}
END_TEST

START_TEST(wildcards_choose_levels)
{
    if (stage_traits()->gathers)
        return;
    const char *base = stage_topic("w");
    struct reader plus, hash;

    reader_init(&plus, text("topic=%s/+/status", base));
    reader_init(&hash, text("topic=%s/a/%%23", base));
    stage_publish(text("%s/a/status", base), NULL, "both");
    stage_publish(text("%s/a/b/status", base), NULL, "hash: below");
    stage_publish(text("%s/b/status", base), NULL, "plus: other");
    stage_publish(text("%s/a", base), NULL, "hash: parent");
    stage_publish(text("%s/c/status", base), NULL, "plus: last");
    stage_publish(text("%s/a/z", base), NULL, "hash: last");
    reader_expect(&plus, "both");
    reader_expect(&plus, "plus: other");
    reader_expect(&plus, "plus: last");
    reader_expect(&hash, "both");
    reader_expect(&hash, "hash: below");
    reader_expect(&hash, "hash: parent");
    reader_expect(&hash, "hash: last");
    reader_fini(&plus);
    reader_fini(&hash);
}
END_TEST

START_TEST(overlapping_filters_tell_once)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("overlap");
    struct reader r;

    reader_init(&r, text("topic=%s&topic=%s/%%23&topic=%s", topic, topic, topic));
    stage_publish(topic, NULL, "first");
    stage_publish(topic, NULL, "second");
    reader_expect(&r, "first");
    reader_expect(&r, "second");
    reader_fini(&r);
}
END_TEST

START_TEST(data_of_many_lines_and_alphabets_survives)
{
    if (stage_traits()->gathers)
        return;
    static const char *const data[] = {
        "two\nlines",
        "\nleading and trailing\n",
        "",
        " a space before",
        ": not a comment",
        "data: not a field",
        "gr\xc3\xbc\xc3\x9f dich \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x94\x94",
        "a\n\nb",
    };
    const char *topic = stage_topic("lines");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    stage_publish_many(LENGTH(data), topic, data);
    for (size_t i = 0; i < LENGTH(data); i++)
        reader_expect(&r, data[i]);
    stage_publish(topic, NULL, "cr\rcrlf\r\nend"); /* SSE knows only one kind of line end */
    reader_expect(&r, "cr\ncrlf\nend");
    reader_fini(&r);
}
END_TEST

START_TEST(format_json_tells_everything_about_an_event)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("json");
    struct reader r;

    reader_init(&r, text("topic=%s&format=json", topic));
    stage_publish(topic, "note", "cr\rcrlf\r\n<&>\"");
    const struct sse_event *e = reader_next(&r);
    ck_assert_str_eq(e->type, "message"); /* so that onmessage sees it, too */
    json_t *object = json_loads(e->data, 0, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_str_eq(member(object, "data"), "cr\rcrlf\r\n<&>\"");
    ck_assert_str_eq(member(object, "topic"), topic);
    ck_assert_str_eq(member(object, "type"), "note");
    ck_assert_str_eq(member(object, "id"), e->last_id);
    ck_assert_uint_eq(strlen(member(object, "time")), strlen("2026-11-21T05:00:00.123456Z"));
    ck_assert_ptr_null(json_object_get(object, "content_type"));
    ck_assert_ptr_null(json_object_get(object, "publisher_id"));
    json_decref(object);
    reader_fini(&r);
}
END_TEST

START_TEST(bytes_that_are_no_text_travel_as_base64)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("bytes");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    publish_ok(text("topic=%s", topic), "application/octet-stream",
               (struct slice){ "\xff\x00\xfe\n", 4 });
    const struct sse_event *e = reader_next(&r);
    ck_assert_str_eq(e->encoding, "base64");
    ck_assert_str_eq(e->data, "/wD+Cg==");
    stage_publish(topic, NULL, "text");
    ck_assert_str_eq(reader_next(&r)->encoding, "");
    reader_fini(&r);
}
END_TEST

START_TEST(padding_pushes_old_browsers_over_their_threshold)
{
    if (stage_traits()->gathers)
        return;
    struct answer *a = stage_get(text("/events?topic=%s&padding=1", stage_topic("padded")));

    ck_assert_int_eq(answer_status(a), 200);
    answer_expect(a, "retry: ");
    ck_assert_uint_ge(answer_so_far(a).len, 2048);
    answer_close(a);
}
END_TEST

START_TEST(what_is_closed_is_not_heard_through_a_wildcard)
{
    const char *open = stage_topic("open");
    struct poller p;

    /* '#' hears everybody's events: look only for these. */
    poller_init(&p, "topic=%23", NULL);
    stage_publish("secret/plans", NULL, "nobody may hear this");
    stage_publish(open, NULL, "this they may");
    for (;;) {
        json_t *e = poller_next(&p);
        ck_assert_str_ne(member(e, "topic"), "secret/plans");
        if (strcmp(member(e, "topic"), open) == 0)
            break;
    }
    poller_fini(&p);
}
END_TEST

START_TEST(a_client_that_leaves_is_noticed)
{
    if (stage_traits()->gathers)
        return;
    struct answer *a, *b;

    if (stage_traits()->one_slot) /* who counts there? */
        return;
    stage_expect_open(0);
    a = stage_get(text("/events?topic=%s", stage_topic("leaving")));
    b = stage_get(text("/stream?topic=%s", stage_topic("staying")));
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_int_eq(answer_status(b), 200);
    stage_expect_open(2);
    answer_close(a);
    stage_expect_open(1);
    answer_close(b);
    stage_expect_open(0);
}
END_TEST

void scenarios_events(TCase *tc)
{
    tcase_add_test(tc, stream_speaks_before_there_is_an_event);
    tcase_add_test(tc, events_arrive_one_by_one_in_order);
    tcase_add_test(tc, type_becomes_the_event_field);
    tcase_add_test(tc, one_stream_hears_several_topics);
    tcase_add_test(tc, wildcards_choose_levels);
    tcase_add_test(tc, overlapping_filters_tell_once);
    tcase_add_test(tc, data_of_many_lines_and_alphabets_survives);
    tcase_add_test(tc, format_json_tells_everything_about_an_event);
    tcase_add_test(tc, bytes_that_are_no_text_travel_as_base64);
    tcase_add_test(tc, padding_pushes_old_browsers_over_their_threshold);
    tcase_add_test(tc, what_is_closed_is_not_heard_through_a_wildcard);
    tcase_add_test(tc, a_client_that_leaves_is_noticed);
}
