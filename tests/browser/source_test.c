/*
 * source_test.c - bellpush.EventSource beside the browser's own: the same bytes, the same events.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000 };

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* After the cases of the HTML standard, 9.2.6, and what has gone wrong in one browser or another.
 */
static const struct slice texts[] = {
    TEXT("data: a\n\n"),
    TEXT("data:a\rdata: b\r\rdata:c\r\n\r\ndata:  d\n\n"),
    TEXT("\xef\xbb\xbf"
         "data: with a mark\n\n"),
    TEXT("\xef\xbb\xbf\xef\xbb\xbf"
         "data: two marks\n\ndata: x\n\n"),
    TEXT(": a comment\n:\ndata: a\n: another\ndata: b\n\n"),
    TEXT("event: x\ndata: named\n\nevent:\ndata: not\n\nevent: y\nevent: x\ndata: last "
         "counts\n\nevent: y\ndata\n\n"),
    TEXT("data\n\ndata\ndata\n\ndata:\n\ndata: incomplete"),
    TEXT("id: 1\ndata: a\n\nid\ndata: none\n\nid: "
         "\xc3\xa4\ndata: b\n\n"),
    TEXT("data:test\r\ndata\ndata:test\r\n\r\n data: no field\nDATA: nor this\ndata : nor "
         "this\n\ndata: z\n\n"),
    TEXT("retry: 1x\nretry:\nretry: -5\nunknown: field\ndata: \xe2\x80\xa8 \xe2\x80\xa9 "
         "\xf0\x9f\x94\x94 \xff\n\n"),
    TEXT("data: a\nid: 9\n\ndata: b\nid: 10\n"),
    TEXT(""),
    TEXT("id: 1\0\ndata: nul in id\n\nid: 3\ndata: good\n\ndata: nul \0 in data\n\n"), /* the last
                                                                                          two:
                                                                                          Firefox
                                                                                          drops
                                                                                          NULs, */
    TEXT("id: 2\n\ndata: of an empty one\n\n"), /* and forgets that id */
};

static void expect_same(struct browser *b, const char *url, const char *contains)
{
    char *js = text_of("both('%s')", url);
    free(browser_eval(b, js));
    free(js);
    browser_expect(b, "told.ours && told.native", SEEN_MS);
    char *ours = browser_eval(b, "told.ours"), *native = browser_eval(b, "told.native");
    ck_assert_str_eq(ours, native);
    ck_assert_msg(strstr(ours, contains) != NULL, "%s", ours);
    free(ours);
    free(native);
}

START_TEST(events_are_those_of_the_browsers_own)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");

    browser_open(b, page);
    for (size_t i = 0; i < LENGTH(texts) - (_i == BROWSER_FIREFOX ? 2 : 0); i++) {
        char *path = text_of("%s/docroot/%zu.sse", front_folder(s->front), i);
        char *url = text_of("%zu.sse", i);
        file_write(path, texts[i]);
        expect_same(b, url, "[\"open\",");
        free(url);
        free(path);
    }
    expect_same(b, "nothing.sse", "[\"error\",null,null,null,2,false,false,false]");
    expect_same(b, "bellpush.js", "[\"error\",null,null,null,2,false,false,false]");
    free(page);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(it_comes_back_with_the_last_id)
{
    struct client_site *s = client_site_start(CLIENT_LIGHTTPD);
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");

    if (b) {
        browser_open(b, page);
        client_site_publish(s, "t", 0, 3);
        free(browser_eval(b, "follow('/push/events?topic=t&padding=1&since=earliest')"));
        browser_expect(b, "got.join() === '0,1,2'", SEEN_MS);
        client_site_kill_workers(s);
        client_site_publish(s, "t", 3, 6);
        browser_expect(b, "got.join() === '0,1,2,3,4,5' && source.readyState === 1", SEEN_MS);
        free(browser_eval(b, "source.close()"));
        browser_expect(b, "source.readyState === 2", 0);
    }
    free(page);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(source)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, events_are_those_of_the_browsers_own, 0, 2);
    tcase_add_loop_test(tc, it_comes_back_with_the_last_id, 0, 3);
}
