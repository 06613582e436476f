/*
 * refused.c - what is asked wrongly: each gets its status and a problem that a person understands,
 * and nobody else notices.
 */
#include "tests/scenarios/parts.h"
#include "tests/scenarios/talk.h"

START_TEST(malformed_reading_requests_are_400)
{
    static const char *const bad[] = {
        "/events",
        "/poll",
        "/stream",
        "/events?topic=",
        "/events?topic=a%2Fb%23",
        "/events?topic=%23/a",
        "/events?topic=a+b",
        "/events?topic=%FF%FE",
        "/events?topic=a%00b",
        "/events?topic=a%0Ab",
        "/events?topic=a&since=yesterday",
        "/events?topic=a&since=",
        "/events?topic=a&since=-10",
        "/events?topic=a&since=-99999999999999999999d",
        "/events?topic=a&since=now&since=earliest",
        "/events?topic=a&format=xml",
        "/events?topic=a&format=ndjson",
        "/events?topic=a&padding=lots",
        "/poll?topic=a&wait=long",
        "/poll?topic=a&wait=-1",
        "/poll?topic=a&wait=1&wait=2",
        "/poll?topic=a&limit=0",
        "/poll?topic=a&limit=ten",
        "/poll?topic=a&callback=alert(1)",
        "/poll?topic=a&callback=a..b",
        "/poll?topic=a&callback=1a",
        "/poll?topic=a&callback=a.",
        "/poll?topic=a&callback=%3Cscript%3E",
        "/poll?topic=a&callback="
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/stream?topic=a&format=frame",
        "/stream?topic=a&format=json",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct answer *a = stage_get(bad[i]);
        ck_assert_msg(answer_status(a) == 400, "%s: status %d", bad[i], answer_status(a));
        expect_problem_once(a, 400);
    }
}
END_TEST

START_TEST(broken_percent_signs_are_400)
{
    if (!stage_traits()->keeps_status) /* mends them before anybody else sees them */
        return;
    expect_problem_once(stage_get("/events?topic=%ZZ"), 400);
    expect_problem_once(stage_get("/poll?topic=a%2"), 400);
}
END_TEST

START_TEST(unknown_parameters_are_nobodys_business)
{
    json_t *answer =
        get_json(text("/poll?_=1732&topic=%s&utm_source=%%ZZ&_=1733&&=&x", stage_topic("t")));
    json_decref(answer);
}
END_TEST

START_TEST(closed_topics_are_403)
{
    static const char *const closed[] = {
        "/events?topic=secret/plans",
        "/poll?topic=secret/%23&wait=0",
        "/stream?topic=open&topic=secret/+/x",
        "/events?topic=secret",
    };
    for (size_t i = 0; i < LENGTH(closed); i++)
        expect_problem_once(stage_get(closed[i]), 403);
}
END_TEST

START_TEST(wrong_token_is_not_taken_for_none)
{
    static const char *const headers[] = { "Authorization: Bearer expired", NULL };
    struct ask ask = { .target = "/events?topic=a", .headers = headers };

    expect_problem_once(stage_ask(&ask), 401);
}
END_TEST

START_TEST(unknown_paths_are_404)
{
    static const char *const unknown[] = { "/nothing", "/events/", "/Events?topic=a", "/poll/x",
                                           "/publish.php" };
    for (size_t i = 0; i < LENGTH(unknown); i++)
        expect_problem_once(stage_get(unknown[i]), 404);
}
END_TEST

START_TEST(wrong_methods_are_405_and_say_what_is_allowed)
{
    static const struct {
        const char *method, *target, *allow;
    } wrong[] = {
        { "GET", "/publish?topic=a", "POST, OPTIONS" },
        { "POST", "/events?topic=a", "GET, HEAD, OPTIONS" },
        { "PUT", "/publish?topic=a", "POST, OPTIONS" },
        { "DELETE", "/poll?topic=a", "GET, HEAD, OPTIONS" },
    };
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct answer *a =
            stage_ask(&(struct ask){ .method = wrong[i].method, .target = wrong[i].target });
        expect_problem(a, 405);
        const char *allow = answer_header(a, "Allow");
        if (stage_traits()->keeps_status)
            ck_assert_msg(allow && strcmp(allow, wrong[i].allow) == 0, "Allow: %s",
                          allow ? allow : "none");
        answer_close(a);
    }
}
END_TEST

START_TEST(head_is_answered_at_once_without_a_body)
{
    static const char *const targets[] = { "/events?topic=a", "/poll?topic=a&wait=20",
                                           "/stream?topic=a", "/status", "/" };
    for (size_t i = 0; i < LENGTH(targets); i++) {
        struct answer *a = stage_ask(&(struct ask){ .method = "HEAD", .target = targets[i] });
        ck_assert_int_eq(answer_status(a), 200);
        ck_assert_uint_eq(answer_body(a).len, 0);
        answer_close(a);
    }
    if (!stage_traits()->one_slot)
        stage_expect_open(0);
}
END_TEST

START_TEST(options_tells_the_methods)
{
    struct answer *a = stage_ask(&(struct ask){ .method = "OPTIONS", .target = "/events?topic=a" });

    ck_assert_int_eq(answer_status(a), 204);
    const char *allow = answer_header(a, "Allow");
    ck_assert_msg(allow && strcmp(allow, "GET, HEAD, OPTIONS") == 0, "%s", allow ? allow : "none");
    ck_assert_ptr_null(answer_header(a, "Access-Control-Allow-Origin"));
    answer_close(a);
}
END_TEST

START_TEST(what_cannot_be_published_is_refused)
{
    static const char *const gzip[] = { "Content-Encoding: gzip", NULL };
    static const char *const long_key[] = { "Idempotency-Key: with blanks", NULL };
    static const struct {
        const char *query, *type, *body;
        const char *const *headers;
        int status;
    } bad[] = {
        { "topic=a", "application/x-www-form-urlencoded", "a=1", NULL, 415 },
        { "topic=a", "multipart/form-data; boundary=x", "--x--", NULL, 415 },
        { "topic=a", "nonsense", "x", NULL, 415 },
        { "topic=a", "text/plain", "x", gzip, 415 },
        { "topic=a", "text/plain", "x", long_key, 400 },
        { "", "text/plain", "x", NULL, 400 },
        { "", "application/json", "nonsense", NULL, 400 },
        { "", "application/json", "{\"topic\":\"a\"}", NULL, 422 },
        { "", "application/json", "[]", NULL, 422 },
        { "", "application/json", "\"text\"", NULL, 422 },
        { "topic=a/%23", "text/plain", "x", NULL, 400 },
        { "topic=a/+", "text/plain", "x", NULL, 400 },
        { "topic=", "text/plain", "x", NULL, 400 },
        { "topic=a&topic=b", "text/plain", "x", NULL, 400 },
        { "topic=a&type=x%0Ay", "text/plain", "x", NULL, 400 },
        { "topic=a&type=bellpush-gap", "text/plain", "x", NULL, 400 },
        { "topic=a&expires=never", "text/plain", "x", NULL, 400 },
        { "topic=a&retain=maybe", "text/plain", "x", NULL, 400 },
        { "topic=%24SYS/x", "text/plain", "x", NULL, 403 },
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct answer *a =
            publish(bad[i].query, bad[i].type, slice_of(bad[i].body), bad[i].headers);
        ck_assert_msg(answer_status(a) == bad[i].status, "%s %s %s: status %d", bad[i].query,
                      bad[i].type, bad[i].body, answer_status(a));
        expect_problem_once(a, bad[i].status);
    }
}
END_TEST

START_TEST(status_ready_and_metrics_answer)
{
    json_t *status = get_json("/status");
    ck_assert_str_ne(member(status, "version"), "");
    ck_assert_str_eq(member(json_object_get(status, "database"), "state"), "listening");
    ck_assert_str_ne(member(json_object_get(status, "log"), "head"), "");
    ck_assert(json_is_integer(json_object_get(status, "open")));
    json_decref(status);

    struct answer *a = stage_get("/ready");
    ck_assert_int_eq(answer_status(a), 200);
    answer_close(a);

    a = stage_get("/metrics");
    ck_assert_int_eq(answer_status(a), 200);
    answer_expect(a, "bellpush_requests_total ");
    answer_expect(a, "# EOF\n");
    answer_close(a);

    a = stage_get("/");
    ck_assert_int_eq(answer_status(a), 200);
    answer_expect(a, "/events?topic=");
    answer_close(a);
}
END_TEST

START_TEST(bad_requests_disturb_nobody)
{
    if (stage_traits()->gathers)
        return;
    const char *topic = stage_topic("calm");
    struct reader r;

    reader_init(&r, text("topic=%s", topic));
    for (int i = 0; i < 20; i++) {
        expect_problem_once(stage_get("/events?topic=%FF"), 400);
        expect_problem_once(publish("topic=%23", "text/plain", SLICE("x"), NULL), 400);
        stage_publish(topic, NULL, text("%d", i));
        reader_expect(&r, text("%d", i));
    }
    if (!stage_traits()->one_slot)
        ck_assert_uint_eq(r.reconnects, 0);
    reader_fini(&r);
}
END_TEST

void scenarios_refused(TCase *tc)
{
    tcase_add_test(tc, malformed_reading_requests_are_400);
    tcase_add_test(tc, broken_percent_signs_are_400);
    tcase_add_test(tc, unknown_parameters_are_nobodys_business);
    tcase_add_test(tc, closed_topics_are_403);
    tcase_add_test(tc, wrong_token_is_not_taken_for_none);
    tcase_add_test(tc, unknown_paths_are_404);
    tcase_add_test(tc, wrong_methods_are_405_and_say_what_is_allowed);
    tcase_add_test(tc, head_is_answered_at_once_without_a_body);
    tcase_add_test(tc, options_tells_the_methods);
    tcase_add_test(tc, what_cannot_be_published_is_refused);
    tcase_add_test(tc, status_ready_and_metrics_answer);
    tcase_add_test(tc, bad_requests_disturb_nobody);
}
