/*
 * lacks_test.c - what the client uses is taken from Chromium, one thing after the other, before the
 * script comes: it goes on by what is left, and says why.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000 };

/* On a host of bellpushd, which has every transport.  more: of the address; why: of the first
   attempt, "undefined": it is the one that stayed. */
static const struct {
    const char *off, *more, *way, *why;
} lacking[] = {
    { "", "", "websocket", "undefined" },
    /* The transports. */
    { "WebSocket", "", "eventsource", "undefined" },
    { "WebSocket.CLOSING", "", "eventsource", "undefined" }, /* a draft of the protocol */
    { "WebSocket,EventSource", "", "stream", "undefined" },
    { "WebSocket,EventSource,XMLHttpRequest", "", "jsonp", "undefined" },
    { "XMLHttpRequest", "", "websocket", "undefined" },
    { "WebSocket,XMLHttpRequest", "", "eventsource", "undefined" },
    /* They are there, and do not work. */
    { "WebSocket()", "", "eventsource", "Error: off" },
    { "WebSocket,EventSource()", "", "stream", "Error: off" },
    { "WebSocket,EventSource,XMLHttpRequest()", "", "jsonp", "undefined" },
    { "WebSocket,EventSource,streaming", "patience=700", "poll", "silent" },
    { "WebSocket,EventSource,silence", "", "stream", "undefined" },
    { "WebSocket,EventSource,XMLHttpRequest.prototype.overrideMimeType", "", "stream",
      "undefined" },
    /* What is used on the way. */
    { "JSON", "", "websocket", "undefined" },
    { "WebSocket,EventSource,JSON,Promise,URL", "", "stream", "undefined" },
    { "Promise", "", "websocket", "undefined" },
    { "URL", "", "websocket", "undefined" },
    { "fetch", "", "websocket", "undefined" },
    { "localStorage", "", "websocket", "undefined" },
    { "BroadcastChannel", "", "websocket", "undefined" },
    { "performance", "", "websocket", "undefined" },
    { "Date.now", "", "websocket", "undefined" },
    { "addEventListener", "", "websocket", "undefined" },
    { "document.addEventListener", "", "websocket", "undefined" },
    { "Array.prototype.forEach,Array.prototype.indexOf,Array.prototype.map,Array.isArray,Object."
      "keys,"
      "Object.create,String.prototype.trim,Function.prototype.bind",
      "", "websocket", "undefined" },
    { "JSON", "ways=jsonp", "jsonp", "undefined" },
    { "JSON,Promise,addEventListener", "ways=stream", "stream", "undefined" },
    { "JSON,Promise,addEventListener", "ways=poll", "poll", "undefined" },
};

START_TEST(what_a_browser_lacks_is_done_without)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(BROWSER_CHROMIUM);

    for (size_t i = 0; i < LENGTH(lacking); i++) {
        char *topic = client_site_topic(s);
        char *query = text_of("ws=/push/ws&off=%s&%s", lacking[i].off, lacking[i].more);

        client_site_publish(s, topic, 0, 3);
        client_page_open(b, s, s->port, topic, query);
        client_page_expect_way(b, lacking[i].way);
        client_site_publish(s, topic, 3, 10);
        client_page_expect_all(b, 10, query);
        char *why = browser_eval(b, "bell.report().attempts[0].why");
        ck_assert_msg(strcmp(why, lacking[i].why) == 0, "%s: %s", query, why);
        free(why);
        free(query);
        free(topic);
    }
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* Across origins, in a browser as old as Internet Explorer 8 and 9: here on a stand-in of what
   those have (client.html), or by JSONP where the page allows it. */
START_TEST(an_old_browser_crosses_origins)
{
    static const struct {
        const char *more, *way;
    } cases[] = { { "XDomainRequest&jsonp=0", "xdr" },
                  { "XDomainRequest,XDomainRequest()", "jsonp" } };
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(BROWSER_CHROMIUM);
    char *origin = text_of("cors_origins = http://127.0.0.1:%d\n", s->port);

    client_site_set(s, origin);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *topic = client_site_topic(s);
        char *query = text_of("push=http://127.0.0.1:%d/push/&off=EventSource,%s",
                              rude_port(s->rude), cases[i].more);
        client_site_publish(s, topic, 0, 3);
        client_page_open(b, s, s->port, topic, query);
        client_page_expect_way(b, cases[i].way);
        client_site_publish(s, topic, 3, 10);
        client_page_expect_all(b, 10, query);
        client_site_kill_workers(s);
        rude_cut(s->rude);
        client_site_publish(s, topic, 10, 20);
        client_page_expect_all(b, 20, query);
        client_page_expect_way(b, cases[i].way);
        free(query);
        free(topic);
    }
    free(origin);
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* JSONP runs what another says: only where the page allows it. */
START_TEST(where_nothing_is_left_the_page_is_told)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(BROWSER_CHROMIUM);

    client_page_open(b, s, s->port, "none", "off=WebSocket,EventSource,XMLHttpRequest&ways=poll");
    browser_expect(b, "states.join() === 'connecting,closed no transport'", SEEN_MS);
    client_page_run(b, "window.own = bellpush('/push/', { topics: ['t'] })");
    browser_expect(b, "own.state === 'closed' && !own.report().attempts.length", SEEN_MS);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(publishing_needs_neither_promise_nor_json)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(BROWSER_CHROMIUM);
    char *topic = client_site_topic(s);

    client_page_open(b, s, s->port, topic, "off=JSON,Promise&token=key");
    browser_expect(b, "bell.state === 'open'", SEEN_MS);
    char *js = text_of("bell.publish('%s', '0', function (e, c) { window.done = e || c; })", topic);
    client_page_run(b, js);
    free(js);
    client_page_expect_all(b, 1, "published");
    browser_expect(b, "window.done === bell.report().cursor", SEEN_MS);
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(lacks)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_test(tc, what_a_browser_lacks_is_done_without);
    tcase_add_test(tc, an_old_browser_crosses_origins);
    tcase_add_test(tc, where_nothing_is_left_the_page_is_told);
    tcase_add_test(tc, publishing_needs_neither_promise_nor_json);
}
