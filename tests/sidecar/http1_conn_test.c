/*
 * http1_conn_test.c - HTTP/1.1 on the loop, asked over real sockets by clients without manners.
 */
#include "sidecar/http1_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/logged.h"
#include "tests/peers/process.h"
#include "tests/sidecar/mini_client.h"
#include "tests/stand/stand.h"
#include "tests/suite.h"

#define GET(path) "GET /push" path " HTTP/1.1\r\nHost: a\r\n\r\n"

static enum rc on_open(struct porch *porch, const struct porch_socket *by, int fd,
                       const struct sockaddr_storage *peer, bool surplus)
{
    (void)by;
    (void)peer;
    return conn_open(porch, fd, NULL, &http1_protocol, surplus);
}

static struct porch *http1_stand(struct server *server, int fd, const struct porch_limits *limits)
{
    static const struct porch_ops ops = { .open = on_open,
                                          .stop = conn_porch_stop,
                                          .close = conn_porch_close };

    return porch_new(server, &ops, NULL, &(struct porch_socket){ .fd = fd }, 1, limits);
}

static void set_up(void)
{
    stand_open(http1_stand, NULL);
}

static void tear_down(void)
{
    stand_close();
}

static struct mini mini_with(const char *text)
{
    struct mini m;

    mini_open(&m, stand.path, stand_pump);
    mini_say(&m, text);
    return m;
}

static void pump_often(void)
{
    for (int i = 0; i < 20; i++)
        stand_pump();
}

/* ---- one after another ----------------------------------------------------------------------- */

START_TEST(a_kept_connection_serves_one_after_another)
{
    struct mini m = mini_with("");

    for (int i = 0; i < 3; i++) {
        mini_say(&m, "POST /push/echo?q=%20 HTTP/1.1\r\nHost: a\r\nX-Test: yes\r\n"
                     "Content-Length: 4\r\n\r\nbody");
        mini_expect_reply(&m, 200, "\r\nTransfer-Encoding: chunked\r\n",
                          "POST|/push|/echo|q=%20|yes|body|");
    }
    mini_say(&m, GET("/echo"));
    mini_expect_reply(&m, 200, "\r\nDate: ", "GET|/push|/echo||||");
    mini_say(&m, "GET /push/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    mini_expect_reply(&m, 200, "\r\nConnection: close\r\n", "GET|");
    mini_expect_closed(&m);
    ck_assert_uint_eq(m.in.len, 0);
    mini_close(&m);
}
END_TEST

START_TEST(http_1_0_ends_with_the_connection_unless_a_length_is_known)
{
    struct mini m = mini_with("GET /push/echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct buf head = BUF_EMPTY;
    int status;
    struct buf body = mini_reply(&m, &status, &head);

    ck_assert_str_eq(body.at, "GET|/push|/echo||||");
    ck_assert_ptr_null(strstr(head.at, "Transfer-Encoding"));
    ck_assert_ptr_nonnull(strstr(head.at, "\r\nConnection: close\r\n"));
    mini_close(&m);
    m = mini_with("GET /push/lost HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    mini_expect_reply(&m, 404, "\r\nConnection: keep-alive\r\n", "no such thing");
    mini_say(&m, "GET /push/lost HTTP/1.0\r\n\r\n");
    mini_expect_reply(&m, 404, "\r\nConnection: close\r\n", "no such thing");
    mini_expect_closed(&m);
    mini_close(&m);
    buf_fini(&head);
    buf_fini(&body);
}
END_TEST

START_TEST(what_has_no_body_sends_none)
{
    struct mini m =
        mini_with("HEAD /push/echo HTTP/1.1\r\nHost: a\r\n\r\n"
                  "HEAD /push/lost HTTP/1.1\r\nHost: a\r\n\r\n" GET("/none") GET("/echo"));

    mini_expect(&m, "HTTP/1.1 200 OK\r\n");
    mini_expect(&m, "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 404 Not Found\r\n");
    mini_expect(&m, "Content-Length: ");
    mini_expect(&m, "\r\n\r\nHTTP/1.1 204 No Content\r\nDate: ");
    mini_expect(&m, " GMT\r\n\r\nHTTP/1.1 200 OK\r\n");
    mini_expect(&m, "GET|/push|/echo||||\r\n0\r\n\r\n");
    ck_assert_uint_eq(m.in.len, 0);
    mini_close(&m);
}
END_TEST

START_TEST(chunks_are_whole_each_time_something_is_sent)
{
    struct mini m = mini_with(GET("/hold"));

    mini_expect(&m, "\r\n\r\n9\r\n: hello\n\n\r\n");
    ck_assert_uint_eq(m.in.len, 0);
    reply_write(stand.held[0].request, SLICE("one"));
    reply_write(stand.held[0].request, SLICE("two"));
    mini_expect(&m, "6\r\nonetwo\r\n");
    ck_assert_uint_eq(m.in.len, 0);
    reply_end(stand.held[0].request);
    mini_expect(&m, "0\r\n\r\n");
    mini_say(&m, GET("/echo"));
    mini_expect_reply(&m, 200, "", "GET|");
    mini_close(&m);
}
END_TEST

START_TEST(pipelined_requests_wait_for_their_turn)
{
    struct mini m = mini_with(GET("/hold") GET("/echo") "POST /push/echo HTTP/1.1\r\nHost: a\r\n"
                                                        "Content-Length: 3\r\n\r\nab");

    mini_expect(&m, ": hello");
    pump_often();
    ck_assert_uint_eq(stand.served, 1);
    mini_say(&m, "c" GET("/lost")); /* too late to be read now, but not lost */
    reply_end(stand.held[0].request);
    mini_expect(&m, "\r\n0\r\n\r\n");
    mini_expect_reply(&m, 200, "", "GET|/push|/echo||||");
    mini_expect_reply(&m, 200, "", "POST|/push|/echo|||abc|");
    mini_expect_reply(&m, 404, "", "");
    ck_assert_uint_eq(stand.served, 4);
    mini_close(&m);
}
END_TEST

START_TEST(a_reply_of_any_size_arrives_whole)
{
    struct mini m = mini_with(GET("/big/3000000") GET("/count/500000"));
    struct buf head = BUF_EMPTY;
    int status;

    for (size_t i = 0; i < 2; i++) {
        struct buf body = mini_reply(&m, &status, &head);
        ck_assert_uint_eq(body.len - 1, i == 0 ? 3000000 : 500000 + strlen(": hello\n\n"));
        buf_fini(&body);
        buf_fini(&head);
    }
    mini_close(&m);
}
END_TEST

/* ---- where it is ----------------------------------------------------------------------------- */

START_TEST(everything_is_below_the_mount)
{
    static const struct {
        const char *target;
        int status;
        const char *says;
    } cases[] = {
        { "/push/echo", 200, "|/push|/echo|" },    { "/pu%73h/ech%6F", 200, "|/push|/echo|" },
        { "/pushy/echo", 404, "at this address" }, { "/echo", 404, "at this address" },
        { "/push", 404, "no such thing" },         { "/push/echo%00", 400, "malformed" },
        { "/push/echo%zz", 400, "malformed" },     { "http://b/push/echo?q", 200, "|/echo|q|" },
        { "/push//echo", 404, "no such thing" },
    };
    struct mini m = mini_with("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");

    mini_expect_reply(&m, 204, "", "");
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char request[128];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);
        mini_say(&m, request);
        mini_expect_reply(&m, cases[i].status, "", cases[i].says);
    }
    stand.conf.mount[0] = '\0';
    mini_say(&m, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    mini_expect_reply(&m, 200, "", "GET||/echo|");
    mini_close(&m);
}
END_TEST

/* ---- who leaves ------------------------------------------------------------------------------ */

START_TEST(who_leaves_is_noticed_while_a_reply_is_held)
{
    struct mini m[4];

    for (size_t i = 0; i < LENGTH(m); i++) {
        m[i] = mini_with(i == 1 ? GET("/hold") GET("/echo") : GET("/hold"));
        mini_expect(&m[i], ": hello");
    }
    pump_often();
    mini_close(&m[0]);
    WAIT_FOR(stand_gone() == 1, stand_pump);
    mini_close(&m[1]); /* although nothing is read from it: its next request waits */
    WAIT_FOR(stand_gone() == 2, stand_pump);
    shutdown(m[2].fd, SHUT_WR);
    mini_expect_closed(&m[2]);
    ck_assert_uint_eq(stand_gone(), 3);
    reply_write(stand.held[3].request, SLICE("others live"));
    mini_expect(&m[3], "others live");
    mini_close(&m[2]);
    mini_close(&m[3]);
    ck_assert_uint_eq(stand.served, 4);
}
END_TEST

/* What has been seen of its end is not waited for again: epoll would say it again and again. */
static void expect_no_more_heard(uv_poll_t *poll)
{
    ck_assert_int_eq(conn_of_poll(poll)->watched & (UV_READABLE | UV_DISCONNECT), 0);
}

START_TEST(who_shuts_his_end_still_gets_the_answer_that_is_on_its_way)
{
    static const char *const asked[] = { GET("/big/2000000"), GET("/big/2000000") GET("/echo") };

    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct mini m = mini_with("");
        struct buf head = BUF_EMPTY;
        int status;
        ck_assert_int_gt(send(m.fd, asked[i], strlen(asked[i]), 0), 0);
        shutdown(m.fd, SHUT_WR);
        pump_often();
        porch_each(stand.porch, expect_no_more_heard);
        struct buf body = mini_reply(&m, &status, &head);
        ck_assert_uint_eq(body.len - 1, 2000000);
        if (i == 1)
            mini_expect_reply(&m, 200, "", "GET|");
        mini_expect_closed(&m);
        ck_assert(!m.reset);
        buf_fini(&head);
        buf_fini(&body);
        mini_close(&m);
    }
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------- */

START_TEST(what_is_broken_is_answered_once_and_the_connection_ends)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        { "GET /push/echo HTTP/1.1\r\n\r\n", 400 },
        { "POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", 400 },
        { "POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          400 },
        { "GET /push/echo HTTP/3.0\r\nHost: a\r\n\r\n", 505 },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
        { "GET / HTTP/1.1\r\nHost: a\r\nExpect: nothing\r\n\r\n", 417 },
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct mini m = mini_with("");
        char text[512];
        snprintf(text, sizeof(text), "%s%s", cases[i].request, GET("/echo")); /* smuggled? */
        mini_say(&m, text);
        mini_expect_reply(&m, cases[i].status, "\r\nConnection: close\r\n", "\"detail\":");
        mini_expect_closed(&m);
        ck_assert_uint_eq(m.in.len, 0);
        ck_assert(!m.reset);
        mini_close(&m);
    }
    ck_assert_uint_eq(stand.served, 0);
}
END_TEST

START_TEST(a_body_that_is_too_large_is_refused_while_it_is_still_being_sent)
{
    static char much[8 * 1024 * 1024];
    struct slice rest = { much, sizeof(much) };
    struct mini m =
        mini_with("POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");

    for (int64_t end = now_ms() + 20000; rest.len > 0; stand_pump()) {
        ck_assert_int_lt(now_ms(), end);
        (void)mini_send_some(&m, &rest);
    }
    mini_expect_reply(&m, 413, "\r\nConnection: close\r\n", "too large");
    mini_expect_closed(&m);
    ck_assert(!m.reset); /* it could read all of that */
    ck_assert(stand.body_too_large);
    mini_close(&m);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
}
END_TEST

START_TEST(who_waits_for_100_hears_it_unless_nothing_will_be_taken)
{
    struct mini m = mini_with("POST /push/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                              "Content-Length: 4\r\n\r\n");

    mini_expect(&m, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert_uint_eq(m.in.len, 0);
    mini_say(&m, "body");
    mini_expect_reply(&m, 200, "", "|body|");
    /* both at once */
    mini_say(&m, "POST /push/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    mini_expect(&m, "HTTP/1.1 100 Continue\r\n\r\n");
    mini_expect_reply(&m, 200, "", "|body|");
    mini_say(&m, "POST /push/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                 "Content-Length: 400000000\r\n\r\n");
    mini_expect_reply(&m, 413, "", "");
    mini_expect_closed(&m);
    mini_close(&m);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

static const struct porch_limits hasty = { .max_conns = 20,
                                           .surplus = 2,
                                           .head_ms = 60,
                                           .body_ms = 120,
                                           .next_ms = 80,
                                           .flush_ms = 60,
                                           .unfinished = 1 << 20 };

START_TEST(whoever_does_not_finish_is_told_so)
{
    stand_open(http1_stand, &hasty);
    struct mini silent = mini_with(""), head = mini_with("GET /push/echo HTTP/1.1\r\nHo"),
                body = mini_with("POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
                                 "abc"),
                blank = mini_with("\r\n"), kept = mini_with(GET("/echo")),
                held = mini_with(GET("/hold"));

    mini_expect_reply(&kept, 200, "", "");
    mini_expect(&held, ": hello");
    mini_expect_reply(&head, 408, "\r\nConnection: close\r\n", "in time");
    mini_expect_closed(&head);
    mini_expect_closed(&silent);
    ck_assert_uint_eq(silent.in.len, 0);
    mini_expect_closed(&blank);
    mini_expect_closed(&kept); /* asks for nothing more */
    ck_assert_uint_eq(kept.in.len, 0);
    mini_expect_reply(&body, 408, "", "in time");
    mini_expect_closed(&body);
    mini_read(&held);
    ck_assert(!held.closed);
    mini_close(&silent);
    mini_close(&head);
    mini_close(&body);
    mini_close(&blank);
    mini_close(&kept);
    mini_close(&held);
    stand_close();
}
END_TEST

START_TEST(an_ended_reply_that_nobody_takes_is_given_up)
{
    stand_open(http1_stand, &hasty);
    struct mini m = mini_with(GET("/big/5000000"));

    WAIT_FOR(stand.served == 1, stand_pump);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
    mini_close(&m);
    stand_close();
}
END_TEST

START_TEST(above_the_limit_there_is_a_503)
{
    struct porch_limits few = hasty;
    struct mini held[2];

    few.max_conns = 2;
    stand_open(http1_stand, &few);
    for (size_t i = 0; i < LENGTH(held); i++) {
        held[i] = mini_with(GET("/hold"));
        mini_expect(&held[i], ": hello");
    }
    struct mini more = mini_with(GET("/echo"));
    mini_expect_reply(&more, 503, "\r\nRetry-After: ", "no room");
    mini_expect_closed(&more);
    mini_close(&more);
    for (size_t i = 0; i < LENGTH(held); i++)
        mini_close(&held[i]);
    stand_close();
}
END_TEST

START_TEST(requests_that_together_need_too_much_memory_are_told_503)
{
    static char half[256 * 1024];
    struct porch_limits small = hasty;
    struct mini m[2], little;

    small.unfinished = 400 * 1024;
    small.head_ms = small.body_ms = 60000;
    stand_open(http1_stand, &small);
    for (size_t i = 0; i < LENGTH(m); i++) {
        m[i] = mini_with("POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n");
        mini_send(&m[i], (struct slice){ half, sizeof(half) });
    }
    mini_expect_reply(&m[1], 503, "\r\nRetry-After: ", "no memory");
    little = mini_with("POST /push/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    mini_expect_reply(&little, 200, "", "|body|");
    mini_say(&m[0], "x");
    mini_expect_reply(&m[0], 200, "", "");
    for (size_t i = 0; i < LENGTH(m); i++)
        mini_close(&m[i]);
    mini_close(&little);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
    ck_assert_uint_eq(stand.porch->unfinished, 0);
    stand_close();
}
END_TEST

static void expect_nothing_unfinished(uv_poll_t *poll)
{
    ck_assert_ptr_null(conn_of_poll(poll)->own);
}

START_TEST(an_open_stream_is_its_struct_alone)
{
    struct mini m = mini_with(GET("/hold"));

    mini_expect(&m, ": hello");
    porch_each(stand.porch, expect_nothing_unfinished);
    mini_close(&m);
}
END_TEST

/* ---- the end --------------------------------------------------------------------------------- */

START_TEST(a_stop_answers_what_was_asked_and_asks_the_held_to_end)
{
    struct mini kept = mini_with(GET("/echo")), held = mini_with(GET("/hold")), half, fresh, late,
                again = mini_with(GET("/echo"));

    mini_expect_reply(&kept, 200, "", "");
    mini_expect(&held, ": hello");
    mini_expect_reply(&again, 200, "", "");
    half = mini_with("GET /push/echo HTTP/1.1\r\n");
    fresh = mini_with("");
    pump_often();
    mini_open(&late, stand.path, stand_pump); /* connected, not yet accepted */
    ck_assert_int_gt(send(late.fd, GET("/echo"), strlen(GET("/echo")), 0), 0);
    ck_assert_int_gt(send(again.fd, GET("/echo"), strlen(GET("/echo")), 0), 0); /* nor read */
    porch_stop(stand.porch);
    server_drain(&stand.server);
    mini_expect_closed(&kept);
    mini_expect(&held, "drained");
    mini_expect(&held, "\r\n0\r\n\r\n");
    mini_expect_closed(&held);
    mini_say(&half, "Host: a\r\n\r\n");
    mini_expect_reply(&half, 200, "\r\nConnection: close\r\n", "GET|");
    mini_expect_closed(&half);
    mini_expect_reply(&late, 200, "\r\nConnection: close\r\n", "GET|");
    mini_expect_closed(&late);
    mini_expect_reply(&again, 200, "\r\nConnection: close\r\n", "GET|");
    mini_expect_closed(&fresh);
    mini_close(&kept);
    mini_close(&held);
    mini_close(&half);
    mini_close(&fresh);
    mini_close(&late);
    mini_close(&again);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
}
END_TEST

SUITE(http1_conn)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_kept_connection_serves_one_after_another);
    tcase_add_test(tc, http_1_0_ends_with_the_connection_unless_a_length_is_known);
    tcase_add_test(tc, what_has_no_body_sends_none);
    tcase_add_test(tc, chunks_are_whole_each_time_something_is_sent);
    tcase_add_test(tc, pipelined_requests_wait_for_their_turn);
    tcase_add_test(tc, a_reply_of_any_size_arrives_whole);
    tcase_add_test(tc, everything_is_below_the_mount);
    tcase_add_test(tc, who_leaves_is_noticed_while_a_reply_is_held);
    tcase_add_test(tc, who_shuts_his_end_still_gets_the_answer_that_is_on_its_way);
    tcase_add_test(tc, what_is_broken_is_answered_once_and_the_connection_ends);
    tcase_add_test(tc, a_body_that_is_too_large_is_refused_while_it_is_still_being_sent);
    tcase_add_test(tc, who_waits_for_100_hears_it_unless_nothing_will_be_taken);
    tcase_add_test(tc, an_open_stream_is_its_struct_alone);
    tcase_add_test(tc, a_stop_answers_what_was_asked_and_asks_the_held_to_end);
}

SUITE(http1_limits)
{
    tcase_add_test(tc, whoever_does_not_finish_is_told_so);
    tcase_add_test(tc, an_ended_reply_that_nobody_takes_is_given_up);
    tcase_add_test(tc, above_the_limit_there_is_a_503);
    tcase_add_test(tc, requests_that_together_need_too_much_memory_are_told_503);
}
