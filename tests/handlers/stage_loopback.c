/*
 * stage_loopback.c - the stage of memory: handlers, core and a fake source in this process.  What
 * carries its requests is in loopback.c.
 *
 * Header and head are lent for serve() only: they are freed right after it, so that a handler that
 * kept a slice is caught by ASan.
 */
#include "tests/handlers/loopback_priv.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/text.h"
#include "handlers/routes.h"

enum { DEADLINE_MS = 20000, STREAMS = 1000 };

static struct stage {
    uv_loop_t loop;
    uv_timer_t guard;
    struct conf conf;
    struct server server;
    struct answer *answers;
    unsigned topics;
    char topic[32][128];
    bool one_slot;
    const char *remote;
} * stage;

/* ---- asking ------------------------------------------------------------------------------ */

static void fill_head(const struct ask *ask, struct request_head *head, char *target,
                      struct buf *path)
{
    char *query = strchr(target, '?');

    if (query)
        *query++ = '\0';
    head->method = slice_of(ask->method ? ask->method : "GET");
    head->mount = SLICE("/push");
    ck_assert_int_eq(percent_decode(path, slice_of(target), false), RC_OK);
    head->path = buf_slice(path);
    head->query = query ? slice_of(query) : SLICE_NONE;
    head->remote = slice_of(stage->remote);
    head->body_too_large = ask->body.len > (size_t)stage->conf.max_body_bytes;
    if (!head->body_too_large)
        head->body = ask->body;
}

struct answer *stage_ask(const struct ask *ask)
{
    struct answer *a = calloc(1, sizeof(*a));
    struct request_head head = { 0 };
    char *target = strdup(ask->target);
    struct buf path = BUF_EMPTY;

    ck_assert(a && target);
    fill_head(ask, &head, target, &path);
    a->asked = ask->headers;
    a->request.ops = &loopback_ops;
    a->request.server = &stage->server;
    a->request.head = &head;
    a->request.one_slot = stage->one_slot;
    a->request.head_only = slice_is(head.method, SLICE("HEAD"));
    a->next = stage->answers;
    stage->answers = a;
    request_serve(&a->request);
    ck_assert_msg(a->ending || a->request.reply_ops, "neither answered nor held: %s", ask->target);
    a->asked = NULL;
    a->request.head = NULL;
    memset(target, 'x', strlen(target));
    free(target);
    buf_fini(&path);
    return a;
}

struct answer *stage_get(const char *target)
{
    return stage_ask(&(struct ask){ .target = target });
}

/* ---- waiting ----------------------------------------------------------------------------- */

static void on_guard(uv_timer_t *guard)
{
    (void)guard; /* so that the loop wakes up to look at the clock */
}

void loopback_until(bool (*done)(void *arg), void *arg, const char *what)
{
    uint64_t start = uv_hrtime();

    uv_timer_start(&stage->guard, on_guard, 50, 50);
    while (!done(arg)) {
        ck_assert_msg(uv_hrtime() - start < DEADLINE_MS * UINT64_C(1000000), "waited for %s", what);
        if (!uv_run(&stage->loop, UV_RUN_NOWAIT) || done(arg))
            continue;
        uv_run(&stage->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&stage->guard);
}

void loopback_settle(void)
{
    /* A question, its answer, the turn and its sending are at most so many rounds. */
    for (int i = 0; i < 64; i++)
        uv_run(&stage->loop, UV_RUN_NOWAIT);
}

static bool has_head(void *arg)
{
    struct answer *a = arg;
    return a->status != 0 && !a->stopped;
}

int answer_status(struct answer *a)
{
    loopback_until(has_head, a, "the head of an answer");
    return a->status;
}

const char *answer_header(struct answer *a, const char *name)
{
    size_t len = strlen(name);

    loopback_until(has_head, a, "the head of an answer");
    const char *at = a->headers.at, *end = at + a->headers.len;
    while (at && at < end) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        if ((size_t)(stop - at) > len && strncasecmp(at, name, len) == 0 && at[len] == ':') {
            snprintf(a->header_text, sizeof(a->header_text), "%.*s",
                     (int)(stop - at - (int)len - 2), at + len + 2);
            return a->header_text;
        }
        at = stop + 2;
    }
    return NULL;
}

struct expectation {
    struct answer *answer;
    struct slice text;
    size_t found; /* offset behind it */
};

static bool has_text(void *arg)
{
    struct expectation *e = arg;
    struct buf *body = &e->answer->body;
    char *at = body->len > e->answer->mark
                   ? memmem(body->at + e->answer->mark, body->len - e->answer->mark, e->text.at,
                            e->text.len)
                   : NULL;
    if (at)
        e->found = (size_t)(at - body->at) + e->text.len;
    else if (e->answer->ended)
        ck_abort_msg("ended without \"%s\"; after the mark: \"%.*s\"", e->text.at,
                     (int)(body->len - e->answer->mark),
                     body->at ? body->at + e->answer->mark : "");
    return at != NULL;
}

void answer_expect(struct answer *a, const char *text)
{
    struct expectation e = { a, slice_of(text), 0 };
    char what[600];

    snprintf(what, sizeof(what), "\"%.200s\" after \"%.*s\"", text,
             (int)(a->body.len - a->mark > 300 ? 300 : a->body.len - a->mark),
             a->body.at ? a->body.at + a->mark : "");
    loopback_until(has_text, &e, what);
    a->mark = e.found;
}

static bool has_ended(void *arg)
{
    return ((struct answer *)arg)->ended;
}

struct slice answer_body(struct answer *a)
{
    loopback_until(has_ended, a, "the end of an answer");
    return buf_slice(&a->body);
}

struct slice answer_so_far(const struct answer *a)
{
    return buf_slice(&a->body);
}

struct growth {
    struct answer *answer;
    size_t len;
};

static bool has_grown(void *arg)
{
    struct growth *g = arg;
    return g->answer->body.len > g->len || g->answer->ended;
}

bool answer_more(struct answer *a)
{
    struct growth g = { a, a->body.len };

    loopback_until(has_grown, &g, "more of an answer, or its end");
    return a->body.len > g.len;
}

bool answer_ended(struct answer *a)
{
    loopback_settle();
    return a->ended;
}

void answer_close(struct answer *a)
{
    struct answer **link = &stage->answers;

    if (!a->ending) {
        a->ending = true;
        request_gone(&a->request);
    }
    turn_cancel(&stage->server, &a->turn);
    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    buf_fini(&a->headers);
    buf_fini(&a->wire);
    buf_fini(&a->body);
    free(a);
}

/* ---- behind the curtain ------------------------------------------------------------------ */

struct server *loopback_server(void)
{
    return &stage->server;
}

struct source *loopback_source(void)
{
    return stage->server.source;
}

void loopback_remote(const char *address)
{
    stage->remote = address;
}

void loopback_one_slot(void)
{
    stage->one_slot = stage->server.one_slot = true;
}

/* ---- the stage's own --------------------------------------------------------------------- */

const struct stage_traits *stage_traits(void)
{
    static struct stage_traits traits;

    traits = (struct stage_traits){ .name = stage->one_slot ? "loopback, one slot" : "loopback",
                                    .one_slot = stage->one_slot,
                                    .streams = STREAMS,
                                    .keeps_status = true };
    return &traits;
}

void stage_publish_many(size_t n, const char *topic, const char *const *data)
{
    struct draft *drafts = calloc(n, sizeof(*drafts));

    ck_assert(drafts);
    for (size_t i = 0; i < n; i++)
        drafts[i] = (struct draft){ .topic = slice_of(topic), .data = slice_of(data[i]) };
    fake_commit(stage->server.source, drafts, n);
    free(drafts);
}

void stage_publish(const char *topic, const char *type, const char *data)
{
    struct draft draft = { .topic = slice_of(topic),
                           .type = slice_of(type),
                           .data = slice_of(data) };
    fake_commit(stage->server.source, &draft, 1);
}

void stage_define_hook(const struct stage_hook *h)
{
    static struct slice secrets[2];
    static struct hook hook;

    secrets[0] = slice_of(h->old_secret);
    secrets[1] = slice_of(h->secret);
    hook = (struct hook){ .rc = RC_OK,
                          .scheme = slice_of(h->scheme),
                          .topic = slice_of(h->topic),
                          .type = slice_of(h->type),
                          .options = slice_of(h->options ? h->options : "{}"),
                          .secrets = secrets,
                          .n = LENGTH(secrets) };
    fake_hook(stage->server.source, h->name, &hook);
}

static bool is_open(void *arg)
{
    return stage->server.open_count == *(size_t *)arg;
}

void stage_expect_open(size_t n)
{
    loopback_until(is_open, &n, "a number of open requests");
}

const char *stage_topic(const char *name)
{
    char *topic = stage->topic[stage->topics % LENGTH(stage->topic)];

    snprintf(topic, sizeof(stage->topic[0]), "t%u/%s", ++stage->topics, name);
    return topic;
}

static void must_set(const char *setting)
{
    struct buf errors = BUF_EMPTY;

    ck_assert_msg(conf_set(&stage->conf, setting, "the test", &errors) == RC_OK, "%.*s",
                  (int)errors.len, errors.at);
    buf_fini(&errors);
}

static bool is_connected(void *arg)
{
    (void)arg;
    return stage->server.epoch[0] != '\0';
}

void loopback_open(const char *const *settings)
{
    static const char *const own[] = { "publish_key=" STAGE_KEY, "closed=secret/#",
                                       "cors_origins=https://app.example", "log_level=error",
                                       NULL };
    struct buf errors = BUF_EMPTY;

    ck_assert(sodium_init() >= 0);
    loopback_forget_rights();
    stage = calloc(1, sizeof(*stage));
    ck_assert(stage && conf_init(&stage->conf) == RC_OK);
    stage->remote = "127.0.0.1";
    for (const char *const *s = own; *s; s++)
        must_set(*s);
    for (const char *const *s = settings; s && *s; s++)
        must_set(*s);
    ck_assert_msg(conf_check(&stage->conf, &errors) == RC_OK, "%.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    uv_loop_init(&stage->loop);
    uv_timer_init(&stage->loop, &stage->guard);
    ck_assert(server_init(&stage->server, &stage->loop, &stage->conf) == RC_OK);
    stage->server.log.level = LOG_ERROR;
    stage->server.max_open = 0;
    stage->server.serve = routes_serve;
    stage->server.source = source_new(&stage->server);
    loopback_until(is_connected, NULL, "the fake source");
}

void loopback_close(void)
{
    while (stage->answers)
        answer_close(stage->answers);
    ck_assert_uint_eq(stage->server.open_count, 0);
    ck_assert_uint_eq(hub_subscribers(stage->server.hub), 0);
    loopback_settle();
    source_free(stage->server.source, NULL, NULL);
    uv_run(&stage->loop, UV_RUN_NOWAIT);
    server_fini(&stage->server);
    uv_close((uv_handle_t *)&stage->guard, NULL);
    while (uv_run(&stage->loop, UV_RUN_NOWAIT))
        continue;
    ck_assert_int_eq(uv_loop_close(&stage->loop), 0);
    conf_fini(&stage->conf);
    free(stage);
    stage = NULL;
}

void loopback_setup(void)
{
    loopback_open(NULL);
}

void loopback_teardown(void)
{
    loopback_close();
}
