/*
 * resume.c - going on from a cursor: nothing lost, nothing twice, and gaps told plainly.
 */
#include <stdio.h>

#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(last_event_id_header_resumes)
{
    if (stage_traits()->gathers)
        return;
    static const char *const missed[] = { "2", "3", "4" };
    const char *topic = stage_topic("resume");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    stage_publish(topic, NULL, "1");
    reader_expect(&r, "1");
    reader_leave(&r);
    stage_publish_many(3, topic, missed);
    reader_expect(&r, "2"); /* comes back with the header, as a browser does */
    reader_expect(&r, "3");
    reader_expect(&r, "4");
    stage_publish(topic, NULL, "5");
    reader_expect(&r, "5");
    reader_fini(&r);
}
END_TEST

START_TEST(last_event_id_in_the_query_resumes)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("resume");
    const char *cursor = present(topic);
    struct reader r;

    stage_publish(topic, NULL, "1");
    stage_publish(topic, NULL, "2");
    reader_init(&r, text("topic=%s&last_event_id=%s", topic, cursor));
    reader_expect(&r, "1");
    reader_expect(&r, "2");
    reader_fini(&r);
}
END_TEST

START_TEST(header_goes_before_the_query)
{
    const char *topic = stage_topic("resume");
    struct poller p;
    char first[64];

    poller_init(&p, text("topic=%s", topic), NULL);
    snprintf(first, sizeof(first), "%s", p.next);
    stage_publish(topic, NULL, "1");
    const char *second = text("%s", member(poller_next(&p), "id"));
    stage_publish(topic, NULL, "2");
    const char *headers[] = { text("Last-Event-ID: %s", second), NULL };
    for (bool heard = false; !heard;) { /* a worker may know it later, but never more than it */
        struct answer *a = stage_ask(&(struct ask){
            .target = text("/poll?topic=%s&wait=5&last_event_id=%s&since=earliest", topic, first),
            .headers = headers });
        struct slice body = answer_body(a);
        heard = memmem(body.at, body.len, "\"data\":\"2\"", 10) != NULL;
        ck_assert_ptr_null(memmem(body.at, body.len, "\"data\":\"1\"", 10));
        answer_close(a);
    }
    poller_fini(&p);
}
END_TEST

START_TEST(since_says_where_to_begin)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("since");
    const char *cursor = present(topic);
    const char *const from_the_start[] = { "earliest", "-10m", "-1h", "-600s", "-1d", cursor };
    struct reader r;

    stage_publish(topic, NULL, "1");
    stage_publish(topic, NULL, "2");
    for (size_t i = 0; i < LENGTH(from_the_start); i++) {
        reader_init(&r, text("topic=%s&since=%s", topic, from_the_start[i]));
        reader_expect(&r, "1");
        reader_expect(&r, "2");
        reader_fini(&r);
    }
    reader_init(&r, text("topic=%s&since=now", topic));
    while (!r.sse.last_id[0]) { /* its place is fixed */
        if (!r.answer)
            r.answer = stage_get(r.target);
        if (answer_more(r.answer)) {
            struct slice body = answer_so_far(r.answer);
            sse_feed(&r.sse, (struct slice){ body.at + r.fed, body.len - r.fed });
            r.fed = body.len;
        } else {
            reader_leave(&r);
        }
    }
    stage_publish(topic, NULL, "3");
    reader_expect(&r, "3");
    reader_fini(&r);
}
END_TEST

static void expect_gap(struct reader *r, const char *reason)
{
    const struct sse_event *e = reader_next(r);

    ck_assert_str_eq(e->type, "bellpush-gap");
    json_t *gap = json_loads(e->data, 0, NULL);
    ck_assert_ptr_nonnull(gap);
    ck_assert_str_eq(member(gap, "reason"), reason);
    ck_assert_str_eq(member(gap, "next"), e->last_id);
    ck_assert_str_eq(member(gap, "id"), e->last_id);
    json_decref(gap);
}

START_TEST(foreign_cursor_yields_a_gap_and_the_stream_goes_on)
{
    if (stage_traits()->gathers)
        return;
    static const struct {
        const char *cursor, *reason;
    } foreign[] = {
        { "12345", "unknown" },
        { "bm9uc2Vuc2U%3D", "unknown" },
        { "%22%3Cscript%3E", "unknown" },
        { "anotherepoch-17", "epoch" },
    };
    const char *topic = stage_topic("foreign");

    for (size_t i = 0; i < LENGTH(foreign); i++) {
        struct reader r;
        reader_init(&r, text("topic=%s&last_event_id=%s", topic, foreign[i].cursor));
        expect_gap(&r, foreign[i].reason);
        stage_publish(topic, NULL, "after the gap");
        reader_expect(&r, "after the gap");
        reader_fini(&r);
    }
}
END_TEST

START_TEST(cursor_ahead_of_the_log_yields_a_gap)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("ahead");
    const char *cursor = present(topic);
    struct reader r;

    const char *dash = strrchr(cursor, '-');
    ck_assert_ptr_nonnull(dash);
    reader_init(&r, text("topic=%s&last_event_id=%.*s-9000000000000000000", topic,
                         (int)(dash - cursor), cursor));
    expect_gap(&r, "unknown");
    reader_fini(&r);
}
END_TEST

START_TEST(nothing_is_lost_or_doubled_over_many_reconnects)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("loop");
    struct reader r;
    int published = 0, seen = 0;

    reader_init(&r, text("topic=%s", topic));
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 1 + round % 4; i++)
            stage_publish(topic, NULL, text("%d", published++));
        /* Now and then leave with some unread, now and then with all read. */
        int upto = round % 3 == 0 ? published : published - round % 2;
        while (seen < upto)
            reader_expect(&r, text("%d", seen++));
        sse_reconnect(&r.sse);
        for (struct sse_event *e; (e = sse_next(&r.sse)); seen++) {
            ck_assert_str_eq(e->data, text("%d", seen));
            sse_event_free(e);
        }
        reader_leave(&r);
    }
    while (seen < published)
        reader_expect(&r, text("%d", seen++));
    stage_publish(topic, NULL, "the last");
    reader_expect(&r, "the last");
    reader_fini(&r);
}
END_TEST

START_TEST(one_cursor_serves_every_transport)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("moving");
    struct reader r;
    struct poller p;

    reader_init(&r, text("topic=%s", topic));
    stage_publish(topic, NULL, "by events");
    reader_expect(&r, "by events");
    stage_publish(topic, NULL, "by poll");
    poller_init(&p, text("topic=%s", topic), r.sse.last_id);
    reader_fini(&r);
    poller_expect(&p, "by poll");
    stage_publish(topic, NULL, "by stream");
    for (bool heard = false; !heard;) {
        struct answer *a = stage_get(text("/stream?topic=%s&since=%s", topic, p.next));
        do {
            struct slice body = answer_so_far(a);
            heard = body.len && memmem(body.at, body.len, "\"data\":\"by stream\"", 18);
            ck_assert(!body.len || !memmem(body.at, body.len, "by poll", 7));
        } while (!heard && answer_more(a));
        answer_close(a);
    }
    poller_fini(&p);
}
END_TEST

void scenarios_resume(TCase *tc)
{
    tcase_add_test(tc, last_event_id_header_resumes);
    tcase_add_test(tc, last_event_id_in_the_query_resumes);
    tcase_add_test(tc, header_goes_before_the_query);
    tcase_add_test(tc, since_says_where_to_begin);
    tcase_add_test(tc, foreign_cursor_yields_a_gap_and_the_stream_goes_on);
    tcase_add_test(tc, cursor_ahead_of_the_log_yields_a_gap);
    tcase_add_test(tc, nothing_is_lost_or_doubled_over_many_reconnects);
    tcase_add_test(tc, one_cursor_serves_every_transport);
}
