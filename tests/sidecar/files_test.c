/*
 * files_test.c - the files of one folder, over a transport that is a buffer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/server.h"
#include "sidecar/files.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

/* ---- a transport ----------------------------------------------------------------------------- */

static struct {
    struct request request;
    int status;
    struct buf headers, body;
    const char *known; /* If-None-Match */
    bool ended;
} wire;

static struct slice op_header(const struct request *r, const char *name)
{
    (void)r;
    return slice_of(strcmp(name, "if-none-match") == 0 ? wire.known : NULL);
}

static enum rc op_begin(struct request *r, int status, struct slice headers)
{
    (void)r;
    wire.status = status;
    buf_put(&wire.headers, headers);
    return buf_rc(&wire.headers);
}

static enum rc op_write(struct request *r, struct slice bytes)
{
    (void)r;
    buf_put(&wire.body, bytes);
    return buf_rc(&wire.body);
}

static void op_end(struct request *r)
{
    (void)r;
    wire.ended = true;
}

static const struct request_ops ops = {
    .header = op_header, .begin = op_begin, .write = op_write, .end = op_end
};

static char *dir, *outside;
static struct files *files;
static struct server server;

static void put(const char *name, struct slice bytes)
{
    char *path = text_of("%s/%s", dir, name);

    file_write(path, bytes);
    free(path);
}

static void make_folder(const char *name)
{
    char *path = text_of("%s/%s", dir, name);

    ck_assert_int_eq(mkdir(path, 0755), 0);
    free(path);
}

static void make_link(const char *name, const char *to)
{
    char *path = text_of("%s/%s", dir, name);

    ck_assert_int_eq(symlink(to, path), 0);
    free(path);
}

static void set_up(void)
{
    struct buf error = BUF_EMPTY;

    dir = temp_folder("files");
    outside = temp_folder("outside");
    char *secret = text_of("%s/secret.html", outside);
    file_write(secret, SLICE("secret"));
    put("index.html", SLICE("the index"));
    put("a page.html", SLICE("a page"));
    put("push.JS", SLICE("script"));
    put("README", SLICE("readme"));
    put(".htaccess", SLICE("secret"));
    put("empty.txt", SLICE_NONE);
    make_folder("sub");
    put("sub/index.html", SLICE("the sub index"));
    put("sub/page.css", SLICE("style"));
    make_folder("bare");
    make_folder("\xc3\xa4 b");
    make_folder(".git");
    put(".git/config", SLICE("secret"));
    make_link("away", outside);
    make_link("away.html", secret);
    make_link("inside.html", "index.html");
    make_folder("linked");
    make_link("linked/index.html", "../index.html");
    free(secret);
    files = files_new(dir, &error);
    ck_assert_ptr_nonnull(files);
}

static void tear_down(void)
{
    files_free(files);
    free(dir);
    free(outside);
    buf_fini(&wire.headers);
    buf_fini(&wire.body);
}

static void ask(const char *method, struct slice path, const char *known)
{
    struct request_head head = { .method = slice_of(method), .path = path };

    buf_fini(&wire.headers);
    buf_fini(&wire.body);
    wire.status = 0;
    wire.known = known;
    wire.ended = false;
    wire.request = (struct request){
        .ops = &ops, .server = &server, .head = &head, .head_only = strcmp(method, "HEAD") == 0
    };
    files_serve(files, &wire.request, path);
    for (int i = 0; i < 10000 && !wire.ended; i++)
        request_room(&wire.request);
    ck_assert(wire.ended);
    ck_assert_ptr_null(server.open);
}

static const char *header(const char *name)
{
    static char value[200];
    char *all = text_of("\n%.*s", (int)wire.headers.len, wire.headers.at);
    char *line = text_of("\n%s: ", name), *at = strstr(all, line);

    value[0] = '\0';
    if (at)
        sscanf(at + strlen(line), "%199[^\r]", value);
    free(all);
    free(line);
    return value;
}

static void expect(const char *path, int status, const char *body, const char *type)
{
    ask("GET", slice_of(path), NULL);
    ck_assert_msg(wire.status == status, "%s: %d", path, wire.status);
    if (body)
        ck_assert_msg(slice_is(buf_slice(&wire.body), slice_of(body)), "%s: %.*s", path,
                      (int)wire.body.len, wire.body.at);
    if (type)
        ck_assert_str_eq(header("Content-Type"), type);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(files_and_indexes_are_served_with_their_types)
{
    expect("/", 200, "the index", "text/html; charset=utf-8");
    ck_assert_str_eq(header("Content-Length"), "9");
    ck_assert_str_eq(header("X-Content-Type-Options"), "nosniff");
    expect("/index.html", 200, "the index", "text/html; charset=utf-8");
    expect("/a page.html", 200, "a page", "text/html; charset=utf-8");
    expect("/push.JS", 200, "script", "text/javascript; charset=utf-8");
    expect("/README", 200, "readme", "application/octet-stream");
    expect("/sub/", 200, "the sub index", "text/html; charset=utf-8");
    expect("/sub/page.css", 200, "style", "text/css; charset=utf-8");
    expect("/empty.txt", 200, "", "text/plain; charset=utf-8");
    ck_assert_str_eq(header("Content-Length"), "0");
}
END_TEST

START_TEST(head_says_what_get_would)
{
    ask("HEAD", SLICE("/index.html"), NULL);
    ck_assert_int_eq(wire.status, 200);
    ck_assert_str_eq(header("Content-Length"), "9");
    ck_assert_uint_eq(wire.body.len, 0);
}
END_TEST

START_TEST(files_can_only_be_read)
{
    static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "get" };

    for (size_t i = 0; i < LENGTH(methods); i++) {
        ask(methods[i], SLICE("/index.html"), NULL);
        ck_assert_int_eq(wire.status, 405);
        ck_assert_str_eq(header("Allow"), "GET, HEAD");
    }
}
END_TEST

START_TEST(a_browser_that_knows_the_file_is_told_so)
{
    char tag[100], list[300];

    expect("/index.html", 200, "the index", NULL);
    snprintf(tag, sizeof(tag), "%s", header("ETag"));
    ck_assert_int_eq(tag[0], '"');
    static const char *const forms[] = { "%s", "W/%s", "\"other\", %s", "\"a\",W/%s , \"b\"" };
    for (size_t i = 0; i < LENGTH(forms); i++) {
        char *form = text_exchange(forms[i], "%s", tag);
        snprintf(list, sizeof(list), "%s", form ? form : tag);
        free(form);
        ask("GET", SLICE("/index.html"), list);
        ck_assert_msg(wire.status == 304 && wire.body.len == 0, "%s", list);
        ck_assert_str_eq(header("ETag"), tag);
        ck_assert_str_eq(header("Content-Length"), "");
    }
    ask("GET", SLICE("/index.html"), "*");
    ck_assert_int_eq(wire.status, 304);
    ask("GET", SLICE("/index.html"), "\"other\", ,");
    ck_assert_int_eq(wire.status, 200);
    put("index.html", SLICE("the xedni")); /* as long as before */
    char *path = text_of("%s/index.html", dir);
    ck_assert_int_eq(utimes(path, (struct timeval[]){ { 5, 0 }, { 5, 0 } }), 0);
    free(path);
    ask("GET", SLICE("/index.html"), tag);
    ck_assert_int_eq(wire.status, 200);
}
END_TEST

START_TEST(nothing_leads_out_of_the_folder)
{
    static const char *const paths[] = {
        "",
        "index.html",
        "/..",
        "/../",
        "/../outside",
        "/sub/../index.html",
        "/./index.html",
        "/sub/./page.css",
        "/sub/..",
        "/...",
        "//index.html",
        "//",
        "/sub//page.css",
        "/.htaccess",
        "/.git/config",
        "/sub/.hidden",
        "/away/secret.html",
        "/away/",
        "/away",
        "/away.html",
        "/inside.html",
        "/linked/",
        "/linked/index.html",
        "/index.html/",
        "/index.html/x",
        "/bare/",
        "/nothing",
        "/..\\index.html",
    };

    for (size_t i = 0; i < LENGTH(paths); i++) {
        expect(paths[i], 404, NULL, "application/problem+json");
        ck_assert_ptr_null(memmem(wire.body.at, wire.body.len, "secret", 6));
    }
    ask("GET", SLICE("/index.html\0.css"), NULL);
    ck_assert_int_eq(wire.status, 404);
    ask("GET", SLICE("/\0"), NULL);
    ck_assert_int_eq(wire.status, 404);
    char name[400];
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    ask("GET", (struct slice){ name, sizeof(name) }, NULL);
    ck_assert_int_eq(wire.status, 404);
}
END_TEST

START_TEST(what_is_no_regular_file_is_none)
{
    char *path = text_of("%s/pipe.html", dir);

    ck_assert_int_eq(mkfifo(path, 0644), 0);
    expect("/pipe.html", 404, NULL, NULL);
    free(path);
}
END_TEST

START_TEST(a_folders_address_ends_in_a_slash)
{
    expect("/sub", 301, "", NULL);
    ck_assert_str_eq(header("Location"), "/sub/");
    expect("/\xc3\xa4 b", 301, "", NULL);
    ck_assert_str_eq(header("Location"), "/%C3%A4%20b/");
}
END_TEST

START_TEST(a_large_file_is_sent_piece_by_piece)
{
    struct buf large = BUF_EMPTY;

    for (int i = 0; i < 300000; i++)
        buf_putc(&large, (char)(i * 31 + i / 253));
    put("large.png", buf_slice(&large));
    ask("GET", SLICE("/large.png"), NULL);
    ck_assert_int_eq(wire.status, 200);
    ck_assert_str_eq(header("Content-Type"), "image/png");
    ck_assert(slice_is(buf_slice(&wire.body), buf_slice(&large)));
    buf_fini(&large);
}
END_TEST

static void begin_large(void)
{
    static struct request_head head = { .method = SLICE("GET"), .path = SLICE("/large.txt") };
    struct buf large = BUF_EMPTY;

    for (int i = 0; i < 300000; i++)
        buf_putc(&large, 'x');
    put("large.txt", buf_slice(&large));
    buf_fini(&large);
    wire.ended = false;
    wire.request = (struct request){ .ops = &ops, .server = &server, .head = &head };
    files_serve(files, &wire.request, head.path);
    ck_assert(!wire.ended && server.open);
    ck_assert_uint_lt(wire.body.len, 300000);
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 100; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

START_TEST(a_client_that_leaves_leaves_nothing_behind)
{
    int before = descriptors();
    begin_large();
    ck_assert_int_gt(descriptors(), before);
    request_gone(&wire.request);
    ck_assert_ptr_null(server.open);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(a_file_that_becomes_shorter_breaks_its_reply)
{
    begin_large();
    put("large.txt", SLICE("short"));
    request_room(&wire.request);
    ck_assert(wire.ended && wire.request.broken);
}
END_TEST

START_TEST(no_folder_is_said_in_words)
{
    struct buf error = BUF_EMPTY;

    ck_assert_ptr_null(files_new("/nonexistent/www", &error));
    ck_assert(
        slice_is(buf_slice(&error), SLICE("www: /nonexistent/www: No such file or directory\n")));
    buf_fini(&error);
}
END_TEST

SUITE(files)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, files_and_indexes_are_served_with_their_types);
    tcase_add_test(tc, head_says_what_get_would);
    tcase_add_test(tc, files_can_only_be_read);
    tcase_add_test(tc, a_browser_that_knows_the_file_is_told_so);
    tcase_add_test(tc, nothing_leads_out_of_the_folder);
    tcase_add_test(tc, what_is_no_regular_file_is_none);
    tcase_add_test(tc, a_folders_address_ends_in_a_slash);
    tcase_add_test(tc, a_large_file_is_sent_piece_by_piece);
    tcase_add_test(tc, a_client_that_leaves_leaves_nothing_behind);
    tcase_add_test(tc, a_file_that_becomes_shorter_breaks_its_reply);
    tcase_add_test(tc, no_folder_is_said_in_words);
}
