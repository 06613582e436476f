/*
 * browser_phantomjs.c - PhantomJS, the WebKits of 2010 (1.9.8) and 2014 (2.1.1), with the driver
 * that is built into them.
 *
 * Where tests/peers/phantomjs.sh has not put them they are skipped.  The program is copied, for it
 * runs as somebody who need not be able to read ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/peers/browser_webdriver.h"
#include "tests/peers/process.h"

struct phantomjs {
    pid_t pid;
    struct webdriver web;
};

/* The newer protocol's paths in the older one; what is not here is the same. */
static const struct {
    const char *newer, *older;
} paths[] = { { "/execute/sync", "/execute" }, { "/window/rect", "/window/current/size" } };

static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct phantomjs *p = arg;
    const char *path = what->path;

    for (size_t i = 0; i < LENGTH(paths); i++)
        if (strcmp(path, paths[i].newer) == 0)
            path = paths[i].older;
    return webdriver_command(&p->web, what->method, path, element, params, error);
}

/* Gives what is beside our worker's folder: build/phantomjs/VERSION. */
static char *its_folder(const char *version)
{
    const char *program = getenv("BELLPUSH_TEST_PROGRAM"), *end = strrchr(program, '/');
    return text_of("%.*s/../phantomjs/%s", (int)(end - program), program, version);
}

static bool copied(const char *version, const char *to)
{
    char *from = its_folder(version), *program = text_of("%s/phantomjs", from);
    char *why_file = text_of("%s/why", from), *why = file_read(why_file);
    const char *const argv[] = { "cp", program, to, NULL };
    bool there = access(program, X_OK) == 0 &&
                 process_run(&(struct process_spec){ .argv = argv }, BROWSER_START_MS) == 0;

    if (!there)
        printf("skipped: PhantomJS %s: %s\n", version, why ? why : "no `make phantomjs` was here");
    free(why);
    free(why_file);
    free(program);
    free(from);
    return there;
}

static bool is_listening(void *arg)
{
    char *text = file_read(arg);
    bool yes = text && strstr(text, "running on port");
    free(text);
    return yes;
}

static void *start_version(const char *version, const char *folder)
{
    int port = free_port();
    char *program = text_of("%s/phantomjs", folder), *log = text_of("%s/phantomjs.log", folder);
    char *address = text_of("--webdriver=127.0.0.1:%d", port), *home = text_of("HOME=%s", folder);
    const char *const argv[] = { program, address, NULL };
    /* Its OpenSSL cannot read today's configuration, and falls over the other. */
    const char *const env[] = {
        home, "OPENSSL_CONF=/dev/null", "SSL_CERT_DIR", "DISPLAY", "http_proxy", "HTTP_PROXY", NULL
    };
    struct phantomjs *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    if (copied(version, program)) {
        file_own(folder, "nobody");
        p->pid = process_start(&(struct process_spec){
            .argv = argv, .env = env, .log = log, .dir = folder, .user = "nobody" });
        if (!wait_until(is_listening, log, BROWSER_START_MS)) {
            fprintf(stderr, "tests: PhantomJS %s does not start: see %s\n", version, log);
            exit(EXIT_FAILURE);
        }
        webdriver_init(&p->web, "phantomjs", port, json_pack("{s:{}}", "desiredCapabilities"));
    } else {
        free(p);
        p = NULL;
    }
    free(home);
    free(address);
    free(log);
    free(program);
    return p;
}

static void stop(void *arg)
{
    struct phantomjs *p = arg;
    browser_kill(p->pid);
    webdriver_fini(&p->web);
    free(p);
}

static void *start_1(const char *folder)
{
    return start_version("1.9.8", folder);
}

static void *start_2(const char *folder)
{
    return start_version("2.1.1", folder);
}

const struct browser_wire browser_phantomjs_1 = {
    .name = "phantomjs-1.9.8", .start = start_1, .stop = stop, .command = command
};
const struct browser_wire browser_phantomjs_2 = {
    .name = "phantomjs-2.1.1", .start = start_2, .stop = stop, .command = command
};
