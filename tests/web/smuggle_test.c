/*
 * smuggle_test.c - heads that two readers may understand differently, through a real web server.
 *
 * CGI turns header names into names of variables, so that different headers may become one:
 * `Last-Event-ID` and `Last_Event_ID` are both HTTP_LAST_EVENT_ID.  And servers differ in what they
 * do with what is said twice.  What each of ours does stands in a table below, as it was found;
 * whatever it is, two things must hold: nobody gets more than one of his headers, cleanly sent,
 * would give him; and nobody else notices.
 */
#include <stdlib.h>

#include "tests/scenarios/talk.h"
#include "tests/web/web.h"

enum { SOME_TIME = 600 };

/* ---- reading --------------------------------------------------------------------------------- */

/*
 * GET of a closed topic with these lines in the head.  {good} is a token with the right, {other}
 * one without it, {bad} no token.  Statuses: of nginx, lighttpd, Apache (however it asks the
 * worker), bellpushd by itself.
 */
static const struct trick {
    const char *name, *lines;
    bool clean; /* {good} stands where it may stand */
    int nginx, lighttpd, apache, sidecar;
} tricks[] = {
    { "nothing", "", false, 403, 403, 403, 403 },
    { "clean", "Authorization: Bearer {good}\r\n", true, 200, 200, 200, 200 },
    { "clean cookie", "Cookie: bell={good}\r\n", true, 200, 200, 200, 200 },
    { "capitals", "AUTHORIZATION: bearer {good}\r\n", true, 200, 200, 200, 200 },
    { "other", "Authorization: Bearer {other}\r\n", false, 403, 403, 403, 403 },
    { "good, other", "Authorization: Bearer {good}\r\nAuthorization: Bearer {other}\r\n", true, 400,
      401, 401, 400 },
    { "other, good", "Authorization: Bearer {other}\r\nAuthorization: Bearer {good}\r\n", true, 400,
      401, 401, 400 },
    { "good, bad", "Authorization: Bearer {good}\r\nAuthorization: Bearer {bad}\r\n", true, 400,
      401, 401, 400 },
    { "bad, good", "Authorization: Bearer {bad}\r\nAuthorization: Bearer {good}\r\n", true, 400,
      401, 401, 400 },
    { "good, good", "Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n", true, 400,
      401, 401, 400 },
    { "good, AUTHORIZATION other",
      "Authorization: Bearer {good}\r\nAUTHORIZATION: Bearer {other}\r\n", true, 400, 401, 401,
      400 },
    { "basic, good", "Authorization: Basic eDp5\r\nAuthorization: Bearer {good}\r\n", true, 400,
      403, 403, 400 },
    { "empty, good", "Authorization:\r\nAuthorization: Bearer {good}\r\n", true, 400, 200, 403,
      400 },
    { "HTTP_AUTHORIZATION", "HTTP_AUTHORIZATION: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "HTTP-Authorization", "HTTP-Authorization: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "Redirect-HTTP-Authorization", "Redirect-HTTP-Authorization: Bearer {good}\r\n", false, 403,
      403, 403, 403 },
    { "REDIRECT_HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION: Bearer {good}\r\n", false, 403,
      403, 403, 403 },
    { "X-Authorization", "X-Authorization: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "Authorization_", "Authorization_: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "_Authorization", "_Authorization: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "Authorization-", "Authorization-: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "Proxy-Authorization", "Proxy-Authorization: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "Proxy", "Proxy: Bearer {good}\r\n", false, 403, 403, 403, 403 },
    { "blank before the colon", "Authorization : Bearer {good}\r\n", false, 400, 400, 400, 400 },
    { "blank before the name", "X-A: a\r\n Authorization: Bearer {good}\r\n", false, 400, 403, 403,
      400 },
    { "folded", "Authorization: Bearer\r\n {good}\r\n", true, 400, 200, 200, 400 },
    { "bare CR", "X-A: a\rAuthorization: Bearer {good}\r\n", false, 400, 400, 400, 400 },
    { "bare LF", "X-A: a\nAuthorization: Bearer {good}\r\n", true, 200, 400, 400, 400 },
    { "NUL", "Authorization: Bearer {good}{nul}\r\n", false, 400, 400, 400, 400 },
    { "NUL before", "X-A: {nul}\r\nAuthorization: Bearer {good}\r\n", true, 400, 400, 400, 400 },
    { "tab", "Authorization: Bearer\t{good}\r\n", true, 403, 403, 403, 403 },
    { "comma", "Authorization: Bearer {other}, Bearer {good}\r\n", false, 401, 401, 401, 401 },
    { "cookies good, other", "Cookie: bell={good}\r\nCookie: bell={other}\r\n", true, 200, 403, 401,
      403 },
    { "cookies other, good", "Cookie: bell={other}\r\nCookie: bell={good}\r\n", true, 403, 403, 401,
      403 },
    { "cookie in two lines", "Cookie: a=b\r\nCookie: bell={good}\r\n", true, 403, 200, 403, 200 },
    { "HTTP_COOKIE", "HTTP_COOKIE: bell={good}\r\n", false, 403, 403, 403, 403 },
    { "Cookie2", "Cookie2: bell={good}\r\n", false, 403, 403, 403, 403 },
    { "Cookie_", "Cookie_: bell={good}\r\n", false, 403, 403, 403, 403 },
    { "comma in the cookie", "Cookie: a=b, bell={good}\r\n", false, 403, 403, 403, 403 },
    { "Content_Length", "Content_Length: 7\r\nAuthorization: Bearer {good}\r\n", true, 200, 200,
      200, 200 },
};

static void put_filled(struct buf *out, const char *lines, const char *good, const char *other)
{
    while (*lines) {
        size_t plain = strcspn(lines, "{");
        buf_put(out, (struct slice){ lines, plain });
        lines += plain;
        if (strncmp(lines, "{good}", 6) == 0)
            buf_puts(out, good);
        else if (strncmp(lines, "{other}", 7) == 0)
            buf_puts(out, other);
        else if (strncmp(lines, "{bad}", 5) == 0)
            buf_puts(out, "nonsense");
        else if (strncmp(lines, "{nul}", 5) == 0)
            buf_putc(out, '\0');
        lines += strcspn(lines, "}") + (*lines != '\0');
    }
}

/* All that comes back until the server closes; caller frees. */
static char *send_raw(const struct buf *raw)
{
    const struct http_ask ask = { .port = front_port(web.front), .raw = buf_slice(raw) };
    struct http *http = http_new(&ask);
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (!http_ended(http) && now_ms() < end)
        http_wait(http, end - now_ms());
    ck_assert_msg(http_ended(http), "%s keeps the connection open after %.*s", web.way->traits.name,
                  (int)raw->len, raw->at);
    char *said = slice_dup(http_body(http));
    http_free(http);
    return said;
}

static int first_status(const char *said)
{
    return strncmp(said, "HTTP/1.", 7) == 0 ? atoi(said + 9) : 0;
}

static int wanted(int nginx, int lighttpd, int apache, int sidecar)
{
    if (web.way->by_itself)
        return sidecar;
    return web.kind == FRONT_NGINX ? nginx : web.kind == FRONT_LIGHTTPD ? lighttpd : apache;
}

/* ---- the others ------------------------------------------------------------------------------ */

enum { WORKERS_MAX = 16 };

/* Who must not notice anything: a reader with a right of his own, and the workers. */
struct others {
    struct answer *stream;
    const char *topic;
    pid_t workers[WORKERS_MAX];
    size_t n;
};

static void others_init(struct others *o)
{
    *o = (struct others){ .topic = text("secret/%s", stage_topic("other")) };
    if (web.way->lasting)
        o->n = front_workers(web.front, o->workers, WORKERS_MAX);
    if (web.way->traits.one_slot)
        return;
    const char *token = stage_token("bob", o->topic, "", SOME_TIME);
    const char *const headers[] = { text("Authorization: Bearer %s", token), NULL };
    o->stream = stage_ask(
        &(struct ask){ .target = text("/events?topic=%s", o->topic), .headers = headers });
    ck_assert_int_eq(answer_status(o->stream), 200);
}

static void others_have_not_noticed(struct others *o)
{
    pid_t now[WORKERS_MAX];

    expect_problem_once(stage_get("/poll?wait=0&topic=secret/a"), 403);
    if (o->n > 0) {
        ck_assert_uint_eq(front_workers(web.front, now, WORKERS_MAX), o->n);
        ck_assert_mem_eq(now, o->workers, o->n * sizeof(*now));
    }
    if (!o->stream)
        return;
    stage_publish(o->topic, NULL, "undisturbed");
    answer_expect(o->stream, "data: undisturbed");
    ck_assert(!answer_ended(o->stream));
    answer_close(o->stream);
}

START_TEST(no_head_gives_more_than_a_clean_one)
{
    const char *base = stage_topic("smuggled");
    const char *good = stage_token("alice", text("secret/%s/#", base), "", SOME_TIME);
    const char *other = stage_token("mallory", "secret/else", "", SOME_TIME);
    struct others others;

    others_init(&others);
    for (size_t i = 0; i < LENGTH(tricks); i++) {
        const struct trick *t = &tricks[i];
        struct buf raw = BUF_EMPTY;
        buf_printf(&raw,
                   "GET /push/poll?wait=0&topic=secret/%s/a HTTP/1.1\r\n"
                   "Host: 127.0.0.1:%d\r\nConnection: close\r\n",
                   base, front_port(web.front));
        put_filled(&raw, t->lines, good, other);
        buf_puts(&raw, "\r\n");
        char *said = send_raw(&raw);
        int status = first_status(said),
            want = wanted(t->nginx, t->lighttpd, t->apache, t->sidecar);
        ck_assert_msg(t->clean || status != 200, "%s: %s: let in", web.way->traits.name, t->name);
        ck_assert_msg(status == want, "%s: %s: %d instead of %d: %s", web.way->traits.name, t->name,
                      status, want, said);
        free(said);
        buf_fini(&raw);
    }
    others_have_not_noticed(&others);
}
END_TEST

/* ---- publishing ------------------------------------------------------------------------------ */

#define SMUGGLED                                                                                   \
    "POST /push/publish?topic={topic}/smuggled HTTP/1.1\r\nHost: x\r\n"                            \
    "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"

/*
 * POST with the right to, and these lines and body; behind it on the same connection a last
 * request. Where it is answered 201, the event has this data.  {topic}: the one that it publishes
 * to.
 */
static const struct frame {
    const char *name, *lines, *body, *data;
    int nginx, lighttpd, apache, fcgid, sidecar;
} frames[] = {
    { "clean", "Content-Length: 5\r\n", "hello", "hello", 201, 201, 201, 201, 201 },
    { "chunked", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", 201, 201,
      201, 201, 201 },
    { "twice the same", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello", "hello", 400, 400,
      400, 400, 400 },
    { "short, long", "Content-Length: 2\r\nContent-Length: 5\r\n", "hello", NULL, 400, 400, 400,
      400, 400 },
    { "long, short", "Content-Length: 5\r\nContent-Length: 2\r\n", "hello", NULL, 400, 400, 400,
      400, 400 },
    { "list", "Content-Length: 5, 5\r\n", "hello", "hello", 400, 400, 400, 400, 400 },
    { "plus", "Content-Length: +5\r\n", "hello", NULL, 400, 400, 400, 400, 400 },
    { "minus", "Content-Length: -5\r\n", "hello", NULL, 400, 400, 400, 400, 400 },
    { "hexadecimal", "Content-Length: 0x5\r\n", "hello", NULL, 400, 400, 400, 400, 400 },
    { "huge", "Content-Length: 18446744073709551621\r\n", "hello", NULL, 400, 400, 400, 400, 400 },
    { "Content_Length shorter", "Content-Length: 5\r\nContent_Length: 2\r\n", "hello", "hello", 201,
      201, 201, 201, 201 },
    { "Content_Length before", "Content_Length: 2\r\nContent-Length: 5\r\n", "hello", "hello", 201,
      201, 201, 201, 201 },
    { "Content_Length longer", "Content-Length: 5\r\nContent_Length: 99\r\n", "hello", "hello", 201,
      201, 201, 201, 201 },
    { "Content_Type a form", "Content-Length: 5\r\nContent_Type: multipart/form-data\r\n", "hello",
      "hello", 201, 201, 201, 201, 201 },
    { "Transfer_Encoding", "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "hello", "hello",
      201, 201, 201, 201, 201 },
    { "both, by pieces", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
      "5\r\nhello\r\n0\r\n\r\n", "hello", 400, 400, 201, 201, 400 },
    { "both, other order", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
      "5\r\nhello\r\n0\r\n\r\n", "hello", 400, 400, 201, 201, 400 },
    { "both, smuggling", "Content-Length: 150\r\nTransfer-Encoding: chunked\r\n",
      "0\r\n\r\n" SMUGGLED, "", 400, 400, 201, 201, 400 },
    { "chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      "5\r\nhello\r\n0\r\n\r\n", "hello", 400, 201, 201, 201, 400 },
    { "chunked, identity", "Transfer-Encoding: chunked, identity\r\n", "5\r\nhello\r\n0\r\n\r\n",
      "hello", 501, 501, 400, 400, 501 },
    { "xchunked", "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", "hello", "hello", 501,
      501, 400, 400, 400 },
    { "piece of no number", "Transfer-Encoding: chunked\r\n", "x\r\nhello\r\n0\r\n\r\n", NULL, 400,
      400, 400, 201, 400 },
    { "piece too short", "Transfer-Encoding: chunked\r\n", "2\r\nhello\r\n0\r\n\r\n", NULL, 400,
      400, 400, 201, 400 },
    { "piece with a minus", "Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n", NULL, 400,
      400, 400, 201, 400 },
    { "key in a trailer", "Transfer-Encoding: chunked\r\n",
      "5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\n\r\n", "hello", 201, 201, 201, 201, 201 },
};

static void put_frame(struct buf *out, const struct frame *f, const char *topic, const char *token)
{
    buf_printf(out,
               "POST /push/publish?topic=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
               "Content-Type: text/plain\r\nAuthorization: Bearer %s\r\n%s\r\n",
               topic, front_port(web.front), token, f->lines);
    for (const char *at = f->body; *at;) {
        size_t plain = strcspn(at, "{");
        buf_put(out, (struct slice){ at, plain });
        at += plain;
        if (*at) {
            buf_puts(out, topic);
            at += strlen("{topic}");
        }
    }
    buf_printf(out, "GET /push/ready HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n",
               front_port(web.front));
}

static bool is_fcgid(void)
{
    return web.kind == FRONT_APACHE_FCGID || web.kind == FRONT_SHARED_FCGI;
}

static void expect_published(const struct frame *f, const char *topic, bool is)
{
    const char *const values[] = { topic };
    PGresult *r = web_query("SELECT topic, convert_from(data, 'UTF8') FROM bellpush.log "
                            "WHERE topic IN ($1, $1 || '/smuggled')",
                            1, values);

    ck_assert_msg(PQntuples(r) == is, "%s: %s: %d events", web.way->traits.name, f->name,
                  PQntuples(r));
    if (is) {
        ck_assert_str_eq(PQgetvalue(r, 0, 0), topic);
        if (f->data)
            ck_assert_str_eq(PQgetvalue(r, 0, 1), f->data);
    }
    PQclear(r);
}

START_TEST(no_frame_publishes_what_was_not_sent)
{
    const char *base = stage_topic("framed");
    const char *token = stage_token("alice", "", text("%s/+", base), SOME_TIME);
    struct others others;

    others_init(&others);
    for (size_t i = 0; i < LENGTH(frames); i++) {
        const struct frame *f = &frames[i];
        const char *topic = text("%s/%zu", base, i);
        struct buf raw = BUF_EMPTY;
        put_frame(&raw, f, topic, token);
        char *said = send_raw(&raw);
        int status = first_status(said);
        int want = is_fcgid() ? f->fcgid : wanted(f->nginx, f->lighttpd, f->apache, f->sidecar);
        ck_assert_msg(status == want, "%s: %s: %d instead of %d: %s", web.way->traits.name, f->name,
                      status, want, said);
        expect_published(f, topic, status == 201);
        free(said);
        buf_fini(&raw);
    }
    others_have_not_noticed(&others);
}
END_TEST

/* A publisher that goes away in the middle has said nothing, however the body was to end. */
START_TEST(half_a_body_is_never_published)
{
    static const char *const halves[] = { "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                                          "Transfer-Encoding: chunked\r\n\r\n64\r\nhello",
                                          "Content-Length: 100\r\n\r\nhello" };
    const char *base = stage_topic("half");
    const char *token = stage_token("alice", "", text("%s/+", base), SOME_TIME);
    const char *headers[] = { text("Authorization: Bearer %s", token), "Content-Type: text/plain",
                              NULL };

    for (size_t i = 0; i < 10 * LENGTH(halves); i++) {
        struct buf raw = BUF_EMPTY;
        buf_printf(&raw,
                   "POST /push/publish?topic=%s/%zu HTTP/1.1\r\nHost: x\r\n"
                   "Content-Type: text/plain\r\n%s\r\n%s",
                   base, i % LENGTH(halves), headers[0], halves[i % LENGTH(halves)]);
        const struct http_ask ask = { .port = front_port(web.front), .raw = buf_slice(&raw) };
        struct http *http = http_new(&ask);
        http_step(http);
        http_free(http);
        buf_fini(&raw);
        struct answer *a = stage_ask(&(struct ask){ .method = "POST",
                                                    .target = text("/publish?topic=%s/whole", base),
                                                    .headers = headers,
                                                    .body = SLICE("whole") });
        ck_assert_int_eq(answer_status(a), 201);
        answer_close(a);
    }
    const char *const values[] = { base };
    PGresult *r = web_query("SELECT string_agg(topic, ' ') FROM bellpush.log "
                            "WHERE topic LIKE $1 || '/%' AND topic NOT LIKE '%/whole'",
                            1, values);
    ck_assert_msg(PQgetisnull(r, 0, 0), "%s: %s", web.way->traits.name, PQgetvalue(r, 0, 0));
    PQclear(r);
}
END_TEST

void smuggle_tests(TCase *tc, const struct web_way *way)
{
    (void)way; /* all of them can be asked anything */
    tcase_add_test(tc, no_head_gives_more_than_a_clean_one);
    tcase_add_test(tc, no_frame_publishes_what_was_not_sent);
    tcase_add_test(tc, half_a_body_is_never_published);
}
