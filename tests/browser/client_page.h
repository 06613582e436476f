/*
 * client_page.h - the page client.html in a browser: open it, and have it say what it has heard.
 */
#ifndef TESTS_BROWSER_CLIENT_PAGE_H
#define TESTS_BROWSER_CLIENT_PAGE_H

#include "tests/browser/client_site.h"
#include "tests/peers/browser.h"

/* Through a port: that of the site, or of somebody rude.  query: more of the address; NULL: none.
 */
void client_page_open(struct browser *, const struct client_site *, int port, const char *topic,
                      const char *query);

/* Run a script, whatever comes of it. */
void client_page_run(struct browser *, const char *script);

/* Each of its bells comes to have exactly the numbers below n, in their order; if not, its story is
   told and the test fails.  what: when that is. */
void client_page_expect_all(struct browser *, int n, const char *what);

/* Its bells are open, by these transports: "stream", "eventsource;poll". */
void client_page_expect_way(struct browser *, const char *way);

#endif
