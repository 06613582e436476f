/*
 * cloudevents.c - CloudEvents in by all three modes, once each, and out as they came.
 *
 * The events are those of the specification's own examples (CloudEvents 1.0.2: JSON format section
 * 3.2 and 4.3, HTTP binding section 3.1), and what is like them.
 */
#include <stdlib.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

#define STRUCTURED "application/cloudevents+json; charset=utf-8"
#define BATCH      "application/cloudevents-batch+json"

static json_t *json_text(const char *what)
{
    json_error_t e;
    json_t *root = json_loads(what, JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    ck_assert_msg(root != NULL, "%s: %s", e.text, what);
    return root;
}

/*
 * The n events after a cursor and none more, as CloudEvents; caller decrefs.  A last one is
 * published, so that what is not there can be told from what is not there yet.
 */
static json_t *events_after(const char *topic, const char *cursor, size_t n)
{
    const char *end = publish_ok(text("topic=%s&type=end", topic), "text/plain", SLICE("end"));
    const char *next = cursor;
    json_t *events = json_array();

    while (json_array_size(events) == 0 ||
           strcmp(member(json_array_get(events, json_array_size(events) - 1), "id"), end) != 0) {
        json_t *root =
            get_json(text("/poll?topic=%s&since=%s&wait=5&format=cloudevents", topic, next));
        json_array_extend(events, json_object_get(root, "events"));
        next = text("%s", member(root, "next"));
        json_decref(root);
    }
    json_array_remove(events, json_array_size(events) - 1);
    char *shown = json_dumps(events, 0);
    ck_assert_msg(json_array_size(events) == n, "not %zu events: %s", n, shown);
    free(shown);
    return events;
}

static void expect_same(const json_t *got, const char *wanted)
{
    json_t *want = json_text(wanted);
    char *shown = json_dumps(got, JSON_ENCODE_ANY);
    ck_assert_msg(json_equal(got, want), "came out as %s", shown);
    free(shown);
    json_decref(want);
}

/* Answer of a publish; caller decrefs. */
static json_t *answer_json(struct answer *a, int status)
{
    int is = answer_status(a);
    struct slice said = answer_body(a);
    ck_assert_msg(is == status, "status %d: %.*s", is, (int)said.len, said.at);
    json_t *root = json_loadb(said.at, said.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    answer_close(a);
    return root;
}

static bool is_repeated(struct answer *a)
{
    json_t *root = answer_json(a, 201);
    bool repeated = json_is_true(json_object_get(root, "repeated"));
    json_decref(root);
    return repeated;
}

START_TEST(structured_event_goes_out_as_it_came)
{
    static const char *const examples[] = {
        "{\"specversion\" : \"1.0\", \"type\" : \"com.example.someevent\", \"source\" : "
        "\"/mycontext\", \"id\" : \"A234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\", "
        "\"comexampleextension1\" : \"value\", \"comexampleothervalue\" : 5, "
        "\"datacontenttype\" : \"application/vnd.apache.thrift.binary\", "
        "\"data_base64\" : \"AAEC/w==\"}",
        "{\"specversion\" : \"1.0\", \"type\" : \"com.example.someevent\", \"source\" : "
        "\"/mycontext\", \"id\" : \"B234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\",\n\t"
        "\"comexampleextension1\" : \"value\", \"unsetextension\": null, "
        "\"datacontenttype\" : \"application/xml\", \"data\" : \"<much wow=\\\"xml\\\"/>\"}",
        "{\"specversion\" : \"1.0\", \"type\" : \"com.example.someevent\", \"source\" : "
        "\"/mycontext\", \"subject\": null, \"id\" : \"C234-1234-1234\", "
        "\"datacontenttype\" : \"application/json\", "
        "\"data\" : {\"appinfoA\" : \"abc\", \"appinfoB\" : 123, \"appinfoC\" : true}}",
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/mycontext\",\"id\":\"D234\","
        "\"data\":\"I'm just a string\"}",
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"null\",\"data\":null}",
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"no data\"}",
        "{\"specversion\":\"1.0\",\"type\":\"t\xc3\xa9l\xc3\xa9\",\"source\":\"urn:x:y\",\"id\":"
        "\"\xf0\x9f\x94\x94\",\"subject\":\"Gr\xc3\xbc\xc3\x9f\x65\",\"isext\":true,"
        "\"data\":\"a\\u0000b\\u2028</script>\"}",
    };
    const char *topic = stage_topic("structured"), *query = text("topic=%s", topic);
    const char *cursor = present(topic);

    for (size_t i = 0; i < LENGTH(examples); i++)
        publish_ok(query, STRUCTURED, slice_of(examples[i]));
    json_t *events = events_after(topic, cursor, LENGTH(examples));
    for (size_t i = 0; i < LENGTH(examples); i++)
        expect_same(json_array_get(events, i), examples[i]);
    json_decref(events);
}
END_TEST

START_TEST(numbers_stay_as_they_were_written)
{
    const char *topic = stage_topic("numbers");
    const char *cursor = present(topic);

    publish_ok(text("topic=%s", topic), STRUCTURED,
               SLICE("{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\",\n"
                     " \"data\": [1.10, 1E2, -0, 9007199254740993]}"));
    for (bool told = false; !told;) { /* by another process perhaps, a moment later */
        struct answer *a =
            stage_get(text("/poll?topic=%s&since=%s&wait=5&format=cloudevents", topic, cursor));
        struct slice said = answer_body(a);
        told = memmem(said.at, said.len, "\"id\":\"1\"", 8) != NULL;
        if (told)
            answer_expect(a, "\"data\":[1.10,1E2,-0,9007199254740993]}");
        answer_close(a);
    }
}
END_TEST

START_TEST(binary_mode_is_headers_and_bytes)
{
    static const char *const headers[] = { "ce-specversion: 1.0",
                                           "ce-type: com.example.someevent",
                                           "ce-time: 2018-04-05T03:56:24Z",
                                           "ce-id: 1234-1234-1234",
                                           "ce-source: /mycontext/subcontext",
                                           "ce-subject: Euro%20%E2%82%AC%20%f0%9f%98%80",
                                           "CE-Quoted: \"say \\\"%20\\\" \\\\ \"",
                                           NULL };
    static const char common[] =
        "{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\",\"time\":"
        "\"2018-04-05T03:56:24Z\",\"id\":\"1234-1234-1234\",\"source\":\"/mycontext/subcontext\","
        "\"subject\":\"Euro \xe2\x82\xac \xf0\x9f\x98\x80\",\"quoted\":\"say \\\" \\\" \\\\ \"%s}";
    static const struct {
        const char *type;
        struct slice body;
        const char *rest;
    } bodies[] = {
        { "application/json; charset=utf-8", SLICE("{ \"a\": [1, null] }"),
          ",\"datacontenttype\":\"application/json; charset=utf-8\",\"data\":{\"a\":[1,null]}" },
        { "application/json", SLICE("{broken"),
          ",\"datacontenttype\":\"application/json\",\"data_base64\":\"e2Jyb2tlbg==\"" },
        { "application/json", SLICE("1,\"id\":\"forged\""),
          ",\"datacontenttype\":\"application/json\",\"data_base64\":\"MSwiaWQiOiJmb3JnZWQi\"" },
        { "text/plain", SLICE("a\r\nb"),
          ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\r\\nb\"" },
        { "text/plain; charset=iso-8859-1", SLICE("\xe4"),
          ",\"datacontenttype\":\"text/plain; charset=iso-8859-1\",\"data_base64\":\"5A==\"" },
        { "image/png", SLICE("\x89PNG\x00"),
          ",\"datacontenttype\":\"image/png\",\"data_base64\":\"iVBORwA=\"" },
        { "image/svg+xml", SLICE("<svg/>"),
          ",\"datacontenttype\":\"image/svg+xml\",\"data\":\"<svg/>\"" },
        { "application/json", SLICE(""), ",\"datacontenttype\":\"application/json\"" },
    };

    for (size_t i = 0; i < LENGTH(bodies); i++) {
        const char *topic = stage_topic("binary");
        const char *cursor = present(topic);
        struct answer *a =
            publish(text("topic=%s", topic), bodies[i].type, bodies[i].body, headers);
        ck_assert(!is_repeated(a));
        json_t *events = events_after(topic, cursor, 1);
        expect_same(json_array_get(events, 0), text(common, bodies[i].rest));
        json_decref(events);
    }
}
END_TEST

START_TEST(an_event_may_name_its_topic)
{
    const char *topic = stage_topic("named"), *cursor = present(topic);
    const char *header = text("ce-bellpushtopic: %s", topic);
    const char *headers[] = { "ce-specversion: 1.0", "ce-type: t", "ce-id: 1",
                              "ce-source: /s",       header,       NULL };

    ck_assert(!is_repeated(publish("", "text/plain", SLICE("x"), headers)));
    const char *body =
        text("{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"2\",\"source\":\"/s\","
             "\"bellpushtopic\":\"%s\"}",
             topic);
    publish_ok("", STRUCTURED, slice_of(body));
    json_t *events = events_after(topic, cursor, 2);
    expect_same(json_array_get(events, 1), body);
    json_decref(events);

    struct answer *a = publish(
        "", STRUCTURED,
        SLICE("{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"3\",\"source\":\"/s\"}"), NULL);
    expect_problem(a, 400);
    if (stage_traits()->keeps_status)
        answer_expect(a, "bellpushtopic");
    answer_close(a);
}
END_TEST

START_TEST(the_same_event_is_published_once)
{
    static const char event[] =
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"1\",\"source\":\"/s\",\"data\":1}";
    static const char shuffled[] = "{ \"data\": 1, \"source\": \"/s\", \"subject\": null, "
                                   "\"id\": \"1\", \"type\": \"t\", \"specversion\": \"1.0\" }";
    static const char other[] =
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"1\",\"source\":\"/s\",\"data\":2}";
    const char *topic = stage_topic("once"), *query = text("topic=%s", topic);
    const char *elsewhere = stage_topic("once-there");
    const char *cursor = present(topic);

    ck_assert(!is_repeated(publish(query, STRUCTURED, slice_of(event), NULL)));
    ck_assert(is_repeated(publish(query, STRUCTURED, slice_of(event), NULL)));
    ck_assert(is_repeated(publish(query, STRUCTURED, slice_of(shuffled), NULL)));
    expect_problem_once(publish(query, STRUCTURED, slice_of(other), NULL), 422);
    /* On another topic it is news. */
    ck_assert(
        !is_repeated(publish(text("topic=%s", elsewhere), STRUCTURED, slice_of(event), NULL)));
    json_t *events = events_after(topic, cursor, 1);
    json_decref(events);
}
END_TEST

START_TEST(at_the_same_time_it_is_published_once_too)
{
    static const char event[] =
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"1\",\"source\":\"/s\",\"data\":1}";
    const char *topic = stage_topic("race"), *query = text("topic=%s", topic);
    const char *cursor = present(topic);
    struct answer *all[4];
    size_t news = 0;

    for (size_t i = 0; i < LENGTH(all); i++)
        all[i] = publish(query, STRUCTURED, slice_of(event), NULL);
    for (size_t i = 0; i < LENGTH(all); i++)
        news += !is_repeated(all[i]);
    ck_assert_uint_eq(news, 1);
    json_t *events = events_after(topic, cursor, 1);
    json_decref(events);
}
END_TEST

#define ONE(id, more)                                                                              \
    "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"" id "\"" more "}"

START_TEST(batch_is_one_transaction_of_events_once_each)
{
    const char *topic = stage_topic("batch"), *query = text("topic=%s", topic);
    const char *cursor = present(topic);

    ck_assert(
        !is_repeated(publish(query, BATCH, SLICE("[" ONE("1", ) ",\n" ONE("2", ) "]"), NULL)));
    ck_assert(is_repeated(publish(query, BATCH, SLICE("[" ONE("1", ) "," ONE("2", ) "]"), NULL)));
    json_t *said =
        answer_json(publish(query, BATCH, SLICE("[" ONE("2", ) "," ONE("3", ) "]"), NULL), 201);
    expect_same(json_object_get(said, "repeated_events"), "[0]");
    ck_assert_str_eq(member(said, "cursor"),
                     json_string_value(json_array_get(json_object_get(said, "cursors"), 1)));
    json_decref(said);
    struct answer *a =
        publish(query, BATCH, SLICE("[" ONE("4", ) "," ONE("3", ",\"data\":0") "]"), NULL);
    expect_problem(a, 422);
    if (stage_traits()->keeps_status)
        answer_expect(a, "event 1: ");
    answer_close(a);
    json_t *events = events_after(topic, cursor, 3);
    expect_same(json_array_get(events, 2), ONE("3", ));
    json_decref(events);

    said = answer_json(publish(query, BATCH, SLICE(" [ ] "), NULL), 200);
    expect_same(said, "{\"cursor\":null,\"cursors\":[]}");
    json_decref(said);
}
END_TEST

START_TEST(ours_are_told_as_cloudevents)
{
    const char *topic = stage_topic("ours"), *query = text("topic=%s", topic);
    const char *cursor = present(topic);
    static const struct {
        const char *more, *type;
        struct slice body;
        const char *rest;
    } ours[] = {
        { "&type=paid&id=my-17", "application/json", SLICE("{\"n\": 1}"),
          "\"type\":\"paid\",\"bellpushpublisherid\":\"my-17\",\"datacontenttype\":"
          "\"application/json\",\"data\":{\"n\":1}" },
        { "", "text/csv", SLICE("a;b"),
          "\"type\":\"bellpush.event\",\"datacontenttype\":\"text/csv\",\"data\":\"a;b\"" },
        { "&retain=1", "image/png", SLICE("\xff"),
          "\"type\":\"bellpush.event\",\"datacontenttype\":\"image/png\",\"data_base64\":\"/w==\","
          "\"bellpushretained\":true" },
    };
    json_t *events;

    for (size_t i = 0; i < LENGTH(ours); i++)
        publish_ok(text("%s%s", query, ours[i].more), ours[i].type, ours[i].body);
    stage_publish(topic, NULL, "from SQL");
    events = events_after(topic, cursor, LENGTH(ours) + 1);
    for (size_t i = 0; i < LENGTH(ours); i++) {
        const json_t *e = json_array_get(events, i);
        expect_same(e, text("{\"specversion\":\"1.0\",\"source\":\"/bellpush\",\"id\":\"%s\","
                            "\"subject\":\"%s\",\"time\":\"%s\",%s}",
                            member(e, "id"), topic, member(e, "time"), ours[i].rest));
    }
    ck_assert_str_eq(member(json_array_get(events, 3), "data"), "from SQL");
    /* Its id is the cursor. */
    json_t *after = events_after(topic, member(json_array_get(events, 3), "id"), 1);
    ck_assert_str_eq(member(json_array_get(after, 0), "type"), "end");
    json_decref(after);
    json_decref(events);
}
END_TEST

START_TEST(streams_tell_cloudevents)
{
    const char *topic = stage_topic("streams"), *query = text("topic=%s", topic);
    const char *before = present(topic);
    const char *cursor = publish_ok(query, STRUCTURED, SLICE(ONE("1", ",\"data\": \"x\\ny\"")));
    const char *line = "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"/s\",\"id\":\"1\","
                       "\"data\":\"x\\ny\"}\n";

    if (stage_traits()->gathers)
        return;
    struct answer *a =
        stage_get(text("/events?topic=%s&since=%s&format=cloudevents", topic, before));
    answer_expect(a, text("id: %s\ndata: %s\n", cursor, line));
    answer_close(a);
    a = stage_get(text("/stream?topic=%s&since=%s&format=cloudevents", topic, before));
    answer_expect(a, text("%s{\"type\":\"bellpush-heartbeat\",\"id\":\"%s\"}\n", line, cursor));
    answer_close(a);
}
END_TEST

START_TEST(formats_that_are_not_read_are_415)
{
    static const char *const types[] = { "application/cloudevents+avro", "application/cloudevents",
                                         "application/cloudevents-batch+protobuf",
                                         "application/cloudevents+json; charset=utf-16" };

    for (size_t i = 0; i < LENGTH(types); i++)
        expect_problem_once(publish("topic=a", types[i], SLICE(ONE("1", )), NULL), 415);
}
END_TEST

START_TEST(headers_that_are_none_are_400)
{
    static const char *const bad[] = { "ce-subject: %C0%A0",
                                       "ce-subject: %ff",
                                       "ce-subject: a%0d%0aSet-Cookie:%20x",
                                       "ce-subject: %zz",
                                       "ce-subject: %4",
                                       "ce-subject: \"open",
                                       "ce-subject: \"open\\\"",
                                       "ce-subject: \"\"",
                                       "ce-time: yesterday",
                                       "ce-datacontenttype: text/x",
                                       "ce-a-b: x",
                                       "ce-data: x",
                                       "ce-abcdefghijklmnopqrstu: x" };

    for (size_t i = 0; i < LENGTH(bad); i++) {
        const char *headers[] = { "ce-specversion: 1.0", "ce-type: t", "ce-id: 1",
                                  "ce-source: /s",       bad[i],       NULL };
        struct answer *a = publish("topic=a", "text/plain", SLICE("x"), headers);
        ck_assert_msg(answer_status(a) == 400, "%s: %d", bad[i], answer_status(a));
        expect_problem_once(a, 400);
    }
}
END_TEST

void scenarios_cloudevents(TCase *tc)
{
    tcase_add_test(tc, structured_event_goes_out_as_it_came);
    tcase_add_test(tc, numbers_stay_as_they_were_written);
    tcase_add_test(tc, binary_mode_is_headers_and_bytes);
    tcase_add_test(tc, an_event_may_name_its_topic);
    tcase_add_test(tc, the_same_event_is_published_once);
    tcase_add_test(tc, at_the_same_time_it_is_published_once_too);
    tcase_add_test(tc, batch_is_one_transaction_of_events_once_each);
    tcase_add_test(tc, ours_are_told_as_cloudevents);
    tcase_add_test(tc, streams_tell_cloudevents);
    tcase_add_test(tc, formats_that_are_not_read_are_415);
    tcase_add_test(tc, headers_that_are_none_are_400);
}
