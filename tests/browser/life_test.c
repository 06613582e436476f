/*
 * life_test.c - what befalls a page, and its machine: sleep, a frozen or left page, a network that
 * goes and comes, a clock that jumps, connections that only seem to be there.  Nothing is lost or
 * doubled, and close() is the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_page.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BIG_EVENTS = 400 };

#define EVERY(test)                                                                                \
    "bells.every(function (bell) { var r = bell.report(), a = r.attempts; return " test "; })"
#define SILENT "a.some(function (x) { return x.why === 'silent'; })"

/* What a test has: a page with the first three events. */
struct life {
    struct client_site *site;
    struct browser *browser;
    char *topic;
};

static struct life begin(enum client_front front, enum browser_kind kind, const char *query)
{
    struct life l = { .site = client_site_start(front), .browser = browser_start(kind) };

    l.topic = client_site_topic(l.site);
    client_site_publish(l.site, l.topic, 0, 3);
    client_page_open(l.browser, l.site, rude_port(l.site->rude), l.topic, query);
    client_page_expect_all(l.browser, 3, "at first");
    return l;
}

static void end(struct life *l)
{
    free(l->topic);
    browser_free(l->browser);
    client_site_free(l->site);
}

START_TEST(a_machine_that_slept_goes_on_where_it_was)
{
    struct life l = begin(CLIENT_NGINX, _i, "ways=eventsource;stream;poll");

    browser_sleep(l.browser);
    client_site_kill_workers(l.site);
    client_site_publish(l.site, l.topic, 3, 40);
    rude_cut(l.site->rude);
    browser_wake(l.browser);
    client_page_expect_all(l.browser, 40, "awake");
    end(&l);
}
END_TEST

START_TEST(a_connection_that_only_seems_to_be_there_is_found)
{
    struct life l = begin(CLIENT_BELLPUSHD, BROWSER_CHROMIUM,
                          "patience=700&maxWait=500&ws=/push/ws&ways=websocket;eventsource;stream;"
                          "poll;jsonp");

    rude_sleep(l.site->rude);
    client_site_publish(l.site, l.topic, 3, 6);
    browser_expect(l.browser, EVERY(SILENT), SEEN_MS);
    rude_wake(l.site->rude);
    rude_cut(l.site->rude);
    client_page_expect_all(l.browser, 6, "found");
    end(&l);
}
END_TEST

/* The clock of the page moves while its connections stand still. */
static void the_clock_is_moved(const char *query, const char *by_ms, const char *when)
{
    struct life l = begin(CLIENT_NGINX, BROWSER_CHROMIUM, query);
    char *move = text_of("var D = Date; Date = function () { return new D(D.now() + %s); }", by_ms);

    rude_sleep(l.site->rude);
    client_page_run(l.browser, move);
    client_site_publish(l.site, l.topic, 3, 6);
    browser_expect(l.browser, EVERY(SILENT), SEEN_MS);
    rude_wake(l.site->rude);
    client_page_expect_all(l.browser, 6, when);
    free(move);
    end(&l);
}

/* No other watch would bark within a minute. */
START_TEST(a_clock_that_jumps_ahead_tells_of_sleep)
{
    the_clock_is_moved("patience=60000&maxWait=500&ways=eventsource;stream", "36e5",
                       "an hour later");
}
END_TEST

START_TEST(a_clock_that_is_set_back_blinds_nobody)
{
    the_clock_is_moved("patience=700&maxWait=500&ways=eventsource;stream;poll", "-36e5",
                       "an hour earlier");
}
END_TEST

static void network(struct browser *b, bool there)
{
    char *params = text_of("{\"offline\":%s,\"latency\":0,\"downloadThroughput\":-1,"
                           "\"uploadThroughput\":-1}",
                           there ? "false" : "true");
    browser_devtools(b, "Network.enable", "{}");
    browser_devtools(b, "Network.emulateNetworkConditions", params);
    free(params);
}

/* Chromium freezes pages that nobody looks at; the network goes and comes. */
START_TEST(a_page_that_is_frozen_or_offline_goes_on_where_it_was)
{
    struct life l =
        begin(CLIENT_NGINX, BROWSER_CHROMIUM, "patience=60000&ways=eventsource;stream;poll");

    browser_devtools(l.browser, "Page.setWebLifecycleState", "{\"state\":\"frozen\"}");
    client_site_kill_workers(l.site);
    client_site_publish(l.site, l.topic, 3, 40);
    browser_devtools(l.browser, "Page.setWebLifecycleState", "{\"state\":\"active\"}");
    client_page_expect_all(l.browser, 40, "thawed");

    network(l.browser, false);
    browser_expect(l.browser, "!navigator.onLine", SEEN_MS);
    rude_cut(l.site->rude);
    client_site_publish(l.site, l.topic, 40, 60);
    browser_expect(l.browser, EVERY("bell.state !== 'open'"), SEEN_MS);
    network(l.browser, true);
    client_page_expect_all(l.browser, 60, "online");
    end(&l);
}
END_TEST

/* Not reloaded: `kept` is still there.  (Firefox keeps no page that had a request open when it was
   left, whatever is ended then.) */
START_TEST(a_page_that_was_kept_goes_on_where_it_was)
{
    struct life l = begin(CLIENT_NGINX, BROWSER_CHROMIUM, "ways=eventsource;stream;poll");
    char *other = client_site_page(l.site, "source.html", "", "");

    client_page_run(l.browser, "window.kept = true");
    browser_open(l.browser, other);
    client_site_publish(l.site, l.topic, 3, 10);
    client_page_run(l.browser, "history.back()");
    browser_expect(l.browser, "window.kept", SEEN_MS);
    client_page_expect_all(l.browser, 10, "back");
    browser_expect(l.browser, EVERY("a[0].why === 'pagehide'"), 0);
    free(other);
    end(&l);
}
END_TEST

/* An XMLHttpRequest keeps all that it has heard.  Twice six hundred kilobytes, each of which may
   come at once. */
START_TEST(a_stream_is_changed_before_it_is_too_long)
{
    struct life l = begin(CLIENT_NGINX, BROWSER_CHROMIUM, "ways=stream");

    client_page_run(l.browser, "window.longest = 0; var abort = XMLHttpRequest.prototype.abort;"
                               "XMLHttpRequest.prototype.abort = function () {"
                               "    longest = Math.max(longest, this.responseText.length);"
                               "    return abort.call(this);"
                               "}");
    for (int from = 3, to = BIG_EVENTS / 2; to <= BIG_EVENTS; from = to, to += BIG_EVENTS / 2) {
        char *sql = text_of("DO $$ BEGIN FOR i IN %d..%d LOOP PERFORM bellpush.publish('%s', i || "
                            "repeat(' ', 3000)); COMMIT; END LOOP; END $$",
                            from, to - 1, l.topic);
        free(cluster_sql(l.site->dsn, sql));
        client_page_expect_all(l.browser, to, "over half a megabyte");
        free(sql);
    }
    browser_expect(l.browser, "longest > 500000 && longest < 1e6", 0);
    end(&l);
}
END_TEST

static bool nothing_is_open(void *arg)
{
    return front_open_requests(((struct client_site *)arg)->front) == 0;
}

START_TEST(close_is_the_end)
{
    struct life l = begin(CLIENT_NGINX, BROWSER_CHROMIUM, "ways=eventsource;stream;poll;jsonp");

    client_page_run(l.browser, "window.before = bells.map(function (bell) { bell.close(); return "
                               "bell.report().attempts.length; })");
    ck_assert(wait_until(nothing_is_open, l.site, SEEN_MS));
    client_site_publish(l.site, l.topic, 3, 6);
    client_page_run(l.browser, "dispatchEvent(new Event('online')); "
                               "document.dispatchEvent(new Event('visibilitychange'))");
    /* In the middle of what has come at once, and a bell that has just been made. */
    client_page_run(l.browser,
                    "window.one = []; window.none = 0;"
                    "['eventsource', 'stream', 'poll', 'jsonp'].forEach(function (way) {"
                    "    var o = { topics: [asked('topic')], since: 'earliest', transports: [way], "
                    "jsonp: true };"
                    "    var bell = bellpush('/push/', o).on('#', function () {"
                    "        one.push(way);"
                    "        bell.close();"
                    "    });"
                    "    bellpush('/push/', o).on('#', function () { none++; }).close();"
                    "})");
    browser_expect(l.browser, "one.length >= 4", SEEN_MS);
    ck_assert(wait_until(nothing_is_open, l.site, SEEN_MS));
    browser_expect(l.browser, "one.sort().join() === 'eventsource,jsonp,poll,stream' && !none", 0);
    browser_expect(l.browser, "verdict(3) === 'ok'", 0);
    browser_expect(l.browser,
                   "before.every(function (n, i) { return n === bells[i].report().attempts.length "
                   "&& bells[i].state === 'closed'; })",
                   0);
    end(&l);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(life)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, a_machine_that_slept_goes_on_where_it_was, 0, 2);
    tcase_add_test(tc, a_connection_that_only_seems_to_be_there_is_found);
    tcase_add_test(tc, a_clock_that_jumps_ahead_tells_of_sleep);
    tcase_add_test(tc, a_clock_that_is_set_back_blinds_nobody);
    tcase_add_test(tc, a_page_that_is_frozen_or_offline_goes_on_where_it_was);
    tcase_add_test(tc, a_page_that_was_kept_goes_on_where_it_was);
    tcase_add_test(tc, a_stream_is_changed_before_it_is_too_long);
    tcase_add_test(tc, close_is_the_end);
}
