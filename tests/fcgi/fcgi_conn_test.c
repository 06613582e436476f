/*
 * fcgi_conn_test.c - connections on the loop, asked by a miniature web server over real sockets.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fcgi/fcgi_conn.h"
#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"
#include "tests/fcgi/mini_front.h"
#include "tests/fcgi/fcgi_stand.h"
#include "tests/suite.h"

static void open_stand(void)
{
    stand_open(fcgi_stand, NULL);
}

static struct mini mini_get(const char *path, int flags)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_get(&b, 1, flags, path);
    mini_send_buf(&m, &b);
    return m;
}

static void expect_echo(struct mini *m, const char *text)
{
    struct mini_reply *r = mini_expect_end(m, 1);

    ck_assert_int_eq(reply_status(r), 200);
    ck_assert_int_eq(r->stdout_ends, 1);
    ck_assert_int_eq(r->protocol_status, FCGI_REQUEST_COMPLETE);
    ck_assert_msg(reply_has(r, text), "'%.*s' is without '%s'", (int)r->out.len, r->out.at, text);
}

/* Others are served at once: that is what nobody may be able to spoil. */
static void expect_others_served(void)
{
    struct mini m = mini_get("/echo", 0);
    expect_echo(&m, "GET|/push|/echo|||");
    mini_expect_closed(&m);
    mini_close(&m);
}

START_TEST(a_request_is_answered_and_the_connection_closed)
{
    const char *const pairs[] = {
        "REQUEST_METHOD", "POST",  "SCRIPT_NAME", "/push", "PATH_INFO", "/echo",
        "QUERY_STRING",   "a=1&b", "HTTP_X_TEST", "yes",   NULL
    };
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_request(&b, 1, 0, pairs, SLICE("some body"));
    mini_send_buf(&m, &b);
    expect_echo(&m, "\r\n\r\nPOST|/push|/echo|a=1&b|yes|some body|");
    ck_assert(reply_has(&m.reply[1], "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"));
    ck_assert_int_eq(m.records, 3); /* all in one STDOUT record, its end, END_REQUEST */
    mini_expect_closed(&m);
    mini_close(&m);
}
END_TEST

START_TEST(one_byte_at_a_time_is_enough)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_get(&b, 1, 0, "/echo");
    for (size_t i = 0; i < b.len; i++) {
        mini_send(&m, (struct slice){ b.at + i, 1 });
        stand_pump();
    }
    buf_fini(&b);
    expect_echo(&m, "GET|/push|/echo|");
    mini_close(&m);
}
END_TEST

static void expect_no_intake(uv_poll_t *poll)
{
    ck_assert_ptr_null(fcgi_conn_of(poll)->in);
}

START_TEST(a_kept_connection_serves_one_after_another)
{
    struct mini m = mini_get("/echo", FCGI_KEEP_CONN);

    for (int i = 0; i < 5; i++) {
        struct buf b = BUF_EMPTY;
        expect_echo(&m, "/echo");
        ck_assert(!m.closed);
        porch_each(stand.porch, expect_no_intake); /* an idle connection holds nothing */
        mini_clear(&m);
        put_get(&b, 1, i == 4 ? 0 : FCGI_KEEP_CONN, "/echo");
        mini_send_buf(&m, &b);
    }
    expect_echo(&m, "/echo");
    mini_expect_closed(&m);
    mini_close(&m);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_turn)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    m.in_a_row = true;
    put_get(&b, 1, FCGI_KEEP_CONN, "/hold");
    put_get(&b, 1, FCGI_KEEP_CONN, "/big/300000");
    put_get(&b, 1, 0, "/echo");
    mini_send_buf(&m, &b);
    mini_expect_text(&m, 1, ": hello");
    for (int i = 0; i < 10; i++)
        stand_pump();
    ck_assert_uint_eq(stand.served, 1); /* the second waits for the first */
    struct request *r = stand.held[0].request;
    stand.held[0].request = NULL;
    reply_write(r, SLICE("first done"));
    reply_end(r);
    mini_expect_closed(&m);
    ck_assert(!m.is_garbage);
    buf_putc(&m.history, '\0');
    const char *first = strstr(m.history.at, "first done END 0\nStatus: 200");
    ck_assert_ptr_nonnull(first);
    const char *second = strstr(first, "bbbbbbbb END 0\nStatus: 200");
    ck_assert_ptr_nonnull(second);
    ck_assert_uint_gt((size_t)(second - first), 300000);
    ck_assert_ptr_nonnull(strstr(second, "GET|/push|/echo|||| END 0\n"));
    mini_close(&m);
}
END_TEST

START_TEST(whoever_pipelines_and_leaves_is_noticed)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_get(&b, 1, FCGI_KEEP_CONN, "/hold");
    put_get(&b, 1, FCGI_KEEP_CONN, "/hold");
    mini_send_buf(&m, &b);
    mini_expect_text(&m, 1, ": hello");
    mini_close(&m);
    WAIT_FOR(stand_gone() == 1, stand_pump);
    ck_assert_uint_eq(stand.served, 1);
}
END_TEST

START_TEST(a_second_id_is_refused_and_the_first_goes_on)
{
    struct mini m = mini_get("/hold", 0);
    struct buf b = BUF_EMPTY;

    mini_expect_text(&m, 1, ": hello");
    put_get(&b, 2, 0, "/echo");
    put_record(&b, FCGI_GET_VALUES, 0, SLICE("\x0e\x00" FCGI_MAX_CONNS), 0);
    put_record(&b, 77, 0, SLICE_NONE, 0);
    mini_send_buf(&m, &b);
    ck_assert_int_eq(mini_expect_end(&m, 2)->protocol_status, FCGI_CANT_MPX_CONN);
    while (m.management_type != FCGI_UNKNOWN_TYPE)
        mini_wait(&m);
    ck_assert(reply_has(&m.reply[0], FCGI_MAX_CONNS "200"));
    ck_assert_uint_eq(stand.served, 1);
    reply_write(stand.held[0].request, SLICE("still here"));
    mini_expect_text(&m, 1, "still here");
    mini_close(&m);
    WAIT_FOR(stand_gone() == 1, stand_pump);
}
END_TEST

START_TEST(an_unknown_role_is_refused)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_AUTHORIZER, 0);
    mini_send_buf(&m, &b);
    ck_assert_int_eq(mini_expect_end(&m, 1)->protocol_status, FCGI_UNKNOWN_ROLE);
    mini_expect_closed(&m);
    mini_close(&m);
}
END_TEST

START_TEST(an_abort_ends_a_held_reply)
{
    struct mini m = mini_get("/hold", FCGI_KEEP_CONN);
    struct buf b = BUF_EMPTY;

    mini_expect_text(&m, 1, ": hello");
    put_record(&b, FCGI_ABORT_REQUEST, 1, SLICE_NONE, 0);
    mini_send_buf(&m, &b);
    mini_expect_end(&m, 1);
    ck_assert_uint_eq(stand_gone(), 1);
    ck_assert_uint_eq(stand.server.open_count, 0);
    mini_clear(&m);
    put_get(&b, 1, 0, "/echo"); /* and the connection is good for another */
    mini_send_buf(&m, &b);
    expect_echo(&m, "/echo");
    mini_close(&m);
}
END_TEST

START_TEST(an_abort_ends_half_a_request)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_RESPONDER, FCGI_KEEP_CONN);
    put_record(&b, FCGI_PARAMS, 1, SLICE("half"), 0);
    put_record(&b, FCGI_ABORT_REQUEST, 1, SLICE_NONE, 0);
    mini_send_buf(&m, &b);
    mini_expect_end(&m, 1);
    mini_clear(&m);
    put_get(&b, 1, 0, "/echo");
    mini_send_buf(&m, &b);
    expect_echo(&m, "/echo");
    mini_close(&m);
}
END_TEST

START_TEST(fifty_who_never_finish_disturb_nobody)
{
    struct mini m[50];
    struct buf b = BUF_EMPTY;

    for (size_t i = 0; i < LENGTH(m); i++) {
        mini_open(&m[i], stand.path, stand_pump);
        put_begin(&b, 1, FCGI_RESPONDER, 0);
        if (i % 3 == 1) /* inside a record of PARAMS */
            buf_put(&b, SLICE("\x01\x04\x00\x01\x40\x00\x00\x00half"));
        if (i % 3 == 2) /* all but the end of STDIN */
            put_stream(&b, FCGI_PARAMS, 1, SLICE_NONE, 1);
        mini_send(&m[i], (struct slice){ b.at, i % 3 ? b.len : 5 });
        buf_fini(&b);
    }
    WAIT_FOR(stand.porch->count == LENGTH(m), stand_pump);
    expect_others_served();
    for (size_t i = 0; i < LENGTH(m); i++)
        mini_close(&m[i]);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
    ck_assert_uint_eq(stand.served, 1);
}
END_TEST

static int status_of_params(struct slice params)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_RESPONDER, 0);
    put_stream(&b, FCGI_PARAMS, 1, params, 65535);
    put_stream(&b, FCGI_STDIN, 1, SLICE_NONE, 1);
    mini_send_buf(&m, &b);
    struct mini_reply *r = mini_expect_end(&m, 1);
    int status = reply_status(r);
    ck_assert(reply_has(r, "Content-Type: application/problem+json\r\n"));
    mini_close(&m);
    return status;
}

START_TEST(names_that_are_too_long_or_lie_are_refused_in_words)
{
    struct buf name = BUF_EMPTY, p = BUF_EMPTY;

    for (int i = 0; i < 70000; i++)
        buf_putc(&name, 'N');
    params_put(&p, buf_slice(&name), SLICE("v"));
    ck_assert_int_eq(status_of_params(buf_slice(&p)), 431);
    ck_assert_int_eq(status_of_params(SLICE("\xff\xff\xff\xfe\x01name")), 400);
    ck_assert_int_eq(status_of_params(SLICE("\xff\xff\xff\xfe\xff\xff\xff\xfename")), 400);
    ck_assert_int_eq(status_of_params(SLICE_NONE), 400); /* no method */
    ck_assert_uint_eq(stand.served, 0);
    buf_fini(&name);
    buf_fini(&p);
    expect_others_served();
}
END_TEST

static struct mini_reply *post(struct mini *m, size_t size, const char *said)
{
    const char *const pairs[] = {
        "REQUEST_METHOD", "POST", "PATH_INFO", "/echo", said ? "CONTENT_LENGTH" : "X", said, NULL
    };
    struct buf b = BUF_EMPTY, body = BUF_EMPTY;

    for (size_t i = 0; i < size; i++)
        buf_putc(&body, (char)('a' + i % 23));
    mini_open(m, stand.path, stand_pump);
    put_request(&b, 1, 0, pairs, said ? SLICE_NONE : buf_slice(&body));
    mini_send_buf(m, &b);
    struct mini_reply *r = mini_expect_end(m, 1);
    if (reply_status(r) == 200)
        ck_assert(memmem(r->out.at, r->out.len, body.at, body.len) != NULL);
    buf_fini(&body);
    return r;
}

START_TEST(a_body_of_a_mebibyte_arrives_whole)
{
    struct mini m;
    struct mini_reply *r = post(&m, 1024 * 1024, NULL);

    ck_assert_int_eq(reply_status(r), 200);
    ck_assert_uint_eq(stand.body_len, 1024 * 1024);
    mini_close(&m);
}
END_TEST

START_TEST(a_body_above_the_limit_is_thrown_away_and_told)
{
    struct mini m;

    ck_assert_int_eq(reply_status(post(&m, 2 * 1024 * 1024 + 1, NULL)), 413);
    ck_assert(stand.body_too_large);
    ck_assert_uint_eq(stand.body_len, 0);
    mini_close(&m);
    ck_assert_int_eq(reply_status(post(&m, 2 * 1024 * 1024, NULL)), 200);
    mini_close(&m);
}
END_TEST

START_TEST(half_a_body_is_not_served)
{
    struct mini m;

    ck_assert_int_eq(reply_status(post(&m, 0, "7")), 400);
    ck_assert_uint_eq(stand.served, 0);
    mini_close(&m);
}
END_TEST

START_TEST(what_is_not_fastcgi_is_hung_up_on)
{
    struct mini m;

    mini_open(&m, stand.path, stand_pump);
    mini_send(&m, SLICE("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    mini_expect_closed(&m);
    mini_close(&m);
}
END_TEST

START_TEST(a_peer_that_leaves_is_noticed_at_once)
{
    struct mini m = mini_get("/hold", 0);

    mini_expect_text(&m, 1, ": hello");
    porch_each(stand.porch, expect_no_intake); /* an open stream is the struct alone */
    ck_assert_uint_eq(stand.server.open_count, 1);
    mini_close(&m);
    stand_pump();
    ck_assert_uint_eq(stand_gone(), 1);
    ck_assert_uint_eq(stand.server.open_count, 0);
}
END_TEST

START_TEST(a_slow_reader_is_queued_for_and_room_comes_when_he_has_read)
{
    struct mini m = mini_get("/hold", 0);
    static char piece[100000];
    size_t sent = 0;

    mini_expect_text(&m, 1, ": hello");
    struct held *h = &stand.held[0];
    while (reply_queued(h->request) == 0) { /* until the socket is full */
        reply_write(h->request, (struct slice){ piece, sizeof(piece) });
        sent += sizeof(piece);
        stand_pump();
        ck_assert_uint_lt(sent, 100 * 1000 * 1000);
    }
    int rooms = h->rooms;
    for (int i = 0; i < 20; i++)
        stand_pump();
    ck_assert_int_eq(h->rooms, rooms);
    ck_assert_uint_gt(reply_queued(h->request), 0);
    while (h->rooms == rooms)
        mini_wait(&m);
    ck_assert_uint_eq(reply_queued(h->request), 0);
    mini_read(&m);
    ck_assert(!m.is_garbage);
    ck_assert_uint_ge(m.reply[1].out.len, sent);
    mini_close(&m);
    WAIT_FOR(h->gone, stand_pump);
}
END_TEST

START_TEST(many_writes_of_one_turn_are_one_record)
{
    struct mini m = mini_get("/hold", 0);

    mini_expect_text(&m, 1, ": hello");
    int before = m.records;
    for (int i = 0; i < 50; i++)
        reply_write(stand.held[0].request, SLICE("data: event\n\n"));
    reply_write(stand.held[0].request, SLICE("last"));
    mini_expect_text(&m, 1, "last");
    ck_assert_int_eq(m.records, before + 1);
    mini_close(&m);
}
END_TEST

START_TEST(a_long_reply_is_paced_by_its_reader)
{
    struct mini m = mini_get("/count/3000000", 0);
    struct mini_reply *r = mini_expect_end(&m, 1);

    ck_assert_uint_eq(r->out.len,
                      3000000 + strlen("Status: 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                                       ": hello\n\n"));
    mini_close(&m);
}
END_TEST

START_TEST(a_forgotten_request_hangs_nobody)
{
    struct mini m = mini_get("/forget", 0);

    stand.server.log.fd = open("/dev/null", O_WRONLY);
    mini_expect_closed(&m);
    ck_assert_int_eq(m.reply[1].ends, 0);
    close(stand.server.log.fd);
    stand.server.log.fd = 2;
    mini_close(&m);
}
END_TEST

START_TEST(a_drain_lets_replies_end_and_closes_what_is_idle)
{
    struct mini idle = mini_get("/echo", FCGI_KEEP_CONN);
    struct mini held = mini_get("/hold", FCGI_KEEP_CONN);

    expect_echo(&idle, "/echo");
    mini_expect_text(&held, 1, ": hello");
    porch_stop(stand.porch);
    server_drain(&stand.server);
    ck_assert(reply_has(mini_expect_end(&held, 1), "drained"));
    mini_expect_closed(&held);
    mini_expect_closed(&idle);
    ck_assert_uint_eq(stand.porch->count, 0);
    mini_close(&idle);
    mini_close(&held);
}
END_TEST

SUITE(fcgi_conn)
{
    tcase_add_checked_fixture(tc, open_stand, stand_close);
    tcase_add_test(tc, a_request_is_answered_and_the_connection_closed);
    tcase_add_test(tc, one_byte_at_a_time_is_enough);
    tcase_add_test(tc, a_kept_connection_serves_one_after_another);
    tcase_add_test(tc, pipelined_requests_are_answered_in_turn);
    tcase_add_test(tc, whoever_pipelines_and_leaves_is_noticed);
    tcase_add_test(tc, a_second_id_is_refused_and_the_first_goes_on);
    tcase_add_test(tc, an_unknown_role_is_refused);
    tcase_add_test(tc, an_abort_ends_a_held_reply);
    tcase_add_test(tc, an_abort_ends_half_a_request);
    tcase_add_test(tc, fifty_who_never_finish_disturb_nobody);
    tcase_add_test(tc, names_that_are_too_long_or_lie_are_refused_in_words);
    tcase_add_test(tc, a_body_of_a_mebibyte_arrives_whole);
    tcase_add_test(tc, a_body_above_the_limit_is_thrown_away_and_told);
    tcase_add_test(tc, half_a_body_is_not_served);
    tcase_add_test(tc, what_is_not_fastcgi_is_hung_up_on);
    tcase_add_test(tc, a_peer_that_leaves_is_noticed_at_once);
    tcase_add_test(tc, a_slow_reader_is_queued_for_and_room_comes_when_he_has_read);
    tcase_add_test(tc, many_writes_of_one_turn_are_one_record);
    tcase_add_test(tc, a_long_reply_is_paced_by_its_reader);
    tcase_add_test(tc, a_forgotten_request_hangs_nobody);
    tcase_add_test(tc, a_drain_lets_replies_end_and_closes_what_is_idle);
}
