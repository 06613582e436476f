/*
 * encode_test.c - the wire forms of an event, read back by readers that know nothing of the writer.
 */
#include <jansson.h>
#include <stdlib.h>

#include "handlers/encode.h"
#include "tests/scenarios/sse.h"
#include "tests/suite.h"

static struct event *make(struct slice type, struct slice data)
{
    struct event *e = event_new(&(struct event_fields){ .epoch = "ep0ch",
                                                        .seq = 17,
                                                        .topic = SLICE("a/\"b\"/<c>"),
                                                        .type = type,
                                                        .data = data,
                                                        .time_us = 1795237200123456 });
    ck_assert_ptr_nonnull(e);
    return e;
}

static const struct conf conf = { .cloudevents_source = (char[]){ "/bell" } };

static struct slice encode(struct event *e, enum encoding encoding)
{
    struct encoder as = encode_as(encoding, &conf);
    struct block *out;
    ck_assert_int_eq(event_bytes(e, &as, &out), RC_OK);
    return block_slice(out);
}

static json_t *json_of(struct slice text)
{
    json_error_t error;
    json_t *root = json_loadb(text.at, text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s: %.*s", error.text, (int)text.len, text.at);
    return root;
}

static void expect_string(json_t *root, const char *name, struct slice value)
{
    json_t *member = json_object_get(root, name);
    ck_assert_msg(json_is_string(member), "no %s", name);
    ck_assert_uint_eq(json_string_length(member), value.len);
    ck_assert(memcmp(json_string_value(member), value.at, value.len) == 0);
}

/* What a browser shows for this data: every line end is LF. */
static struct buf normalised(struct slice data)
{
    struct buf out = BUF_EMPTY;
    for (size_t i = 0; i < data.len; i++) {
        bool crlf = data.at[i] == '\n' && i > 0 && data.at[i - 1] == '\r';
        if (!crlf)
            buf_putc(&out, data.at[i] == '\r' ? '\n' : data.at[i]);
    }
    return out;
}

START_TEST(json_says_everything_and_nothing_else)
{
    struct event *e = make(SLICE(""), SLICE("x"));
    json_t *root = json_of(encode(e, ENC_JSON));

    expect_string(root, "id", SLICE("ep0ch-17"));
    expect_string(root, "topic", SLICE("a/\"b\"/<c>"));
    expect_string(root, "data", SLICE("x"));
    expect_string(root, "time", SLICE("2026-11-21T05:00:00.123456Z"));
    ck_assert_uint_eq(json_object_size(root), 4);
    json_decref(root);
    event_unref(e);

    e = event_new(&(struct event_fields){ .epoch = "e",
                                          .seq = 1,
                                          .topic = SLICE("t"),
                                          .type = SLICE("ty"),
                                          .content_type = SLICE("text/csv"),
                                          .id = SLICE("pub-1"),
                                          .data = SLICE("\xff\x00"),
                                          .flags = EVENT_RETAINED });
    root = json_of(encode(e, ENC_JSON));
    expect_string(root, "type", SLICE("ty"));
    expect_string(root, "content_type", SLICE("text/csv"));
    expect_string(root, "publisher_id", SLICE("pub-1"));
    expect_string(root, "data", SLICE("/wA="));
    expect_string(root, "encoding", SLICE("base64"));
    ck_assert(json_is_true(json_object_get(root, "retained")));
    ck_assert_uint_eq(json_object_size(root), 9);
    json_decref(root);
    event_unref(e);
}
END_TEST

START_TEST(default_content_type_is_not_said)
{
    struct event *e =
        event_new(&(struct event_fields){ .epoch = "e",
                                          .seq = 1,
                                          .topic = SLICE("t"),
                                          .content_type = SLICE("text/plain; charset=utf-8") });
    json_t *root = json_of(encode(e, ENC_JSON));
    ck_assert_ptr_null(json_object_get(root, "content_type"));
    json_decref(root);
    event_unref(e);
}
END_TEST

START_TEST(sse_reads_back_whole_and_byte_by_byte)
{
    static const struct slice data[] = {
        { "", 0 },
        { "x", 1 },
        { "a\nb", 3 },
        { "a\rb", 3 },
        { "a\r\nb", 4 },
        { "a\n\nb", 4 },
        { "a\n\rb", 4 },
        { "\n", 1 },
        { "\r", 1 },
        { "\r\n", 2 },
        { "\r\n\r\n", 4 },
        { "end\n", 4 },
        { "\nstart", 6 },
        { " blank first", 12 },
        { "id: 5\nevent: forged\ndata: x\n\n", 30 },
        { ": comment", 9 },
        { "nul\0inside", 10 },
        { "\xef\xbb\xbf"
          "bom",
          6 },
        { "\xf0\x9f\x94\x94", 4 },
    };
    for (size_t i = 0; i < LENGTH(data); i++) {
        struct event *e = make(i % 2 ? SLICE("kind") : SLICE(""), data[i]);
        struct slice wire = encode(e, ENC_SSE);
        struct buf want = normalised(data[i]);
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct sse sse;
            sse_init(&sse);
            if (bytewise)
                for (size_t n = 0; n < wire.len; n++)
                    sse_feed(&sse, (struct slice){ wire.at + n, 1 });
            else
                sse_feed(&sse, wire);
            struct sse_event *got = sse_next(&sse);
            ck_assert_msg(got != NULL, "case %zu dispatches nothing", i);
            ck_assert_msg(got->data_len == want.len &&
                              (want.len == 0 || memcmp(got->data, want.at, want.len) == 0),
                          "case %zu: \"%s\"", i, got->data);
            ck_assert_str_eq(got->type, i % 2 ? "kind" : "message");
            ck_assert_str_eq(got->last_id, "ep0ch-17");
            ck_assert_str_eq(got->topic, "a/\"b\"/<c>");
            ck_assert_str_eq(got->encoding, "");
            ck_assert_ptr_null(sse_next(&sse));
            ck_assert_uint_eq(sse.line.len, 0);
            sse_event_free(got);
            sse_fini(&sse);
        }
        buf_fini(&want);
        event_unref(e);
    }
}
END_TEST

START_TEST(sse_of_bytes_says_base64)
{
    struct event *e = make(SLICE(""), SLICE("\xc3\x28\n"));
    struct sse sse;

    sse_init(&sse);
    sse_feed(&sse, encode(e, ENC_SSE));
    struct sse_event *got = sse_next(&sse);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got->encoding, "base64");
    ck_assert_str_eq(got->data, "wygK");
    sse_event_free(got);
    sse_fini(&sse);
    event_unref(e);
}
END_TEST

START_TEST(sse_json_is_the_json_object_on_one_line)
{
    struct event *e = make(SLICE("kind"), SLICE("a\r\nb\0c"));
    struct sse sse;

    sse_init(&sse);
    sse_feed(&sse, encode(e, ENC_SSE_JSON));
    struct sse_event *got = sse_next(&sse);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got->type, "message");
    struct slice json = encode(e, ENC_JSON);
    ck_assert_uint_eq(got->data_len, json.len);
    ck_assert(memcmp(got->data, json.at, json.len) == 0);
    json_t *root = json_of(json);
    expect_string(root, "data", SLICE("a\r\nb\0c"));
    json_decref(root);
    sse_event_free(got);
    sse_fini(&sse);
    event_unref(e);
}
END_TEST

START_TEST(a_type_cannot_forge_a_line)
{
    struct event *e = make(SLICE("a\nid: forged\rb"), SLICE("x"));
    struct sse sse;

    sse_init(&sse);
    sse_feed(&sse, encode(e, ENC_SSE));
    struct sse_event *got = sse_next(&sse);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got->type, "a id: forged b");
    ck_assert_str_eq(got->last_id, "ep0ch-17");
    sse_event_free(got);
    sse_fini(&sse);
    event_unref(e);
}
END_TEST

START_TEST(lines_and_frames_wrap_the_same_object)
{
    struct event *e = make(SLICE(""), SLICE("</script>\xe2\x80\xa9\n"));
    struct slice json = encode(e, ENC_JSON), line = encode(e, ENC_NDJSON),
                 frame = encode(e, ENC_FRAME);

    ck_assert_uint_eq(line.len, json.len + 1);
    ck_assert(memcmp(line.at, json.at, json.len) == 0 && line.at[json.len] == '\n');
    ck_assert_ptr_null(memchr(json.at, '\n', json.len));
    ck_assert(memcmp(frame.at, "<script>b(", 10) == 0);
    ck_assert(memcmp(frame.at + 10, json.at, json.len) == 0);
    ck_assert_ptr_null(memchr(json.at, '<', json.len));
    ck_assert_ptr_null(memmem(json.at, json.len, "\xe2\x80\xa9", 3));
    event_unref(e);
}
END_TEST

START_TEST(gap_objects_are_json)
{
    struct buf out = BUF_EMPTY;

    encode_gap(&out, GAP_EXPIRED, "e-1", "e-9");
    json_t *root = json_of(buf_slice(&out));
    expect_string(root, "type", SLICE("bellpush-gap"));
    expect_string(root, "reason", SLICE("expired"));
    expect_string(root, "from", SLICE("e-1"));
    expect_string(root, "next", SLICE("e-9"));
    expect_string(root, "id", SLICE("e-9"));
    json_decref(root);
    out.len = 0;
    encode_gap(&out, GAP_EPOCH, "", "e-9");
    root = json_of(buf_slice(&out));
    ck_assert_ptr_null(json_object_get(root, "from"));
    json_decref(root);
    buf_fini(&out);
}
END_TEST

START_TEST(times_of_all_ages_have_their_form)
{
    static const struct {
        int64_t us;
        const char *text;
    } times[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { 951782400000001, "2000-02-29T00:00:00.000001Z" },
        { INT64_MAX, "9999-12-31T23:59:59.775807Z" },
        { INT64_MIN, "0001-01-01T00:00:00.224192Z" },
    };
    for (size_t i = 0; i < LENGTH(times); i++) {
        char text[ENCODE_TIME_MAX + 1];
        encode_time(times[i].us, text);
        ck_assert_str_eq(text, times[i].text);
    }
}
END_TEST

SUITE(encode)
{
    tcase_add_test(tc, json_says_everything_and_nothing_else);
    tcase_add_test(tc, default_content_type_is_not_said);
    tcase_add_test(tc, sse_reads_back_whole_and_byte_by_byte);
    tcase_add_test(tc, sse_of_bytes_says_base64);
    tcase_add_test(tc, sse_json_is_the_json_object_on_one_line);
    tcase_add_test(tc, a_type_cannot_forge_a_line);
    tcase_add_test(tc, lines_and_frames_wrap_the_same_object);
    tcase_add_test(tc, gap_objects_are_json);
    tcase_add_test(tc, times_of_all_ages_have_their_form);
}
