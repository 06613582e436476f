/*
 * tabs_test.c - www/bellpush-share.js in real windows, each a process of its own: the one that is
 * connected is killed.  And what the server says of rights is heard in every tab.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 30000, WINDOWS = 3 };

struct tabs {
    struct browser *browser;
    char *window[WINDOWS];
    int killed; /* -1: none */
};

static void open_windows(struct tabs *t, const char *url)
{
    for (int i = 0; i < WINDOWS; i++) {
        t->window[i] = i ? browser_window_new(t->browser) : browser_window(t->browser);
        browser_window_switch(t->browser, t->window[i]);
        browser_open(t->browser, url);
        browser_expect(t->browser, "bell.state === 'open' && bell.report().cursor", SEEN_MS);
    }
}

/* Every window that lives has the numbers below n. */
static void expect_all(const struct tabs *t, int n)
{
    char *js = text_of(
        "got.join() === Array.from({ length: %d }, function (_, i) { return i; }).join()", n);
    for (int i = 0; i < WINDOWS; i++) {
        if (i == t->killed)
            continue;
        browser_window_switch(t->browser, t->window[i]);
        browser_expect(t->browser, js, SEEN_MS);
    }
    free(js);
}

/* The window that leads, which is the present one then; -1: none, -2: several. */
static int leader(const struct tabs *t)
{
    int found = -1;

    for (int i = 0; i < WINDOWS; i++) {
        if (i == t->killed)
            continue;
        browser_window_switch(t->browser, t->window[i]);
        char *leads = browser_eval(t->browser, "bell.report().leads");
        if (strcmp(leads, "true") == 0)
            found = found == -1 ? i : -2;
        free(leads);
    }
    if (found >= 0)
        browser_window_switch(t->browser, t->window[found]);
    return found;
}

START_TEST(the_tab_that_is_connected_is_killed)
{
    static const char *const lacking[] = { "", "&off=locks,BroadcastChannel" };
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct tabs t = { .browser = browser_start(BROWSER_CHROMIUM), .killed = -1 };
    char *topic = client_site_topic(s),
         *url = client_site_page(s, "share.html", topic, lacking[_i]);

    open_windows(&t, url);
    client_site_publish(s, topic, 0, 10);
    expect_all(&t, 10);
    t.killed = leader(&t);
    ck_assert_int_ge(t.killed, 0);
    browser_window_kill(t.browser);
    client_site_publish(s, topic, 10, 30);
    expect_all(&t, 30);
    ck_assert_int_ge(leader(&t), 0);
    client_site_publish(s, topic, 30, 40);
    expect_all(&t, 40);
    for (int i = 0; i < WINDOWS; i++)
        free(t.window[i]);
    free(url);
    free(topic);
    browser_free(t.browser);
    client_site_free(s);
}
END_TEST

/* Two bells of one page share as two tabs do. */
START_TEST(what_is_said_of_rights_is_heard_in_every_tab)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(_i);
    char *url = client_site_page(s, "share.html", "none", ""), *token = client_site_token(s, "ann");

    browser_open(b, url);
    client_page_run(b,
                    "window.token = 'none'; window.own = [0, 1].map(function () {"
                    "    var it = { auths: [], states: [] };"
                    "    it.bell = bellpush.share('/push/', { topics: ['right/#'],"
                    "        token: function () { return window.token; } });"
                    "    it.bell.on('state', function (s) { it.states.push(s.state + s.status); })"
                    "        .on('auth', function (a) { it.auths.push(a.reason); });"
                    "    return it;"
                    "})");
    browser_expect(b, "own.every(function (it) { return it.states.indexOf('closed401') >= 0; })",
                   SEEN_MS);
    browser_expect(b, "own.filter(function (it) { return it.bell.report().leads; }).length === 1",
                   0);
    char *js = text_of("window.token = '%s'; own.forEach(function (it) {"
                       "    if (!it.bell.report().leads) { it.bell.reconnect(); }"
                       "})",
                       token);
    client_page_run(b, js);
    browser_expect(b, "own.every(function (it) { return it.bell.state === 'open'; })", SEEN_MS);
    browser_expect(b, "own.every(function (it) { return it.auths.join() === 'expiring'; })",
                   SEEN_MS);
    free(js);
    free(token);
    free(url);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(tabs)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, the_tab_that_is_connected_is_killed, 0, 2);
    tcase_add_loop_test(tc, what_is_said_of_rights_is_heard_in_every_tab, 1, 2);
}
