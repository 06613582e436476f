/*
 * socket_test.c - GET /ws for those who only listen: who may open one, and what comes.
 */
#include "tests/handlers/loopback.h"
#include "tests/suite.h"

static struct answer *open_with(const char *target, const char *const *headers)
{
    return stage_ask(&(struct ask){ .target = target, .headers = headers });
}

static struct answer *open_socket(const char *target)
{
    static const char *const headers[] = { "Upgrade: websocket", NULL };
    struct answer *a = open_with(target, headers);

    ck_assert_int_eq(answer_status(a), 101);
    return a;
}

static void refused(const char *target, const char *header, int status, const char *why)
{
    const char *const headers[] = { "Upgrade: websocket", header, NULL };
    struct answer *a = open_with(target, headers);

    ck_assert_msg(answer_status(a) == status, "%s, %s: %d", target, header, answer_status(a));
    answer_expect(a, why);
    answer_close(a);
}

static void opened(const char *target, const char *header)
{
    const char *const headers[] = { "Upgrade: websocket", "Host: shop.example", header, NULL };
    struct answer *a = open_with(target, headers);

    ck_assert_msg(answer_status(a) == 101, "%s, %s: %d", target, header, answer_status(a));
    answer_close(a);
}

START_TEST(each_event_is_a_message)
{
    struct answer *a = open_socket("/ws?topic=t/%23");

    answer_expect(a, "{\"type\":\"bellpush-hello\",\"retry\":");
    stage_publish("t/1", "paid", "first");
    stage_publish("t/2", NULL, "second");
    answer_expect(a, "\",\"topic\":\"t/1\",\"type\":\"paid\",\"data\":\"first\",");
    answer_expect(a, "}\n{\"id\":\"");
    answer_expect(a, "\",\"topic\":\"t/2\",\"data\":\"second\",");
    answer_close(a);
}
END_TEST

START_TEST(the_one_wire_text_comes_in_messages_too)
{
    struct answer *a = open_socket("/ws?topic=t&format=sse");

    answer_expect(a, "event: bellpush-hello\n");
    stage_publish("t", NULL, "x");
    answer_expect(a, "\"topic\":\"t\",\"data\":\"x\"");
    answer_close(a);
}
END_TEST

START_TEST(it_goes_on_from_a_cursor)
{
    stage_publish("t", NULL, "before");
    struct answer *a = open_socket("/ws?topic=t&since=earliest");

    answer_expect(a, "\"data\":\"before\"");
    answer_close(a);
}
END_TEST

START_TEST(what_asks_for_none_is_told_how_to)
{
    struct answer *a = stage_get("/ws?topic=t");

    ck_assert_int_eq(answer_status(a), 426);
    ck_assert_str_eq(answer_header(a, "Upgrade"), "websocket");
    ck_assert_str_eq(answer_header(a, "Sec-WebSocket-Version"), "13");
    answer_close(a);
}
END_TEST

START_TEST(what_cannot_be_understood_is_refused_before_the_upgrade)
{
    refused("/ws", NULL, 400, "Say what to listen to");
    refused("/ws", "Sec-WebSocket-Protocol: chat, superchat", 400, "bellpush.v1.json");
    refused("/ws?topic=a%23", NULL, 400, "topic=a#");
    refused("/ws?topic=a&format=raw", NULL, 400, "format=json and format=sse");
    refused("/ws?topic=a&since=yesterday", NULL, 400, "since must be");
    refused("/ws?topic=secret/1", NULL, 403, "closed to you");
    refused("/ws?topic=a", "Authorization: Bearer none.of.ours", 401, "token is not valid");
    refused("/ws/echo", NULL, 404, "ws_echo = no");
}
END_TEST

static void expect_protocol(const char *offered, const char *chosen)
{
    const char *const headers[] = { "Upgrade: websocket", offered, NULL };
    struct answer *a = open_with("/ws?topic=a", headers);

    ck_assert_int_eq(answer_status(a), 101);
    ck_assert_pstr_eq(answer_header(a, "Sec-WebSocket-Protocol"), chosen);
    answer_close(a);
}

START_TEST(ours_is_chosen_from_what_is_offered_and_nothing_that_only_looks_like_it)
{
    expect_protocol("Sec-WebSocket-Protocol: bellpush.v1.json", "bellpush.v1.json");
    expect_protocol("Sec-WebSocket-Protocol: mqtt, bellpush.v1.json", "bellpush.v1.json");
    expect_protocol("Sec-WebSocket-Protocol: ,chat ,\tbellpush.v1.json ,mqtt", "bellpush.v1.json");
    expect_protocol("Sec-WebSocket-Protocol: Bellpush.v1.JSON", NULL);
    expect_protocol("Sec-WebSocket-Protocol: bellpush.v1.jsonx, bellpush.v1.jso", NULL);
    expect_protocol("Sec-WebSocket-Protocol: x bellpush.v1.json", NULL);
    expect_protocol("Sec-WebSocket-Protocol: ", NULL);
    expect_protocol("Sec-WebSocket-Protocol: chat,mqtt", NULL);
    expect_protocol(NULL, NULL);
}
END_TEST

START_TEST(pages_of_other_sites_may_not)
{
    refused("/ws?topic=a", "Origin: https://evil.example", 403, "origin");
    refused("/ws?topic=a", "Origin: null", 403, "origin");
    refused("/ws", "Origin: https://evil.example", 403, "origin");
    opened("/ws?topic=a", "Origin: https://shop.example");
    opened("/ws?topic=a", "Origin: https://app.example"); /* cors_origins */
    opened("/ws?topic=a", NULL);
}
END_TEST

static void setup_echo(void)
{
    static const char *const settings[] = { "ws_echo=yes", "heartbeat=50ms", NULL };
    loopback_open(settings);
}

START_TEST(an_echo_says_what_it_hears)
{
    struct answer *a = open_socket("/ws/echo");

    loopback_say(a, "hello?");
    answer_expect(a, "hello?\n");
    loopback_say(a, "");
    loopback_say(a, "again");
    answer_expect(a, "\nagain\n");
    answer_close(a);
}
END_TEST

START_TEST(an_echo_that_nobody_hears_listens_no_more)
{
    struct answer *a = open_socket("/ws/echo");
    static char much[300000];

    memset(much, 'x', sizeof(much) - 1);
    loopback_take(a, false);
    loopback_say(a, much);
    ck_assert(loopback_deaf(a));
    loopback_take(a, true);
    loopback_settle();
    ck_assert(!loopback_deaf(a));
    answer_close(a);
}
END_TEST

START_TEST(silence_is_no_message_but_a_place_that_moved_is_told)
{
    struct answer *a = open_socket("/ws?topic=t");

    stage_publish("elsewhere", NULL, "x");
    answer_expect(a, "{\"type\":\"bellpush-heartbeat\",\"id\":\"");
    answer_close(a);
}
END_TEST

START_TEST(who_only_listens_is_not_listened_to)
{
    struct answer *a = open_socket("/ws?topic=t");

    loopback_say(a, "{\"do\":\"subscribe\",\"topics\":[\"u\"]}");
    stage_publish("u", NULL, "no");
    stage_publish("t", NULL, "yes");
    answer_expect(a, "yes");
    struct slice said = answer_so_far(a);
    ck_assert_ptr_null(memmem(said.at, said.len, "\"no\"", 4));
    answer_close(a);
}
END_TEST

START_TEST(a_drain_tells_the_place_and_closes)
{
    struct answer *a = open_socket("/ws?topic=t");

    loopback_settle();
    server_drain(loopback_server());
    answer_expect(a, "{\"type\":\"bellpush-end\",\"reason\":\"drain\",\"retry\":");
    answer_expect(a, "\"id\":\"");
    answer_expect(a, "[closed: 1012 drain]");
    answer_close(a);
}
END_TEST

START_TEST(a_want_of_memory_ends_that_one)
{
    struct answer *a = open_socket("/ws?topic=t"), *b = open_socket("/ws?topic=t");

    loopback_settle();
    loopback_break(a);
    stage_publish("t", NULL, "x");
    answer_expect(b, "\"data\":\"x\"");
    stage_expect_open(1);
    answer_close(a);
    answer_close(b);
}
END_TEST

SUITE(socket)
{
    tcase_add_checked_fixture(tc, loopback_setup, loopback_teardown);
    tcase_add_test(tc, each_event_is_a_message);
    tcase_add_test(tc, the_one_wire_text_comes_in_messages_too);
    tcase_add_test(tc, it_goes_on_from_a_cursor);
    tcase_add_test(tc, what_asks_for_none_is_told_how_to);
    tcase_add_test(tc, what_cannot_be_understood_is_refused_before_the_upgrade);
    tcase_add_test(tc, ours_is_chosen_from_what_is_offered_and_nothing_that_only_looks_like_it);
    tcase_add_test(tc, pages_of_other_sites_may_not);
    tcase_add_test(tc, who_only_listens_is_not_listened_to);
    tcase_add_test(tc, a_drain_tells_the_place_and_closes);
    tcase_add_test(tc, a_want_of_memory_ends_that_one);
}

SUITE(socket_echo)
{
    tcase_add_checked_fixture(tc, setup_echo, loopback_teardown);
    tcase_add_test(tc, an_echo_says_what_it_hears);
    tcase_add_test(tc, an_echo_that_nobody_hears_listens_no_more);
    tcase_add_test(tc, silence_is_no_message_but_a_place_that_moved_is_told);
}
