/*
 * client_page.c - see client_page.h.
 */
#include "tests/browser/client_page.h"

#include <stdlib.h>

#include "tests/peers/process.h"
#include "tests/suite.h"

enum { SEEN_MS = 20000, BACK_MS = 60000 };

void client_page_open(struct browser *b, const struct client_site *s, int port, const char *topic,
                      const char *query)
{
    char *url = client_site_url(s, port, topic, query);
    browser_open(b, url);
    free(url);
}

void client_page_run(struct browser *b, const char *script)
{
    char *call = text_of("(function () { %s; }())", script);
    free(browser_eval(b, call));
    free(call);
}

void client_page_expect_all(struct browser *b, int n, const char *what)
{
    char *js = text_of("settled(%d)", n), *test;
    int64_t end = now_ms() + BACK_MS;
    bool done = false;

    while (!done && now_ms() < end) {
        char *text = browser_eval(b, js);
        done = strcmp(text, "true") == 0;
        free(text);
    }
    free(js);
    test = text_of("verdict(%d)", n);
    char *verdict = browser_eval(b, test), *story = browser_eval(b, "story()");
    ck_assert_msg(strcmp(verdict, "ok") == 0, "%s: %s: %s", what, verdict, story);
    free(story);
    free(verdict);
    free(test);
}

void client_page_expect_way(struct browser *b, const char *way)
{
    char *js = text_of("transports() === '%s'", way);
    browser_expect(b, js, SEEN_MS);
    free(js);
}
