/*
 * params_test.c - meta-variables of real and odd web servers into a request's head.
 */
#include <stdlib.h>

#include "fcgi/params.h"
#include "tests/suite.h"

static struct buf pairs(const char *const *names_and_values)
{
    struct buf out = BUF_EMPTY;

    for (; *names_and_values; names_and_values += 2)
        params_put(&out, slice_of(names_and_values[0]), slice_of(names_and_values[1]));
    ck_assert_int_eq(buf_rc(&out), RC_OK);
    return out;
}

/* Where does a request go that arrives with these variables? */
static void expect_path(const char *mount, const char *path, const char *const *variables)
{
    struct buf params = pairs(variables), scratch = BUF_EMPTY;
    struct request_head head = { 0 };

    params_put(&params, SLICE("REQUEST_METHOD"), SLICE("GET"));
    enum rc rc = params_head(buf_slice(&params), &head, &scratch);
    ck_assert_int_eq(rc, RC_OK);
    ck_assert_msg(slice_is(head.path, slice_of(path)), "path %.*s, wanted %s", (int)head.path.len,
                  head.path.at, path);
    ck_assert_msg(slice_is(head.mount, slice_of(mount)), "mount %.*s, wanted %s",
                  (int)head.mount.len, head.mount.at, mount);
    buf_fini(&params);
    buf_fini(&scratch);
}

#define VARIABLES(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(the_path_is_path_info)
{
    expect_path("/push", "/events",
                VARIABLES("SCRIPT_NAME", "/push", "PATH_INFO", "/events", "REQUEST_URI",
                          "/elsewhere/entirely"));
    expect_path("", "/events", VARIABLES("SCRIPT_NAME", "", "PATH_INFO", "/events"));
    /* a RewriteRule onto push.fcgi/$1 */
    expect_path("/dir/push.fcgi", "/poll",
                VARIABLES("SCRIPT_NAME", "/dir/push.fcgi", "PATH_INFO", "/poll", "REQUEST_URI",
                          "/dir/push/poll?topic=a"));
}
END_TEST

START_TEST(without_path_info_it_is_what_follows_the_script)
{
    expect_path("/push", "/hook/a b",
                VARIABLES("SCRIPT_NAME", "/push", "REQUEST_URI", "/push/hook/a%20b?x=/y"));
    expect_path("/dir/push.fcgi", "/poll", VARIABLES("SCRIPT_NAME", "/dir/push.fcgi/poll"));
    expect_path("/push.cgi", "/hook/x", VARIABLES("SCRIPT_NAME", "/push.cgi/hook/x"));
    expect_path("/push.fcgi", "", VARIABLES("SCRIPT_NAME", "/push.fcgi"));
    expect_path(
        "/push.fcgi", "",
        VARIABLES("SCRIPT_NAME", "/push.fcgi", "PATH_INFO", "", "REQUEST_URI", "/push.fcgi?x"));
}
END_TEST

START_TEST(without_a_split_it_is_the_last_segment)
{
    /* Apache's ProxyPass; nginx without fastcgi_split_path_info */
    expect_path("/push", "/events",
                VARIABLES("SCRIPT_NAME", "/push/events", "REQUEST_URI", "/push/events?topic=a"));
    expect_path("", "/status", VARIABLES("SCRIPT_NAME", "/status"));
    expect_path("/push", "/hook/github", VARIABLES("SCRIPT_NAME", "/push/hook/github"));
    expect_path("", "/hook/x", VARIABLES("SCRIPT_NAME", "/hook/x"));
    expect_path("/push", "/hook", VARIABLES("SCRIPT_NAME", "/push/hook"));
    expect_path("/push", "/", VARIABLES("SCRIPT_NAME", "/push/"));
    expect_path("/a", "/poll", VARIABLES("DOCUMENT_URI", "/a/poll"));
    expect_path("/a", "/poll", VARIABLES("REQUEST_URI", "/a/poll?x"));
    expect_path("", "", VARIABLES("REQUEST_URI", "*"));
    expect_path("", "", VARIABLES("OTHER", "x"));
    expect_path("", "strange", VARIABLES("SCRIPT_NAME", "strange"));
}
END_TEST

START_TEST(headers_are_found_by_their_own_names)
{
    struct buf p = pairs(VARIABLES("HTTP_LAST_EVENT_ID", "e-7", "CONTENT_TYPE", "text/plain",
                                   "CONTENT_LENGTH", "3", "HTTP_CONTENT_TYPE", "a lie",
                                   "REDIRECT_HTTP_AUTHORIZATION", "Bearer x", "HTTP_ORIGIN", ""));
    struct slice params = buf_slice(&p);

    ck_assert(slice_is(params_header(params, "last-event-id"), SLICE("e-7")));
    ck_assert(slice_is(params_header(params, "content-type"), SLICE("text/plain")));
    ck_assert(slice_is(params_header(params, "content-length"), SLICE("3")));
    ck_assert(slice_is(params_header(params, "authorization"), SLICE("Bearer x")));
    ck_assert_ptr_nonnull(params_header(params, "origin").at);
    ck_assert_uint_eq(params_header(params, "origin").len, 0);
    ck_assert_ptr_null(params_header(params, "last-event").at);
    ck_assert_ptr_null(params_header(params, "cookie").at);
    params_put(&p, SLICE("HTTP_AUTHORIZATION"), SLICE("Bearer y"));
    ck_assert(slice_is(params_header(buf_slice(&p), "authorization"), SLICE("Bearer y")));
    buf_fini(&p);
}
END_TEST

struct headers_seen {
    struct slice params;
    size_t n;
};

static void see_header(void *arg, struct slice name, struct slice value)
{
    struct headers_seen *seen = arg;
    char *text = slice_dup(name);

    ck_assert(slice_is(params_header(seen->params, text), value));
    free(text);
    seen->n++;
}

START_TEST(all_headers_are_told_by_the_names_they_are_found_by)
{
    char name[400] = "HTTP_";
    memset(name + 5, 'X', sizeof(name) - 6);
    struct buf p = pairs(VARIABLES("CONTENT_TYPE", "text/plain", "CONTENT_LENGTH", "", "HTTPS",
                                   "on", "HTTP_X_HUB_SIGNATURE_256", "sha256=aa", "HTTP_ORIGIN", "",
                                   "REDIRECT_HTTP_AUTHORIZATION", "Bearer x", name, "too long"));
    struct headers_seen seen = { buf_slice(&p), 0 };

    params_each_header(buf_slice(&p), see_header, &seen);
    ck_assert_uint_eq(seen.n, 4); /* content-type, x-hub-signature-256, origin, authorization */
    buf_fini(&p);
}
END_TEST

static void count_header(void *arg, struct slice name, struct slice value)
{
    (void)name;
    (void)value;
    ++*(size_t *)arg;
}

/* nginx and Apache send both: two of one header would be taken for a doubled one. */
START_TEST(what_has_a_variable_of_its_own_is_told_once)
{
    struct buf p = BUF_EMPTY;
    const char *const all[][2] = { { "HTTP_CONTENT_TYPE", "text/plain" },
                                   { "CONTENT_TYPE", "text/plain" },
                                   { "CONTENT_LENGTH", "3" },
                                   { "HTTP_CONTENT_LENGTH", "3" } };

    for (size_t i = 0; i < LENGTH(all); i++)
        params_put(&p, slice_of(all[i][0]), slice_of(all[i][1]));
    size_t n = 0;
    params_each_header(buf_slice(&p), count_header, &n);
    ck_assert_uint_eq(n, 2);
    buf_fini(&p);
}
END_TEST

START_TEST(lengths_of_one_and_of_four_bytes_come_back)
{
    struct buf p = BUF_EMPTY, name = BUF_EMPTY;
    const size_t lengths[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 70000 };

    for (size_t i = 0; i < LENGTH(lengths); i++) {
        name.len = 0;
        for (size_t j = 0; j < lengths[i]; j++)
            buf_putc(&name, (char)('a' + j % 26));
        params_put(&p, buf_slice(&name), buf_slice(&name));
    }
    struct slice rest = buf_slice(&p), n, v;
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        ck_assert_int_eq(params_next(&rest, &n, &v), RC_OK);
        ck_assert_uint_eq(n.len, lengths[i]);
        ck_assert_uint_eq(v.len, lengths[i]);
    }
    ck_assert_int_eq(params_next(&rest, &n, &v), RC_AGAIN);
    buf_fini(&p);
    buf_fini(&name);
}
END_TEST

START_TEST(lengths_that_lie_are_malformed)
{
    const struct slice lies[] = {
        SLICE("\xff\xff\xff\xfe\x01name"), /* 0x7ffffffe */
        SLICE("\x01\xff\xff\xff\xfe"
              "a"),
        SLICE("\xff\xff\xff\xff\xff\xff\xff\xffxxxxxxxxx"), /* their sum would overflow 32 bits */
        SLICE("\x80"),
        SLICE("\x80\x00\x00"),
        SLICE("\x05"),
        SLICE("\x01\x02nv"),
    };
    struct request_head head = { 0 };

    for (size_t i = 0; i < LENGTH(lies); i++) {
        /* a copy of exactly this size, so that a byte too far is seen by the sanitizer */
        char *copy = slice_dup(lies[i]);
        struct buf scratch = BUF_EMPTY;
        enum rc rc = params_head((struct slice){ copy, lies[i].len }, &head, &scratch);
        ck_assert_msg(rc == RC_SYNTAX, "lie %zu", i);
        buf_fini(&scratch);
        free(copy);
    }
}
END_TEST

START_TEST(a_method_there_must_be_and_an_address_must_decode)
{
    struct buf p = pairs(VARIABLES("PATH_INFO", "/events")), scratch = BUF_EMPTY;
    struct request_head head = { 0 };

    ck_assert_int_eq(params_head(buf_slice(&p), &head, &scratch), RC_SYNTAX);
    buf_fini(&p);
    p = pairs(VARIABLES("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/p", "REQUEST_URI", "/p/%zz"));
    ck_assert_int_eq(params_head(buf_slice(&p), &head, &scratch), RC_SYNTAX);
    buf_fini(&p);
    buf_fini(&scratch);
}
END_TEST

START_TEST(half_a_body_is_noticed)
{
    struct buf p = pairs(VARIABLES("CONTENT_LENGTH", "10"));

    ck_assert(params_body_is_whole(buf_slice(&p), 10));
    ck_assert(params_body_is_whole(buf_slice(&p), 11));
    ck_assert(!params_body_is_whole(buf_slice(&p), 9));
    params_put(&p, SLICE("HTTP_CONTENT_ENCODING"), SLICE("gzip"));
    ck_assert(params_body_is_whole(buf_slice(&p), 9));
    buf_fini(&p);
    p = pairs(VARIABLES("CONTENT_LENGTH", "ten"));
    ck_assert(!params_body_is_whole(buf_slice(&p), 10));
    buf_fini(&p);
    p = pairs(VARIABLES("CONTENT_LENGTH", ""));
    ck_assert(params_body_is_whole(buf_slice(&p), 0));
    buf_fini(&p);
}
END_TEST

SUITE(params)
{
    tcase_add_test(tc, the_path_is_path_info);
    tcase_add_test(tc, without_path_info_it_is_what_follows_the_script);
    tcase_add_test(tc, without_a_split_it_is_the_last_segment);
    tcase_add_test(tc, headers_are_found_by_their_own_names);
    tcase_add_test(tc, all_headers_are_told_by_the_names_they_are_found_by);
    tcase_add_test(tc, what_has_a_variable_of_its_own_is_told_once);
    tcase_add_test(tc, lengths_of_one_and_of_four_bytes_come_back);
    tcase_add_test(tc, lengths_that_lie_are_malformed);
    tcase_add_test(tc, a_method_there_must_be_and_an_address_must_decode);
    tcase_add_test(tc, half_a_body_is_noticed);
}
