/*
 * browser_webdriver.h - JSON over HTTP to a driver: W3C WebDriver as chromedriver speaks it, and
 * the older JsonWireProtocol of PhantomJS, which differs in how it tells an error.
 */
#ifndef TESTS_PEERS_BROWSER_WEBDRIVER_H
#define TESTS_PEERS_BROWSER_WEBDRIVER_H

#include <curl/curl.h>

#include "tests/peers/browser_wire.h"

struct webdriver {
    char *base; /* "http://127.0.0.1:PORT/session/ID" */
    CURL *curl;
};

/* Open a session with what answers at this port; takes params.  Failed: ends the program. */
void webdriver_init(struct webdriver *, const char *name, int port, json_t *params);
void webdriver_fini(struct webdriver *);

/* As browser_wire's command; path: below the session, '*' in it is the element's id. */
json_t *webdriver_command(struct webdriver *, const char *method, const char *path,
                          const char *element, json_t *params, char **error);

#endif
