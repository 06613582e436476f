/*
 * page_test.c - the demo page in real browsers behind real web servers: a click makes a row in
 * PostgreSQL, a row makes a line on the page, and what happens meanwhile is not lost.
 *
 * Each test leaves a screenshot beside the program, in screens/, for people to look at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/browser/page_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BACK_MS = 60000 };

static const char *const browser_names[] = { "chromium", "firefox" };

/* JavaScript: the items on the page, newest first, as JSON. */
#define ITEMS                                                                                      \
    "JSON.stringify(Array.from(document.querySelectorAll('#events .what strong'))"                 \
    ".map(function (e) { return e.textContent; }))"

static void screenshot(struct browser *b, const char *site, const char *what, int browser)
{
    const char *program = getenv("BELLPUSH_TEST_PROGRAM");
    char *folder = text_of("%.*s/screens", (int)(strrchr(program, '/') - program), program);
    char *path = text_of("%s/%s-%s-%s.png", folder, what, site, browser_names[browser]);
    mkdir(folder, 0755);
    browser_screenshot(b, path);
    free(path);
    free(folder);
}

static void expect_state(struct browser *b, const char *state)
{
    char *js = text_of("document.getElementById('state').dataset.state === '%s'", state);
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
    expect_state(b, "open");
    expect_items(b, "['before the page was opened']");

    click_in(b, "<b>K\xc3\xa4se</b> & \"it's\"");
    expect_text(b, "result", "^Order 2 .* came back \\d+ ms after the click");
    expect_sql(s, "SELECT item FROM demo_order WHERE id = 2", "<b>K\xc3\xa4se</b> & \"it's\"");
    browser_expect(b, "document.querySelector('tr[data-order=\"2\"].mine') !== null", SEEN_MS);
    expect_text(b, "roundtrip", "ms$");

    insert(s, "from psql");
    expect_items(b,
                 "['from psql', '<b>K\\u00e4se</b> & \"it\\'s\"', 'before the page was opened']");
    free(cluster_sql(page_site_dsn(s), "UPDATE demo_order SET status = 'sent' WHERE id = 3"));
    browser_expect(b, "/sent/.test(document.querySelector('#events tr').textContent)", SEEN_MS);
    expect_text(b, "count", "^4$");
    expect_text(b, "latency", "ms$");
    screenshot(b, page_site_name(s), "click", _i % 2);
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
    screenshot(b, page_site_name(s), "reconnecting", _i % 2);
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
    expect_state(b, "polling");
    click_in(b, "polled");
    expect_text(b, "result", "^Order 1 .* came back");
    insert(s, "polled again");
    expect_items(b, "['polled again', 'polled']");
    page_site_await_reader(s); /* or the kill might fall between two polls, and nobody notice */
    page_site_kill_workers(s);
    expect_state(b, "reconnecting");
    insert(s, "while away");
    expect_items(b, "['while away', 'polled again', 'polled']");
    expect_state(b, "polling");
    screenshot(b, page_site_name(s), "polling", _i);
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
    screenshot(b, page_site_name(s), "narrow", _i);
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
    const int browsers = (int)LENGTH(browser_names);
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, click_becomes_a_row_and_the_row_comes_back, 0, PAGE_KINDS * browsers);
    tcase_add_loop_test(tc, page_whose_worker_is_killed_misses_nothing, 0, PAGE_KINDS * browsers);
    tcase_add_loop_test(tc, without_a_stream_the_page_polls, 0, browsers);
    tcase_add_loop_test(tc, narrow_window_needs_no_sideways_scrolling, 0, browsers);
}
