/*
 * browser.h - a real browser without a screen: Chromium by WebDriver, Firefox by Marionette,
 * QtWebKit (of 2016, in spirit older) by a program of ours, which has pages, scripts and
 * screenshots but no mouse or keys, and KHTML by another; PhantomJS (the WebKits of 2014 and 2010)
 * by the driver in it.
 *
 * A fresh profile in a temporary folder each time; no network but what the page asks for.  The
 * browser dies with the test that started it.  Every call waits for its answer, and on failure says
 * why on stderr and ends the program, as the other peers do.
 */
#ifndef TESTS_PEERS_BROWSER_H
#define TESTS_PEERS_BROWSER_H

#include "core/buf.h"

struct browser;

enum browser_kind {
    BROWSER_CHROMIUM,
    BROWSER_FIREFOX,
    BROWSER_QTWEBKIT,
    BROWSER_PHANTOMJS_2,
    BROWSER_PHANTOMJS_1,
    BROWSER_KHTML,
    BROWSER_KINDS,
};

/* Gives.  NULL: it is not installed, which has been said; never of the first three. */
struct browser *browser_start(enum browser_kind) MUST_USE;
void browser_free(struct browser *); /* NULL: nothing happens */

/* Load a page and wait for its load event. */
void browser_open(struct browser *, const char *url);

/* A click in the middle of the element, keys into it: as a person does, not by script. */
void browser_click(struct browser *, const char *selector);
void browser_type(struct browser *, const char *selector, const char *text);

/* The value of a JavaScript expression, as text; gives (caller frees). */
char *browser_eval(struct browser *, const char *expression);

/* Wait until the expression is true; otherwise show what the page says, and end the program. */
void browser_expect(struct browser *, const char *expression, int64_t ms);

/* What the console says of errors since it was last asked, a line each; gives.  Chromium only: of
   others it is not to be had, and that ends the program. */
char *browser_console(struct browser *);

/* Windows (tabs) of one browser: the present one, a new one, and to which everything above is said
   from now on.  Those that tell a window give it. */
char *browser_window(struct browser *);
char *browser_window_new(struct browser *);
void browser_window_switch(struct browser *, const char *window);

/* As when a laptop is closed: nothing of the browser runs, until it wakes up. */
void browser_sleep(struct browser *);
void browser_wake(struct browser *);

/* Chromium only: a command of its DevTools protocol; params: JSON.  And one that kills the window's
   process, as the kernel would. */
void browser_devtools(struct browser *, const char *command, const char *params);
void browser_window_kill(struct browser *);

/* Size of the window. */
void browser_resize(struct browser *, int width, int height);

/* Leave what is to be seen for people to look at: screens/WHAT-BROWSER.png beside the program that
   is tested. */
void browser_screenshot(struct browser *, const char *what);

#endif
