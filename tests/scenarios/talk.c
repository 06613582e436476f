/*
 * talk.c - what scenarios say and hear: publishing, polling, and reading streams that may end.
 */
#include "tests/scenarios/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PATIENCE_S = 60 };

const char *text(const char *format, ...)
{
    static struct kept {
        struct kept *next;
        char text[];
    } * all; /* so that none of it counts as lost */
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ck_assert_int_ge(len, 0);
    struct kept *kept = malloc(sizeof(*kept) + (size_t)len + 1);
    ck_assert_ptr_nonnull(kept);
    kept->next = all;
    all = kept;
    va_start(arguments, format);
    vsnprintf(kept->text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return kept->text;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static json_t *json_of(struct slice body)
{
    json_error_t e;
    json_t *root = json_loadb(body.len ? body.at : "", body.len, JSON_ALLOW_NUL, &e);
    ck_assert_msg(root != NULL, "not JSON (%s): %.*s", e.text, (int)body.len, body.at);
    return root;
}

json_t *get_json(const char *target)
{
    struct answer *a = stage_get(target);
    int status = answer_status(a);
    struct slice body = answer_body(a);

    ck_assert_msg(status == 200, "%s: status %d: %.*s", target, status, (int)body.len, body.at);
    json_t *root = json_of(body);
    answer_close(a);
    return root;
}

const char *member(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

struct answer *publish(const char *query, const char *content_type, struct slice body,
                       const char *const *headers)
{
    const char *all[16] = { "Authorization: Bearer " STAGE_KEY };
    size_t n = 1;

    if (content_type)
        all[n++] = text("Content-Type: %s", content_type);
    for (; headers && *headers; headers++)
        all[n++] = *headers;
    return stage_ask(&(struct ask){ .method = "POST",
                                    .target = *query ? text("/publish?%s", query) : "/publish",
                                    .headers = all,
                                    .body = body });
}

const char *publish_ok(const char *query, const char *content_type, struct slice body)
{
    struct answer *a = publish(query, content_type, body, NULL);
    int status = answer_status(a);
    struct slice said = answer_body(a);

    ck_assert_msg(status == 201, "status %d: %.*s", status, (int)said.len, said.at);
    json_t *root = json_of(said);
    const char *cursor = text("%s", member(root, "cursor"));
    ck_assert_str_ne(cursor, "");
    json_decref(root);
    answer_close(a);
    return cursor;
}

void expect_problem(struct answer *a, int status)
{
    int is = answer_status(a);
    struct slice body = answer_body(a);

    ck_assert_msg(is == status, "status %d instead of %d: %.*s", is, status, (int)body.len,
                  body.at ? body.at : "");
    if (!stage_traits()->keeps_status)
        return;
    const char *type = answer_header(a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "application/problem+json", 24) == 0, "Content-Type %s",
                  type ? type : "is absent");
    json_t *root = json_of(body);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), status);
    ck_assert_str_ne(member(root, "type"), "");
    ck_assert_str_ne(member(root, "title"), "");
    ck_assert_uint_gt(strlen(member(root, "detail")), 10);
    json_decref(root);
}

void expect_problem_once(struct answer *a, int status)
{
    expect_problem(a, status);
    answer_close(a);
}

const char *present(const char *topic)
{
    json_t *root = get_json(text("/poll?topic=%s", topic));
    const char *next = text("%s", member(root, "next"));

    ck_assert_str_ne(next, "");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "events")), 0);
    json_decref(root);
    return next;
}

/* ---- a poller ---------------------------------------------------------------------------------
 */

void poller_init(struct poller *p, const char *topics, const char *since)
{
    *p = (struct poller){ 0 };
    snprintf(p->topics, sizeof(p->topics), "%s", topics);
    if (since) {
        snprintf(p->next, sizeof(p->next), "%s", since);
        return;
    }
    json_t *root = get_json(text("/poll?%s", topics));
    snprintf(p->next, sizeof(p->next), "%s", member(root, "next"));
    json_decref(root);
}

void poller_fini(struct poller *p)
{
    json_decref(p->batch);
}

json_t *poller_next(struct poller *p)
{
    double start = seconds();

    for (;;) {
        json_t *event = json_array_get(json_object_get(p->batch, "events"), p->at);
        if (event) {
            p->at++;
            return event;
        }
        ck_assert_msg(seconds() - start < PATIENCE_S, "no event on %s after %s", p->topics,
                      p->next);
        json_decref(p->batch);
        p->batch = get_json(text("/poll?%s&since=%s&wait=5", p->topics, p->next));
        p->at = 0;
        snprintf(p->next, sizeof(p->next), "%s", member(p->batch, "next"));
        ck_assert_str_ne(p->next, "");
    }
}

void poller_expect(struct poller *p, const char *data)
{
    ck_assert_str_eq(member(poller_next(p), "data"), data);
}

/* ---- a reader ---------------------------------------------------------------------------------
 */

static void come(struct reader *r)
{
    const char *headers[] = { text("Last-Event-ID: %s", r->sse.last_id), NULL };

    sse_reconnect(&r->sse);
    r->fed = 0;
    r->answer = stage_ask(
        &(struct ask){ .target = r->target, .headers = r->sse.last_id[0] ? headers : NULL });
    int status = answer_status(r->answer);
    if (status ==
        503) /* full for now: come again, as an EventSource would not, but a client would */
        return;
    ck_assert_msg(status == 200, "%s: status %d", r->target, status);
}

/* Take what has come; wait for more if there is nothing new. */
static void take(struct reader *r)
{
    if (!r->answer)
        come(r);
    struct slice body = answer_so_far(r->answer);
    if (body.len == r->fed) {
        if (!answer_more(r->answer)) {
            reader_leave(r);
            r->reconnects++;
            return;
        }
        body = answer_so_far(r->answer);
    }
    sse_feed(&r->sse, (struct slice){ body.at + r->fed, body.len - r->fed });
    r->fed = body.len;
}

void reader_init(struct reader *r, const char *query)
{
    double start = seconds();

    *r = (struct reader){ 0 };
    sse_init(&r->sse);
    snprintf(r->target, sizeof(r->target), "/events?%s", query);
    if (strstr(query, "since=") || strstr(query, "last_event_id="))
        return;
    while (!r->sse.last_id[0]) {
        ck_assert_msg(seconds() - start < PATIENCE_S, "no place is known on %s", r->target);
        take(r);
    }
}

void reader_fini(struct reader *r)
{
    reader_leave(r);
    sse_event_free(r->event);
    sse_fini(&r->sse);
}

void reader_leave(struct reader *r)
{
    if (r->answer)
        answer_close(r->answer);
    r->answer = NULL;
}

const struct sse_event *reader_next(struct reader *r)
{
    double start = seconds();

    sse_event_free(r->event);
    while (!(r->event = sse_next(&r->sse))) {
        ck_assert_msg(seconds() - start < PATIENCE_S, "no event on %s after %s (%zu reconnects)",
                      r->target, r->sse.last_id, r->reconnects);
        take(r);
    }
    return r->event;
}

void reader_expect(struct reader *r, const char *data)
{
    const struct sse_event *e = reader_next(r);
    ck_assert_msg(strcmp(e->data, data) == 0, "\"%s\" (%s) came instead of \"%s\"", e->data,
                  e->type, data);
}
