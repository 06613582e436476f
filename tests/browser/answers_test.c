/*
 * answers_test.c - what the server says, and the client does: refusals, "later", "no more",
 * silence; gaps and the end of rights.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000 };

/* What stands between answers for it; its head ends here. */
#define ANSWER(status, head)                                                                       \
    "HTTP/1.1 " status " So\r\n" head "Content-Type: text/plain\r\nContent-Length: 3\r\n"          \
    "Connection: close\r\n\r\nso\n"

/* Bells for the page: make(name, options) has each in `own`, with what it tells. */
static const char make[] =
    "window.own = {};"
    "window.make = function (name, options) {"
    "    var it = own[name] = { got: [], states: [], gaps: [], auths: [] };"
    "    it.bell = bellpush('/push/', options).on('#', function (e) { it.got.push(e.data); })"
    "        .on('state', function (s) { it.states.push(s); })"
    "        .on('gap', function (g) { it.gaps.push(g); })"
    "        .on('auth', function (a) { it.auths.push(a); });"
    "};"
    "window.drop = function () {"
    "    for (var name in own) { own[name].bell.close(); }"
    "    own = {};"
    "};"
    "window.each = function (fn) { return Object.keys(own).every(function (n) { return "
    "fn(own[n], n); }); };"
    "setInterval(function () {" /* for who reads why a test failed */
    "    document.getElementById('got').textContent = JSON.stringify([own, window.waits, "
    "states, bell.report()]);"
    "}, 100);"
    "window.last = function (it) { return it.states[it.states.length - 1]; }";

#define ALL(test)                                                                                  \
    "each(function (it, name) { var a = it.bell.report().attempts; return " test "; })"

static struct browser *page(const struct client_site *s, enum browser_kind kind)
{
    struct browser *b = browser_start(kind);

    client_page_open(b, s, rude_port(s->rude), "none", NULL);
    client_page_run(b, "bell.close()");
    client_page_run(b, make);
    return b;
}

START_TEST(there_is_no_more_and_you_may_not_are_final)
{
    static const struct {
        const char *answer, *status;
    } cases[] = { { "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "204" },
                  { ANSWER("401", ""), "401" },
                  { ANSWER("403", ""), "403" } };
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = page(s, _i);

    for (size_t i = 0; i < LENGTH(cases); i++) {
        rude_answer(s->rude, "GET /push/", cases[i].answer);
        client_page_run(
            b, "['websocket', 'eventsource', 'stream', 'poll', ''].forEach(function (way) {"
               "    make(way, { topics: ['t'], ws: '/push/ws', transports: way ? [way] : "
               "undefined });"
               "})");
        browser_expect(b, ALL("it.bell.state === 'closed'"), SEEN_MS);
        char *js = text_of(ALL("last(it).status === %s && a.length === 1"), cases[i].status);
        browser_expect(b, js, 0);
        free(js);
        client_page_run(b, "drop()");
    }
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* Whatever happens meanwhile; but if the page itself asks, it is asked. */
START_TEST(later_means_not_before)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = page(s, _i);

    rude_answer(s->rude, "GET /push/", ANSWER("503", "Retry-After: 2\r\n"));
    client_page_run(b, "['websocket', 'eventsource', 'stream', 'poll'].forEach(function (way) {"
                       "    make(way, { topics: ['t'], ws: '/push/ws', transports: [way] });"
                       "})");
    browser_expect(b, ALL("it.bell.state === 'waiting'"), SEEN_MS);
    rude_answer(s->rude, NULL, NULL);
    browser_expect(b, ALL("it.bell.state === 'open'"), SEEN_MS);
    browser_expect(b,
                   ALL("it.states[1].why === 503 && it.states[1].wait >= 2000 && "
                       "a[1].began - a[0].ended >= 2000"),
                   0);
    client_page_run(b, "drop()");

    rude_answer(s->rude, "GET /push/", ANSWER("503", "Retry-After: 3600\r\n"));
    client_page_run(b, "make('a', { topics: ['t'] })");
    browser_expect(b, ALL("it.bell.state === 'waiting'"), SEEN_MS);
    client_page_run(b, "dispatchEvent(new Event('online'));"
                       "document.dispatchEvent(new Event('visibilitychange'));"
                       "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));"
                       "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    /* All that it would begin at once has begun when this has come back. */
    client_page_run(b, "setTimeout(function () { window.looked = true; }, 200)");
    browser_expect(b, "window.looked", SEEN_MS);
    browser_expect(b, ALL("a.length === 1"), 0);
    rude_answer(s->rude, NULL, NULL);
    client_page_run(b, "own.a.bell.reconnect()");
    browser_expect(b, ALL("it.bell.state === 'open'"), SEEN_MS);
    browser_free(b);
    client_site_free(s);
}
END_TEST

START_TEST(later_is_not_never_when_the_clock_is_set_back)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = page(s, _i);

    rude_answer(s->rude, "GET /push/", ANSWER("503", "Retry-After: 3\r\n"));
    client_page_run(b, "make('a', { topics: ['t'] })");
    browser_expect(b, ALL("it.bell.state === 'waiting'"), SEEN_MS);
    rude_answer(s->rude, NULL, NULL);
    client_page_run(b, "var D = Date; Date = function () { return new D(D.now() - 36e5); };"
                       "setTimeout(function () { dispatchEvent(new Event('online')); }, 1500)");
    browser_expect(b, ALL("it.bell.state === 'open'"), SEEN_MS);
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* Half of the dice: each wait must be half of its bound, which doubles from the server's `retry` up
   to maxWait. */
START_TEST(waits_are_random_and_double_up_to_a_bound)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = page(s, _i);

    client_page_run(b, "var set = setTimeout;"
                       "var parse = JSON.parse;"
                       "window.JSON.parse = function (text) {"
                       "    var e = parse(text);"
                       "    if (e.type === 'bellpush-hello') { window.hello = e.retry; }"
                       "    return e;"
                       "};"
                       "window.waits = [];"
                       "window.setTimeout = function (fn, ms) {"
                       "    if (ms > 0) { waits.push(ms); }"
                       "    return set(fn, ms);"
                       "};"
                       "window.Math.random = function () { return 0.5; };"
                       "make('a', { topics: ['t'], transports: ['stream'], maxWait: 1100 })");
    browser_expect(b, ALL("it.bell.state === 'open'"), SEEN_MS);
    rude_answer(s->rude, "GET /push/", ANSWER("500", ""));
    rude_cut(s->rude);
    browser_expect(b, "waits.length > 6", SEEN_MS);
    browser_expect(
        b,
        "(waits[0] === hello / 2 || waits[0] === hello) && waits[6] === 550 && "
        "waits.every(function (ms, i) { return !i || ms === Math.min(550, 2 * waits[i - 1]); })",
        0);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static bool a_poll_is_held(void *arg)
{
    return front_open_requests(((struct client_site *)arg)->front) == 1;
}

/* The head does not come, as behind somebody who gathers bytes. */
START_TEST(a_way_whose_first_bytes_do_not_come_is_left_and_that_is_remembered)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(_i);
    char *topic = client_site_topic(s);

    client_site_publish(s, topic, 0, 3);
    rude_answer(s->rude, "GET /push/events", "");
    client_page_open(b, s, rude_port(s->rude), topic, "patience=1000");
    client_page_expect_way(b, "poll");
    client_page_expect_all(b, 3, "polled");
    browser_expect(b,
                   "bell.report().attempts.slice(0, 3).map(function (a) { return a.transport + "
                   "a.why; }).join() === 'eventsourcesilent,streamsilent,pollundefined'",
                   0);
    ck_assert(wait_until(a_poll_is_held, s, SEEN_MS));
    client_page_run(b, "states.length = 0");
    client_site_kill_workers(s);
    client_site_publish(s, topic, 3, 6);
    client_page_expect_all(b, 6, "cut");
    client_page_expect_way(b, "poll");
    char *story = browser_eval(b, "states.join()");
    ck_assert_msg(strncmp(story, "waiting poll 50", 15) == 0 && !strstr(story, "stream") &&
                      !strstr(story, "eventsource"),
                  "%s", story);
    free(story);
    rude_answer(s->rude, NULL, NULL);
    client_page_expect_way(b, "eventsource");
    client_site_publish(s, topic, 6, 9);
    client_page_expect_all(b, 9, "climbed back");
    free(topic);
    browser_free(b);
    client_site_free(s);
}
END_TEST

/* And a topic may be called as they are. */
START_TEST(gaps_are_told_on_every_way)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = page(s, _i);

    client_page_run(
        b, "['websocket', 'eventsource', 'stream', 'poll', 'jsonp'].forEach(function (way) {"
           "    make(way, { topics: ['gap'], ws: '/push/ws', jsonp: true, transports: [way], "
           "since: 'zzzz-5' });"
           "})");
    browser_expect(b, ALL("it.gaps.length && it.bell.state === 'open'"), SEEN_MS);
    client_site_publish(s, "gap", 0, 3);
    browser_expect(b, ALL("it.got.length > 2"), SEEN_MS);
    browser_expect(b,
                   ALL("it.got.join() === '0,1,2' && it.gaps.length === 1 && it.gaps[0].reason === "
                       "'epoch'"),
                   0);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void give_token(struct browser *b, char *token)
{
    char *js = text_of("window.token = '%s'", token);
    client_page_run(b, js);
    free(js);
    free(token);
}

/* Who has no new token is told so, and stays away. */
START_TEST(the_end_of_rights_is_told_and_a_new_token_goes_on)
{
    struct client_site *s = client_site_start(CLIENT_BELLPUSHD);
    struct browser *b = page(s, _i);

    give_token(b, client_site_token(s, "ann"));
    client_page_run(
        b, "['websocket', 'eventsource', 'stream', 'poll'].forEach(function (way) {"
           "    make(way, { topics: ['right/#'], ws: '/push/ws', transports: [way], "
           "        tokenInQuery: way === 'websocket' || way === 'eventsource',"
           "        token: function () { return window.token; } });"
           "});"
           "make('old', { topics: ['right/#'], transports: ['stream'], token: window.token })");
    browser_expect(b,
                   ALL("it.auths.length ? it.auths[0].reason === 'expiring' : it.bell.state === "
                       "'open' && name === 'poll'"),
                   SEEN_MS);
    client_site_publish(s, "right/1", 0, 3);
    browser_expect(b, ALL("it.got.join() === '0,1,2'"), SEEN_MS);
    give_token(b, client_site_token(s, "bea"));
    free(cluster_sql(s->dsn, "SELECT bellpush.revoke('ann')"));
    browser_expect(b,
                   ALL("it.auths.some(function (a) { return a.reason === 'revoked'; }) || name === "
                       "'poll'"),
                   SEEN_MS);
    client_site_publish(s, "right/1", 3, 6);
    browser_expect(b, ALL("it.got.join() === (name === 'old' ? '0,1,2' : '0,1,2,3,4,5')"), SEEN_MS);
    browser_expect(b, "own.old.bell.state === 'closed' && last(own.old).status === 401", SEEN_MS);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

/* 0 Chromium, 1 Firefox. */
SUITE(answers)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, there_is_no_more_and_you_may_not_are_final, 0, 2);
    tcase_add_loop_test(tc, later_means_not_before, 0, 1);
    tcase_add_loop_test(tc, later_is_not_never_when_the_clock_is_set_back, 0, 1);
    tcase_add_loop_test(tc, waits_are_random_and_double_up_to_a_bound, 1, 2);
    tcase_add_loop_test(tc, a_way_whose_first_bytes_do_not_come_is_left_and_that_is_remembered, 0,
                        2);
    tcase_add_loop_test(tc, gaps_are_told_on_every_way, 1, 2);
    tcase_add_loop_test(tc, the_end_of_rights_is_told_and_a_new_token_goes_on, 0, 1);
}
