/*
 * pg_loop_test.c - a watched socket tells all that happens to it, whatever libuv makes of it.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sql/pg_loop.h"
#include "tests/suite.h"

enum { PATIENCE_MS = 5000 };

struct watched {
    uv_loop_t uv;
    struct pg_loop loop;
    struct pg_watch *watch;
    uv_timer_t deadline;
    int fd, error;
    char heard[8];
    size_t len;
};

static void on_deadline(uv_timer_t *timer)
{
    ck_abort_msg("the watch is silent");
}

/* As a connection does: take one piece, and go on watching until reading fails. */
static void on_io(void *arg, int events)
{
    struct watched *w = arg;
    ssize_t n = recv(w->fd, w->heard + w->len, 1, MSG_DONTWAIT);

    if (n > 0) {
        w->len += (size_t)n;
        pg_watch_set(w->watch, UV_READABLE);
        return;
    }
    w->error = n < 0 ? errno : 0;
    pg_watch_close(w->watch);
    uv_close((uv_handle_t *)&w->deadline, NULL);
}

/*
 * A server that dies while our statement lies unread before it: its last words can still be read,
 * then comes the reset.  The socket has an error from the beginning, on which libuv stops watching.
 */
START_TEST(last_words_and_the_reset_behind_them_are_both_told)
{
    struct watched w = { .error = -1 };
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(write(pair[0], "SELECT", 6), 6);
    ck_assert_int_eq(write(pair[1], "bye", 3), 3);
    close(pair[1]);

    ck_assert_int_eq(uv_loop_init(&w.uv), 0);
    w.fd = pair[0];
    w.loop = (struct pg_loop){ .uv = &w.uv };
    w.watch = pg_watch_new(&w.loop, w.fd, on_io, &w);
    pg_watch_set(w.watch, UV_READABLE);
    uv_timer_init(&w.uv, &w.deadline);
    uv_timer_start(&w.deadline, on_deadline, PATIENCE_MS, 0);
    uv_run(&w.uv, UV_RUN_DEFAULT);

    ck_assert_uint_eq(w.len, 3);
    ck_assert_mem_eq(w.heard, "bye", 3);
    ck_assert_int_eq(w.error, ECONNRESET);
    ck_assert_uint_eq(w.loop.held, 0);
    ck_assert_int_eq(uv_loop_close(&w.uv), 0);
    close(pair[0]);
}
END_TEST

SUITE(pg_loop)
{
    tcase_add_test(tc, last_words_and_the_reset_behind_them_are_both_told);
}
