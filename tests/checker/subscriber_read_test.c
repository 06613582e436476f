/*
 * What the subscribers of a fault run read must be what was sent, however it was cut: a reader that
 * counts half an event would hide a lost one.
 */
#include "tests/faults/subscriber_read.h"
#include "tests/page.h"
#include "tests/suite.h"

static void put_fact(void *arg, const struct fact *f)
{
    static const char *const kinds[] = { "event", "gap", "place", "retry", "refused", "wrong" };
    struct buf *out = arg;
    const struct slice fields[] = { f->at, f->topic, f->data, f->from, f->reason };

    buf_puts(out, kinds[f->kind]);
    for (size_t i = 0; i < LENGTH(fields); i++)
        if (fields[i].at)
            buf_printf(out, " %.*s", (int)fields[i].len, fields[i].at);
    if (f->kind == FACT_RETRY)
        buf_printf(out, " %lld", (long long)f->retry_ms);
    buf_putc(out, '\n');
}

/* The body comes in pieces of n bytes; what was read is dropped, as a client does. */
static void check_pieces(enum transport transport, struct slice text, size_t n, const char *want)
{
    struct buf body = BUF_EMPTY, facts = BUF_EMPTY;
    size_t looked = 0;

    for (size_t at = 0; at < text.len; at += n) {
        buf_put(&body, (struct slice){ text.at + at, text.len - at < n ? text.len - at : n });
        struct page p = page_of(buf_slice(&body));
        buf_shift(&body, read_stream(transport, p.bytes, &looked, put_fact, &facts));
        page_fini(&p);
    }
    buf_putc(&facts, '\0');
    ck_assert_str_eq(facts.at, want);
    buf_fini(&body);
    buf_fini(&facts);
}

static void check_stream(enum transport transport, const char *text, const char *want)
{
    struct slice all = slice_of(text);

    for (size_t n = 1; n <= all.len; n++)
        check_pieces(transport, all, n, want);
}

START_TEST(events_come_with_their_place_topic_and_data)
{
    check_stream(TRANSPORT_EVENTS,
                 ":\nretry: 2000\n\n"
                 "id: e-1\ntopic: a/b\ndata: one\n\n"
                 "id: e-2\nevent: status\ntopic: c\ndata: two\ndata: \ndata: lines\n\n",
                 "retry 2000\n"
                 "event e-1 a/b one\n"
                 "event e-2 c two\n\nlines\n");
}
END_TEST

START_TEST(an_event_without_its_blank_line_has_not_come)
{
    check_stream(TRANSPORT_EVENTS, "id: e-1\ntopic: a\ndata: 1\n\nid: e-2\ntopic: a\ndata: 2\n",
                 "event e-1 a 1\n");
    check_stream(TRANSPORT_LINES,
                 "{\"id\":\"e-1\",\"topic\":\"a\",\"data\":\"1\"}\n{\"id\":\"e-2\"",
                 "event e-1 a 1\n");
}
END_TEST

START_TEST(a_block_without_data_is_a_place)
{
    check_stream(TRANSPORT_EVENTS, ":\n\nid: e-7\n\n:\n\n", "place e-7\n");
}
END_TEST

START_TEST(a_farewell_is_a_place_and_a_time)
{
    check_stream(TRANSPORT_EVENTS, ": the stream ends (drain)\nretry: 300\nid: e-7\n\n",
                 "retry 300\nplace e-7\n");
    check_stream(TRANSPORT_EVENTS_JSON,
                 ": the stream ends (slow)\nretry: 300\nid: e-7\nevent: bellpush-slow\n"
                 "data: {\"type\":\"bellpush-slow\"}\n\n",
                 "retry 300\nplace e-7\n");
    check_stream(TRANSPORT_LINES,
                 "{\"type\":\"bellpush-end\",\"reason\":\"bytes\",\"retry\":5,\"id\":\"e-7\"}\n",
                 "place e-7\nretry 5\n");
}
END_TEST

START_TEST(a_gap_is_told_by_every_transport)
{
#define GAP                                                                                        \
    "{\"type\":\"bellpush-gap\",\"id\":\"e-9\",\"reason\":\"expired\",\"from\":\"e-2\",\"next\":"  \
    "\"e-9\"}"
    check_stream(TRANSPORT_EVENTS, "id: e-9\nevent: bellpush-gap\ndata: " GAP "\n\n",
                 "gap e-9 e-2 expired\n");
    check_stream(TRANSPORT_EVENTS_JSON, "id: e-9\nevent: bellpush-gap\ndata: " GAP "\n\n",
                 "gap e-9 e-2 expired\n");
    check_stream(TRANSPORT_LINES, GAP "\n", "gap e-9 e-2 expired\n");
    struct buf facts = BUF_EMPTY;
    read_poll(SLICE("{\"events\":[" GAP "],\"next\":\"e-9\",\"retry\":0}"), put_fact, &facts);
    buf_putc(&facts, '\0');
    ck_assert_str_eq(facts.at, "gap e-9 e-2 expired\nplace e-9\nretry 0\n");
    buf_fini(&facts);
}
END_TEST

START_TEST(an_event_in_JSON_is_the_same)
{
    check_stream(
        TRANSPORT_EVENTS_JSON,
        "id: e-1\ndata: {\"id\":\"e-1\",\"topic\":\"a\",\"type\":\"t\",\"data\":\"x\\ny\"}\n\n",
        "event e-1 a x\ny\n");
    check_stream(TRANSPORT_LINES,
                 "{\"type\":\"bellpush-hello\",\"retry\":200}\n"
                 "{\"id\":\"e-1\",\"topic\":\"a\",\"data\":\"x\"}\n"
                 "{\"type\":\"bellpush-heartbeat\"}\n"
                 "{\"type\":\"bellpush-heartbeat\",\"id\":\"e-4\"}\n",
                 "retry 200\nevent e-1 a x\nplace e-4\n");
}
END_TEST

START_TEST(bytes_come_decoded)
{
    check_stream(TRANSPORT_EVENTS, "id: e-1\ntopic: a\nencoding: base64\ndata: QDEuMi4zQA==\n\n",
                 "event e-1 a @1.2.3@\n");
    check_stream(
        TRANSPORT_LINES,
        "{\"id\":\"e-1\",\"topic\":\"a\",\"data\":\"QDEuMi4zQA==\",\"encoding\":\"base64\"}\n",
        "event e-1 a @1.2.3@\n");
}
END_TEST

START_TEST(a_poll_is_read_whole_and_in_order)
{
    struct buf facts = BUF_EMPTY;

    read_poll(
        SLICE("{\"events\":[{\"id\":\"e-1\",\"topic\":\"a\",\"data\":\"1\"},"
              "{\"id\":\"e-3\",\"topic\":\"b\",\"data\":\"2\"}],\"next\":\"e-5\",\"retry\":200}"),
        put_fact, &facts);
    buf_putc(&facts, '\0');
    ck_assert_str_eq(facts.at, "event e-1 a 1\nevent e-3 b 2\nplace e-5\nretry 200\n");
    buf_fini(&facts);
}
END_TEST

START_TEST(what_is_not_understood_is_said_to_be_wrong)
{
    check_stream(TRANSPORT_LINES, "<html>\n", "wrong <html>\n");
    check_stream(TRANSPORT_EVENTS_JSON, "id: e-1\ndata: {\"id\":\n\n", "wrong {\"id\":\n");
    check_stream(TRANSPORT_EVENTS, "id: e-1\ntopic: a\nencoding: base64\ndata: =\n\n", "wrong =\n");
    struct buf facts = BUF_EMPTY;
    read_poll(SLICE("[]"), put_fact, &facts);
    buf_putc(&facts, '\0');
    ck_assert_str_eq(facts.at, "wrong []\n");
    buf_fini(&facts);
}
END_TEST

SUITE(subscriber_read)
{
    tcase_add_test(tc, events_come_with_their_place_topic_and_data);
    tcase_add_test(tc, an_event_without_its_blank_line_has_not_come);
    tcase_add_test(tc, a_block_without_data_is_a_place);
    tcase_add_test(tc, a_farewell_is_a_place_and_a_time);
    tcase_add_test(tc, a_gap_is_told_by_every_transport);
    tcase_add_test(tc, an_event_in_JSON_is_the_same);
    tcase_add_test(tc, bytes_come_decoded);
    tcase_add_test(tc, a_poll_is_read_whole_and_in_order);
    tcase_add_test(tc, what_is_not_understood_is_said_to_be_wrong);
}
