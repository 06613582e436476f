/*
 * docs_test.c - www/docs.html: every option and method is there, and each example, run by a click,
 * gives what it states.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/browser/client_site.h"
#include "tests/browser/page_site.h"
#include "tests/peers/browser.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BROWSERS = 2, EXAMPLES_MIN = 20 };

#define READY   "document.body.getAttribute('data-ready') === 'yes'"
#define EXAMPLE "document.querySelectorAll('pre.example')[%d]"

/* Errors that no script has caught, whatever the browser. */
static void watch_for_errors(struct browser *b)
{
    free(browser_eval(b, "(window.wrong = [], ['error', 'unhandledrejection', "
                         "'securitypolicyviolation'].forEach(function (type) {"
                         "    addEventListener(type, function (e) {"
                         "        wrong.push(type + ' ' + (e.message || e.reason || e.blockedURI));"
                         "    }); }))"));
}

static void open_docs(struct browser *b, const char *site)
{
    char *url = text_of("%sdocs.html", site);
    browser_open(b, url);
    free(url);
}

static void run_example(struct browser *b, int i)
{
    char *mark = text_of(EXAMPLE ".nextSibling.id = 'bar-%d'", i, i);
    char *button = text_of("#bar-%d button", i);
    char *done = text_of(EXAMPLE ".getAttribute('data-result') === 'done'", i);
    char *what = text_of(EXAMPLE ".textContent + '| states: ' + " EXAMPLE
                                 ".getAttribute('data-gives') + '| gave: ' + " EXAMPLE
                                 ".nextSibling.nextSibling.textContent",
                         i, i, i);
    char *ended = text_of(EXAMPLE ".getAttribute('data-result') !== 'runs'", i);

    free(browser_eval(b, mark));
    browser_click(b, button);
    browser_expect(b, ended, 2 * SEEN_MS);
    char *good = browser_eval(b, done), *said = browser_eval(b, what);
    ck_assert_msg(strcmp(good, "true") == 0, "%s", said);
    free(said);
    free(good);
    free(ended);
    free(what);
    free(done);
    free(button);
    free(mark);
}

/* Three examples are of refusals, which the console counts as errors; it may have no others. */
static void expect_quiet_console(struct browser *b)
{
    static const char *const meant[] = { "status of 401", "status of 403", "status of 404" };
    char *console = browser_console(b), *save = NULL;
    size_t refusals = 0;

    for (char *line = strtok_r(console, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool is_meant = false;
        for (size_t i = 0; i < LENGTH(meant); i++)
            is_meant |= strstr(line, meant[i]) && strstr(line, "/push/");
        ck_assert_msg(is_meant, "%s", line);
        refusals++;
    }
    ck_assert_uint_ge(refusals, 3); /* or nobody was listening */
    free(console);
}

START_TEST(each_example_gives_what_it_states)
{
    struct page_site *s = page_site_start(PAGE_RUN);
    struct browser *b = browser_start(_i);

    open_docs(b, page_site_url(s));
    browser_expect(b, READY, SEEN_MS);
    watch_for_errors(b);
    char *count = browser_eval(b, "document.querySelectorAll('pre.example').length");
    int n = atoi(count);
    ck_assert_int_ge(n, EXAMPLES_MIN);
    for (int i = 0; i < n; i++)
        run_example(b, i);
    browser_expect(b, "wrong.join() === ''", 0);
    if (_i == BROWSER_CHROMIUM)
        expect_quiet_console(b);
    free(browser_eval(b, "scrollTo(0, document.getElementById('state').offsetTop)"));
    browser_screenshot(b, "docs");
    free(count);
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(one_click_runs_them_all)
{
    struct page_site *s = page_site_start(PAGE_RUN);
    struct browser *b = browser_start(BROWSER_CHROMIUM);

    open_docs(b, page_site_url(s));
    browser_expect(b, READY, SEEN_MS);
    browser_click(b, "#run-all");
    browser_expect(b,
                   "(function (m) { return m && m[1] === m[2] && m[1] > 19; }("
                   "/^(\\d+) of (\\d+) /.exec(document.getElementById('tally').textContent)))",
                   4 * SEEN_MS);
    browser_free(b);
    page_site_free(s);
}
END_TEST

START_TEST(where_the_site_gives_no_tokens_the_page_says_so)
{
    struct client_site *s = client_site_start(CLIENT_NGINX);
    struct browser *b = browser_start(BROWSER_CHROMIUM);
    char *url = text_of("http://127.0.0.1:%d/", s->port);

    open_docs(b, url);
    browser_expect(b,
                   "(function (m) { return m.offsetHeight && /no script/.test(m.innerText); }("
                   "document.getElementById('missing')))",
                   SEEN_MS);
    free(url);
    browser_free(b);
    client_site_free(s);
}
END_TEST

static void start_cluster(void)
{
    cluster_shared();
}

SUITE(docs)
{
    tcase_add_unchecked_fixture(tc, start_cluster, NULL);
    tcase_add_loop_test(tc, each_example_gives_what_it_states, 0, BROWSERS);
    tcase_add_test(tc, one_click_runs_them_all);
    tcase_add_test(tc, where_the_site_gives_no_tokens_the_page_says_so);
}
