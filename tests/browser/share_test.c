/*
 * share_test.c - www/bellpush-share.js: twenty tabs on one connection, over HTTP/1.1, where a
 * browser has six; and its holder dies.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 30000 };

/* What to do without, so that each way to elect and to tell is used. */
static const struct {
    const char *off;
    enum browser_kind browser;
} lacking[] = {
    { "", BROWSER_CHROMIUM },      { "", BROWSER_FIREFOX },
    { "locks", BROWSER_CHROMIUM }, { "locks,BroadcastChannel", BROWSER_FIREFOX },
    { "lossy", BROWSER_CHROMIUM },
};

static bool has_one_reader(void *arg)
{
    return front_open_requests(((struct client_site *)arg)->front) == 1;
}

static void expect_all(struct browser *b, int n)
{
    char *js = text_of("verdict(%d) === 'ok'", n), *why = text_of("verdict(%d)", n);
    int64_t end = now_ms() + SEEN_MS;
    bool done = false;

    while (!done && now_ms() < end) {
        char *text = browser_eval(b, js);
        done = strcmp(text, "true") == 0;
        free(text);
    }
    char *text = browser_eval(b, why);
    ck_assert_str_eq(text, "ok");
    free(text);
    free(why);
    free(js);
}

START_TEST(twenty_tabs_share_one_connection_and_outlive_its_holder)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(lacking[_i].browser);
    char *topic = client_site_topic(s), *query = text_of("&tabs=20&off=%s", lacking[_i].off);
    char *url = client_site_page(s, "share.html", topic, query);

    browser_open(b, url);
    browser_expect(b, "leaders() === 1 && all(isOpen)", SEEN_MS);
    ck_assert(wait_until(has_one_reader, s, SEEN_MS));
    client_site_publish(s, topic, 0, 10);
    free(browser_eval(b, "mend()"));
    client_site_publish(s, topic, 10, 20); /* before that, who missed the last one cannot know */
    expect_all(b, 20);
    /* The others' connections are free for what pages are for. */
    free(browser_eval(b, "fetch('/bellpush.js?fresh').then(function (r) { window.fetched = "
                         "r.status; })"));
    browser_expect(b, "window.fetched === 200", SEEN_MS);

    free(browser_eval(b, "dropLeader()"));
    client_site_publish(s, topic, 20, 40); /* while nobody leads */
    expect_all(b, 40);
    browser_expect(b, "tabs().length === 19 && leaders() === 1", SEEN_MS);
    client_site_kill_workers(s);
    client_site_publish(s, topic, 40, 60);
    free(browser_eval(b, "dropLeader()"));
    expect_all(b, 60);
    free(browser_eval(b, "add()"));
    browser_expect(b, "tabs().length === 19 && all(isOpen)", SEEN_MS);
    client_site_publish(s, topic, 60, 70);
    expect_all(b, 70);
    ck_assert(wait_until(has_one_reader, s, SEEN_MS));
    free(url);
    free(query);
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(two_windows_share_too)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s), *url = client_site_page(s, "share.html", topic, "");

    browser_open(b, url);
    browser_expect(b, "isOpen(window)", SEEN_MS);
    browser_click(b, "#more");
    browser_expect(b, "more && all(isOpen) && leaders() === 1", SEEN_MS);
    ck_assert(wait_until(has_one_reader, s, SEEN_MS));
    client_site_publish(s, topic, 0, 10);
    expect_all(b, 10);
    browser_expect(b, "bell.report().leads", 0);
    free(browser_eval(b, "bell.close()"));
    client_site_publish(s, topic, 10, 20);
    browser_expect(b, "more.bell.report().leads && more.got.length === 20", SEEN_MS);
    free(browser_eval(b, "bell.reconnect()"));
    expect_all(b, 20);
    ck_assert(wait_until(has_one_reader, s, SEEN_MS));
    free(url);
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(share)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, twenty_tabs_share_one_connection_and_outlive_its_holder, 0,
                        (int)LENGTH(lacking));
    tcase_add_loop_test(tc, two_windows_share_too, 0, 2);
}
