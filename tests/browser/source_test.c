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

/* More of nginx: a head that lies about the bytes, and an address of another origin that leads to
 * one of ours. */
static void add_locations(struct client_site *s)
{
    char *path = text_of("%s/etc/recipe.conf", front_folder(s->front)), *text = file_read(path);
    char *more = text_of("%s\n"
                         "location = /latin.sse {\n"
                         "    types { }\n"
                         "    default_type 'text/event-stream; charset=windows-1252';\n"
                         "}\n"
                         "location = /there.sse { add_header Access-Control-Allow-Origin *; }\n"
                         "location = /away {\n"
                         "    add_header Access-Control-Allow-Origin *;\n"
                         "    return 302 http://127.0.0.1:%d/there.sse;\n"
                         "}\n",
                         text, s->port);
    file_write(path, slice_of(more));
    front_restart(s->front);
    free(more);
    free(text);
    free(path);
}

/* In the folder of the pages. */
static void write_stream(struct client_site *s, const char *name, const char *text)
{
    char *path = text_of("%s/docroot/%s", front_folder(s->front), name);
    file_write(path, slice_of(text));
    free(path);
}

static struct client_site *start_site(void)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);

    add_locations(s);
    write_stream(s, "latin.sse", "data: \xc3\xa4\n\n");
    write_stream(s, "there.sse", "data: from there\n\n");
    write_stream(s, "listen.sse", "event: x\ndata: 1\n\nevent: x\ndata: 2\n\ndata: 3\n\n");
    write_stream(s, "hasty.sse", "retry: 1\n\n");
    write_stream(s, "patient.sse", "retry: 4294967297\n\n");
    return s;
}

static void expect_same(struct browser *b, const char *url, const char *how, const char *contains)
{
    char *js = text_of("both('%s', %s)", url, how);
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
    struct client_site *s = start_site();
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");
    char *away = text_of("http://localhost:%d/away", s->port);

    browser_open(b, page);
    for (size_t i = 0; i < LENGTH(texts) - (_i == BROWSER_FIREFOX ? 2 : 0); i++) {
        char *path = text_of("%s/docroot/%zu.sse", front_folder(s->front), i);
        char *url = text_of("%zu.sse", i);
        file_write(path, texts[i]);
        expect_same(b, url, "hear", "[\"open\",");
        free(url);
        free(path);
    }
    expect_same(b, "nothing.sse", "hear", "[\"error\",null,null,null,2,false,false,false]");
    expect_same(b, "bellpush.js", "hear", "[\"error\",null,null,null,2,false,false,false]");
    expect_same(b, away, "hear", "http://127.0.0.1:"); /* the origin after the redirect */
    expect_same(b, "listen.sse", "listen", "[\"once\",\"first 1\",\"second\",\"first 2\",");
    free(away);
    free(page);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(a_bad_address_is_said)
{
    struct client_site *s = start_site();
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");

    if (b) {
        browser_open(b, page);
        browser_expect(b, "thrownAt('http://this is invalid/') === 'SyntaxError 12'", 0);
        browser_expect(b, "thrownAt('http://a%b/x') === 'SyntaxError 12'", 0);
        if (_i != BROWSER_QTWEBKIT) /* which does not know before it connects */
            browser_expect(b, "thrownAt('http://127.0.0.1:99999/') === 'SyntaxError 12'", 0);
        browser_expect(b, "thrownAt('http://u:p%20w@127.0.0.1/a b|c?d <e') === 'nothing'", 0);
        browser_expect(
            b, "thrown(function () { return new bellpush.EventSource(); }) === 'TypeError'", 0);
        browser_expect(
            b, "thrown(function () { return bellpush.EventSource('x'); }) === 'TypeError'", 0);
        free(browser_eval(b, "closeOneOfTwo()"));
        browser_expect(b, "got.length > 0", SEEN_MS);
        browser_expect(b, "got.join() === 'two 2'", 0);
    }
    free(page);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(it_is_there_in_a_worker)
{
    struct client_site *s = start_site();
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");

    browser_open(b, page);
    free(browser_eval(b, "inWorker()"));
    browser_expect(b, "got.join() === 'SyntaxError 12, from there ' + location.origin", SEEN_MS);
    free(page);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(it_reads_utf8_waits_as_told_and_stops_with_the_page)
{
    struct client_site *s = start_site();
    struct browser *b = browser_start(_i);
    char *page = client_site_page(s, "source.html", "", "");

    if (b) {
        browser_open(b, page);
        free(browser_eval(b, "follow('latin.sse')"));
        browser_expect(b, "got.join('').indexOf('\\u00e4\\u00e4') === 0", SEEN_MS); /* and again */
        free(browser_eval(b, "count('patient'), count('hasty')"));
        browser_expect(b, "opens.hasty > 5", SEEN_MS);
        browser_expect(b, "opens.patient === 1", 0);

        browser_open(b, page); /* nothing of the above runs there */
        free(browser_eval(b, "stopPage('/push/events?topic=t&padding=1')"));
        browser_expect(b, "got.length > 0", SEEN_MS);
        browser_expect(b, "got.join() === '2'", 0);
    }
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
    tcase_add_loop_test(tc, a_bad_address_is_said, 0, 3);
    tcase_add_loop_test(tc, it_is_there_in_a_worker, 0, 2);
    tcase_add_loop_test(tc, it_reads_utf8_waits_as_told_and_stops_with_the_page, 0, BROWSER_KHTML);
    tcase_add_loop_test(tc, it_comes_back_with_the_last_id, 0, BROWSER_KHTML);
}
