/*
 * cloudevent_test.c - what is a CloudEvent and what is none, limits, and what the log's events look
 * like as one.
 */
#include <jansson.h>
#include <stdlib.h>

#include "handlers/cloudevent.h"
#include "tests/handlers/loopback.h"
#include "tests/scenarios/talk.h"
#include "tests/suite.h"

#define STRUCTURED "application/cloudevents+json"
#define BATCH      "application/cloudevents-batch+json"
#define REQUIRED   "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static void expect(struct answer *a, int status, const char *says, const char *what)
{
    struct slice said = answer_body(a);

    ck_assert_msg(answer_status(a) == status, "%s: %d, %.*s", what, answer_status(a), (int)said.len,
                  said.at);
    ck_assert_msg(memmem(said.at, said.len, says, strlen(says)) != NULL, "%s: %.*s", what,
                  (int)said.len, said.at);
    answer_close(a);
}

/* ---- what is none -------------------------------------------------------------------------- */

START_TEST(what_is_no_cloudevent_is_400_and_says_why)
{
    static const char spec[] = "\"specversion\":\"1.0\"", id[] = "\"id\":\"1\"",
                      source[] = "\"source\":\"/s\"", type[] = "\"type\":\"t\"";
    const struct {
        const char *event, *says;
    } bad[] = {
        { text("{%s,%s,%s}", id, source, type), "it has no specversion" },
        { text("{%s,%s,%s}", spec, source, type), "it has no id" },
        { text("{%s,%s,%s}", spec, id, type), "it has no source" },
        { text("{%s,%s,%s}", spec, id, source), "it has no type" },
        { text("{%s,%s,%s,\"type\":null}", spec, id, source), "it has no type" },
        { text("{\"specversion\":\"0.3\",%s,%s,%s}", id, source, type), "must be \\\"1.0\\\"" },
        { text("{\"specversion\":1.0,%s,%s,%s}", id, source, type), "specversion must be a str" },
        { text("{%s,\"id\":\"\",%s,%s}", spec, source, type), "id must not be empty" },
        { text("{%s,\"id\":17,%s,%s}", spec, source, type), "id must be a string" },
        { text("{%s,%s,\"source\":\"a b\",%s}", spec, id, type), "source must be a URI ref" },
        { text("{%s,%s,\"source\":\"\",%s}", spec, id, type), "source must be a URI ref" },
        { text("{%s,%s,\"source\":\"/%%4\",%s}", spec, id, type), "source must be a URI ref" },
        { "{" REQUIRED ",\"subject\":\"\"}", "subject must not be empty" },
        { "{" REQUIRED ",\"time\":\"2018-02-29T00:00:00Z\"}", "time must be a time" },
        { "{" REQUIRED ",\"time\":1522949784}", "time must be a string" },
        { "{" REQUIRED ",\"datacontenttype\":\"json\"}", "datacontenttype must be a media type" },
        { "{" REQUIRED ",\"dataschema\":\"/relative\"}", "dataschema must be a URI" },
        { "{" REQUIRED ",\"dataschema\":\"http://x/<y>\"}", "dataschema must be a URI" },
        { "{" REQUIRED ",\"bellpushtopic\":7}", "bellpushtopic must be a string" },
        { "{" REQUIRED ",\"Upper\":1}", "\\\"Upper\\\" is no name" },
        { "{" REQUIRED ",\"\":1}", "\\\"\\\" is no name" },
        { "{" REQUIRED ",\"a_b\":null}", "\\\"a_b\\\" is no name" },
        { "{" REQUIRED ",\"abcdefghijklmnopqrstu\":1}", "is no name" },
        { "{" REQUIRED ",\"ext\":{}}", "ext must be a string, a whole number" },
        { "{" REQUIRED ",\"ext\":[1]}", "ext must be a string, a whole number" },
        { "{" REQUIRED ",\"ext\":1.5}", "ext must be a string, a whole number" },
        { "{" REQUIRED ",\"ext\":2147483648}", "32 bits" },
        { "{" REQUIRED ",\"ext\":-2147483649}", "32 bits" },
        { "{" REQUIRED ",\"ext\":\"\\n\"}", "ext has a character" },
        { "{" REQUIRED ",\"ext\":\"\\u0000\"}", "ext has a character" },
        { "{" REQUIRED ",\"ext\":\"\\u0085\"}", "ext has a character" },
        { "{" REQUIRED ",\"ext\":\"\\ufdd0\"}", "ext has a character" },
        { "{" REQUIRED ",\"ext\":\"\\ud83f\\udfff\"}", "ext has a character" },
        { "{" REQUIRED ",\"ext\":\"\\ud83f\"}", "is not" },
        { "{" REQUIRED ",\"data\":1,\"data_base64\":\"\"}", "exclude one another" },
        { "{" REQUIRED ",\"data_base64\":\"a\"}", "base64" },
        { "{" REQUIRED ",\"data_base64\":7}", "data_base64 must be a string" },
        { "{" REQUIRED ",\"datacontenttype\":\"text/plain\",\"data\":{}}",
          "data must be a string" },
        { "{" REQUIRED ",\"id\":\"2\"}", "has a member twice" },
        { "{" REQUIRED ",\"data\":{\"a\":{\"b\":1,\"b\":1}}}", "has a member twice" },
        { "{" REQUIRED ",\"data\":1e999}", "too large" },
        { "{" REQUIRED ",\"data\":\"\xff\"}", "UTF-8" },
        { "{" REQUIRED ",\"data\":1", "is not JSON" },
        { "{" REQUIRED "} {}", "is not JSON" },
        { "[{" REQUIRED "}]", "it is not a JSON object" },
        { "17", "it is not a JSON object" },
        { "", "is not JSON" },
    };

    for (size_t i = 0; i < LENGTH(bad); i++) {
        expect(publish("topic=t", STRUCTURED, slice_of(bad[i].event), NULL), 400, bad[i].says,
               bad[i].event);
        const char *batch = text("[{" REQUIRED "},%s]", bad[i].event);
        expect(publish("topic=t", BATCH, slice_of(batch), NULL), 400, "event 1: ", batch);
    }
    struct server *server = loopback_server();
    ck_assert_uint_eq(server->stats.published, 0);
}
END_TEST

START_TEST(a_batch_is_an_array_of_events)
{
    static const struct {
        const char *body, *says;
    } bad[] = {
        { "{" REQUIRED "}", "not a JSON array" },
        { "[{" REQUIRED "}", "not a JSON array" },
        { "{" REQUIRED "}]", "not a JSON array" },
        { "", "not a JSON array" },
        { "[", "not a JSON array" },
        { "]", "not a JSON array" },
        { "[,]", "event 0: it is not JSON" },
        { "[{" REQUIRED "},]", "event 1: it is not JSON" },
        { "[{" REQUIRED "},,{" REQUIRED "}]", "event 1: it is not JSON" },
        { "[{" REQUIRED "}{" REQUIRED "}]", "event 0: it is not JSON" },
        { "[{" REQUIRED "}] []", "event 0: it is not JSON" },
        { "[{" REQUIRED "]}]", "event 0: it is not JSON" },
        { "[{" REQUIRED ",\"data\":\"],[\"},\"x\\\"]", "event 1: it is not JSON" },
        { "[[]]", "event 0: it is not a JSON object" },
    };

    for (size_t i = 0; i < LENGTH(bad); i++)
        expect(publish("topic=t", BATCH, slice_of(bad[i].body), NULL), 400, bad[i].says,
               bad[i].body);
    ck_assert_uint_eq(loopback_server()->stats.published, 0);
}
END_TEST

/* ---- what is one, and cannot be published ---------------------------------------------------- */

START_TEST(what_cannot_be_published_is_said_too)
{
    static const struct {
        const char *query, *type, *event, *says;
        int status;
    } bad[] = {
        { "", STRUCTURED, "{" REQUIRED "}", "bellpushtopic", 400 },
        { "", BATCH, "[{" REQUIRED ",\"bellpushtopic\":\"a\"},{" REQUIRED "}]", "event 1: it has",
          400 },
        { "topic=a/%23", STRUCTURED, "{" REQUIRED "}", ".", 400 },
        { "topic=a&topic=b", STRUCTURED, "{" REQUIRED "}", "only once", 400 },
        { "topic=a&type=x", STRUCTURED, "{" REQUIRED "}", "type and id", 400 },
        { "topic=a&id=x", STRUCTURED, "{" REQUIRED "}", "type and id", 400 },
        { "", STRUCTURED, "{" REQUIRED ",\"bellpushtopic\":\"a/+\"}", "topic \\\"a/+\\\"", 422 },
        { "topic=a", STRUCTURED,
          "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"bellpush-gap\"}",
          "bellpush-", 422 },
        { "topic=%24SYS/x", STRUCTURED, "{" REQUIRED "}", "", 403 },
        { "", BATCH,
          "[{" REQUIRED ",\"bellpushtopic\":\"a\"},{" REQUIRED ",\"bellpushtopic\":\"$x\"}]", "",
          403 },
    };

    for (size_t i = 0; i < LENGTH(bad); i++)
        expect(publish(bad[i].query, bad[i].type, slice_of(bad[i].event), NULL), bad[i].status,
               bad[i].says, text("%s %s", bad[i].query, bad[i].event));
    ck_assert_uint_eq(loopback_server()->stats.published, 0);
}
END_TEST

/* An event of so many bytes altogether. */
static struct buf sized(size_t size)
{
    struct buf event = BUF_EMPTY;

    buf_puts(&event, "{" REQUIRED ",\"data\":\"");
    while (event.len < size - 2)
        buf_putc(&event, (char)('a' + event.len % 26));
    buf_puts(&event, "\"}");
    ck_assert_uint_eq(event.len, size);
    return event;
}

START_TEST(a_megabyte_fits_with_all_that_is_said_about_it)
{
    struct buf event = sized(1 << 20), larger = sized((1 << 20) + 1);

    publish_ok("topic=large", STRUCTURED, buf_slice(&event));
    json_t *root = get_json("/poll?topic=large&since=earliest&wait=0&format=cloudevents");
    const json_t *data =
        json_object_get(json_array_get(json_object_get(root, "events"), 0), "data");
    ck_assert_uint_gt(json_string_length(data), (1 << 20) - 100);
    json_decref(root);
    expect_problem_once(publish("topic=large", STRUCTURED, buf_slice(&larger), NULL), 413);
    buf_fini(&event);
    buf_fini(&larger);
}
END_TEST

START_TEST(batches_have_their_limit)
{
    static const char *const settings[] = { "max_batch=2", NULL };
    const char *two = "[{" REQUIRED "},{" REQUIRED "}]",
               *three = "[{" REQUIRED "},{" REQUIRED "},{" REQUIRED "}]";

    loopback_close();
    loopback_open(settings);
    /* The same event twice is one. */
    expect(publish("topic=t", BATCH, slice_of(two), NULL), 201, "\"repeated_events\":[1]", two);
    ck_assert_uint_eq(loopback_server()->stats.published, 1);
    expect(publish("topic=t", BATCH, slice_of(three), NULL), 413, "3 events", three);
}
END_TEST

START_TEST(in_relay_mode_it_is_202_each_time)
{
    fake_relay(loopback_source(), true);
    expect(publish("topic=t", STRUCTURED, SLICE("{" REQUIRED "}"), NULL), 202, "{\"cursor\":null}",
           "first");
    expect(publish("topic=t", STRUCTURED, SLICE("{" REQUIRED "}"), NULL), 202,
           "{\"cursor\":null,\"repeated\":true}", "second");
    expect(publish("topic=t", BATCH, SLICE("[{" REQUIRED ",\"bellpushtopic\":\"t\"}]"), NULL), 422,
           "event 0", "another");
    fake_away(loopback_source());
    expect(publish("topic=t", STRUCTURED, SLICE("{" REQUIRED "}"), NULL), 503,
           "nothing was published", "away");
}
END_TEST

START_TEST(depth_has_a_limit)
{
    enum { DEPTH = 255 }; /* and the event's own */
    struct buf event = BUF_EMPTY;

    buf_puts(&event, "{" REQUIRED ",\"data\":");
    for (int i = 0; i < DEPTH; i++)
        buf_putc(&event, '[');
    for (int i = 0; i < DEPTH; i++)
        buf_putc(&event, ']');
    buf_putc(&event, '}');
    publish_ok("topic=deep", STRUCTURED, buf_slice(&event));
    buf_fini(&event);

    buf_puts(&event, "{" REQUIRED ",\"data\":");
    for (int i = 0; i <= DEPTH; i++)
        buf_putc(&event, '[');
    expect(publish("topic=deep", STRUCTURED, buf_slice(&event), NULL), 400, "too deeply", "depth");
    buf_fini(&event);
}
END_TEST

/* ---- which mode ---------------------------------------------------------------------------- */

START_TEST(headers_make_a_binary_event_when_one_of_the_four_is_there)
{
    static const char *const some[][2] = {
        { "ce-specversion: 1.0", NULL },
        { "ce-id: 1", NULL },
        { "CE-Source: /s", NULL },
        { "ce-type: t", NULL },
    };
    static const char *const none[] = { "ce-subject: x", "cet: x", "x-ce-id: 1", NULL };

    for (size_t i = 0; i < LENGTH(some); i++)
        expect(publish("topic=t", "text/plain", SLICE("x"), some[i]), 400, "it has no ",
               some[i][0]);
    struct answer *a = publish("topic=t", "text/plain", SLICE("x"), none);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    json_t *root = get_json("/poll?topic=t&since=earliest&wait=0");
    ck_assert_str_eq(member(json_array_get(json_object_get(root, "events"), 0), "data"), "x");
    json_decref(root);
}
END_TEST

START_TEST(a_header_twice_is_refused)
{
    static const char *const headers[] = { "ce-specversion: 1.0", "ce-id: 1", "ce-source: /s",
                                           "ce-type: t",          "ce-id: 2", NULL };
    expect(publish("topic=t", "text/plain", SLICE("x"), headers), 400, "twice", "ce-id");
}
END_TEST

START_TEST(structured_mode_does_not_look_at_headers)
{
    static const char *const headers[] = { "ce-id: another", "ce-subject: %ff", NULL };
    struct answer *a = publish("topic=t", "Application/CloudEvents+JSON; charset=\"UTF-8\"",
                               SLICE(" {" REQUIRED "}\r\n"), headers);
    ck_assert_int_eq(answer_status(a), 201);
    answer_close(a);
    json_t *root = get_json("/poll?topic=t&since=earliest&wait=0");
    const json_t *event = json_array_get(json_object_get(root, "events"), 0);
    ck_assert_str_eq(member(event, "publisher_id"), "1");
    ck_assert_str_eq(member(event, "type"), "t");
    ck_assert_str_eq(member(event, "content_type"), "application/cloudevents+json");
    ck_assert_str_eq(member(event, "data"), "{" REQUIRED "}");
    json_decref(root);
}
END_TEST

/* ---- out ------------------------------------------------------------------------------------ */

static json_t *put(struct slice content_type, struct slice data)
{
    struct buf out = BUF_EMPTY;
    struct event_fields e = { .epoch = "e",
                              .seq = 7,
                              .topic = SLICE("t\"/<x>"),
                              .content_type = content_type,
                              .data = data };

    ck_assert_int_eq(cloudevent_put(&e, SLICE("/here"), &out), RC_OK);
    ck_assert_ptr_null(memchr(out.at, '\n', out.len));
    ck_assert_ptr_null(memchr(out.at, '<', out.len));
    json_t *root = json_loadb(out.at, out.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    ck_assert_msg(root != NULL, "%.*s", (int)out.len, out.at);
    buf_fini(&out);
    return root;
}

START_TEST(what_only_calls_itself_a_cloudevent_is_wrapped)
{
    static const char *const fakes[] = { "",
                                         "x",
                                         "{}",
                                         "[]",
                                         "{" REQUIRED ",\"id\":\"2\"}",
                                         "{" REQUIRED ",\"Ext\":1}",
                                         "{" REQUIRED "}}" };

    for (size_t i = 0; i < LENGTH(fakes); i++) {
        json_t *root = put(SLICE(STRUCTURED), slice_of(fakes[i]));
        ck_assert_str_eq(member(root, "source"), "/here");
        ck_assert_str_eq(member(root, "id"), "e-7");
        ck_assert_str_eq(member(root, "subject"), "t\"/<x>");
        ck_assert_str_eq(member(root, "datacontenttype"), STRUCTURED);
        json_decref(root);
    }
    json_t *root = put(SLICE(STRUCTURED), SLICE("{ " REQUIRED ",\n\"data\":\"<\\u003c\"}"));
    ck_assert_str_eq(member(root, "source"), "/s");
    ck_assert_str_eq(member(root, "data"), "<<");
    json_decref(root);
}
END_TEST

START_TEST(data_is_said_exactly_whatever_it_calls_itself)
{
    static const struct {
        const char *type;
        struct slice data;
        const char *as; /* JSON of data; NULL: base64 */
    } all[] = {
        { "", SLICE("x<"), "\"x<\"" },
        { "", SLICE(""), "\"\"" },
        { "", SLICE("\xff"), NULL },
        { "text/plain; charset=utf-8", SLICE("\xc3\xa4"), "\"\xc3\xa4\"" },
        { "text/plain;charset=\"UTF-8\"", SLICE("a"), "\"a\"" },
        { "text/plain; charset=latin1", SLICE("a"), NULL },
        { "text/plain; format=flowed; charset=latin1", SLICE("a"), NULL },
        { "text/plain; xcharset=latin1", SLICE("a"), "\"a\"" },
        { "application/json", SLICE(" [ 1.0 , null ] "), "[1.0,null]" },
        { "application/json", SLICE("null"), "null" },
        { "application/json", SLICE("{\"a\":1,\"a\":2}"), NULL },
        { "application/json", SLICE(""), NULL },
        { "application/json; charset=utf-16", SLICE("1"), NULL },
        { "application/problem+JSON", SLICE("{}"), "{}" },
        { "application/jsonx", SLICE("{}"), NULL },
        { "application/xml", SLICE("<a/>"), "\"<a/>\"" },
        { "application/octet-stream", SLICE("text"), NULL },
        { "text/", SLICE("text"), NULL },
    };

    for (size_t i = 0; i < LENGTH(all); i++) {
        json_t *root = put(slice_of(all[i].type), all[i].data);
        json_t *want = all[i].as ? json_loads(all[i].as, JSON_DECODE_ANY, NULL) : NULL;
        ck_assert_msg(!all[i].as == !json_object_get(root, "data"), "%s", all[i].type);
        ck_assert_msg(!all[i].as == !!json_object_get(root, "data_base64"), "%s", all[i].type);
        ck_assert_msg(!want || json_equal(want, json_object_get(root, "data")), "%s", all[i].type);
        json_decref(want);
        json_decref(root);
    }
}
END_TEST

START_TEST(the_source_of_ours_is_a_setting)
{
    static const char *const settings[] = { "cloudevents_source=https://example.org/push", NULL };

    loopback_close();
    loopback_open(settings);
    publish_ok("topic=t", "text/plain", SLICE("x"));
    json_t *root = get_json("/poll?topic=t&since=earliest&wait=0&format=cloudevents");
    ck_assert_str_eq(member(json_array_get(json_object_get(root, "events"), 0), "source"),
                     "https://example.org/push");
    json_decref(root);
}
END_TEST

SUITE(cloudevent)
{
    tcase_add_checked_fixture(tc, loopback_setup, loopback_teardown);
    tcase_add_test(tc, what_is_no_cloudevent_is_400_and_says_why);
    tcase_add_test(tc, a_batch_is_an_array_of_events);
    tcase_add_test(tc, what_cannot_be_published_is_said_too);
    tcase_add_test(tc, a_megabyte_fits_with_all_that_is_said_about_it);
    tcase_add_test(tc, batches_have_their_limit);
    tcase_add_test(tc, in_relay_mode_it_is_202_each_time);
    tcase_add_test(tc, depth_has_a_limit);
    tcase_add_test(tc, headers_make_a_binary_event_when_one_of_the_four_is_there);
    tcase_add_test(tc, a_header_twice_is_refused);
    tcase_add_test(tc, structured_mode_does_not_look_at_headers);
    tcase_add_test(tc, what_only_calls_itself_a_cloudevent_is_wrapped);
    tcase_add_test(tc, data_is_said_exactly_whatever_it_calls_itself);
    tcase_add_test(tc, the_source_of_ours_is_a_setting);
}
