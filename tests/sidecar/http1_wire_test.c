/*
 * http1_wire_test.c - bytes into HTTP/1 requests: whole, byte by byte, cut at every place, and with
 * the input ending against a forbidden page.
 */
#include "sidecar/http1_wire.h"

#include <stdio.h>

#include "tests/page.h"
#include "tests/suite.h"

enum { MAX_BODY = 1000 };

static void tell_request(struct buf *out, const struct http1_wire *w)
{
    const struct http1_head *h = &w->head;
    struct slice fields = h->fields, name, value;

    buf_printf(out, "%.*s %.*s", (int)h->method.len, h->method.at, (int)h->path.len, h->path.at);
    if (h->query.at)
        buf_printf(out, " ?%.*s", (int)h->query.len, h->query.at);
    buf_printf(out, " 1.%d%s", h->minor, h->keep ? " keep" : "");
    while (http1_field_next(&fields, &name, &value))
        if (!slice_is(name, SLICE("host")))
            buf_printf(out, " [%.*s=%.*s]", (int)name.len, name.at, (int)value.len,
                       value.at ? value.at : "");
    buf_printf(out, " {%.*s}%s\n", (int)w->body.len, w->body.at ? w->body.at : "",
               w->body_too_large ? " too large" : "");
}

/* Everything that a decoder says about some input, as text that can be compared. */
static struct buf transcript(struct slice input, size_t cut, size_t piece)
{
    struct http1_wire w;
    struct buf out = BUF_EMPTY;
    struct slice rest = SLICE_NONE;
    bool over = false;

    http1_wire_init(&w, MAX_BODY);
    while (!over && (input.len > 0 || rest.len > 0)) {
        if (rest.len == 0) {
            size_t n = cut && cut < input.len ? cut : piece < input.len ? piece : input.len;
            cut = 0;
            rest = (struct slice){ input.at, n };
            input.at += n;
            input.len -= n;
        }
        switch (http1_wire_feed(&w, &rest)) {
        case HTTP1_STEP_MORE:
            ck_assert_uint_eq(rest.len, 0);
            break;
        case HTTP1_STEP_CONTINUE:
            buf_puts(&out, "continue\n");
            break;
        case HTTP1_STEP_REQUEST:
            tell_request(&out, &w);
            over = w.body_too_large; /* whoever serves that closes */
            http1_wire_answered(&w);
            break;
        case HTTP1_STEP_BROKEN:
            buf_printf(&out, "%d %s\n", w.fault.status, w.fault.why);
            over = true;
            break;
        case HTTP1_STEP_NOMEM:
            ck_abort_msg("no memory");
        }
    }
    if (!over && !http1_wire_at_rest(&w))
        buf_puts(&out, "unfinished\n");
    http1_wire_fini(&w);
    ck_assert_int_eq(buf_rc(&out), RC_OK);
    return out;
}

/* However it is cut, the input must mean the same, and that is what is expected. */
static void expect_slice(struct slice input, const char *expected)
{
    struct page page = page_of(input);
    struct slice in = page.bytes;
    struct buf whole = transcript(in, 0, in.len), bytes = transcript(in, 0, 1);

    ck_assert_msg(slice_is(buf_slice(&whole), slice_of(expected)), "%.*s\ngot: %.*s\nwanted: %s",
                  (int)input.len, input.at, (int)whole.len, whole.at, expected);
    ck_assert(slice_is(buf_slice(&whole), buf_slice(&bytes)));
    for (size_t cut = 1; cut < in.len; cut++) {
        struct buf two = transcript(in, cut, in.len);
        ck_assert_msg(slice_is(buf_slice(&whole), buf_slice(&two)), "cut at %zu: %.*s", cut,
                      (int)two.len, two.at);
        buf_fini(&two);
    }
    page_fini(&page);
    buf_fini(&whole);
    buf_fini(&bytes);
}

static void expect(const char *input, const char *expected)
{
    expect_slice(slice_of(input), expected);
}

static void expect_status(const char *input, int status)
{
    struct buf said = transcript(slice_of(input), 0, strlen(input));

    buf_putc(&said, '\0');
    ck_assert_msg(atoi(said.at) == status, "%s\ngot: %s\nwanted: %d", input, said.at, status);
    buf_fini(&said);
}

#define HOST "Host: a\r\n"

START_TEST(a_request_is_the_same_however_it_is_cut)
{
    expect("GET /push/events?topic=a%2Fb HTTP/1.1\r\nHost: example.org:8080\r\n"
           "Last-Event-ID:  e-5 \r\nX-Empty:\r\n\r\n",
           "GET /push/events ?topic=a%2Fb 1.1 keep [last-event-id=e-5] [x-empty=] {}\n");
    expect("POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 8\r\n\r\nthe body",
           "POST / 1.1 keep [content-length=8] {the body}\n");
    expect("GET /? HTTP/1.1\r\nhost:\r\n\r\n", "GET / ? 1.1 keep {}\n");
}
END_TEST

START_TEST(requests_in_a_row_are_told_one_by_one)
{
    expect("\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
           "\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"
           "GET /c HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n",
           "POST /a 1.1 keep [content-length=3] {one}\nGET /b 1.1 keep {}\n"
           "GET /c 1.1 [connection=x, Close] {}\n");
    expect("GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HT", "GET /a 1.1 keep {}\nunfinished\n");
    expect_status("\r\n\r\n\r\nGET / HTTP/1.1\r\n", 400);
}
END_TEST

START_TEST(http_1_0_is_kept_only_when_it_asks)
{
    expect("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 {}\n");
    expect("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
           "GET / 1.0 keep [connection=Keep-Alive] {}\n");
    expect("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
           "GET / 1.0 [connection=keep-alive, close] {}\n");
    expect("GET / HTTP/1.7\r\n" HOST "\r\n", "GET / 1.1 keep {}\n");
}
END_TEST

START_TEST(chunks_are_a_body)
{
    expect("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
           "5\r\nhello\r\n00A;name=\"va;lue\"\r\n, chunks; \r\n1 \t;x\r\n!\r\n0\r\n\r\n"
           "GET / HTTP/1.0\r\n\r\n",
           "POST / 1.1 keep [transfer-encoding=Chunked] {hello, chunks; !}\nGET / 1.0 {}\n");
    expect("POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n0;last\r\n"
           "Host: evil\r\nContent-Length: 50\r\n\r\nGET / HTTP/1.0\r\n\r\n",
           "POST / 1.1 keep [transfer-encoding=chunked] {}\nGET / 1.0 {}\n");
}
END_TEST

START_TEST(broken_chunks_are_refused)
{
    static const char *const broken[] = {
        "\r\n",          ";x\r\n",     "g\r\n",     " 5\r\nhello",    "-5\r\n",
        "0x5\r\n",       "5 \r\n",     "5\nhello",  "5\r\nhelloX",    "5\r\nhello\n",
        "5\r\nhello\rX", "5;a\rb\r\n", "5;a\x01\n", "0\r\n x: y\r\n", "0\r\nx y: z\r\n",
        "0\r\nx\r\n",    "0\r\n\n",    "5\rX",
    };

    for (size_t i = 0; i < LENGTH(broken); i++) {
        char input[256];
        snprintf(input, sizeof(input),
                 "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s", broken[i]);
        expect(input, "400 The request is malformed.\n");
    }
    expect_status("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n123456789\r\n",
                  413);
}
END_TEST

START_TEST(what_two_readers_could_read_differently_is_refused)
{
    static const struct {
        const char *input;
        int status;
    } cases[] = {
        /* where does the body end? */
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
          400 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n",
          400 },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
        /* what is a field, and which? */
        { "GET / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Content-Length\t: 5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST " Content-Length: 5\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X(y): x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\x7F\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nauthorization: b\r\n\r\n", 400 },
        /* where does a line end? */
        { "GET / HTTP/1.1\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\n\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400 },
        { "GET / HTTP/1.1\rX", 400 },
        { "GET / HTTP/1.1\r\n" HOST "\rX", 400 },
        { "\n", 400 },
        { "\r\r", 400 },
        /* for whom is it? */
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400 },
        { "GET http://a@b/ HTTP/1.1\r\n", 400 },
        { "GET http:/// HTTP/1.1\r\n", 400 },
    };

    for (size_t i = 0; i < LENGTH(cases); i++)
        expect_status(cases[i].input, cases[i].status);
    expect_slice(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"),
                 "400 The request is malformed.\n");
    expect_slice(SLICE("GET /\0 HTTP/1.1\r\n"), "400 The request is malformed.\n");
}
END_TEST

START_TEST(first_lines_are_read_strictly)
{
    static const struct {
        const char *input;
        int status;
    } cases[] = {
        { "GET /\r\n", 400 },
        { "GET  / HTTP/1.1\r\n", 400 },
        { "GET /  HTTP/1.1\r\n", 400 },
        { "GET / HTTP/1.1 \r\n", 400 },
        { " GET / HTTP/1.1\r\n", 400 },
        { "GET\t/ HTTP/1.1\r\n", 400 },
        { "GET / http/1.1\r\n", 400 },
        { "GET / HTTP/11\r\n", 400 },
        { "GET / HTTP/1.10\r\n", 400 },
        { "GET / XTTP/1.1\r\n", 400 },
        { "GET / HTTP/2.0\r\n", 505 },
        { "PRI * HTTP/2.0\r\n", 505 },
        { "GET / HTTP/0.9\r\n", 505 },
        { "G(T / HTTP/1.1\r\n", 400 },
        { "CONNECT a:80 HTTP/1.1\r\n", 501 },
        { "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n", 501 },
        { "GET * HTTP/1.1\r\n", 400 },
        { "GET a/b HTTP/1.1\r\n", 400 },
        { "GET /#x HTTP/1.1\r\n", 400 },
        { "GET /\xC3\xA4 HTTP/1.1\r\n", 400 },
        { "GET ftp://a/ HTTP/1.1\r\n", 400 },
        { "\x16\x03\x01\x02", 400 }, /* TLS to a clear port */
    };

    for (size_t i = 0; i < LENGTH(cases); i++)
        expect_status(cases[i].input, cases[i].status);
    expect("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * 1.1 keep {}\n");
}
END_TEST

/* What http1_field() finds, of a head that is complete. */
static void expect_field(const char *input, const char *name, const char *value)
{
    struct http1_wire w;
    struct slice rest = slice_of(input);

    http1_wire_init(&w, MAX_BODY);
    ck_assert_int_eq(http1_wire_feed(&w, &rest), HTTP1_STEP_REQUEST);
    struct slice got = http1_field(w.head.fields, name);
    ck_assert_int_eq(got.at != NULL, value != NULL);
    ck_assert_msg(slice_is(got, slice_of(value)), "%s: %.*s", name, (int)got.len, got.at);
    http1_wire_fini(&w);
}

START_TEST(an_absolute_target_says_the_host)
{
    static const char input[] = "GET HTTP://b:8080/x?y HTTP/1.1\r\nX: 1\r\nHost: a\r\nX: 2\r\n\r\n";

    expect(input, "GET /x ?y 1.1 keep [x=1, 2] {}\n");
    expect_field(input, "host", "b:8080");
    expect_field("GET https://b HTTP/1.0\r\n\r\n", "host", "b");
    expect("GET https://b?q HTTP/1.0\r\n\r\n", "GET / ?q 1.0 {}\n");
}
END_TEST

START_TEST(a_field_in_several_lines_is_one)
{
    static const char input[] =
        "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 1\r\nCookie: a=1\r\n"
        "x-forwarded-for: 2\r\nY: y\r\nCOOKIE: b=2\r\nX-Forwarded-For: 3\r\n"
        "\r\n";

    expect(input, "GET / 1.1 keep [x-forwarded-for=1, 2, 3] [cookie=a=1; b=2] [y=y] {}\n");
    expect_field(input, "x-forwarded-for", "1, 2, 3");
    expect_field(input, "x", NULL);
    expect_field("GET / HTTP/1.1\r\n" HOST "X: \r\n\r\n", "x", "");
}
END_TEST

START_TEST(who_waits_for_100_is_told)
{
    expect("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nab",
           "continue\nPOST / 1.1 keep [expect=100-Continue] [content-length=2] {ab}\n");
    expect("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\n\r\n",
           "continue\nPOST / 1.1 keep [expect=100-continue] [transfer-encoding=chunked] {}\n");
    /* There is no body; the reader is of 1.0; nobody will want it anyway. */
    expect("GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n",
           "GET / 1.1 keep [expect=100-continue] {}\n");
    expect("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
           "POST / 1.0 [expect=100-continue] [content-length=2] {ab}\n");
    expect("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n",
           "POST / 1.1 [expect=100-continue] [content-length=2000] {} too large\n");
    expect_status("GET / HTTP/1.1\r\n" HOST "Expect: the-unexpected\r\n\r\n", 417);
}
END_TEST

/* start, then unit as often as it takes to be len bytes, then end. */
static struct buf much(const char *start, const char *unit, size_t len, const char *end)
{
    struct buf b = BUF_EMPTY;

    buf_puts(&b, start);
    for (size_t n = b.len; b.len - n < len;)
        buf_puts(&b, unit);
    buf_puts(&b, end);
    ck_assert_int_eq(buf_rc(&b), RC_OK);
    return b;
}

static void expect_much(struct buf b, int status)
{
    for (size_t piece = 1; piece < 1 << 20; piece *= 37) {
        struct buf said = transcript(buf_slice(&b), 0, piece);
        buf_putc(&said, '\0');
        ck_assert_msg(atoi(said.at) == status, "got: %.80s\nwanted: %d", said.at, status);
        buf_fini(&said);
    }
    buf_fini(&b);
}

START_TEST(too_much_of_anything_is_refused)
{
    static const char post[] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";

    expect_much(much("GET /?", "a", HTTP1_LINE_MAX, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    expect_much(much("GET /?", "a", HTTP1_LINE_MAX - 17, " HTTP/1.1\r\n" HOST "\r\n"), 0);
    expect_much(much("GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 6 * HTTP1_COUNT_MAX, "\r\n"), 431);
    expect_much(much("GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 6 * (HTTP1_COUNT_MAX - 1), "\r\n"), 0);
    expect_much(much("GET / HTTP/1.1\r\n" HOST "A: ", "b", HTTP1_FIELDS_MAX, "\r\n\r\n"), 431);
    expect_much(much("GET / HTTP/1.1\r\n" HOST "A: ", "b", HTTP1_FIELDS_MAX - 16, "\r\n\r\n"), 0);
    expect_much(much(post, "1;abcdefghijklmnop\r\na\r\n", 20 * 1024, ""), 400); /* extensions */
    expect_much(much(post, "1\r\na\r\n", 6 * MAX_BODY, "0\r\n\r\n"), 0);
    expect_much(much("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: ", "b",
                     HTTP1_BESIDES_MAX, "\r\n\r\n"),
                431);
    expect_much(much("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n",
                     "A:b\r\n", 5 * (HTTP1_COUNT_MAX + 1), "\r\n"),
                431);
}
END_TEST

START_TEST(a_body_that_is_too_large_is_not_waited_for)
{
    struct buf b = much("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
                        "1\r\na\r\n", 6 * (MAX_BODY + 1), "");

    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\nGET / HTTP/1.1\r\n",
           "POST / 1.1 [content-length=1001] {} too large\n");
    expect("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
           "POST / 1.1 [transfer-encoding=chunked] {} too large\n");
    struct buf said = transcript(buf_slice(&b), 0, 7);
    ck_assert(
        slice_is(buf_slice(&said), SLICE("POST / 1.1 [transfer-encoding=chunked] {} too large\n")));
    buf_fini(&said);
    buf_fini(&b);
    b = much("POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n", "b", MAX_BODY, "");
    said = transcript(buf_slice(&b), 0, 7);
    ck_assert_ptr_nonnull(memmem(said.at, said.len, "{bbbb", 5));
    buf_fini(&said);
    buf_fini(&b);
}
END_TEST

SUITE(http1_wire)
{
    tcase_add_test(tc, a_request_is_the_same_however_it_is_cut);
    tcase_add_test(tc, requests_in_a_row_are_told_one_by_one);
    tcase_add_test(tc, http_1_0_is_kept_only_when_it_asks);
    tcase_add_test(tc, chunks_are_a_body);
    tcase_add_test(tc, broken_chunks_are_refused);
    tcase_add_test(tc, what_two_readers_could_read_differently_is_refused);
    tcase_add_test(tc, first_lines_are_read_strictly);
    tcase_add_test(tc, an_absolute_target_says_the_host);
    tcase_add_test(tc, a_field_in_several_lines_is_one);
    tcase_add_test(tc, who_waits_for_100_is_told);
    tcase_add_test(tc, too_much_of_anything_is_refused);
    tcase_add_test(tc, a_body_that_is_too_large_is_not_waited_for);
}
