/*
 * clients.c - see clients.h.
 */
#include <poll.h>
#include <stdlib.h>

#include "tests/faults/clients.h"
#include "tests/peers/process.h"

enum { ANSWER_MS = 20000, ASKED_MS = 5000, SILENCE_MS = 100 };

void fillers_publish(struct act *a, int n, int64_t bytes)
{
    char *sql = text_of("SELECT bellpush.publish('" FILLER_TOPIC "', repeat('.', %lld))"
                        " FROM generate_series(1, %d)",
                        (long long)bytes, n);

    free(cluster_sql(a->site->dsn, sql));
    free(sql);
}

void fillers_say(struct act *a, const char *text)
{
    char *sql = text_of("SELECT bellpush.publish('" FILLER_TOPIC "', '%s')", text);

    free(cluster_sql(a->site->dsn, sql));
    free(sql);
}

struct http *client_ask(const struct act *a, size_t front, const char *method, const char *target,
                        const char *body)
{
    char *key = text_of("Authorization: Bearer %s", a->site->key);
    const char *const headers[] = { key, "Content-Type: text/plain", NULL };
    struct http *h = http_new(&(struct http_ask){ .port = front_port(a->site->fronts[front]),
                                                  .method = method,
                                                  .target = target,
                                                  .headers = headers,
                                                  .body = slice_of(body) });
    free(key);
    return h;
}

char *client_answer(const struct act *a, size_t front, const char *method, const char *target,
                    const char *body, int *status)
{
    struct http *h = client_ask(a, front, method, target, body);
    int64_t end = now_ms() + ANSWER_MS;

    while (!http_ended(h) && now_ms() < end)
        (void)http_wait(h, SILENCE_MS);
    *status = http_complete(h) ? http_status(h) : 0;
    char *answer = slice_dup(http_body(h));
    http_free(h);
    return answer;
}

struct hearing {
    struct http *http;
    const char *text;
};

static bool has_heard(void *arg)
{
    struct hearing *w = arg;

    http_step(w->http);
    struct slice body = http_body(w->http);
    return body.len > 0 && memmem(body.at, body.len, w->text, strlen(w->text));
}

bool client_hears(struct act *a, struct http *h, const char *text)
{
    if (act_wait(a, has_heard, &(struct hearing){ h, text }, ACT_PATIENCE_MS))
        return true;
    act_fail(a, "a stream (status %d, %s) never says \"%s\"", http_status(h),
             http_ended(h) ? "ended" : "open", text);
    return false;
}

char *client_cursor(const struct act *a, size_t front)
{
    int status;
    char *body = client_answer(a, front, "GET", "/push/poll?topic=" FILLER_FILTER, "", &status);
    const char *at = status == 200 ? strstr(body, "\"next\":\"") : NULL;
    char *cursor = slice_dup(SLICE_NONE);

    if (at) {
        at += strlen("\"next\":\"");
        free(cursor);
        cursor = slice_dup((struct slice){ at, strcspn(at, "\"") });
    }
    free(body);
    return cursor;
}

/* ---- a crowd ------------------------------------------------------------------------------------
 */

struct crowd {
    int n;
    struct http *https[];
};

struct crowd *crowd_new(struct act *a, int n)
{
    struct crowd *c = calloc(1, sizeof *c + (size_t)n * sizeof c->https[0]);

    if (!c)
        abort();
    for (c->n = 0; c->n < n; c->n++) {
        struct http *h = client_ask(a, (size_t)c->n % SITE_FRONTS, "GET",
                                    c->n % 2 ? "/push/events?topic=" FILLER_FILTER
                                             : "/push/stream?topic=" FILLER_FILTER,
                                    "");
        struct pollfd p = { .fd = http_fd(h) };
        while ((p.events = http_wants(h) & POLLOUT) && poll(&p, 1, ASKED_MS) > 0)
            http_step(h);
        c->https[c->n] = h;
    }
    return c;
}

void crowd_free(struct crowd *c)
{
    for (int i = 0; c && i < c->n; i++)
        http_free(c->https[i]);
    free(c);
}

int crowd_count(struct crowd *c, int status)
{
    int n = 0;

    for (int i = 0; i < c->n; i++) {
        http_step(c->https[i]);
        n += http_status(c->https[i]) == status;
    }
    return n;
}
