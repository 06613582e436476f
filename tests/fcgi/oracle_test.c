/*
 * oracle_test.c - the same scenarios against our front and against a stock libfcgi responder: what
 * the web server sees must agree.  And Debian's cgi-fcgi as the web server.
 */
#include <fcgiapp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"
#include "tests/fcgi/mini_front.h"
#include "tests/fcgi/fcgi_stand.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

/* ---- the stock responder --------------------------------------------------------------------- */

static const char *param(const FCGX_Request *r, const char *name)
{
    const char *value = FCGX_GetParam(name, r->envp);
    return value ? value : "";
}

/* As stand's /echo. */
static void respond_forever(int fd)
{
    FCGX_Request r;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (FCGX_InitRequest(&r, fd, 0) != 0)
        _exit(1);
    while (FCGX_Accept_r(&r) == 0) {
        FCGX_FPrintF(r.out, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n");
        FCGX_FPrintF(r.out, "%s|%s|%s|%s|%s|", param(&r, "REQUEST_METHOD"),
                     param(&r, "SCRIPT_NAME"), param(&r, "PATH_INFO"), param(&r, "QUERY_STRING"),
                     param(&r, "HTTP_X_TEST"));
        for (int c; (c = FCGX_GetChar(r.in)) != -1;)
            FCGX_PutChar(c, r.out);
        FCGX_PutS("|", r.out);
    }
    _exit(1);
}

static pid_t responder_start(const char *path)
{
    /* Here already it listens: the socket's file alone does not say so. */
    int fd = FCGX_Init() == 0 ? FCGX_OpenSocket(path, 10) : -1;
    pid_t pid = fork();

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        respond_forever(fd);
    close(fd);
    return pid;
}

static struct mini *current;

static void pump_nothing(void)
{
    poll(&(struct pollfd){ .fd = current->fd, .events = POLLIN }, 1, 5);
}

/* ---- scenarios ------------------------------------------------------------------------------- */

static const char *const variables[] = {
    "REQUEST_METHOD",  "GET",       "SCRIPT_NAME", "/push", "PATH_INFO", "/echo",
    "QUERY_STRING",    "topic=a&b", "HTTP_X_TEST", "yes",   "EMPTY",     "",
    "SERVER_SOFTWARE", "mini",      NULL
};

struct scenario {
    const char *name;
    void (*write)(struct buf *);
    int ends; /* replies to id 1 */
    bool closes;
    int other_end; /* protocol status of id 2's END_REQUEST; 0: none */
};

static void plain_get(struct buf *b)
{
    put_request(b, 1, 0, variables, SLICE_NONE);
}

static void post(struct buf *b, size_t size)
{
    struct buf body = BUF_EMPTY;

    for (size_t i = 0; i < size; i++)
        buf_putc(&body, (char)(' ' + i % 90));
    put_request(b, 1, 0, variables, buf_slice(&body));
    buf_fini(&body);
}

static void small_post(struct buf *b)
{
    post(b, 100);
}

static void post_of_a_mebibyte(struct buf *b)
{
    post(b, 1024 * 1024);
}

static void params_in_small_pieces(struct buf *b)
{
    struct buf params = BUF_EMPTY, value = BUF_EMPTY;

    for (int i = 0; i < 300; i++) /* a length of four bytes, cut within */
        buf_putc(&value, 'v');
    params_put(&params, SLICE("HTTP_X_TEST"), buf_slice(&value));
    for (size_t i = 0; i < 4; i++)
        params_put(&params, slice_of(variables[2 * i]), slice_of(variables[2 * i + 1]));
    put_begin(b, 1, FCGI_RESPONDER, 0);
    put_stream(b, FCGI_PARAMS, 1, buf_slice(&params), 1);
    put_stream(b, FCGI_STDIN, 1, SLICE_NONE, 1);
    buf_fini(&params);
    buf_fini(&value);
}

static void kept_alive(struct buf *b)
{
    put_request(b, 1, FCGI_KEEP_CONN, variables, SLICE_NONE);
}

static void with_padding(struct buf *b)
{
    struct buf params = BUF_EMPTY;

    for (size_t i = 0; i < 4; i++)
        params_put(&params, slice_of(variables[2 * i]), slice_of(variables[2 * i + 1]));
    put_begin(b, 1, FCGI_RESPONDER, 0);
    put_record(b, FCGI_PARAMS, 1, buf_slice(&params), 255);
    put_record(b, FCGI_PARAMS, 1, SLICE_NONE, 8);
    put_record(b, FCGI_STDIN, 1, SLICE_NONE, 8);
    buf_fini(&params);
}

static void a_second_id(struct buf *b)
{
    struct buf params = BUF_EMPTY;

    for (size_t i = 0; i < 4; i++)
        params_put(&params, slice_of(variables[2 * i]), slice_of(variables[2 * i + 1]));
    put_begin(b, 1, FCGI_RESPONDER, 0);
    put_begin(b, 2, FCGI_RESPONDER, 0);
    put_stream(b, FCGI_PARAMS, 1, buf_slice(&params), 1000);
    put_record(b, FCGI_STDIN, 2, SLICE("not ours"), 0);
    put_stream(b, FCGI_STDIN, 1, SLICE_NONE, 1);
    buf_fini(&params);
}

static void values_first(struct buf *b)
{
    put_record(b, FCGI_GET_VALUES, 0, SLICE("\x0f\x00" FCGI_MPXS_CONNS), 0);
    plain_get(b);
}

static void nonsense_first(struct buf *b)
{
    /* without content: libfcgi does not step over that of a type it does not know, and takes it for
       the next record */
    put_record(b, 42, 0, SLICE_NONE, 0);
    put_record(b, FCGI_STDIN, 6, SLICE("nobody's"), 0);
    plain_get(b);
}

static const struct scenario scenarios[] = {
    { "plain get", plain_get, 1, true, 0 },
    { "small post", small_post, 1, true, 0 },
    { "post of a mebibyte", post_of_a_mebibyte, 1, true, 0 },
    { "params in small pieces", params_in_small_pieces, 1, true, 0 },
    { "kept alive", kept_alive, 1, false, 0 },
    { "with padding", with_padding, 1, true, 0 },
    { "a second id", a_second_id, 1, true, FCGI_CANT_MPX_CONN },
    { "values first", values_first, 1, true, 0 },
    { "nonsense first", nonsense_first, 1, true, 0 },
};

/* Play it; what came back as text.  piece: bytes of one send. */
static struct buf play(const struct scenario *s, const char *path, void (*pump)(void), size_t piece)
{
    struct mini m;
    struct buf b = BUF_EMPTY, seen = BUF_EMPTY;

    mini_open(&m, path, pump);
    current = &m;
    s->write(&b);
    for (size_t at = 0; at < b.len; at += piece)
        mini_send(&m, (struct slice){ b.at + at, piece < b.len - at ? piece : b.len - at });
    buf_fini(&b);
    mini_expect_end(&m, 1);
    if (s->other_end)
        ck_assert_int_eq(mini_expect_end(&m, 2)->protocol_status, s->other_end);
    if (s->closes)
        mini_expect_closed(&m);
    ck_assert(m.closed == s->closes);
    for (int id = 0; id < MINI_IDS; id++) {
        struct mini_reply *r = &m.reply[id];
        buf_printf(&seen, "%d: %zu bytes, stdout ends %d, ends %d, status %d\n", id, r->out.len,
                   r->stdout_ends, r->ends, r->protocol_status);
        buf_put(&seen, buf_slice(&r->out));
    }
    buf_printf(&seen, "management %d\n", m.management_type);
    mini_close(&m);
    return seen;
}

START_TEST(libfcgi_and_we_say_the_same)
{
    char path[128];

    stand_open(fcgi_stand, NULL);
    snprintf(path, sizeof(path), "%s/stock", stand.dir);
    pid_t responder = responder_start(path);
    for (size_t i = 0; i < LENGTH(scenarios); i++) {
        const struct scenario *s = &scenarios[i];
        for (size_t piece = s->write == post_of_a_mebibyte ? 7777 : 1; piece < 1000000;
             piece = piece * 37 + 1) {
            struct buf ours = play(s, stand.path, stand_pump, piece);
            struct buf theirs = play(s, path, pump_nothing, piece);
            ck_assert_msg(slice_is(buf_slice(&ours), buf_slice(&theirs)),
                          "%s in pieces of %zu:\nours: %.*s\ntheirs: %.*s", s->name, piece,
                          (int)(ours.len < 2000 ? ours.len : 2000), ours.at,
                          (int)(theirs.len < 2000 ? theirs.len : 2000), theirs.at);
            ck_assert(memmem(ours.at, ours.len, "/push|/echo|topic=a&b|", 22));
            buf_fini(&ours);
            buf_fini(&theirs);
        }
    }
    kill(responder, SIGKILL);
    waitpid(responder, NULL, 0);
    unlink(path);
    stand_close();
}
END_TEST

/* ---- cgi-fcgi as the web server
 * ------------------------------------------------------------------ */

START_TEST(debians_cgi_fcgi_is_served)
{
    int in[2], out[2];
    char text[4096] = "";
    size_t len = 0;

    if (access("/usr/bin/cgi-fcgi", X_OK) != 0)
        return;
    stand_open(fcgi_stand, NULL);
    ck_assert_int_eq(pipe(in) | pipe(out), 0);
    pid_t pid = process_start(&(struct process_spec){
        .argv = (const char *const[]){ "/usr/bin/cgi-fcgi", "-bind", "-connect", stand.path, NULL },
        .env = (const char *const[]){ "REQUEST_METHOD=POST", "SCRIPT_NAME=/push", "PATH_INFO=/echo",
                                      "QUERY_STRING=q", "CONTENT_LENGTH=9", "HTTP_X_TEST=t", NULL },
        .stdin_fd = in[0],
        .stdout_fd = out[1],
    });
    close(in[0]);
    close(out[1]);
    ck_assert_int_eq(write(in[1], "some body", 9), 9);
    close(in[1]);
    for (;;) {
        struct pollfd p = { .fd = out[0], .events = POLLIN };
        stand_pump();
        if (poll(&p, 1, 1) == 0)
            continue;
        ssize_t n = read(out[0], text + len, sizeof(text) - 1 - len);
        ck_assert_int_ge(n, 0);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    ck_assert_str_eq(text, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"
                           "POST|/push|/echo|q|t|some body|");
    close(out[0]);
    ck_assert(process_wait(pid, 20000, NULL));
    stand_close();
}
END_TEST

SUITE(oracle)
{
    tcase_add_test(tc, libfcgi_and_we_say_the_same);
    tcase_add_test(tc, debians_cgi_fcgi_is_served);
}
