/*
 * browser_lines.c - engines in programs of ours, told what to do by lines on their standard input:
 * QtWebKit in browser_qtwebkit.py, KHTML in browser_khtml.cpp.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/peers/browser_wire.h"
#include "tests/peers/process.h"

struct lines {
    pid_t pid;
    int fd;
    struct buf text;
};

/* The next line as JSON; NULL: none came.  Gives. */
static json_t *take_line(struct lines *e)
{
    int64_t end = now_ms() + BROWSER_ANSWER_MS;
    char bytes[4096], *newline;

    while (!e->text.at || !(newline = memchr(e->text.at, '\n', e->text.len))) {
        struct pollfd p = { .fd = e->fd, .events = POLLIN };
        if (poll(&p, 1, (int)(end - now_ms())) <= 0)
            return NULL;
        ssize_t n = recv(e->fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            return NULL;
        buf_put(&e->text, (struct slice){ bytes, (size_t)n });
    }
    json_t *line = json_loadb(e->text.at, (size_t)(newline - e->text.at), 0, NULL);
    buf_shift(&e->text, (size_t)(newline + 1 - e->text.at));
    return line;
}

static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct lines *e = arg;
    bool is_url = strcmp(what->path, "/url") == 0, is_shot = strcmp(what->path, "/screenshot") == 0;
    const char *word = is_shot ? "shot" : is_url ? "url" : "script";
    const char *text = is_shot ? "" : json_string_value(json_object_get(params, word));
    json_t *said = json_pack("[s, s]", word, text ? text : ""), *value = NULL;
    char *json = json_dumps(said, JSON_COMPACT), *line = text_of("%s\n", json);

    (void)element;
    if (!text) {
        *error = text_of("%s is not to be had here", what->name);
    } else if (send(e->fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line)) {
        json_t *answer = take_line(e);
        value = json_incref(json_object_get(answer, "value"));
        json_decref(answer);
    }
    free(line);
    free(json);
    json_decref(said);
    json_decref(params);
    return value;
}

static void stop(void *arg)
{
    struct lines *e = arg;
    close(e->fd);
    browser_kill(e->pid);
    buf_fini(&e->text);
    free(e);
}

/* Gives.  What is installed must start. */
static void *start(const char *name, const char *const *argv, const char *folder)
{
    char *log = text_of("%s/browser.log", folder), *home = text_of("HOME=%s", folder);
    const char *const env[] = {
        home, "XDG_RUNTIME_DIR", "DISPLAY", "http_proxy", "HTTP_PROXY", NULL
    };
    struct lines *e = calloc(1, sizeof *e);
    int pair[2];

    if (!e || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    e->fd = pair[0];
    e->pid = process_start(&(struct process_spec){
        .argv = argv, .env = env, .log = log, .stdin_fd = pair[1], .stdout_fd = pair[1] });
    close(pair[1]);
    json_t *first = take_line(e);
    if (!json_object_get(first, "value")) {
        const char *why = json_string_value(json_object_get(first, "error"));
        fprintf(stderr, "tests: %s does not start: %s\n", name, why ? why : "no word from it");
        exit(EXIT_FAILURE);
    }
    json_decref(first);
    free(home);
    free(log);
    return e;
}

static void *start_qtwebkit(const char *folder)
{
    char *script = text_of("%s/tests/peers/browser_qtwebkit.py", getenv("BELLPUSH_TEST_TOP"));
    const char *const argv[] = { "/usr/bin/python3", script, NULL };
    void *e = start("QtWebKit", argv, folder);
    free(script);
    return e;
}

static void *start_khtml(const char *folder)
{
    const char *worker = getenv("BELLPUSH_TEST_PROGRAM"), *end = strrchr(worker, '/');
    char *program = text_of("%.*s/tests/khtml", (int)(end - worker), worker);
    const char *const argv[] = { program, NULL };
    void *e = NULL;

    if (access(program, X_OK) == 0)
        e = start("KHTML", argv, folder);
    else
        printf("skipped: KHTML: libkf5khtml-dev was not there when this was built\n");
    free(program);
    return e;
}

const struct browser_wire browser_qtwebkit = {
    .name = "qtwebkit", .start = start_qtwebkit, .stop = stop, .command = command
};
const struct browser_wire browser_khtml = {
    .name = "khtml", .start = start_khtml, .stop = stop, .command = command
};
