/*
 * client_test.c - www/bellpush.js in real browsers, behind real web servers: whichever way it
 * connects and whatever happens to its connections, each event comes once and in its order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BACK_MS = 60000, RUDE_STEP = 5, RUDE_PERCENT = 60, RUDE_CONNECTIONS = 40 };

enum { SITES = CLIENT_BELLPUSHD + 1 };
/* A bell for each way, all at once. */
#define ALL_WAYS "websocket;eventsource;stream;poll;jsonp"

/* What an old one is asked instead, and how it will connect: without a WebSocket, or with that of a
 * draft, which is none. */
static const struct {
    const char *asked, *used;
} ways[BROWSER_KINDS] = {
    [BROWSER_PHANTOMJS_1] = { "websocket,eventsource;eventsource;stream;poll;jsonp",
                              "eventsource;eventsource;stream;poll;jsonp" },
    [BROWSER_KHTML] = { "websocket,eventsource,stream;stream;poll;jsonp",
                        "stream;stream;poll;jsonp" },
};

static void expect_numbers(struct browser *b, const struct client_site *s, int n, const char *when)
{
    char *what = text_of("%s, %s", s->front_name, when);
    client_page_expect_all(b, n, what);
    free(what);
}

static const char *asked_of(enum browser_kind kind)
{
    return ways[kind].asked ? ways[kind].asked : ALL_WAYS;
}

static void hear_all_of_it(struct browser *b, enum browser_kind kind, enum client_front front)
{
    const char *used = ways[kind].used ? ways[kind].used : ALL_WAYS;
    struct client_site *s = client_site_start(front);
    char *topic = client_site_topic(s),
         *query = text_of("patience=2000&ws=/push/ws&ways=%s", asked_of(kind));

    client_site_publish(s, topic, 0, 5);
    client_page_open(b, s, s->port, topic, query);
    client_page_expect_way(b, used);
    if (ways[kind].used)
        browser_expect(b, "!/websocket/.test(story())", 0); /* not even tried */
    expect_numbers(b, s, 5, "at first");
    client_site_publish(s, topic, 5, 10);
    expect_numbers(b, s, 10, "live");
    client_site_kill_workers(s);
    client_site_publish(s, topic, 10, 15);
    expect_numbers(b, s, 15, "after the worker's death");
    client_site_publish(s, topic, 15, 400);
    expect_numbers(b, s, 400, "many");
    client_page_expect_way(b, used);
    browser_open(b, "about:blank"); /* nothing of it is heard any more */
    free(query);
    free(topic);
    client_site_free(s);
}

/* _i: which browser.  One for all sites: to start it takes longer than all that it does here. */
START_TEST(every_way_hears_all_of_it_even_when_the_worker_dies)
{
    struct browser *b = browser_start(_i);

    for (int site = 0; b && site < SITES; site++)
        hear_all_of_it(b, _i, site);
    browser_free(b);
}
END_TEST

/* So many connections are to be maltreated; BELLPUSH_TEST_RUDE says another number. */
static size_t rude_connections(void)
{
    const char *text = getenv("BELLPUSH_TEST_RUDE");
    return text ? (size_t)atoi(text) : RUDE_CONNECTIONS;
}

static const struct {
    enum client_front site;
    enum browser_kind browser;
} rude_pairs[] = {
    { CLIENT_NGINX, BROWSER_CHROMIUM },     { CLIENT_LIGHTTPD, BROWSER_FIREFOX },
    { CLIENT_BELLPUSHD, BROWSER_CHROMIUM }, { CLIENT_BELLPUSHD, BROWSER_FIREFOX },
    { CLIENT_APACHE, BROWSER_QTWEBKIT },    { CLIENT_APACHE, BROWSER_PHANTOMJS_2 },
    { CLIENT_NGINX, BROWSER_PHANTOMJS_1 },  { CLIENT_LIGHTTPD, BROWSER_KHTML },
};

/* The last bell of the page may use every way. */
START_TEST(nothing_is_lost_or_doubled_whatever_befalls_connections)
{
    struct client_site *s = client_site_start(rude_pairs[_i].site);
    struct browser *b = browser_start(rude_pairs[_i].browser);

    if (!b) {
        client_site_free(s);
        return;
    }
    char *topic = client_site_topic(s);
    int64_t end = now_ms() + BACK_MS * (int64_t)(1 + rude_connections() / 200);
    char *query =
        text_of("patience=700&maxWait=500&ws=/push/ws&ways=%s;", asked_of(rude_pairs[_i].browser));
    int n = 0;

    client_page_open(b, s, rude_port(s->rude), topic, query);
    browser_expect(b, "transports() !== ''", SEEN_MS);
    rude_set(s->rude, RUDE_PERCENT);
    while (rude_total(s->rude) < rude_connections() && now_ms() < end) {
        client_site_publish(s, topic, n, n + RUDE_STEP);
        n += RUDE_STEP;
        free(browser_eval(b, "1")); /* as fast as the browser goes along */
    }
    printf("client: %s: %d events; %zu connections went well, %zu closed, %zu reset, "
           "%zu stalled, %zu refused, %zu slow\n",
           s->front_name, n, rude_count(s->rude, RUDE_NONE), rude_count(s->rude, RUDE_CLOSE),
           rude_count(s->rude, RUDE_RESET), rude_count(s->rude, RUDE_STALL),
           rude_count(s->rude, RUDE_503), rude_count(s->rude, RUDE_SLOW));
    char *story = browser_eval(b, "story()");
    ck_assert_msg(rude_total(s->rude) >= rude_connections(), "too few: %s", story);
    free(story);
    rude_set(s->rude, 0);
    client_page_expect_all(b, n, "in the end");
    free(query);
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(websocket_comes_first_and_is_done_without)
{
    static const struct {
        const char *query, *way;
    } cases[] = {
        { "ws=/push/ws", "websocket" },
        { "ws=/push/ws&off=WebSocket", "eventsource" },
        { "ws=/nowhere", "eventsource" },
        { "ws=/push/ws&token=key", "stream" },
        { "ws=/push/ws&token=key&tokenInQuery=1", "websocket" },
    };
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(_i);

    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *topic = client_site_topic(s);
        client_site_publish(s, topic, 0, 3);
        client_page_open(b, s, s->port, topic, cases[i].query);
        client_page_expect_way(b, cases[i].way);
        client_site_publish(s, topic, 3, 10);
        client_page_expect_all(b, 10, cases[i].query);
        free(topic);
    }
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(refusals_are_final_and_told)
{
    static const char *const queries[] = { "token=none&ways=stream", "token=none&ways=poll",
                                           "token=none&tokenInQuery=1&ways=eventsource",
                                           "token=none&tokenInQuery=1" };
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);

    for (size_t i = 0; i < LENGTH(queries); i++) {
        client_page_open(b, s, s->port, "run/refused", queries[i]);
        browser_expect(b, "states.join().indexOf('closed') > 0", SEEN_MS);
        browser_expect(b, "/ 401$/.test(states[states.length - 1])", 0);
    }
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(who_has_the_right_publishes)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s), *publish;

    client_page_open(b, s, s->port, topic, "token=key");
    client_page_expect_way(b, "stream"); /* an EventSource has no head to put a token in */
    publish =
        text_of("bell.publish('%s', '0', function (e, c) { window.cursor = e || c; })", topic);
    free(browser_eval(b, publish));
    client_page_expect_all(b, 1, publish);
    browser_expect(b, "window.cursor === bell.report().cursor", SEEN_MS);
    free(publish);
    publish =
        text_of("bell.publish('%s', { a: 1 }).then(function (c) { window.cursor = c; })", topic);
    free(browser_eval(b, publish));
    browser_expect(b, "got[1] === '{\"a\":1}' && window.cursor === bell.report().cursor", SEEN_MS);
    free(publish);
    free(browser_eval(b, "bell.publish('a/#', '', function (e) { window.status_ = e.status; })"));
    browser_expect(b, "window.status_ === 400", SEEN_MS);
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(a_way_that_is_silent_is_left_and_tried_again_later)
{
    struct client_site *s = client_site_start(CLIENT_LIGHTTPD);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s);

    client_site_publish(s, topic, 0, 3);
    client_page_open(b, s, s->port, topic, "patience=500&mute=1");
    client_page_expect_way(b, "stream");
    client_page_expect_all(b, 3, "stream");
    free(browser_eval(b, "unmute()"));
    client_site_publish(s, topic, 3, 10);
    client_page_expect_way(b, "eventsource");
    client_site_publish(s, topic, 10, 20);
    client_page_expect_all(b, 20, "eventsource");
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(a_page_that_was_left_goes_on_where_it_was)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s);

    client_site_publish(s, topic, 0, 3);
    client_page_open(b, s, s->port, topic, NULL);
    client_page_expect_all(b, 3, "before");
    free(browser_eval(b, "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"));
    browser_expect(b, "bell.report().attempts[0].why === 'pagehide'", SEEN_MS);
    client_site_publish(s, topic, 3, 6);
    free(browser_eval(b, "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"));
    client_page_expect_all(b, 6, "after");
    free(browser_eval(b, "dispatchEvent(new Event('online'))"));
    client_site_publish(s, topic, 6, 9);
    client_page_expect_all(b, 9, "online");
    browser_expect(b, "bell.report().attempts.length === 3", 0);
    free(browser_eval(b, "bell.close()"));
    browser_expect(b, "bell.state === 'closed'", 0);
    client_site_publish(s, topic, 9, 12);
    free(browser_eval(b, "bell.reconnect()"));
    client_page_expect_all(b, 12, "reopened");
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* A bell that nobody closes is the clock: it tries again and again meanwhile. */
START_TEST(a_bell_that_is_closed_while_it_tells_its_state_stays_closed)
{
    static const char *const states[] = { "connecting", "waiting" };
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);

    for (size_t i = 0; i < LENGTH(states); i++) {
        client_page_open(b, s, s->port, "none", "push=/nowhere/&ways=stream&maxWait=50");
        char *js = text_of("(function () {"
                           "    window.own = bellpush('/nowhere/', { topics: 'a', maxWait: 50,"
                           "                                         transports: ['stream'] });"
                           "    own.on('state', function (s) {"
                           "        if (s.state === '%s') { own.close(); }"
                           "    });"
                           "}())",
                           states[i]);
        free(browser_eval(b, js));
        browser_expect(b, "own.state === 'closed'", SEEN_MS);
        free(browser_eval(b, "window.before = bell.report().attempts.length"));
        browser_expect(b, "bell.report().attempts.length > before + 5", SEEN_MS);
        browser_expect(b, "own.state === 'closed' && own.report().attempts.length < 2", 0);
        free(js);
    }
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(filters_of_on_are_what_is_heard_where_no_topics_are_named)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(_i);

    client_page_open(b, s, s->port, "none", NULL);
    browser_expect(b, "bell.state === 'open'", SEEN_MS);
    free(browser_eval(b, "(function () {"
                         "    window.heard = [];"
                         "    window.hear = function (e) { heard.push(e.topic + e.data); };"
                         "    window.own = bellpush('/push', { since: 'earliest' });"
                         "    own.on('ab/+', hear).on('b', hear).on('$c', hear);"
                         "}())"));
    browser_expect(b, "own.state === 'open' && own.report().cursor", SEEN_MS);
    client_site_publish(s, "ab/c", 0, 1);
    client_site_publish(s, "a", 0, 1); /* nobody asked for that */
    client_site_publish(s, "b", 0, 1);
    browser_expect(b, "heard.join() === 'ab/c0,b0'", SEEN_MS);
    free(browser_eval(b, "own.on('a', hear)")); /* from now on */
    client_site_publish(s, "a", 1, 2);
    browser_expect(b, "heard.join() === 'ab/c0,b0,a1'", SEEN_MS);
    free(browser_eval(b, "own.close()"));
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

/* What does not depend on the engine is tried in one, turn and turn about: 0 Chromium, 1 Firefox.
 */
SUITE(client)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, every_way_hears_all_of_it_even_when_the_worker_dies, 0, BROWSER_KINDS);
    tcase_add_loop_test(tc, nothing_is_lost_or_doubled_whatever_befalls_connections, 0,
                        (int)LENGTH(rude_pairs));
    tcase_add_loop_test(tc, websocket_comes_first_and_is_done_without, 1, 2);
    tcase_add_loop_test(tc, refusals_are_final_and_told, 1, 2);
    tcase_add_loop_test(tc, who_has_the_right_publishes, 1, 2);
    tcase_add_loop_test(tc, a_way_that_is_silent_is_left_and_tried_again_later, 0, 1);
    tcase_add_loop_test(tc, a_page_that_was_left_goes_on_where_it_was, 0, 2);
    tcase_add_loop_test(tc, a_bell_that_is_closed_while_it_tells_its_state_stays_closed, 0, 1);
    tcase_add_loop_test(tc, filters_of_on_are_what_is_heard_where_no_topics_are_named, 0, 1);
}
