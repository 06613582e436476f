/*
 * request_test.c - a request that is kept and served again is the same request.
 */
#include "core/request.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/server.h"
#include "tests/suite.h"

static uv_loop_t loop;
static struct conf conf;
static struct server server;

/* ---- a transport whose memory is good for one serve() only ------------------------------------
 */

static struct request request;
static char memory[256]; /* what head and headers point into */
static int status, ends;

static struct slice on_header(const struct request *r, const char *name)
{
    ck_assert_ptr_nonnull(r->head);
    return strcmp(name, "cookie") == 0   ? (struct slice){ memory + 100, 6 }
           : strcmp(name, "x-none") == 0 ? (struct slice){ memory + 106, 0 }
                                         : SLICE_NONE;
}

static void on_each_header(const struct request *r, header_fn *fn, void *arg)
{
    (void)r;
    fn(arg, SLICE("cookie"), (struct slice){ memory + 100, 6 });
    fn(arg, SLICE("x-none"), (struct slice){ memory + 106, 0 });
}

static enum rc on_begin(struct request *r, int s, struct slice headers)
{
    (void)r, (void)headers;
    status = s;
    return RC_OK;
}

static enum rc on_write(struct request *r, struct slice bytes)
{
    (void)r, (void)bytes;
    return RC_OK;
}

static enum rc on_lend(struct request *r, struct block *block)
{
    (void)r, (void)block;
    return RC_OK;
}

static void on_end(struct request *r)
{
    (void)r;
    ends++;
}

static size_t on_queued(const struct request *r)
{
    (void)r;
    return 0;
}

static const struct request_ops ops = {
    .header = on_header,
    .each_header = on_each_header,
    .begin = on_begin,
    .write = on_write,
    .lend = on_lend,
    .end = on_end,
    .queued = on_queued,
};

/* ---- a handler that waits twice before it answers ---------------------------------------------
 */

static struct kept *kept;
static int serves, waits;
static bool forgets;

static void on_gone(void *owner)
{
    (void)owner;
    kept_free(&server, kept);
    kept = NULL;
}

static const struct reply_ops reply_ops = { .gone = on_gone };

static void serve(struct request *r)
{
    serves++;
    ck_assert(slice_is(r->head->method, SLICE("POST")));
    ck_assert(slice_is(r->head->path, SLICE("/publish")));
    ck_assert(slice_is(r->head->query, SLICE("topic=a")));
    ck_assert(slice_is(r->head->body, SLICE("a body")));
    ck_assert_ptr_null(r->head->mount.at);
    ck_assert(r->head->body_too_large);
    ck_assert(slice_is(request_header(r, "cookie"), SLICE("sid=12")));
    ck_assert_ptr_nonnull(request_header(r, "x-none").at);
    ck_assert_ptr_null(request_header(r, "absent").at);
    if (forgets)
        return;
    if (serves <= waits) {
        ck_assert_int_eq(request_keep(r, &kept), RC_OK);
        reply_hold(r, &reply_ops, NULL);
        return;
    }
    reply_begin(r, 200, SLICE(""));
    reply_end(r);
}

/* As a transport does: everything is valid until serve() returns, and not longer. */
static void arrive(void)
{
    struct request_head head = { .method = { memory, 4 },
                                 .path = { memory + 10, 8 },
                                 .query = { memory + 30, 7 },
                                 .body = { memory + 50, 6 },
                                 .body_too_large = true };

    memcpy(memory, "POST", 4);
    memcpy(memory + 10, "/publish", 8);
    memcpy(memory + 30, "topic=a", 7);
    memcpy(memory + 50, "a body", 6);
    memcpy(memory + 100, "sid=12", 6);
    request = (struct request){ .ops = &ops, .server = &server, .head = &head };
    request_serve(&request);
    request.head = NULL;
    memset(memory, '!', sizeof(memory));
    memset(&head, '!', sizeof(head));
}

static void begin(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(conf_init(&conf), RC_OK);
    ck_assert_int_eq(server_init(&server, &loop, &conf), RC_OK);
    server.serve = serve;
    serves = waits = status = ends = 0;
    forgets = false;
    kept = NULL;
}

static void end(void)
{
    ck_assert_uint_eq(server.kept_bytes, 0);
    ck_assert_uint_eq(server.open_count, 0);
    server_fini(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    conf_fini(&conf);
}

START_TEST(a_kept_request_is_served_again_as_it_was)
{
    waits = _i;
    arrive();
    for (int i = 0; i < waits; i++) {
        ck_assert_int_eq(status, 0);
        ck_assert_uint_eq(server.open_count, 1);
        ck_assert_uint_gt(server.kept_bytes, 0);
        request_again(&request, kept, NULL);
    }
    ck_assert_int_eq(serves, waits + 1);
    ck_assert_int_eq(status, 200);
    ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(who_leaves_while_kept_leaves_nothing)
{
    waits = 1;
    arrive();
    request_gone(&request);
    ck_assert_ptr_null(kept);
    ck_assert_int_eq(serves, 1);
}
END_TEST

START_TEST(no_more_is_kept_than_may_be)
{
    struct request_head head = { .method = SLICE("POST"), .body = { memory, KEPT_MAX } };

    request = (struct request){ .ops = &ops, .server = &server, .head = &head };
    ck_assert_int_eq(request_keep(&request, &kept), RC_LIMIT);
}
END_TEST

START_TEST(a_forgotten_request_is_ended)
{
    forgets = true;
    server.log.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    arrive();
    ck_assert_int_eq(ends, 1);
    ck_assert(request.broken);
    close(server.log.fd);
}
END_TEST

SUITE(request)
{
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_kept_request_is_served_again_as_it_was, 0, 4);
    tcase_add_test(tc, who_leaves_while_kept_leaves_nothing);
    tcase_add_test(tc, no_more_is_kept_than_may_be);
    tcase_add_test(tc, a_forgotten_request_is_ended);
}
