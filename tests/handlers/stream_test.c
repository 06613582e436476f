/*
 * stream_test.c - /events and /stream behind the curtain: slow readers, silence, drains, trouble.
 */
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
    static const char *const settings[] = { "queue_bytes=16k", "queue_age=400ms", "heartbeat=100ms",
                                            "stream_bytes=4k", NULL };
    open_with(settings);
}

static struct answer *open_stream(const char *target)
{
    struct answer *a = stage_get(target);

    ck_assert_int_eq(answer_status(a), 200);
    loopback_settle();
    return a;
}

static bool is_over(void *arg)
{
    (void)arg;
    return server->open_count == 0;
}

static bool is_past(void *arg)
{
    return uv_now(server->loop) >= *(uint64_t *)arg;
}

static void publish_bytes(const char *topic, size_t n, char letter)
{
    char data[8192];

    ck_assert_uint_lt(n, sizeof(data));
    memset(data, letter, n);
    data[n] = '\0';
    stage_publish(topic, NULL, data);
}

START_TEST(slow_reader_is_paused_then_brought_forward)
{
    struct answer *a = open_stream("/events?topic=t");

    loopback_take(a, false);
    for (int i = 0; i < 20; i++)
        publish_bytes("t", 4000, (char)('a' + i));
    loopback_settle();
    ck_assert_uint_le(reply_queued(server->open), 16384 + 4200); /* not 80 kB */
    loopback_take(a, true);
    for (int i = 0; i < 20; i++) {
        char start[] = { 'd', 'a', 't', 'a', ':', ' ', (char)('a' + i), (char)('a' + i), '\0' };
        answer_expect(a, start);
    }
    stage_publish("t", NULL, "live again");
    answer_expect(a, "data: live again\n");
    answer_close(a);
}
END_TEST

START_TEST(reader_that_takes_nothing_is_told_and_closed)
{
    struct answer *a = open_stream("/events?topic=t");

    loopback_take(a, false);
    for (int i = 0; i < 6; i++)
        publish_bytes("t", 4000, 'x');
    loopback_until(is_over, NULL, "the slow reader's end");
    ck_assert_uint_eq(server->stats.slow_closed, 1);
    loopback_take(a, true);
    answer_expect(a, "retry: ");
    struct slice body = answer_body(a);
    struct sse sse;
    sse_init(&sse);
    sse_feed(&sse, body);
    struct sse_event *e;
    size_t events = 0;
    bool told = false;
    while ((e = sse_next(&sse))) {
        events += strcmp(e->type, "message") == 0;
        told |= strcmp(e->type, "bellpush-slow") == 0;
        sse_event_free(e);
    }
    ck_assert(told);
    ck_assert_uint_lt(events, 6);
    ck_assert_str_eq(sse.last_id, text("fake-%zu", events)); /* it goes on behind what it got */
    sse_fini(&sse);
    answer_close(a);
}
END_TEST

START_TEST(one_small_event_that_is_never_taken_closes_too)
{
    struct answer *a = open_stream("/events?topic=t");

    loopback_take(a, false);
    stage_publish("t", NULL, "small");
    loopback_until(is_over, NULL, "the slow reader's end");
    ck_assert_uint_eq(server->stats.slow_closed, 1);
    answer_close(a);
}
END_TEST

START_TEST(reader_that_takes_a_little_now_and_then_stays)
{
    struct answer *a = open_stream("/events?topic=t");

    for (int i = 0; i < 8; i++) {
        loopback_take(a, false);
        publish_bytes("t", 100, 'x');
        uint64_t until = uv_now(server->loop) + 150; /* less than queue_age */
        loopback_until(is_past, &until, "a moment");
        loopback_take(a, true);
        loopback_settle();
    }
    ck_assert_uint_eq(server->stats.slow_closed, 0);
    ck_assert_uint_eq(server->open_count, 1);
    answer_close(a);
}
END_TEST

START_TEST(silence_is_filled_with_heartbeats)
{
    struct answer *a = open_stream("/events?topic=t");
    size_t before = answer_so_far(a).len;

    for (int i = 0; i < 3; i++)
        answer_expect(a, ":\n\n");
    struct slice body = answer_so_far(a);
    ck_assert_ptr_null(memmem(body.at + before, body.len - before, "id:", 3));
    answer_close(a);
}
END_TEST

START_TEST(heartbeat_carries_the_place_that_has_moved_on)
{
    struct answer *a = open_stream("/events?topic=t");
    struct answer *lines = open_stream("/stream?topic=t");

    answer_expect(a, "id: fake-0\n\n");
    stage_publish("other", NULL, "not for it");
    answer_expect(a, ":\n\nid: fake-1\n\n");
    answer_expect(lines, "{\"type\":\"bellpush-heartbeat\",\"id\":\"fake-1\"}\n");
    answer_expect(lines, "{\"type\":\"bellpush-heartbeat\"}\n"); /* said once */
    answer_close(a);
    answer_close(lines);
}
END_TEST

START_TEST(stream_ends_cleanly_after_its_bytes)
{
    const char *cursor = "fake-0";
    size_t seen = 0;

    for (int i = 0; i < 12; i++)
        publish_bytes("t", 1000, (char)('a' + i));
    loopback_settle();
    while (seen < 12) { /* the farewell says where to go on */
        struct answer *a = stage_get(text("/stream?topic=t&since=%s", cursor));
        while (seen < 12 && answer_more(a))
            continue;
        if (!answer_ended(a)) { /* less than the limit was left */
            answer_close(a);
            break;
        }
        struct slice body = answer_body(a);
        ck_assert_uint_lt(body.len, 4096 + 2048);
        for (const char *at = body.at, *end; body.len;
             body.len -= (size_t)(end + 1 - at), at = end + 1) {
            end = memchr(at, '\n', body.len);
            ck_assert_ptr_nonnull(end);
            json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
            ck_assert_ptr_nonnull(line);
            if (*member(line, "data"))
                ck_assert_int_eq(member(line, "data")[0], 'a' + (int)seen++);
            if (strcmp(member(line, "type"), "bellpush-end") == 0) {
                ck_assert_str_eq(member(line, "reason"), "bytes");
                cursor = text("%s", member(line, "id"));
            }
            json_decref(line);
        }
        ck_assert_str_eq(cursor, text("fake-%zu", seen));
        answer_close(a);
    }
    ck_assert_uint_ge(seen, 9);
}
END_TEST

START_TEST(a_burst_ends_a_stream_where_single_events_would)
{
    struct answer *live = open_stream("/stream?topic=t");

    for (int i = 0; i < 5; i++)
        publish_bytes("t", 1000, 'x'); /* together */
    answer_expect(live, "\"reason\":\"bytes\"");
    struct slice body = answer_body(live);
    ck_assert_ptr_nonnull(memmem(body.at, body.len, "\"id\":\"fake-4\"", 13));
    ck_assert_ptr_null(memmem(body.at, body.len, "\"id\":\"fake-5\"", 13));
    answer_close(live);
}
END_TEST

START_TEST(drain_ends_streams_with_a_jittered_retry)
{
    struct answer *a = open_stream("/events?topic=t"), *b = open_stream("/stream?topic=t");

    stage_publish("t", NULL, "x");
    answer_expect(a, "data: x\n");
    server_drain(server);
    answer_expect(a, "retry: ");
    answer_expect(a, "id: fake-1\n");
    answer_expect(b, "\"reason\":\"drain\",\"retry\":");
    answer_body(a);
    answer_body(b);
    ck_assert_uint_eq(server->open_count, 0);
    answer_close(a);
    answer_close(b);
}
END_TEST

START_TEST(streams_outlive_the_databases_absence)
{
    struct answer *a = open_stream("/events?topic=t");

    fake_away(source);
    struct answer *late = open_stream("/events?topic=t&since=fake-0");
    stage_publish("t", NULL, "meanwhile");
    loopback_settle();
    ck_assert_ptr_null(memmem(answer_so_far(a).at, answer_so_far(a).len, "meanwhile", 9));
    fake_back(source);
    answer_expect(a, "data: meanwhile\n");
    answer_expect(late, "data: meanwhile\n");
    answer_close(a);
    answer_close(late);
}
END_TEST

START_TEST(another_history_is_told_as_a_gap)
{
    struct answer *a = open_stream("/events?topic=t");

    stage_publish("t", NULL, "old");
    answer_expect(a, "data: old\n");
    fake_away(source);
    fake_restore(source, "restored");
    fake_back(source);
    answer_expect(a, "event: bellpush-gap\n");
    answer_expect(a, "\"reason\":\"epoch\"");
    stage_publish("t", NULL, "new");
    answer_expect(a, "id: restored-1\n");
    answer_expect(a, "data: new\n");
    answer_close(a);
}
END_TEST

START_TEST(expired_cursor_is_told_with_where_it_was)
{
    static const char *const settings[] = { "journal_events=2", NULL };

    loopback_close();
    open_with(settings);
    for (int i = 1; i <= 40; i++)
        stage_publish("t", NULL, text("%d", i));
    loopback_settle();
    fake_prune(source, 30);
    struct answer *a = stage_get("/events?topic=t&since=fake-3");
    answer_expect(a, "event: bellpush-gap\n");
    answer_expect(a, "\"reason\":\"expired\",\"from\":\"fake-3\",\"next\":\"fake-30\"");
    for (int i = 31; i <= 40; i++)
        answer_expect(a, text("id: fake-%d\n", i));
    answer_close(a);
}
END_TEST

START_TEST(a_replay_of_many_pages_reaches_the_present)
{
    static const char *const settings[] = { "journal_events=2", "queue_bytes=4k", NULL };

    loopback_close();
    open_with(settings);
    for (int i = 1; i <= 200; i++) {
        stage_publish(i % 3 ? "t" : "noise", NULL, text("number %d", i));
        if (i % 50 == 0)
            loopback_settle();
    }
    struct answer *a = stage_get("/events?topic=t&since=earliest");
    for (int i = 1; i <= 200; i++)
        if (i % 3)
            answer_expect(a, text("data: number %d\n", i));
    stage_publish("t", NULL, "present");
    answer_expect(a, "data: present\n");
    answer_close(a);
}
END_TEST

START_TEST(stream_whose_memory_fails_ends_alone)
{
    struct answer *a = open_stream("/events?topic=t"), *b = open_stream("/events?topic=t");

    loopback_break(a);
    stage_publish("t", NULL, "one");
    answer_expect(b, "data: one\n");
    ck_assert(answer_ended(a));
    stage_expect_open(1);
    stage_publish("t", NULL, "two");
    answer_expect(b, "data: two\n");
    answer_close(a);
    answer_close(b);
}
END_TEST

START_TEST(refused_question_ends_the_stream_with_its_place)
{
    static const char *const settings[] = { "journal_events=2", NULL };

    loopback_close();
    open_with(settings);
    for (int i = 1; i <= 10; i++)
        stage_publish("t", NULL, "x");
    loopback_settle();
    fake_refuse(source, true);
    struct answer *a = stage_get("/events?topic=t&since=fake-2");
    answer_expect(a, "the stream ends (trouble)");
    answer_expect(a, "id: fake-2\n");
    answer_body(a);
    answer_close(a);
    fake_refuse(source, false);
}
END_TEST

START_TEST(a_full_process_shortens_then_refuses)
{
    struct answer *all[5];

    server->max_open = 4;
    for (int i = 0; i < 3; i++)
        all[i] = open_stream("/events?topic=t");
    stage_expect_open(3); /* 75 %: held, but not for long */
    all[3] = open_stream("/events?topic=t");
    stage_expect_open(4);
    all[4] = stage_get("/events?topic=t");
    expect_problem(all[4], 503);
    ck_assert_ptr_nonnull(answer_header(all[4], "Retry-After"));
    ck_assert_uint_eq(server->stats.refused, 1);
    for (int i = 0; i < 5; i++)
        answer_close(all[i]);
    server->max_open = 0;
}
END_TEST

START_TEST(head_says_that_nobody_shall_buffer)
{
    struct answer *a = open_stream("/events?topic=t");

    ck_assert_str_eq(answer_header(a, "Content-Type"), "text/event-stream");
    ck_assert_str_eq(answer_header(a, "Cache-Control"), "no-store, no-transform");
    ck_assert_str_eq(answer_header(a, "X-Accel-Buffering"), "no");
    ck_assert_str_eq(answer_header(a, "X-Content-Type-Options"), "nosniff");
    answer_close(a);
}
END_TEST

START_TEST(format_sse_tells_a_script_what_comments_tell_nobody)
{
    struct answer *a = open_stream("/events?topic=t&format=sse&padding=1");

    answer_expect(a, "\nretry: ");
    answer_expect(a, "\nevent: bellpush-hello\ndata: {\"type\":\"bellpush-hello\",\"retry\":");
    answer_expect(a, ",\"heartbeat\":100}\n\nid: fake-0\nevent: bellpush-heartbeat\n"
                     "data: {\"type\":\"bellpush-heartbeat\",\"id\":\"fake-0\"}\n\n");
    ck_assert_uint_ge(answer_so_far(a).len, 2048);
    stage_publish("other", NULL, "not for it");
    answer_expect(a, "id: fake-1\nevent: bellpush-heartbeat\n"
                     "data: {\"type\":\"bellpush-heartbeat\",\"id\":\"fake-1\"}\n\n"
                     "event: bellpush-heartbeat\ndata: {\"type\":\"bellpush-heartbeat\"}\n\n");
    stage_publish("t", NULL, "x");
    answer_expect(a, "id: fake-2\ndata: {\"id\":\"fake-2\",");
    server_drain(server);
    answer_expect(a, "\n\nretry: ");
    answer_expect(a, "\nid: fake-2\nevent: bellpush-end\n"
                     "data: {\"type\":\"bellpush-end\",\"reason\":\"drain\",\"retry\":");
    answer_body(a);
    answer_close(a);
}
END_TEST

SUITE(stream)
{
    tcase_add_checked_fixture(tc, setup, loopback_teardown);
    tcase_add_test(tc, slow_reader_is_paused_then_brought_forward);
    tcase_add_test(tc, reader_that_takes_nothing_is_told_and_closed);
    tcase_add_test(tc, one_small_event_that_is_never_taken_closes_too);
    tcase_add_test(tc, reader_that_takes_a_little_now_and_then_stays);
    tcase_add_test(tc, silence_is_filled_with_heartbeats);
    tcase_add_test(tc, heartbeat_carries_the_place_that_has_moved_on);
    tcase_add_test(tc, stream_ends_cleanly_after_its_bytes);
    tcase_add_test(tc, a_burst_ends_a_stream_where_single_events_would);
    tcase_add_test(tc, drain_ends_streams_with_a_jittered_retry);
    tcase_add_test(tc, streams_outlive_the_databases_absence);
    tcase_add_test(tc, another_history_is_told_as_a_gap);
    tcase_add_test(tc, expired_cursor_is_told_with_where_it_was);
    tcase_add_test(tc, a_replay_of_many_pages_reaches_the_present);
    tcase_add_test(tc, stream_whose_memory_fails_ends_alone);
    tcase_add_test(tc, refused_question_ends_the_stream_with_its_place);
    tcase_add_test(tc, a_full_process_shortens_then_refuses);
    tcase_add_test(tc, head_says_that_nobody_shall_buffer);
    tcase_add_test(tc, format_sse_tells_a_script_what_comments_tell_nobody);
}
