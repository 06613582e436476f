/*
 * told.c - format=sse: one wire text, whatever carries it.  A script that understands the stream
 * understands the answer of a poll, and the string that JSONP calls it with.
 */
#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

/* The object in an event's data; caller decrefs. */
static json_t *told(const struct sse_event *e, const char *type)
{
    ck_assert_ptr_nonnull(e);
    ck_assert_str_eq(e->type, type);
    json_t *object = json_loads(e->data, 0, NULL);
    ck_assert_msg(object != NULL, "not JSON: %s", e->data);
    return object;
}

/* The next event of a text that is complete; gives. */
static struct sse_event *take(struct sse *sse)
{
    struct sse_event *e = sse_next(sse);
    ck_assert_ptr_nonnull(e);
    return e;
}

static void expect_hello(struct sse *sse)
{
    struct sse_event *e = take(sse);
    json_t *hello = told(e, "bellpush-hello");

    ck_assert_str_eq(member(hello, "type"), "bellpush-hello");
    ck_assert_int_gt(json_integer_value(json_object_get(hello, "retry")), 0);
    ck_assert_int_gt(json_integer_value(json_object_get(hello, "heartbeat")), 0);
    ck_assert_int_eq(sse->retry_ms >= 0, 1);
    json_decref(hello);
    sse_event_free(e);
}

/* Read one body: hello, events, end.  Checks that the events go on as counted; returns how many. */
static size_t read_body(struct slice body, size_t first, char next[128])
{
    struct sse sse;
    struct sse_event *e;
    size_t seen = 0;

    sse_init(&sse);
    sse_feed(&sse, body);
    expect_hello(&sse);
    for (e = take(&sse); strcmp(e->type, "message") == 0; e = take(&sse)) {
        json_t *event = told(e, "message");
        ck_assert_str_eq(member(event, "data"), text("line\n%zu", first + seen));
        ck_assert_str_eq(member(event, "id"), e->last_id);
        seen++;
        json_decref(event);
        sse_event_free(e);
    }
    json_t *end = told(e, "bellpush-end");
    ck_assert_str_eq(member(end, "reason"), "poll");
    ck_assert_str_eq(member(end, "id"), sse.last_id);
    ck_assert(json_is_integer(json_object_get(end, "retry")));
    ck_assert_ptr_null(sse_next(&sse));
    snprintf(next, 128, "%s", sse.last_id);
    json_decref(end);
    sse_event_free(e);
    sse_fini(&sse);
    return seen;
}

START_TEST(poll_says_what_a_stream_would)
{
    const char *topic = stage_topic("text"), *other = stage_topic("noise");
    char next[128] = "";
    size_t published = 0, seen = 0;

    for (int polls = 0; published < 12 || seen < published; polls++) {
        const char *since = *next ? text("&since=%s&wait=20", next) : "";
        struct answer *a = stage_get(text("/poll?format=sse&limit=2&topic=%s%s", topic, since));
        if (*next && seen == published) { /* it is held, and this answers it */
            stage_publish(other, NULL, "not for it");
            stage_publish(topic, NULL, text("line\n%zu", published++));
        }
        ck_assert_int_eq(answer_status(a), 200);
        const char *type = answer_header(a, "Content-Type");
        ck_assert_msg(type && strncmp(type, "text/event-stream", 17) == 0, "%s",
                      type ? type : "none");
        seen += read_body(answer_body(a), seen, next);
        answer_close(a);
        for (int i = 0; published < 12 && i < polls % 4; i++)
            stage_publish(topic, NULL, text("line\n%zu", published++));
        ck_assert_int_lt(polls, 1000);
    }
    ck_assert_uint_eq(seen, published);
}
END_TEST

START_TEST(jsonp_carries_the_same_text)
{
    static const char start[] = "/**/app.took(\"", end[] = "\");\n";
    const char *topic = stage_topic("jsonp");
    const char *since = present(topic);
    struct answer *a;
    char next[128];

    stage_publish(topic, NULL, "line\n0");
    struct poller p; /* so that it is answered with that event */
    poller_init(&p, text("topic=%s", topic), since);
    poller_next(&p);
    poller_fini(&p);
    for (size_t seen = 0; seen == 0;) {
        a = stage_get(
            text("/poll?format=sse&topic=%s&since=%s&wait=20&callback=app.took", topic, since));
        const char *type = answer_header(a, "Content-Type");
        ck_assert_msg(type && strstr(type, "text/javascript"), "%s", type ? type : "none");
        struct slice body = answer_body(a);
        ck_assert_uint_gt(body.len, sizeof(start) + sizeof(end));
        ck_assert(memcmp(body.at, start, sizeof(start) - 1) == 0);
        ck_assert(memcmp(body.at + body.len - 4, end, 4) == 0);
        json_t *string = json_loadb(body.at + sizeof(start) - 2, body.len - (sizeof(start) - 2) - 3,
                                    JSON_DECODE_ANY, NULL);
        ck_assert(json_is_string(string));
        seen = read_body(slice_of(json_string_value(string)), 0, next);
        json_decref(string);
        answer_close(a);
    }
}
END_TEST

START_TEST(gap_is_told_in_a_poll_as_in_a_stream)
{
    struct answer *a = stage_get(
        text("/poll?format=sse&topic=%s&wait=20&last_event_id=whatever", stage_topic("gap")));
    struct sse sse;

    ck_assert_int_eq(answer_status(a), 200);
    sse_init(&sse);
    sse_feed(&sse, answer_body(a));
    expect_hello(&sse);
    struct sse_event *e = take(&sse);
    json_t *gap = told(e, "bellpush-gap");
    ck_assert_str_eq(member(gap, "reason"), "unknown");
    ck_assert_str_eq(member(gap, "next"), e->last_id);
    json_decref(gap);
    sse_event_free(e);
    sse_fini(&sse);
    answer_close(a);
}
END_TEST

START_TEST(stream_tells_a_script_all_about_itself)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("told");
    struct answer *a = stage_get(text("/events?format=sse&topic=%s", topic));
    struct sse sse;
    json_t *object;

    ck_assert_int_eq(answer_status(a), 200);
    answer_expect(a, "event: bellpush-hello\n");
    answer_expect(a, "event: bellpush-"); /* its place; or the end, where it may not be held */
    answer_expect(a, "\n\n");
    sse_init(&sse);
    sse_feed(&sse, answer_so_far(a));
    expect_hello(&sse);
    struct sse_event *e = take(&sse);
    object = told(e, stage_traits()->one_slot && strcmp(e->type, "bellpush-end") == 0
                         ? "bellpush-end"
                         : "bellpush-heartbeat");
    ck_assert_str_ne(member(object, "id"), "");
    ck_assert_str_eq(member(object, "id"), e->last_id);
    json_decref(object);
    sse_event_free(e);
    sse_fini(&sse);
    answer_close(a);
}
END_TEST

void scenarios_told(TCase *tc)
{
    tcase_add_test(tc, poll_says_what_a_stream_would);
    tcase_add_test(tc, jsonp_carries_the_same_text);
    tcase_add_test(tc, gap_is_told_in_a_poll_as_in_a_stream);
    tcase_add_test(tc, stream_tells_a_script_all_about_itself);
}
