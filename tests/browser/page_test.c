/*
 * page_test.c - the demo page in real browsers behind real web servers: a click makes a row in
 * PostgreSQL, a row makes a line on the page, and what happens meanwhile is not lost.
 *
 * Each test leaves a screenshot beside the program, in screens/, for people to look at.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/page_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BACK_MS = 60000, BROWSERS = 2 };

/* JavaScript: the items on the page, newest first, as JSON. */
#define ITEMS                                                                                      \
    "JSON.stringify(Array.from(document.querySelectorAll('#orders .what'))"                        \
    ".map(function (e) { return e.textContent; }))"

static void screenshot(struct browser *b, const struct page_site *s, const char *what)
{
    char *name = text_of("%s-%s", what, page_site_name(s));
    browser_screenshot(b, name);
    free(name);
}

static void expect_state(struct browser *b, const char *state)
{
    char *js = text_of("document.getElementById('state').dataset.state === '%s'", state);
    browser_expect(b, js, BACK_MS);
    free(js);
}

/* It is connected, and in this way. */
static void expect_transport(struct browser *b, const char *transport)
{
    char *js = text_of("document.getElementById('state').dataset.transport === '%s'", transport);
    expect_state(b, "open");
    browser_expect(b, js, BACK_MS);
    free(js);
}

/* The page's items are exactly these. */
static void expect_items(struct browser *b, const char *json)
{
    char *js = text_of(ITEMS " === JSON.stringify(%s)", json);
    browser_expect(b, js, BACK_MS);
    free(js);
}

static void expect_text(struct browser *b, const char *id, const char *pattern)
{
    char *js = text_of("/%s/.test(document.getElementById('%s').textContent)", pattern, id);
    browser_expect(b, js, SEEN_MS);
    free(js);
}

static void click_in(struct browser *b, const char *item)
{
    browser_type(b, "#item", item);
    browser_click(b, "#insert");
}

static void insert(const struct page_site *s, const char *item)
{
    char *sql = text_of("INSERT INTO demo_order (item) VALUES ('%s')", item);
    free(cluster_sql(page_site_dsn(s), sql));
    free(sql);
}

static void expect_sql(const struct page_site *s, const char *sql, const char *value)
{
    char *got = cluster_sql(page_site_dsn(s), sql);
    ck_assert_str_eq(got, value);
    free(got);
}

/* _i: which web server, which browser. */
START_TEST(click_becomes_a_row_and_the_row_comes_back)
{
    struct page_site *s = page_site_start(_i / 2);
    struct browser *b = browser_start(_i % 2);

    insert(s, "before the page was opened");
    browser_open(b, page_site_url(s));
    expect_transport(b, page_site_transport(s));
    expect_items(b, "['before the page was opened']");

    click_in(b, "<b>K\xc3\xa4se</b> & \"it's\"");
    expect_text(b, "result", "^Order 2 came back \\d+ m?s after the click");
    expect_sql(s, "SELECT item FROM demo_order WHERE id = 2", "<b>K\xc3\xa4se</b> & \"it's\"");
    expect_text(b, "roundtrip", "m?s$");

    insert(s, "from psql");
    expect_items(b,
                 "['from psql', '<b>K\\u00e4se</b> & \"it\\'s\"', 'before the page was opened']");
    browser_click(b, "#order-1 button");
    expect_text(b, "order-1", "packed");
    browser_click(b, "#order-1 button");
    expect_text(b, "order-1", "sent");
    expect_sql(s, "SELECT status FROM demo_order WHERE id = 1", "sent");
    free(cluster_sql(page_site_dsn(s), "UPDATE demo_order SET status = 'cold' WHERE id = 3"));
    expect_text(b, "order-3", "cold");
    free(cluster_sql(page_site_dsn(s), "DELETE FROM demo_order WHERE id = 3"));
    expect_items(b, "['<b>K\\u00e4se</b> & \"it\\'s\"', 'before the page was opened']");
    expect_text(b, "count", "^6$");
    expect_text(b, "latency", "m?s$");
    screenshot(b, s, "click");
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(page_whose_worker_is_killed_misses_nothing)
{
    struct page_site *s = page_site_start(_i / 2);
    struct browser *b = browser_start(_i % 2);

    browser_open(b, page_site_url(s));
    expect_state(b, "open");
    insert(s, "one");
    expect_items(b, "['one']");
    page_site_kill_workers(s);
    expect_state(b, "reconnecting");
    screenshot(b, s, "reconnecting");
    insert(s, "two, while away");
    insert(s, "three, while away");
    expect_state(b, "open");
    expect_items(b, "['three, while away', 'two, while away', 'one']");
    expect_text(b, "reconnects", "^[1-9]");
    browser_expect(b, "document.getElementById('gap').hidden", 0);
    insert(s, "four");
    expect_items(b, "['four', 'three, while away', 'two, while away', 'one']");
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(without_a_stream_the_page_polls)
{
    struct page_site *s = page_site_start(PAGE_NO_EVENTS);
    struct browser *b = browser_start(_i);

    browser_open(b, page_site_url(s));
    expect_transport(b, "poll");
    click_in(b, "polled");
    expect_text(b, "result", "^Order 1 came back");
    insert(s, "polled again");
    expect_items(b, "['polled again', 'polled']");
    page_site_await_reader(s); /* or the kill might fall between two polls, and nobody notice */
    page_site_kill_workers(s);
    expect_state(b, "reconnecting");
    insert(s, "while away");
    expect_items(b, "['while away', 'polled again', 'polled']");
    expect_transport(b, "poll");
    screenshot(b, s, "polling");
    browser_free(b);
    page_site_free(s);
}
END_TEST

static void open_page(struct browser *b, const struct page_site *s)
{
    browser_open(b, page_site_url(s));
    expect_state(b, "open");
}

static void say(struct browser *b, const char *text)
{
    browser_type(b, "#say", text);
    browser_click(b, "#send");
}

/* The newest message, with its name. */
static void expect_said(struct browser *b, const char *name, const char *text)
{
    char *js = text_of("(function (m) { return m && m.querySelector('b').textContent === '%s' && "
                       "m.querySelector('.said').textContent === \"%s\"; }("
                       "document.querySelector('#messages').lastElementChild))",
                       name, text);
    browser_expect(b, js, SEEN_MS);
    free(js);
}

static void call_oneself(struct browser *b, const char *name)
{
    free(browser_eval(b, "document.getElementById('name').value = ''"));
    browser_type(b, "#name", name);
    browser_click(b, "#say"); /* the field is left */
}

START_TEST(two_people_are_here_talk_and_one_leaves)
{
    struct page_site *s = page_site_start(PAGE_RUN);
    struct browser *ann = browser_start(BROWSER_CHROMIUM), *bob = browser_start(BROWSER_FIREFOX);

    open_page(ann, s);
    expect_text(ann, "people-count", "^1$");
    open_page(bob, s);
    expect_text(ann, "people-count", "^2$");
    expect_text(bob, "people-count", "^2$");
    call_oneself(ann, "Ann");
    call_oneself(bob, "Bob <i>");
    expect_text(ann, "people", "Ann \\(you\\)BBob <i>$");
    expect_text(bob, "people", "AnnBBob <i> \\(you\\)$");

    say(ann, "<script>document.title = 'broken'</script><img src=x onerror=alert(1)> \xe2\x98\x95");
    expect_said(
        bob, "Ann",
        "<script>document.title = 'broken'</script><img src=x onerror=alert(1)> \xe2\x98\x95");
    browser_expect(bob, "!document.querySelector('#messages script, #messages img')", 0);
    say(bob, "I see.");
    expect_said(ann, "Bob <i>", "I see.");
    expect_sql(s, "SELECT count(*) FROM demo_message", "2");
    say(bob, "   ");
    expect_text(bob, "chat-result", "1 to 300");
    screenshot(ann, s, "chat");
    screenshot(bob, s, "chat");

    browser_free(ann);
    expect_text(bob, "people-count", "^1$");
    expect_text(bob, "people", "^BBob <i> \\(you\\)$");
    browser_free(bob);
    page_site_free(s);
}
END_TEST

START_TEST(without_a_websocket_one_sees_who_is_here_but_is_not_listed)
{
    struct page_site *s = page_site_start(PAGE_NGINX);
    struct browser *b = browser_start(_i);

    open_page(b, s);
    expect_transport(b, "eventsource");
    expect_text(b, "people-count", "^0$");
    expect_text(b, "joined", "not listed");
    call_oneself(b, "Eve");
    say(b, "Is anybody here?");
    expect_said(b, "Eve", "Is anybody here?");
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(old_engine_shows_it_as_well)
{
    struct page_site *s = page_site_start(PAGE_RUN);
    struct browser *b = browser_start(BROWSER_QTWEBKIT);

    insert(s, "a pot of tea");
    open_page(b, s);
    expect_text(b, "people-count", "^1$");
    free(browser_eval(b, "(document.getElementById('item').value = 'toast', "
                         "document.getElementById('order-form').onsubmit())"));
    expect_text(b, "result", "^Order 2 came back");
    free(cluster_sql(page_site_dsn(s),
                     "INSERT INTO demo_message (name, text) VALUES ('psql', '<b>hello</b>')"));
    expect_said(b, "psql", "<b>hello</b>");
    browser_expect(b, "document.querySelectorAll('#orders tr').length === 2", 0);
    screenshot(b, s, "click");
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(narrow_window_needs_no_sideways_scrolling)
{
    struct page_site *s = page_site_start(PAGE_RUN);
    struct browser *b = browser_start(_i);

    browser_resize(b, 420, 900);
    browser_open(b, page_site_url(s));
    expect_state(b, "open");
    click_in(b,
             "a word of great length: Donaudampfschifffahrtsgesellschaftskapitaensmuetzenschild");
    expect_text(b, "result", "came back");
    browser_expect(
        b, "document.documentElement.scrollWidth <= document.documentElement.clientWidth", SEEN_MS);
    screenshot(b, s, "narrow");
    browser_free(b);
    page_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(page)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, click_becomes_a_row_and_the_row_comes_back, 0, PAGE_KINDS * BROWSERS);
    tcase_add_loop_test(tc, page_whose_worker_is_killed_misses_nothing, 0, PAGE_KINDS * BROWSERS);
    tcase_add_loop_test(tc, without_a_stream_the_page_polls, 0, BROWSERS);
    tcase_add_test(tc, two_people_are_here_talk_and_one_leaves);
    tcase_add_loop_test(tc, without_a_websocket_one_sees_who_is_here_but_is_not_listed, 0,
                        BROWSERS);
    tcase_add_test(tc, old_engine_shows_it_as_well);
    tcase_add_loop_test(tc, narrow_window_needs_no_sideways_scrolling, 0, BROWSERS);
}
