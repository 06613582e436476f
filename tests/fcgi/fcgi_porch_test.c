/*
 * fcgi_porch_test.c - the accepting side at its limits: too many connections, no descriptors left,
 * peers that never finish, and those that never read.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"
#include "tests/fcgi/mini_front.h"
#include "tests/fcgi/fcgi_stand.h"
#include "tests/logged.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

static const struct porch_limits tight = { .max_conns = 3,
                                           .surplus = 2,
                                           .head_ms = 60,
                                           .body_ms = 120,
                                           .flush_ms = 60,
                                           .unfinished = 1 << 20 };

static struct mini mini_get(const char *path, int flags)
{
    struct mini m;
    struct buf b = BUF_EMPTY;

    mini_open(&m, stand.path, stand_pump);
    put_get(&b, 1, flags, path);
    mini_send_buf(&m, &b);
    return m;
}

START_TEST(above_the_limit_there_is_a_503_and_below_it_service_again)
{
    struct mini held[3], more;

    stand_open(fcgi_stand, &tight);
    for (size_t i = 0; i < LENGTH(held); i++) {
        held[i] = mini_get("/hold", 0);
        mini_expect_text(&held[i], 1, ": hello");
    }
    more = mini_get("/echo", FCGI_KEEP_CONN);
    struct mini_reply *r = mini_expect_end(&more, 1);
    ck_assert_int_eq(reply_status(r), 503);
    ck_assert(reply_has(r, "Retry-After: "));
    mini_expect_closed(&more); /* although it asked to be kept */
    ck_assert_uint_eq(stand.server.stats.refused, 1);
    ck_assert_uint_eq(stand.served, 3);
    mini_close(&more);
    mini_close(&held[0]);
    WAIT_FOR(stand_gone() == 1, stand_pump);
    more = mini_get("/echo", 0);
    ck_assert_int_eq(reply_status(mini_expect_end(&more, 1)), 200);
    mini_close(&more);
    mini_close(&held[1]);
    mini_close(&held[2]);
    stand_close();
}
END_TEST

START_TEST(above_everything_they_wait_until_one_leaves)
{
    struct mini silent[6], more;

    stand_open(fcgi_stand, &(struct porch_limits){ .max_conns = 3,
                                                   .surplus = 2,
                                                   .head_ms = 60000,
                                                   .body_ms = 60000,
                                                   .flush_ms = 60000,
                                                   .unfinished = 1 << 20 });
    logged_begin(&stand.server.log);
    for (size_t i = 0; i < LENGTH(silent); i++)
        mini_open(&silent[i], stand.path, stand_pump);
    WAIT_FOR(stand.porch->count == 5, stand_pump);
    for (int i = 0; i < 20; i++)
        stand_pump();
    ck_assert_uint_eq(stand.porch->count, 5);
    ck_assert_uint_eq(stand.server.health.connections, 5);
    ck_assert(stand.server.health.not_accepting);
    logged_expect(&stand.server.log, "full: not accepting until some of 5 connections have left");
    for (size_t i = 0; i < LENGTH(silent); i++)
        mini_close(&silent[i]);
    more = mini_get("/echo", 0);
    ck_assert_int_eq(reply_status(mini_expect_end(&more, 1)), 200);
    ck_assert(!stand.server.health.not_accepting);
    logged_expect(&stand.server.log, "no longer full");
    mini_close(&more);
    stand_close();
}
END_TEST

START_TEST(without_descriptors_it_neither_spins_nor_dies)
{
    struct rlimit saved, none;
    struct mini m[4], held;
    int fds = 0, fd;

    stand_open(fcgi_stand, NULL);
    logged_begin(&stand.server.log);
    held = mini_get("/hold", 0);
    mini_expect_text(&held, 1, ": hello");
    for (size_t i = 0; i < LENGTH(m); i++) /* connected, not yet accepted */
        mini_open(&m[i], stand.path, stand_pump);
    getrlimit(RLIMIT_NOFILE, &saved);
    fd = dup(0);
    none = (struct rlimit){ (rlim_t)fd, saved.rlim_max };
    close(fd);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0); /* not one more */
    mini_expect_closed(&m[0]);                            /* told so by the descriptor in reserve */
    for (int i = 0; i < 50; i++) {
        stand_pump();
        fds += stand.porch->pause.link != NULL;
    }
    ck_assert_int_ge(fds, 45); /* nearly all the time it waits */
    ck_assert(stand.server.health.not_accepting);
    ck_assert_uint_eq(stand.server.stats.accept_pauses, 1);
    ck_assert_int_eq(logged_count(&stand.server.log, "descriptors exhausted"), 1);
    ck_assert_int_eq(logged_count(&stand.server.log, "\n"), 1); /* one line, however often */
    reply_write(stand.held[0].request, SLICE("others live"));
    mini_expect_text(&held, 1, "others live");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    struct mini last = mini_get("/echo", 0);
    ck_assert_int_eq(reply_status(mini_expect_end(&last, 1)), 200);
    for (int64_t end = now_ms() + 10000; stand.server.health.not_accepting; stand_pump())
        ck_assert_int_lt(now_ms(), end);
    logged_expect(&stand.server.log, "accepting again after ");
    ck_assert_int_eq(logged_count(&stand.server.log, "\n"), 2);
    mini_close(&last);
    for (size_t i = 0; i < LENGTH(m); i++)
        mini_close(&m[i]);
    mini_close(&held);
    stand_close();
}
END_TEST

START_TEST(whoever_does_not_finish_is_closed)
{
    struct mini silent, head, body, held, kept;
    struct buf b = BUF_EMPTY;

    stand_open(fcgi_stand, &(struct porch_limits){ .max_conns = 20,
                                                   .surplus = 2,
                                                   .head_ms = 60,
                                                   .body_ms = 120,
                                                   .flush_ms = 60,
                                                   .unfinished = 1 << 20 });
    held = mini_get("/hold", 0);
    kept = mini_get("/echo", FCGI_KEEP_CONN);
    mini_expect_end(&kept, 1);
    mini_open(&silent, stand.path, stand_pump);
    mini_open(&head, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_RESPONDER, 0);
    mini_send_buf(&head, &b);
    mini_open(&body, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_RESPONDER, 0);
    put_stream(&b, FCGI_PARAMS, 1, SLICE_NONE, 1);
    put_record(&b, FCGI_STDIN, 1, SLICE("half a"), 0);
    mini_send_buf(&body, &b);
    mini_expect_closed(&silent);
    mini_expect_closed(&head);
    mini_expect_closed(&body);
    ck_assert_uint_eq(stand.porch->count, 2); /* a held reply and a kept connection may wait */
    put_record(&b, FCGI_PARAMS, 9, SLICE_NONE, 0);
    mini_send(&held, (struct slice){ b.at, 3 }); /* half a record does no harm there */
    buf_fini(&b);
    mini_clear(&kept);
    put_begin(&b, 1, FCGI_RESPONDER, 0);
    mini_send_buf(&kept, &b); /* but a second request must come to its end as well */
    mini_expect_closed(&kept);
    mini_read(&held);
    ck_assert(!held.closed);
    mini_close(&silent);
    mini_close(&head);
    mini_close(&body);
    mini_close(&held);
    mini_close(&kept);
    stand_close();
}
END_TEST

START_TEST(an_ended_reply_that_nobody_takes_is_given_up)
{
    struct mini m;

    stand_open(fcgi_stand, &tight);
    m = mini_get("/big/5000000", 0);
    WAIT_FOR(stand.served == 1, stand_pump);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
    mini_expect_closed(&m);
    ck_assert_int_eq(m.reply[1].ends, 0);
    mini_close(&m);
    stand_close();
}
END_TEST

/* Begin a POST and send so many bytes of its body. */
static struct mini begin_post(size_t size)
{
    static char bytes[8192];
    struct mini m;
    struct buf b = BUF_EMPTY, params = BUF_EMPTY;

    params_put(&params, SLICE("REQUEST_METHOD"), SLICE("POST"));
    params_put(&params, SLICE("PATH_INFO"), SLICE("/echo"));
    mini_open(&m, stand.path, stand_pump);
    put_begin(&b, 1, FCGI_RESPONDER, 0);
    put_stream(&b, FCGI_PARAMS, 1, buf_slice(&params), 100);
    for (; size > 0; size -= sizeof(bytes))
        put_record(&b, FCGI_STDIN, 1, (struct slice){ bytes, sizeof(bytes) }, 0);
    mini_send_buf(&m, &b);
    buf_fini(&params);
    return m;
}

static int end_post(struct mini *m)
{
    struct buf b = BUF_EMPTY;

    put_record(&b, FCGI_STDIN, 1, SLICE_NONE, 0);
    mini_send_buf(m, &b);
    int status = reply_status(mini_expect_end(m, 1));
    mini_close(m);
    return status;
}

START_TEST(bodies_that_together_need_too_much_memory_are_told_503)
{
    struct porch_limits limits = tight;

    limits.unfinished = 600 * 1024;
    limits.body_ms = limits.head_ms = 60000;
    stand_open(fcgi_stand, &limits);
    struct mini one = begin_post(256 * 1024);
    WAIT_FOR(stand.porch->unfinished >= 256 * 1024, stand_pump);
    struct mini two = begin_post(512 * 1024);
    ck_assert_int_eq(end_post(&two), 503);
    struct mini three = begin_post(16 * 1024); /* small ones still find room */
    ck_assert_int_eq(end_post(&three), 200);
    ck_assert_int_eq(end_post(&one), 200);
    WAIT_FOR(stand.porch->count == 0, stand_pump);
    ck_assert_uint_eq(stand.porch->unfinished, 0);
    stand_close();
}
END_TEST

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

/* Is a client from 127.0.0.1 served by a porch that allows these? */
static bool is_served_over_tcp(const char *allowed)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool freed = false;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, len), 0); /* port 0: any */
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    struct porch *porch = fcgi_porch_new(&stand.server, fd, &tight, allowed);
    ck_assert_ptr_nonnull(porch);
    struct mini m = { .pump = stand_pump };
    struct buf b = BUF_EMPTY;
    m.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(m.fd, (struct sockaddr *)&name, len), 0);
    fcntl(m.fd, F_SETFL, O_NONBLOCK);
    put_get(&b, 1, 0, "/echo");
    mini_send_buf(&m, &b);
    mini_expect_closed(&m);
    bool served = reply_status(&m.reply[1]) == 200;
    mini_close(&m);
    porch_free(porch, on_freed, &freed);
    WAIT_FOR(freed, stand_pump);
    return served;
}

START_TEST(over_tcp_only_the_web_servers_named_may_connect)
{
    stand_open(fcgi_stand, NULL);
    ck_assert(is_served_over_tcp(NULL));
    ck_assert(is_served_over_tcp(""));
    ck_assert(is_served_over_tcp("192.0.2.1,127.0.0.1"));
    ck_assert(!is_served_over_tcp("192.0.2.1,127.0.0.10,127.0.0"));
    stand_close();
}
END_TEST

START_TEST(limits_follow_the_descriptors)
{
    struct conf conf;
    struct porch_limits l;

    ck_assert_int_eq(conf_init(&conf), RC_OK);
    l = front_limits_for(&conf, 1024);
    ck_assert_uint_ge(l.max_conns, 900);
    ck_assert_uint_le(l.max_conns + l.surplus + (size_t)conf.database_pool + 32, 1024);
    l = front_limits_for(&conf, 10); /* hopeless, but not nothing */
    ck_assert_uint_ge(l.max_conns, 1);
    ck_assert_uint_ge(l.surplus, 1);
    conf_fini(&conf);
}
END_TEST

SUITE(fcgi_porch)
{
    tcase_add_test(tc, above_the_limit_there_is_a_503_and_below_it_service_again);
    tcase_add_test(tc, above_everything_they_wait_until_one_leaves);
    tcase_add_test(tc, without_descriptors_it_neither_spins_nor_dies);
    tcase_add_test(tc, whoever_does_not_finish_is_closed);
    tcase_add_test(tc, an_ended_reply_that_nobody_takes_is_given_up);
    tcase_add_test(tc, bodies_that_together_need_too_much_memory_are_told_503);
    tcase_add_test(tc, over_tcp_only_the_web_servers_named_may_connect);
    tcase_add_test(tc, limits_follow_the_descriptors);
}
