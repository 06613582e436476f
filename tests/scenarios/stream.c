/*
 * stream.c - GET /stream: lines of JSON, and the forever-frame.
 */
#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(lines_are_json_objects)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("lines");
    const char *since = present(topic);
    static const char *const data[] = { "1", "two\nlines" };

    stage_publish_many(2, topic, data);
    struct answer *a = stage_get(text("/stream?topic=%s&since=%s", topic, since));
    ck_assert_int_eq(answer_status(a), 200);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "application/x-ndjson", 20) == 0, "%s",
                  type ? type : "none");
    if (stage_traits()->one_slot) { /* may end before this worker has heard of them */
        answer_expect(a, "bellpush-");
        answer_close(a);
        return;
    }
    answer_expect(a, "\"two\\nlines\"");
    answer_expect(a, "\n");
    struct slice body = answer_so_far(a);
    size_t events = 0;
    while (body.len > 0) {
        const char *end = memchr(body.at, '\n', body.len);
        if (!end)
            break;
        json_t *line = json_loadb(body.at, (size_t)(end - body.at), 0, NULL);
        ck_assert_msg(line != NULL, "not JSON: %.*s", (int)(end - body.at), body.at);
        if (*member(line, "topic")) {
            ck_assert_str_eq(member(line, "data"), data[events]);
            ck_assert_str_eq(member(line, "topic"), topic);
            events++;
        }
        json_decref(line);
        body.len -= (size_t)(end + 1 - body.at);
        body.at = end + 1;
    }
    ck_assert_uint_eq(events, 2);
    stage_publish(topic, NULL, "live");
    answer_expect(a, "\"data\":\"live\"");
    answer_close(a);
}
END_TEST

START_TEST(frame_calls_its_parent)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("frame");
    const char *since = present(topic);
    struct answer *a = stage_get(
        text("/stream?topic=%s&since=%s&format=frame&callback=push.onEvent", topic, since));

    ck_assert_int_eq(answer_status(a), 200);
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "text/html", 9) == 0, "%s", type ? type : "none");
    answer_expect(a, "<script>function b(e){parent.push.onEvent(e)}</script>");
    if (!stage_traits()->one_slot) {
        stage_publish(topic, NULL, "</script><script>alert(1)");
        answer_expect(a, "<script>b({\"id\":\"");
        answer_expect(a, "})</script>\n");
        struct slice body = answer_so_far(a);
        ck_assert_ptr_null(memmem(body.at, body.len, "alert(1)\"})</script>\n</script>", 20));
        ck_assert_ptr_null(memmem(body.at, body.len, "</script><script>alert", 22));
    }
    answer_close(a);
}
END_TEST

START_TEST(gap_is_a_line_of_its_own)
{
    if (stage_traits()->gathers)
        return;
    struct answer *a =
        stage_get(text("/stream?topic=%s&last_event_id=whatever", stage_topic("gap")));

    answer_expect(a, "{\"type\":\"bellpush-gap\",\"id\":\"");
    answer_expect(a, "\"reason\":\"unknown\"");
    answer_expect(a, "\n");
    answer_close(a);
}
END_TEST

void scenarios_stream(TCase *tc)
{
    tcase_add_test(tc, lines_are_json_objects);
    tcase_add_test(tc, frame_calls_its_parent);
    tcase_add_test(tc, gap_is_a_line_of_its_own);
}
