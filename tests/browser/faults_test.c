/*
 * faults_test.c - each thing that can befall a connection befalls each transport; and what on()
 * takes for a match is what the server takes for one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 60000, STEP = 5 };

#define WAYS "websocket;eventsource;stream;poll;jsonp"

/* Has every bell tried anew since `mark`? */
#define STRUCK                                                                                     \
    "bells.every(function (bell) { return bell.report().attempts.filter(function (a) { return "    \
    "a.began > mark; }).length; })"

START_TEST(each_fault_befalls_each_way)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s);
    int n = 0;

    client_page_open(b, s, rude_port(s->rude), topic,
                     "patience=500&maxWait=300&ws=/push/ws&ways=" WAYS);
    client_page_expect_way(b, WAYS);
    for (enum rude_fault fault = RUDE_NONE + 1; fault < RUDE_KINDS; fault++) {
        client_page_run(b, "window.mark = Math.max.apply(null, bells.map(function (bell) {"
                           "    return bell.report().attempts.slice(-1)[0].began;"
                           "}))");
        rude_set_only(s->rude, fault, 100);
        rude_cut(s->rude);
        client_site_publish(s, topic, n, n + STEP);
        n += STEP;
        browser_expect(b, STRUCK, SEEN_MS);
        client_site_publish(s, topic, n, n + STEP);
        n += STEP;
        rude_set(s->rude, 0);
        rude_cut(s->rude);
        char *what = text_of("after fault %d", fault);
        client_page_expect_all(b, n, what);
        free(what);
    }
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* The server is asked by polls, the client by on(). */
START_TEST(filters_match_as_they_do_in_the_server)
{
    static const char *const topics[] = { "a",    "b",    "a/b",   "a/b/c", "a/c/c", "/a",
                                          "a//c", "a/b/", "b/a/b", "A",     "a b",   "\xc3\xa4/b" };
    static const char filters[] =
        "['#', '+', 'a', 'a/#', 'a/+', '+/b', '+/+', 'a/+/c', '+/b/#', 'a/b/#', '/+', '/#', '+/a', "
        "'a//c', 'a/b/+', 'a/b/', '\\u00e4/+', '\\u00e4/#', 'x/#', '+/+/+', 'a b', 'A']";
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);

    client_page_open(b, s, s->port, "none", NULL);
    for (size_t i = 0; i < LENGTH(topics); i++)
        client_site_publish(s, topics[i], 0, 1);
    char *js = text_of(
        "window.server = {}; window.client = {}; window.all = 0;"
        "window.filters = %s;"
        "var own = bellpush('/push/', { topics: ['#'], since: 'earliest' });"
        "own.on('#', function () { window.all++; });"
        "filters.forEach(function (f) {"
        "    client[f] = [];"
        "    own.on(f, function (e) { client[f].push(e.topic); });"
        "    fetch('/push/poll?wait=0&since=earliest&topic=' + encodeURIComponent(f))"
        "        .then(function (r) { return r.json(); }).then(function (r) {"
        "            server[f] = r.events.map(function (e) { return e.topic; });"
        "        });"
        "});"
        /* Of $-topics there are none to be had here. */
        "window.own = own; window.own.on('$presence/#', function () { window.dollar = 1; })",
        filters);
    client_page_run(b, js);
    free(js);
    browser_expect(b, "all === 12 && Object.keys(server).length === filters.length", SEEN_MS);
    char *ours =
        browser_eval(b, "JSON.stringify(filters.map(function (f) { return [f, client[f]]; }))");
    char *theirs =
        browser_eval(b, "JSON.stringify(filters.map(function (f) { return [f, server[f]]; }))");
    ck_assert_str_eq(ours, theirs);
    ck_assert(strstr(ours, "[\"a/#\",[\"a\",\"a/b\",") != NULL);
    client_page_run(b, "own.hear({ id: 'x-1', topic: '$presence/a' }, 'message')");
    browser_expect(b, "window.dollar === 1 && all === 12 && client['+/a'].length === 1", 0);
    free(theirs);
    free(ours);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(faults)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, each_fault_befalls_each_way, 0, 1);
    tcase_add_loop_test(tc, filters_match_as_they_do_in_the_server, 1, 2);
}
