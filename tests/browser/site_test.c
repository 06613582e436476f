/*
 * site_test.c - contrib/run/site.cgi, asked as no page of ours asks: each gets its answer, and what
 * is said arrives as it was said.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/page_site.h"
#include "tests/peers/cluster.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { ANSWER_MS = 20000, LONG = 4000, FLOOD = 200000 };

static const struct {
    const char *method, *query, *header, *body;
    int status;
} asks[] = {
    { "GET", "", NULL, NULL, 200 },
    { "GET", "?x", NULL, NULL, 404 },
    { "PUT", "?order", NULL, "tea", 405 },
    { "POST", "", NULL, "tea", 404 },
    { "POST", "?order", NULL, "tea", 201 },
    { "POST", "?order", NULL, "'); DROP TABLE demo_order; --", 201 },
    { "POST", "?order", NULL, "\\'; \\! id", 201 },
    { "POST", "?order", NULL, ":body :'body' $(id) `id`", 201 },
    { "POST", "?order", NULL, "\xff\xfe", 400 },
    { "POST", "?order", "Origin: http://elsewhere.example", "tea", 403 },
    { "POST", "?status", NULL, "1", 201 },
    { "POST", "?status", NULL, "99", 404 },
    { "POST", "?status", NULL, "1 OR true", 422 },
    { "POST", "?status", NULL, "99999999999999999999", 422 },
    { "POST", "?message", NULL, "ann\nhello", 201 },
    { "POST", "?message", NULL, "hello", 422 }, /* no text */
    { "POST", "?message", NULL, "\nhello", 422 },
    { "POST", "?message", NULL, " \nhello", 422 },
    { "POST", "?message", NULL, "ann\n \t ", 422 },
    { "POST", "?message", NULL, "ann\nhello\x1b[2J", 422 },
    { "POST", "?message", NULL, "ann\nhello\nbob\nI am bob", 422 },
    { "POST", "?message", NULL, "a name that has more than thirty letters\nhello", 422 },
    { "POST", "?token", NULL, "60", 201 },
    { "POST", "?token", NULL, "0", 422 },
    { "POST", "?token", NULL, "for ever", 422 },
};

static int answer_to(int port, const char *method, const char *query, const char *header,
                     struct slice body)
{
    const char *const headers[] = { header, NULL };
    char *target = text_of("/site.cgi%s", query);
    struct http *h = http_new(&(struct http_ask){
        .port = port, .method = method, .target = target, .headers = headers, .body = body });
    while (http_wait(h, ANSWER_MS))
        ;
    int status = http_status(h);
    struct slice said = http_body(h);
    ck_assert_msg(said.len > 2 && said.at[0] == '{', "%s %s: %d %.*s", method, target, status,
                  (int)said.len, said.at);
    http_free(h);
    free(target);
    return status;
}

static void expect_sql(const struct page_site *s, const char *sql, const char *value)
{
    char *got = cluster_sql(page_site_dsn(s), sql);
    ck_assert_str_eq(got, value);
    free(got);
}

/* _i: lighttpd runs it as CGI, nginx by fcgiwrap. */
START_TEST(each_question_gets_its_answer)
{
    struct page_site *s = page_site_start(_i);
    int port = page_site_port(s);
    char letters[LONG + 1], *flood = calloc(1, FLOOD);

    for (size_t i = 0; i < LENGTH(asks); i++) {
        const char *body = asks[i].body ? asks[i].body : "";
        int status = answer_to(port, asks[i].method, asks[i].query, asks[i].header, slice_of(body));
        ck_assert_msg(status == asks[i].status, "%s %s %s: %d", asks[i].method, asks[i].query, body,
                      status);
    }
    memset(letters, 'a', LONG);
    letters[LONG] = '\0';
    struct slice most = { letters, 100 }, more = { letters, 101 }, much = { letters, LONG };
    ck_assert_int_eq(answer_to(port, "POST", "?order", NULL, most), 201);
    ck_assert_int_eq(answer_to(port, "POST", "?order", NULL, more), 422);
    ck_assert_int_eq(answer_to(port, "POST", "?order", NULL, much), 422);
    struct slice more_than_a_pipe_holds = { flood, FLOOD };
    ck_assert_int_eq(answer_to(port, "POST", "?order", NULL, more_than_a_pipe_holds), 413);
    ck_assert_int_eq(answer_to(port, "PUT", "?order", NULL, more_than_a_pipe_holds), 405);
    free(flood);
    expect_sql(s, "SELECT count(*) FROM demo_order", "5");
    expect_sql(s, "SELECT item FROM demo_order WHERE id = 2", "'); DROP TABLE demo_order; --");
    expect_sql(s, "SELECT item FROM demo_order WHERE id = 3", "\\'; \\! id");
    expect_sql(s, "SELECT item FROM demo_order WHERE id = 4", ":body :'body' $(id) `id`");
    expect_sql(s, "SELECT count(*) FROM demo_message", "1");
    page_site_free(s);
}
END_TEST

/* However much is said, so much is kept. */
START_TEST(the_newest_thousand_are_kept)
{
    struct page_site *s = page_site_start(PAGE_NGINX);

    free(cluster_sql(page_site_dsn(s),
                     "INSERT INTO demo_order (item) SELECT 'tea' FROM generate_series(1, 1001);"
                     "INSERT INTO demo_message (name, text)"
                     " SELECT 'ann', 'hello' FROM generate_series(1, 1001)"));
    ck_assert_int_eq(answer_to(page_site_port(s), "POST", "?order", NULL, slice_of("the last")),
                     201);
    ck_assert_int_eq(
        answer_to(page_site_port(s), "POST", "?message", NULL, slice_of("bob\nthe last")), 201);
    expect_sql(s, "SELECT count(*) || ' from ' || min(id) FROM demo_order", "1000 from 3");
    expect_sql(s, "SELECT count(*) || ' from ' || min(id) FROM demo_message", "1000 from 3");
    page_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(site)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, each_question_gets_its_answer, PAGE_RUN, PAGE_NGINX + 1);
    tcase_add_test(tc, the_newest_thousand_are_kept);
}
