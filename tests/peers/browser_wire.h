/*
 * browser_wire.h - what browser.c asks of each way to drive a browser.
 *
 * Both ways speak the commands of W3C WebDriver in JSON; Marionette by name over a socket,
 * chromedriver by method and path over HTTP.
 */
#ifndef TESTS_PEERS_BROWSER_WIRE_H
#define TESTS_PEERS_BROWSER_WIRE_H

#include <jansson.h>
#include <sys/types.h>

#include "core/buf.h"

struct browser_command {
    const char *name;          /* "WebDriver:Navigate" */
    const char *method, *path; /* "POST", "/url"; '*' in the path: the element's id */
};

struct browser_wire {
    const char *name;
    /* Start the browser with its profile in the folder; gives what the others take.  NULL: it is
       not installed, which has been said. */
    void *(*start)(const char *folder);
    void (*stop)(void *);
    /* Takes params.  Gives the answer's value; NULL: failed, why in *error (given). */
    json_t *(*command)(void *, const struct browser_command *, const char *element, json_t *params,
                       char **error);
    /* Of the browser, which leads the group of all its processes; NULL: it cannot be made to sleep.
     */
    pid_t (*pid)(void *);
};

extern const struct browser_wire browser_chromium, browser_firefox, browser_qtwebkit,
    browser_phantomjs_2, browser_phantomjs_1, browser_khtml;

enum { BROWSER_START_MS = 60000, BROWSER_ANSWER_MS = 60000, BROWSER_STOP_MS = 5000 };

/* Stop a browser and all that belongs to it. */
void browser_kill(pid_t);

/* The file's text once it is there and has a line end; gives.  Ends the program when pid has ended.
 */
char *browser_await_file(const char *path, pid_t pid, const char *log);

#endif
