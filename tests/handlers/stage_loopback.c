/*
 * stage_loopback.c - the stage of memory: handlers, core and a fake source in this process.
 *
 *      handler --write--> wire --(end of the turn, if the peer takes)--> body, seen by the test
 *
 * The transport keeps the letter of request.h: gone() never from within a reply call, room() only
 * after all that was queued has been taken, header and head lent for serve() only (they are freed
 * right after it, so that a handler that kept a slice is caught by ASan).
 */
#include "tests/handlers/loopback.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "core/text.h"
#include "handlers/routes.h"

enum { DEADLINE_MS = 20000, STREAMS = 1000 };

struct answer {
    struct request request;
    struct answer *next;
    struct turn turn;
    struct buf headers; /* "name: value\n"… of the reply */
    struct buf wire;    /* written, not yet taken by the peer */
    struct buf body;    /* taken */
    size_t mark;        /* answer_expect() goes on here */
    int status;
    bool stopped;       /* the peer takes nothing */
    bool ending, ended; /* reply_end() was called; and all of it was taken */
    bool failing;       /* the next write has no memory */
    bool deaf;          /* the handler takes no messages */
    bool left;
    char header_text[256];    /* for answer_header() */
    const char *const *asked; /* request headers, during serve() */
};

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

/* ---- the transport ----------------------------------------------------------------------- */

static struct answer *answer_of(const struct request *r)
{
    return CONTAINER(r, struct answer, request);
}

static struct slice on_header(const struct request *r, const char *name)
{
    const char *const *asked = answer_of(r)->asked;

    ck_assert_msg(r->head != NULL, "header '%s' read after serve()", name);
    for (; asked && *asked; asked++) {
        size_t len = strlen(name);
        if (strncasecmp(*asked, name, len) == 0 && (*asked)[len] == ':') {
            const char *value = *asked + len + 1;
            return slice_of(value + strspn(value, " "));
        }
    }
    return SLICE_NONE;
}

static void on_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const char *const *asked = answer_of(r)->asked;

    ck_assert_msg(r->head != NULL, "headers read after serve()");
    for (; asked && *asked; asked++) {
        char name[64];
        size_t len = strcspn(*asked, ":");
        ck_assert_uint_lt(len, sizeof(name));
        for (size_t i = 0; i < len; i++)
            name[i] = (char)tolower((unsigned char)(*asked)[i]);
        const char *value = *asked + len + 1;
        fn(arg, (struct slice){ name, len }, slice_of(value + strspn(value, " ")));
    }
}

static void flush(struct answer *a)
{
    bool had = a->wire.len > 0;

    if (a->stopped)
        return;
    buf_put(&a->body, buf_slice(&a->wire));
    buf_shift(&a->wire, a->wire.len);
    if (a->ending)
        a->ended = true;
    else if (had)
        request_room(&a->request);
}

static void on_turn(struct turn *turn)
{
    struct answer *a = CONTAINER(turn, struct answer, turn);

    if (a->request.broken && !a->ending) {
        a->ended = a->ending = true;
        request_gone(&a->request);
        return;
    }
    flush(a);
}

static void soon(struct answer *a)
{
    a->turn.run = on_turn;
    turn_add(&stage->server, &a->turn);
}

/* What no front would pass on must not be written. */
static void check_head(struct slice headers)
{
    const char *at = headers.at, *end = headers.at + headers.len;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        ck_assert_msg(stop && stop > at && stop[-1] == '\r', "a header line without CRLF: %.*s",
                      (int)headers.len, headers.at);
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        ck_assert_msg(colon && colon > at && colon[1] == ' ', "not a header line: %.*s",
                      (int)(stop - at), at);
        for (const char *c = at; c < stop - 1; c++)
            ck_assert_msg((unsigned char)*c >= 0x20 && *c != 0x7f, "control character in a head");
        at = stop + 1;
    }
}

static enum rc on_begin(struct request *r, int status, struct slice headers)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status == 0, "a second head");
    ck_assert_int_ge(status, 200);
    check_head(headers);
    a->status = status;
    buf_put(&a->headers, headers);
    soon(a);
    return RC_OK;
}

static enum rc on_write(struct request *r, struct slice bytes)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status != 0, "a body before the head");
    ck_assert_msg(!a->ending, "a write after the end");
    soon(a);
    if (a->failing)
        return RC_NOMEM;
    buf_put(&a->wire, bytes);
    return RC_OK;
}

static enum rc on_lend(struct request *r, struct block *block)
{
    return on_write(r, block_slice(block));
}

static void on_end(struct request *r)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status != 0, "an end before the head");
    ck_assert_msg(!a->ending, "a second end");
    a->ending = true;
    soon(a);
}

static size_t on_queued(const struct request *r)
{
    return answer_of(r)->wire.len;
}

/* ---- as a WebSocket: a message is a line of the body, and so is what closes it -------------- */

static int on_refuses(const struct request *r, const char **why)
{
    *why = "it asks for no WebSocket";
    return on_header(r, "upgrade").len > 0 ? 0 : 426;
}

static enum rc on_accept(struct request *r, struct slice protocol, struct slice headers)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(a->status == 0, "a second head");
    check_head(headers);
    a->status = 101;
    buf_put(&a->headers, headers);
    if (protocol.len)
        buf_printf(&a->headers, "Sec-WebSocket-Protocol: %.*s\r\n", (int)protocol.len, protocol.at);
    soon(a);
    return RC_OK;
}

static enum rc on_say(struct request *r, enum message_kind kind, struct slice message)
{
    enum rc rc = kind == MESSAGE_BINARY ? on_write(r, SLICE("binary: ")) : RC_OK;

    if (rc == RC_OK)
        rc = on_write(r, message);
    return rc == RC_OK ? on_write(r, SLICE("\n")) : rc;
}

static enum rc encode_line(const struct event *event, const void *message, struct buf *out)
{
    enum rc rc = event_encode(event, message, out);

    buf_putc(out, '\n');
    return rc;
}

static enum rc on_bytes(struct request *r, struct run *run, const struct encoder *message,
                        struct block **out)
{
    struct encoder line = { ENC__COUNT + message->which, encode_line, message };

    return run_bytes(run, &line, out);
}

static void on_close(struct request *r, unsigned code, const char *why)
{
    struct answer *a = answer_of(r);

    ck_assert_msg(!a->ending, "a second end");
    ck_assert_msg(strlen(why) <= 123, "no frame holds so long a reason: %s", why);
    buf_printf(&a->wire, "[closed: %u %s]\n", code, why);
    a->ending = true;
    soon(a);
}

static void on_deafen(struct request *r, bool deaf)
{
    answer_of(r)->deaf = deaf;
}

static const struct socket_ops socket_ops = {
    .refuses = on_refuses,
    .accept = on_accept,
    .say = on_say,
    .bytes = on_bytes,
    .close = on_close,
    .deafen = on_deafen,
};

void loopback_say(struct answer *a, const char *text)
{
    ck_assert_msg(!a->deaf, "it takes no messages now: %s", text);
    ck_assert_msg(!a->ending, "it has ended, and is told: %s", text);
    char *lent = strdup(text);
    ck_assert(lent);
    (void)request_message(&a->request, MESSAGE_TEXT, slice_of(lent));
    memset(lent, 'x', strlen(lent));
    free(lent);
}

bool loopback_deaf(const struct answer *a)
{
    return a->deaf;
}

static const struct request_ops request_ops = {
    .header = on_header,
    .each_header = on_each_header,
    .begin = on_begin,
    .write = on_write,
    .lend = on_lend,
    .end = on_end,
    .queued = on_queued,
    .socket = &socket_ops,
};

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
    a->request.ops = &request_ops;
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

void loopback_take(struct answer *a, bool takes)
{
    a->stopped = !takes;
    if (takes)
        soon(a);
}

void loopback_break(struct answer *a)
{
    a->failing = true;
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
