/*
 * browser_chromium.c - Chromium, driven by chromedriver over WebDriver.
 *
 * We start the browser ourselves and let chromedriver join it: so it is our child, and ends when we
 * do.  Both choose their own ports and say which.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/browser_wire.h"
#include "tests/peers/process.h"

struct chromium {
    pid_t browser, driver;
    char *base; /* "http://127.0.0.1:PORT/session/ID" */
    CURL *curl;
};

static size_t on_bytes(char *at, size_t size, size_t n, void *arg)
{
    buf_put(arg, (struct slice){ at, size * n });
    return size * n;
}

/* Gives the answer's "value". */
static json_t *ask(struct chromium *c, const char *method, const char *url, json_t *params,
                   char **error)
{
    char *body = json_dumps(params, JSON_COMPACT);
    struct buf answer = BUF_EMPTY;
    struct curl_slist *type = curl_slist_append(NULL, "Content-Type: application/json");
    json_t *value = NULL;

    json_decref(params);
    curl_easy_reset(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)BROWSER_ANSWER_MS);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, type);
    if (strcmp(method, "POST") == 0)
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(c->curl);
    json_t *all = code ? NULL : json_loadb(answer.at ? answer.at : "", answer.len, 0, NULL);
    json_t *got = json_object_get(all, "value");
    const char *wrong = json_string_value(json_object_get(got, "error"));
    if (got && !wrong)
        value = json_incref(got);
    else
        *error = text_of("%s %.*s", code ? curl_easy_strerror(code) : "", (int)answer.len,
                         answer.at ? answer.at : "");
    json_decref(all);
    curl_slist_free_all(type);
    buf_fini(&answer);
    free(body);
    return value;
}

static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct chromium *c = arg;
    const char *star = strchr(what->path, '*');
    char *url = star ? text_of("%s%.*s%s%s", c->base, (int)(star - what->path), what->path, element,
                               star + 1)
                     : text_of("%s%s", c->base, what->path);
    json_t *value = ask(c, what->method, url, params, error);
    free(url);
    return value;
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

/* Gives the port of chromedriver, from what it prints. */
static int start_driver(struct chromium *c, const char *folder)
{
    static const char mark[] = "started successfully on port ";
    char *log = text_of("%s/chromedriver.log", folder);
    const char *const argv[] = { "chromedriver", "--port=0", NULL };
    int64_t end = now_ms() + BROWSER_START_MS;
    const char *at = NULL;

    c->driver = process_start(&(struct process_spec){ .argv = argv, .log = log });
    for (int port = 0; now_ms() < end;) {
        char *text = browser_await_file(log, c->driver, log);
        at = strstr(text, mark);
        if (at && strchr(at, '\n'))
            port = atoi(at + strlen(mark));
        free(text);
        if (port > 0) {
            free(log);
            return port;
        }
    }
    fprintf(stderr, "tests: chromedriver does not start\n");
    exit(EXIT_FAILURE);
}

static void *start(const char *folder)
{
    struct chromium *c = calloc(1, sizeof *c);
    char *error = NULL;

    if (!c || !(c->curl = curl_easy_init()))
        abort();
    char *address = text_of("127.0.0.1:%d", start_browser(c, folder));
    char *url = text_of("http://127.0.0.1:%d/session", start_driver(c, folder));
    json_t *value = ask(c, "POST", url,
                        json_pack("{s:{s:{s:{s:s}, s:{s:s}}}}", "capabilities", "alwaysMatch",
                                  "goog:chromeOptions", "debuggerAddress", address,
                                  "goog:loggingPrefs", "browser", "ALL"),
                        &error);
    const char *id = json_string_value(json_object_get(value, "sessionId"));
    if (!id) {
        fprintf(stderr, "tests: chromium: no session: %s\n", error ? error : "");
        exit(EXIT_FAILURE);
    }
    c->base = text_of("%s/%s", url, id);
    json_decref(value);
    free(url);
    free(address);
    return c;
}

static void stop(void *arg)
{
    struct chromium *c = arg;
    browser_kill(c->driver);
    browser_kill(c->browser);
    curl_easy_cleanup(c->curl);
    free(c->base);
    free(c);
}

static pid_t pid(void *arg)
{
    return ((struct chromium *)arg)->browser;
}

const struct browser_wire browser_chromium = {
    .name = "chromium", .start = start, .stop = stop, .command = command, .pid = pid
};
