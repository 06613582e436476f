/*
 * crowd.c - many clients at once (crowd.h).
 */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/web/crowd.h"
#include "tests/web/web.h"

enum { TURN_MS = 500, TROUBLE_RETRY_MS = 300, RETRY_MAX_MS = 5000, CURSOR_MAX = 64 };

struct client {
    struct crowd *crowd;
    struct http *http; /* NULL: waits until due */
    int64_t due;
    int64_t retry_ms;
    bool polls;
    int got;                       /* the last number */
    char cursor[CURSOR_MAX];       /* "": none yet */
    char id[CURSOR_MAX], data[64]; /* SSE: of the event whose lines are coming */
    bool has_data;
};

struct crowd {
    char *topic;
    size_t n, open, returns, refusals;
    struct client *clients;
    struct pollfd *fds;
    struct client **of_fd;
};

struct crowd *crowd_new(const char *topic, enum crowd_way way, size_t n)
{
    struct crowd *c = calloc(1, sizeof *c);
    if (!c || !(c->clients = calloc(n, sizeof *c->clients)) ||
        !(c->fds = calloc(n, sizeof *c->fds)) || !(c->of_fd = calloc(n, sizeof *c->of_fd)))
        abort();
    c->topic = text_of("%s", topic);
    c->n = n;
    for (size_t i = 0; i < n; i++) {
        c->clients[i].crowd = c;
        c->clients[i].polls = way == CROWD_POLL || (way == CROWD_MIXED && i % 2);
    }
    return c;
}

void crowd_free(struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++)
        http_free(c->clients[i].http);
    free(c->clients);
    free(c->fds);
    free(c->of_fd);
    free(c->topic);
    free(c);
}

/* ---- one client -------------------------------------------------------------------------------
 */

static size_t name_of(const struct client *k)
{
    return (size_t)(k - k->crowd->clients);
}

static void ask_again(struct client *k)
{
    char *header = text_of("Last-Event-ID: %s", k->cursor);
    const char *const headers[] = { "Accept-Encoding: gzip", *k->cursor ? header : NULL, NULL };
    char *target = k->polls ? text_of("/poll?topic=%s%s%s", k->crowd->topic,
                                      *k->cursor ? "&since=" : "", k->cursor)
                            : text_of("/events?topic=%s", k->crowd->topic);

    k->http = web_ask(&(struct ask){ .target = target, .headers = k->polls ? NULL : headers });
    k->has_data = false;
    k->id[0] = '\0';
    free(target);
    free(header);
}

static void take_number(struct client *k, const char *data)
{
    int number = atoi(data);
    if (number != k->got + 1)
        ck_abort_msg("client %zu of %s got \"%s\" after %d (cursor %s)", name_of(k),
                     web.way->traits.name, data, k->got, k->cursor);
    k->got = number;
}

/* One line of an event stream, without its end. */
static void take_line(struct client *k, const char *line)
{
    if (strncmp(line, "id: ", 4) == 0) {
        snprintf(k->id, sizeof k->id, "%.63s", line + 4);
    } else if (strncmp(line, "data: ", 6) == 0) {
        snprintf(k->data, sizeof k->data, "%.63s", line + 6);
        k->has_data = true;
    } else if (strncmp(line, "retry: ", 7) == 0) {
        k->retry_ms = atoi(line + 7);
    } else if (strncmp(line, "event: bellpush-gap", 19) == 0) {
        ck_abort_msg("client %zu of %s was told of a gap", name_of(k), web.way->traits.name);
    } else if (!*line) {
        if (k->id[0])
            snprintf(k->cursor, sizeof k->cursor, "%s", k->id);
        if (k->has_data)
            take_number(k, k->data);
        k->has_data = false;
    }
}

static void take_lines(struct client *k)
{
    struct slice body = http_body(k->http);
    const char *at = body.at, *nl;

    while (body.len && (nl = memchr(at, '\n', body.len - (size_t)(at - body.at)))) {
        char line[256];
        size_t len = (size_t)(nl - at);
        snprintf(line, sizeof line, "%.*s", (int)(len < 255 ? len : 255), at);
        take_line(k, line);
        at = nl + 1;
        if (at == body.at + body.len)
            break;
    }
    http_forget(k->http, (size_t)(at - body.at));
}

static void take_poll(struct client *k)
{
    struct slice body = http_body(k->http);
    json_error_t error;
    json_t *root = json_loadb(body.at ? body.at : "", body.len, 0, &error), *event;
    size_t i;

    if (!root) /* cut on its way: the cursor is where it was */
        return;
    json_array_foreach(json_object_get(root, "events"), i, event)
    {
        const char *type = json_string_value(json_object_get(event, "type"));
        if (type && strcmp(type, "bellpush-gap") == 0)
            ck_abort_msg("client %zu of %s was told of a gap", name_of(k), web.way->traits.name);
        const char *data = json_string_value(json_object_get(event, "data"));
        ck_assert_msg(data, "an event without data: %.*s", (int)body.len, body.at);
        take_number(k, data);
    }
    const char *next = json_string_value(json_object_get(root, "next"));
    if (next)
        snprintf(k->cursor, sizeof k->cursor, "%s", next);
    k->retry_ms = json_integer_value(json_object_get(root, "retry"));
    json_decref(root);
}

static void take_end(struct client *k)
{
    int status = http_status(k->http);
    const char *after = status ? http_header(k->http, "Retry-After") : NULL;
    int64_t retry = k->retry_ms;

    if (status == 200 && k->polls)
        take_poll(k), retry = k->retry_ms;
    else if (status != 200) {
        k->crowd->refusals++;
        retry = after ? atoi(after) * 1000 : TROUBLE_RETRY_MS;
    }
    k->due = now_ms() + (retry < RETRY_MAX_MS ? retry : RETRY_MAX_MS);
    k->crowd->returns++;
    http_free(k->http);
    k->http = NULL;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

void crowd_turn(struct crowd *c, int64_t ms)
{
    int64_t now = now_ms();
    nfds_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        struct client *k = &c->clients[i];
        if (!k->http && k->due <= now)
            ask_again(k);
        if (k->http) {
            c->fds[n] = (struct pollfd){ .fd = http_fd(k->http), .events = http_wants(k->http) };
            c->of_fd[n++] = k;
        } else if (k->due - now < ms) {
            ms = k->due - now;
        }
    }
    for (nfds_t i = 0; i < n; i++)
        if (c->fds[i].fd < 0)
            ms = 0; /* over before it began */
    poll(c->fds, n, (int)ms);
    c->open = n;
    for (nfds_t i = 0; i < n; i++) {
        struct client *k = c->of_fd[i];
        if (c->fds[i].fd >= 0 && c->fds[i].revents == 0)
            continue;
        http_step(k->http);
        if (!k->polls && http_status(k->http) == 200)
            take_lines(k);
        if (http_ended(k->http)) {
            take_end(k);
            c->open--;
        }
    }
}

void crowd_run(struct crowd *c, int64_t ms)
{
    int64_t end = now_ms() + ms, left;

    while ((left = end - now_ms()) > 0)
        crowd_turn(c, left);
}

int crowd_least(const struct crowd *c)
{
    int least = c->clients[0].got;
    for (size_t i = 1; i < c->n; i++)
        if (c->clients[i].got < least)
            least = c->clients[i].got;
    return least;
}

static size_t without_cursor(const struct crowd *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->clients[i].cursor[0] == '\0';
    return n;
}

void crowd_settle(struct crowd *c)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (without_cursor(c) > 0 && now_ms() < end)
        crowd_turn(c, TURN_MS);
    if (without_cursor(c) > 0) {
        front_show_logs(web.front);
        ck_abort_msg(
            "%s: %zu of %zu clients have no cursor yet (%zu open, %zu returns, %zu refused)",
            web.way->traits.name, without_cursor(c), c->n, c->open, c->returns, c->refusals);
    }
}

void crowd_expect(struct crowd *c, int upto)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (crowd_least(c) < upto && now_ms() < end)
        crowd_turn(c, TURN_MS);
    if (crowd_least(c) < upto) {
        size_t behind = 0;
        for (size_t i = 0; i < c->n; i++)
            behind += c->clients[i].got < upto;
        front_show_logs(web.front);
        ck_abort_msg("%s: %zu of %zu clients have not got %d, one has only %d (%zu open, %zu "
                     "returns, %zu refused)",
                     web.way->traits.name, behind, c->n, upto, crowd_least(c), c->open, c->returns,
                     c->refusals);
    }
}

size_t crowd_open(const struct crowd *c)
{
    return c->open;
}

size_t crowd_returns(const struct crowd *c)
{
    return c->returns;
}

size_t crowd_refusals(const struct crowd *c)
{
    return c->refusals;
}
