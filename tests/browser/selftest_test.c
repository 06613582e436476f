/*
 * selftest_test.c - www/selftest.html shows what a web server lets through, and what it holds back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SHOWN_MS = 60000 };

#define RESULT(way) "document.querySelector('tr[data-way=" way "]').getAttribute('data-result')"

static void open_page(struct browser *b, int port, const char *query)
{
    char *url = text_of("http://127.0.0.1:%d/selftest.html%s", port, query);
    browser_open(b, url);
    free(url);
}

START_TEST(what_works_is_shown_with_its_time)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(_i);

    open_page(b, s->port, "?ws=/push/ws");
    browser_expect(b, "document.body.getAttribute('data-result') === 'streams'", SHOWN_MS);
    browser_expect(b,
                   "document.querySelectorAll('tr[data-result=ok]').length === 5 && "
                   "document.getElementById('advice').hidden",
                   0);
    browser_screenshot(b, "selftest-good");
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(what_is_held_back_is_shown_with_the_line_that_mends_it)
{
    struct client_site *s = client_site_start(CLIENT_GATHERING);
    struct browser *b = browser_start(_i);

    open_page(b, s->port, "");
    browser_expect(b, "document.body.getAttribute('data-result') === 'polls'", SHOWN_MS);
    browser_expect(b, RESULT("eventsource") " === 'silent' && " RESULT("poll") " === 'ok'", 0);
    browser_expect(
        b,
        "/In the web server:fastcgi_buffering off;/.test(document.getElementById('lines')"
        ".textContent)",
        0);
    browser_screenshot(b, "selftest-held-back");
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(what_is_compressed_is_shown_with_the_line_that_mends_it)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);

    client_site_spoil(s, "gzip off;", "gzip on; gzip_min_length 0; gzip_types text/event-stream;");
    open_page(b, s->port, "");
    browser_expect(b, "document.body.getAttribute('data-result') !== ''", SHOWN_MS);
    browser_expect(b,
                   "/compressed \\(gzip\\), which delays events:[^]*gzip off;/"
                   ".test(document.getElementById('lines').textContent)",
                   0);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(an_address_where_nothing_is_says_so)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);

    open_page(b, s->port, "?push=/elsewhere/");
    browser_expect(b, "document.body.getAttribute('data-result') === 'nothing'", SHOWN_MS);
    browser_expect(b, "/no Bellpush/.test(document.getElementById('lines').textContent)", 0);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(selftest)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, what_works_is_shown_with_its_time, 1, 2);
    tcase_add_test(tc, what_is_held_back_is_shown_with_the_line_that_mends_it);
    tcase_add_test(tc, what_is_compressed_is_shown_with_the_line_that_mends_it);
    tcase_add_test(tc, an_address_where_nothing_is_says_so);
}
