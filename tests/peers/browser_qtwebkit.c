/*
 * browser_qtwebkit.c - QtWebKit in a Python program of ours (browser_qtwebkit.py), which is told
 * what to do by lines on its standard input.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/peers/browser_wire.h"
#include "tests/peers/process.h"

struct qtwebkit {
    pid_t pid;
    int fd;
    struct buf text;
};

/* The next line as JSON; NULL: none came.  Gives. */
static json_t *take_line(struct qtwebkit *q)
{
    int64_t end = now_ms() + BROWSER_ANSWER_MS;
    char bytes[4096], *newline;

    while (!q->text.at || !(newline = memchr(q->text.at, '\n', q->text.len))) {
        struct pollfd p = { .fd = q->fd, .events = POLLIN };
        if (poll(&p, 1, (int)(end - now_ms())) <= 0)
            return NULL;
        ssize_t n = recv(q->fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            return NULL;
        buf_put(&q->text, (struct slice){ bytes, (size_t)n });
    }
    json_t *line = json_loadb(q->text.at, (size_t)(newline - q->text.at), 0, NULL);
    buf_shift(&q->text, (size_t)(newline + 1 - q->text.at));
    return line;
}

static json_t *command(void *arg, const struct browser_command *what, const char *element,
                       json_t *params, char **error)
{
    struct qtwebkit *q = arg;
    bool is_url = strcmp(what->path, "/url") == 0, is_shot = strcmp(what->path, "/screenshot") == 0;
    const char *word = is_shot ? "shot" : is_url ? "url" : "script";
    const char *text = is_shot ? "" : json_string_value(json_object_get(params, word));
    json_t *said = json_pack("[s, s]", word, text ? text : ""), *value = NULL;
    char *json = json_dumps(said, JSON_COMPACT), *line = text_of("%s\n", json);

    (void)element;
    if (!text) {
        *error = text_of("%s is not to be had here", what->name);
    } else if (send(q->fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line)) {
        json_t *answer = take_line(q);
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
    struct qtwebkit *q = arg;
    close(q->fd);
    browser_kill(q->pid);
    buf_fini(&q->text);
    free(q);
}

static void *start(const char *folder)
{
    char *script = text_of("%s/tests/peers/browser_qtwebkit.py", getenv("BELLPUSH_TEST_TOP"));
    char *log = text_of("%s/qtwebkit.log", folder), *home = text_of("HOME=%s", folder);
    const char *const argv[] = { "/usr/bin/python3", script, NULL };
    const char *const env[] = { home, "DISPLAY", "http_proxy", "HTTP_PROXY", NULL };
    struct qtwebkit *q = calloc(1, sizeof *q);
    int pair[2];

    if (!q || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    q->fd = pair[0];
    q->pid = process_start(&(struct process_spec){
        .argv = argv, .env = env, .log = log, .stdin_fd = pair[1], .stdout_fd = pair[1] });
    close(pair[1]);
    json_t *first = take_line(q);
    if (!json_object_get(first, "value")) {
        const char *why = json_string_value(json_object_get(first, "error"));
        printf("skipped: QtWebKit: %s\n", why ? why : "does not start");
        stop(q);
        q = NULL;
    }
    json_decref(first);
    free(home);
    free(log);
    free(script);
    return q;
}

const struct browser_wire browser_qtwebkit = {
    .name = "qtwebkit", .start = start, .stop = stop, .command = command
};
