/*
 * browser_chromium.c - Chromium, driven by chromedriver over WebDriver.
 *
 * We start the browser ourselves and let chromedriver join it: so it is our child, and ends when we
 * do.  Both choose their own ports and say which.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/browser_webdriver.h"
#include "tests/peers/process.h"

struct chromium {
    pid_t browser, driver;
    struct webdriver web;
};

static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct chromium *c = arg;
    return webdriver_command(&c->web, what->method, what->path, element, params, error);
}

/* Gives the port of its debugger. */
static int start_browser(struct chromium *c, const char *folder)
{
    char *profile = text_of("--user-data-dir=%s", folder), *home = text_of("HOME=%s", folder);
    char *log = text_of("%s/chromium.log", folder);
    char *port_file = text_of("%s/DevToolsActivePort", folder);
    const char *argv[32] = { "chromium",
                             "--headless",
                             "--disable-gpu",
                             "--disable-quic",
                             "--no-first-run",
                             "--no-default-browser-check",
                             "--disable-background-networking",
                             "--disable-component-update",
                             "--disable-sync",
                             "--disable-dev-shm-usage",
                             "--no-proxy-server",
                             "--hide-scrollbars",
                             "--disk-cache-dir=/dev/null",
                             "--window-size=1100,1000",
                             "--remote-debugging-port=0",
                             profile };
    const char *const env[] = { home, "DISPLAY", NULL };
    size_t n = 0;

    while (argv[n])
        n++;
    if (geteuid() == 0)
        argv[n++] = "--no-sandbox"; /* its sandbox refuses root */
    argv[n] = "about:blank";
    c->browser = process_start(&(struct process_spec){ .argv = argv, .env = env, .log = log });
    char *text = browser_await_file(port_file, c->browser, log);
    int port = atoi(text);
    free(text);
    free(port_file);
    free(log);
    free(home);
    free(profile);
    return port;
}

struct driver {
    const char *log;
    pid_t pid;
    int port; /* 0: it has not said so, or has ended */
};

static bool driver_has_spoken(void *arg)
{
    static const char mark[] = "started successfully on port ";
    struct driver *d = arg;
    bool ended = process_ended(d->pid, NULL);
    char *text = file_read(d->log);
    const char *at = text ? strstr(text, mark) : NULL;

    if (at && strchr(at, '\n'))
        d->port = atoi(at + strlen(mark));
    free(text);
    return d->port > 0 || ended;
}

/* Gives the port of chromedriver, from what it prints.  Told to choose one, it may choose one that
   is free in IPv4 and taken in IPv6, and ends: it is started again. */
static int start_driver(struct chromium *c, const char *folder)
{
    char *log = text_of("%s/chromedriver.log", folder);
    const char *const argv[] = { "chromedriver", "--port=0", NULL };
    struct driver d = { .log = log };

    for (int tries = 0; tries < 10 && d.port == 0; tries++) {
        unlink(log); /* it is appended to */
        c->driver = d.pid = process_start(&(struct process_spec){ .argv = argv, .log = log });
        wait_until(driver_has_spoken, &d, BROWSER_START_MS);
    }
    if (d.port == 0) {
        fprintf(stderr, "tests: chromedriver does not start\n");
        exit(EXIT_FAILURE);
    }
    free(log);
    return d.port;
}

static void *start(const char *folder)
{
    struct chromium *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    char *address = text_of("127.0.0.1:%d", start_browser(c, folder));
    webdriver_init(&c->web, "chromium", start_driver(c, folder),
                   json_pack("{s:{s:{s:{s:s}}}}", "capabilities", "alwaysMatch",
                             "goog:chromeOptions", "debuggerAddress", address));
    free(address);
    return c;
}

static void stop(void *arg)
{
    struct chromium *c = arg;
    browser_kill(c->driver);
    browser_kill(c->browser);
    webdriver_fini(&c->web);
    free(c);
}

static pid_t pid(void *arg)
{
    return ((struct chromium *)arg)->browser;
}

const struct browser_wire browser_chromium = {
    .name = "chromium", .start = start, .stop = stop, .command = command, .pid = pid
};
