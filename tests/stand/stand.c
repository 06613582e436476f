/*
 * stand.c - a server's porch in the test's own process.
 */
#include "tests/stand/stand.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/answer.h"
#include "tests/peers/process.h"

enum { PIECE = 16 * 1024 };

struct stand stand;

static void on_room(void *owner)
{
    struct held *h = owner;
    static const char piece[PIECE] = "a piece of something long";

    h->rooms++;
    if (h->left == 0)
        return;
    size_t n = h->left < PIECE ? h->left : PIECE;
    h->left -= n;
    reply_write(h->request, (struct slice){ piece, n });
    if (h->left == 0) {
        struct request *r = h->request;
        h->request = NULL;
        reply_end(r);
    }
}

static void on_gone(void *owner)
{
    struct held *h = owner;
    ck_assert(!h->gone);
    h->gone = true;
    h->request = NULL;
}

static void on_drain(void *owner)
{
    struct held *h = owner;
    struct request *r = h->request;

    h->drained = true;
    h->request = NULL;
    reply_write(r, SLICE("drained\n"));
    reply_end(r);
}

static const struct reply_ops reply_ops = { .room = on_room, .gone = on_gone, .drain = on_drain };

static void serve_echo(struct request *r)
{
    const struct request_head *head = r->head;
    const struct slice parts[] = {
        head->method, head->mount, head->path, head->query, request_header(r, "x-test"), head->body
    };
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < LENGTH(parts); i++) {
        buf_put(&out, parts[i]);
        buf_putc(&out, '|');
    }
    reply_begin(r, 200, SLICE("Content-Type: text/plain\r\n"));
    reply_write(r, buf_slice(&out));
    reply_end(r);
    buf_fini(&out);
}

static void serve_big(struct request *r, size_t size)
{
    char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'b', size);
    reply_begin(r, 200, SLICE_NONE);
    reply_write(r, (struct slice){ bytes, size });
    reply_end(r);
    free(bytes);
}

static void serve_none(struct request *r)
{
    reply_begin(r, 204, SLICE_NONE);
    reply_end(r);
}

static void serve_hold(struct request *r, size_t count)
{
    ck_assert_uint_lt(stand.n_held, STAND_HELD_MAX);
    struct held *h = &stand.held[stand.n_held++];

    *h = (struct held){ .request = r, .left = count };
    reply_begin(r, 200, SLICE("Content-Type: text/event-stream\r\n"));
    reply_write(r, SLICE(": hello\n\n"));
    reply_hold(r, &reply_ops, h);
}

void stand_serve(struct request *r)
{
    char path[64] = "";

    stand.served++;
    stand.body_len = r->head->body.len;
    stand.body_too_large = r->head->body_too_large;
    snprintf(path, sizeof(path), "%.*s", (int)r->head->path.len, r->head->path.at);
    if (r->head->body_too_large)
        answer_problem(r, 413, "too large", 0);
    else if (strcmp(path, "/echo") == 0)
        serve_echo(r);
    else if (strncmp(path, "/big/", 5) == 0)
        serve_big(r, (size_t)atol(path + 5));
    else if (strcmp(path, "/none") == 0)
        serve_none(r);
    else if (strcmp(path, "/hold") == 0)
        serve_hold(r, 0);
    else if (strncmp(path, "/count/", 7) == 0)
        serve_hold(r, (size_t)atol(path + 7));
    else if (strcmp(path, "/forget") != 0)
        answer_problem(r, 404, "no such thing", 0);
}

static int open_socket(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    ck_assert_int_eq(listen(fd, 128), 0);
    return fd;
}

void stand_open(stand_porch_fn *porch_of, const struct porch_limits *limits)
{
    static const struct porch_limits generous = { .max_conns = 200,
                                                  .surplus = 10,
                                                  .head_ms = 60000,
                                                  .body_ms = 60000,
                                                  .next_ms = 60000,
                                                  .flush_ms = 60000,
                                                  .unfinished = 64 * 1024 * 1024 };
    int rc = conf_init(&stand.conf);

    ck_assert_int_eq(rc, RC_OK);
    stand.conf.max_body_bytes = 2 * 1024 * 1024;
    stand.dir = temp_folder("stand");
    snprintf(stand.path, sizeof(stand.path), "%s/socket", stand.dir);
    ck_assert_int_eq(uv_loop_init(&stand.loop), 0);
    rc = server_init(&stand.server, &stand.loop, &stand.conf);
    ck_assert_int_eq(rc, RC_OK);
    stand.server.log.level = LOG_ERROR; /* tests provoke warnings by the dozen */
    stand.server.serve = stand_serve;
    stand.porch = porch_of(&stand.server, open_socket(stand.path), limits ? limits : &generous);
    ck_assert_ptr_nonnull(stand.porch);
}

static void on_porch_freed(void *arg)
{
    *(bool *)arg = true;
}

void stand_close(void)
{
    bool freed = false;

    porch_free(stand.porch, on_porch_freed, &freed);
    while (!freed)
        uv_run(&stand.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(stand.server.open_count, 0);
    server_fini(&stand.server);
    uv_run(&stand.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&stand.loop), 0);
    conf_fini(&stand.conf);
    unlink(stand.path);
    free(stand.dir); /* its janitor removes it */
    memset(&stand, 0, sizeof(stand));
}

void stand_pump(void)
{
    uv_run(&stand.loop, UV_RUN_NOWAIT);
}

size_t stand_gone(void)
{
    size_t n = 0;
    for (size_t i = 0; i < stand.n_held; i++)
        n += stand.held[i].gone;
    return n;
}
