/*
 * flow_test.c - bytes through a real web server: at once, unpacked, whole, and noticed when the
 * client leaves.
 */
#include <signal.h>
#include <stdlib.h>

#include "tests/web/web.h"

enum { MIB = 1 << 20, AT_ONCE_MS = 10000 };

/* As a browser asks. */
static struct answer *open_stream(const char *path, const char *topic)
{
    static const char *const headers[] = { "Accept: text/event-stream",
                                           "Accept-Encoding: gzip, deflate, br", NULL };
    char *target = text_of("%s?topic=%s", path, topic);
    struct answer *a = stage_ask(&(struct ask){ .target = target, .headers = headers });
    ck_assert_int_eq(answer_status(a), 200);
    ck_assert_ptr_null(answer_header(a, "Content-Encoding"));
    free(target);
    return a;
}

/* Nothing is gathered: each event is here before the next is made, and the reply goes on. */
static void events_one_by_one(const char *path)
{
    const char *topic = stage_topic("flow");
    struct answer *a = open_stream(path, topic);

    stage_expect_open(1);
    for (int i = 1; i <= (web.way->traits.one_slot ? 1 : 20); i++) {
        char *data = text_of("<event %d>", i);
        stage_publish(topic, NULL, data);
        if (strcmp(path, "/events") == 0)
            answer_expect(a, data);
        else
            answer_expect(a, "event"); /* JSON may write '<' otherwise */
        if (!web.way->traits.one_slot)
            ck_assert(!answer_ended(a));
        free(data);
    }
    answer_close(a);
    stage_expect_open(0);
}

START_TEST(each_sse_event_arrives_before_the_next_is_published)
{
    events_one_by_one("/events");
}
END_TEST

START_TEST(each_line_arrives_before_the_next_is_published)
{
    events_one_by_one("/stream");
}
END_TEST

START_TEST(head_arrives_before_any_event)
{
    struct answer *a = open_stream("/events", stage_topic("head"));
    ck_assert_str_eq(answer_header(a, "Content-Type"), "text/event-stream");
    answer_expect(a, "retry: ");
    answer_expect(a, "id: "); /* the place to come back to */
    answer_close(a);
    stage_expect_open(0);
}
END_TEST

START_TEST(client_that_leaves_is_noticed_at_once)
{
    const char *topic = stage_topic("leaves");
    struct answer *a = open_stream("/events", topic);
    int64_t left;

    answer_expect(a, "id: ");
    stage_expect_open(1);
    answer_close(a);
    left = now_ms();
    stage_expect_open(0);
    ck_assert_msg(now_ms() - left < AT_ONCE_MS, "a heartbeat (15 s) has told, nobody else");
}
END_TEST

START_TEST(client_that_leaves_is_noticed_by_heartbeats)
{
    struct answer *a = open_stream("/events", stage_topic("leaves"));
    stage_expect_open(1);
    answer_close(a);
    stage_expect_open(0);
}
END_TEST

/* ---- large bodies -------------------------------------------------------------------------------
 */

static char *mebibyte(void)
{
    char *body = malloc(MIB + 1);
    ck_assert(body);
    for (size_t i = 0; i < MIB; i++)
        body[i] = (char)('a' + (i * 7 + i / 997) % 26);
    body[MIB] = '\0';
    return body;
}

static struct answer *publish(const char *topic, struct slice body)
{
    static const char *const headers[] = { "Authorization: Bearer " STAGE_KEY,
                                           "Content-Type: text/plain; charset=utf-8", NULL };
    char *target = text_of("/publish?topic=%s", topic);
    struct answer *a = stage_ask(
        &(struct ask){ .method = "POST", .target = target, .headers = headers, .body = body });
    free(target);
    return a;
}

START_TEST(a_mebibyte_is_published_and_comes_back_whole)
{
    const char *topic = stage_topic("large");
    char *body = mebibyte(), *target, *start = NULL;
    struct answer *a;

    a = stage_get("/poll?topic=none&wait=0"); /* where the log is now */
    ck_assert_int_eq(answer_status(a), 200);
    struct slice now = answer_body(a);
    start = memmem(now.at, now.len, "\"next\":\"", 8);
    ck_assert(start);
    target =
        text_of("/events?topic=%s&since=%.*s", topic, (int)strcspn(start + 8, "\""), start + 8);
    answer_close(a);

    a = publish(topic, (struct slice){ body, MIB });
    ck_assert_msg(answer_status(a) == 201, "%d %.*s", answer_status(a), (int)answer_body(a).len,
                  answer_body(a).at);
    answer_close(a);

    a = stage_get(target);
    answer_expect(a, "data: ");
    answer_expect(a, body);
    answer_expect(a, "\n\n");
    answer_close(a);
    free(target);
    free(body);
    stage_expect_open(0);
}
END_TEST

START_TEST(more_than_a_mebibyte_is_refused_in_words)
{
    char *body = malloc(MIB + 1);
    ck_assert(body);
    memset(body, 'x', MIB + 1);
    struct answer *a = publish(stage_topic("larger"), (struct slice){ body, MIB + 1 });
    ck_assert_int_eq(answer_status(a), 413);
    ck_assert_str_eq(answer_header(a, "Content-Type"), "application/problem+json");
    answer_close(a);
    free(body);
}
END_TEST

/* Without a length, in pieces: fronts hand that on in different ways. */
START_TEST(chunked_body_is_published_whole)
{
    static const char *const headers[] = { "Authorization: Bearer " STAGE_KEY,
                                           "Content-Type: text/plain", "Transfer-Encoding: chunked",
                                           NULL };
    const char *topic = stage_topic("chunked");
    char *target = text_of("/publish?topic=%s", topic);
    struct answer *a =
        stage_ask(&(struct ask){ .method = "POST",
                                 .target = target,
                                 .headers = headers,
                                 .body = SLICE("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n") });
    int status = answer_status(a);
    ck_assert_msg(status == 201, "%d %.*s", status, (int)answer_body(a).len, answer_body(a).at);
    answer_close(a);
    free(target);

    target = text_of("/events?topic=%s&since=earliest", topic);
    a = stage_get(target);
    answer_expect(a, "data: hello, world\n");
    answer_close(a);
    free(target);
    stage_expect_open(0);
}
END_TEST

void flow_tests(TCase *tc, const struct web_way *way)
{
    if (!way->traits.gathers) {
        tcase_add_test(tc, head_arrives_before_any_event);
        tcase_add_test(tc, each_sse_event_arrives_before_the_next_is_published);
        tcase_add_test(tc, each_line_arrives_before_the_next_is_published);
        tcase_add_test(tc, way->sees_leaving ? client_that_leaves_is_noticed_at_once
                                             : client_that_leaves_is_noticed_by_heartbeats);
    }
    tcase_add_test(tc, a_mebibyte_is_published_and_comes_back_whole);
    tcase_add_test(tc, more_than_a_mebibyte_is_refused_in_words);
    tcase_add_test(tc, chunked_body_is_published_whole);
}
