/*
 * request_fuzz.c - whole requests against the handlers, from hostile clients, while the world
 * moves.
 *
 *      METHOD target            first line
 *      Name: value              headers, up to an empty line; X-Script says what happens meanwhile
 *      body
 *
 * With a header `Upgrade` it may become a WebSocket; the lines of the body are then what its peer
 * says.
 *
 * Whatever is asked: there is one head with clean lines, JSON is JSON, whoever leaves leaves
 * nothing, and a calm reader of another topic hears its event.
 *
 * Script: p publish, r restore, a away, b back, m mute, n bell, d drain, s peer stops, t peer
 * takes, x prune, k peer says the next line, w let the loop turn.
 */
#include <jansson.h>
#include <sodium.h>
#include <strings.h>

#include "core/server.h"
#include "core/text.h"
#include "handlers/routes.h"
#include "tests/fake/fake_source.h"
#include "tests/fuzz/fuzz.h"

enum { HEADERS_MAX = 16 };

struct peer {
    struct request request;
    struct request_head head;
    struct turn turn;
    struct buf headers, wire, body;
    struct slice lines[HEADERS_MAX];
    size_t line_count;
    int status;
    bool stopped, ending, deaf;
    struct slice said; /* of a WebSocket: lines to come */
};

static struct server server;
static struct conf conf;

/* ---- a transport ------------------------------------------------------------------------------
 */

static struct peer *peer_of(const struct request *r)
{
    return CONTAINER(r, struct peer, request);
}

static struct slice on_header(const struct request *r, const char *name)
{
    const struct peer *p = peer_of(r);
    size_t len = strlen(name);

    must(r->head);
    for (size_t i = 0; i < p->line_count; i++) {
        struct slice line = p->lines[i];
        if (line.len > len && strncasecmp(line.at, name, len) == 0 && line.at[len] == ':') {
            size_t skip = len + 1 + (line.len > len + 1 && line.at[len + 1] == ' ');
            return (struct slice){ line.at + skip, line.len - skip };
        }
    }
    return SLICE_NONE;
}

static void on_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const struct peer *p = peer_of(r);

    must(r->head);
    for (size_t i = 0; i < p->line_count; i++) {
        struct slice line = p->lines[i];
        const char *colon = memchr(line.at, ':', line.len);
        if (colon)
            fn(arg, (struct slice){ line.at, (size_t)(colon - line.at) },
               (struct slice){ colon + 1, line.len - (size_t)(colon + 1 - line.at) });
    }
}

static void on_turn(struct turn *turn)
{
    struct peer *p = CONTAINER(turn, struct peer, turn);
    bool had = p->wire.len > 0;

    if (p->stopped)
        return;
    buf_put(&p->body, buf_slice(&p->wire));
    buf_shift(&p->wire, p->wire.len);
    if (had && !p->ending)
        request_room(&p->request);
}

static void soon(struct peer *p)
{
    p->turn.run = on_turn;
    turn_add(&server, &p->turn);
}

static enum rc on_begin(struct request *r, int status, struct slice headers)
{
    struct peer *p = peer_of(r);
    struct slice line;

    must(p->status == 0 && status >= 200 && status <= 503);
    p->status = status;
    buf_put(&p->headers, headers);
    while (line_next(&headers, &line)) {
        must(line.len > 3 && line.at[line.len - 1] == '\r' && memchr(line.at, ':', line.len));
        for (size_t i = 0; i + 1 < line.len; i++)
            must((unsigned char)line.at[i] >= 0x20 && line.at[i] != 0x7f);
    }
    return RC_OK;
}

static enum rc on_write(struct request *r, struct slice bytes)
{
    struct peer *p = peer_of(r);

    must(p->status && !p->ending);
    buf_put(&p->wire, bytes);
    soon(p);
    return RC_OK;
}

static enum rc on_lend(struct request *r, struct block *block)
{
    return on_write(r, block_slice(block));
}

static void on_end(struct request *r)
{
    struct peer *p = peer_of(r);

    must(p->status && !p->ending);
    p->ending = true;
    soon(p);
}

static size_t on_queued(const struct request *r)
{
    return peer_of(r)->wire.len;
}

static int on_refuses(const struct request *r, const char **why)
{
    *why = "no";
    return on_header(r, "upgrade").len > 0 ? 0 : 426;
}

static enum rc on_accept(struct request *r, struct slice protocol, struct slice headers)
{
    enum rc rc = on_begin(r, 200, headers);

    (void)protocol;
    peer_of(r)->status = 101;
    return rc;
}

/* What the server says is JSON, or events of one wire text; an echo says what it was told. */
static enum rc on_say(struct request *r, enum message_kind kind, struct slice message)
{
    if (message.len > 0 && message.at[0] == '{' && peer_of(r)->head.query.len == 0) {
        json_t *root = json_loadb(message.at, message.len, JSON_ALLOW_NUL, NULL);
        must(root && kind == MESSAGE_TEXT);
        json_decref(root);
    }
    return on_write(r, message);
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
    must(code >= 1000 && code < 5000 && strlen(why) <= 123);
    on_end(r);
}

static void on_deafen(struct request *r, bool deaf)
{
    peer_of(r)->deaf = deaf;
}

static const struct socket_ops socket_ops = {
    .refuses = on_refuses,
    .accept = on_accept,
    .say = on_say,
    .bytes = on_bytes,
    .close = on_close,
    .deafen = on_deafen,
};

/* The peer says its next line. */
static bool say(struct peer *p)
{
    struct slice line;

    if (!p->request.socket || p->ending || p->deaf || !line_next(&p->said, &line))
        return false;
    char *lent = malloc(line.len + 1);
    must(lent);
    memcpy(lent, line.len ? line.at : "", line.len);
    (void)request_message(&p->request, MESSAGE_TEXT, (struct slice){ lent, line.len });
    free(lent);
    return true;
}

static const struct request_ops ops = {
    .header = on_header,
    .each_header = on_each_header,
    .begin = on_begin,
    .write = on_write,
    .lend = on_lend,
    .end = on_end,
    .queued = on_queued,
    .socket = &socket_ops,
};

/* ---- the world --------------------------------------------------------------------------------
 */

static void settle(void)
{
    for (int i = 0; i < 12; i++)
        uv_run(server.loop, UV_RUN_NOWAIT);
}

static void commit(const char *topic, const char *data)
{
    struct draft draft = { .topic = slice_of(topic), .data = slice_of(data) };
    fake_commit(server.source, &draft, 1);
}

static void act(struct peer *p, char what)
{
    switch (what) {
    case 'p':
        commit("a", "event\nof two lines");
        break;
    case 'r':
        fake_away(server.source);
        fake_restore(server.source, "other");
        fake_back(server.source);
        break;
    case 'a':
        fake_away(server.source);
        break;
    case 'b':
        fake_back(server.source);
        break;
    case 'm':
        fake_mute(server.source);
        break;
    case 'n':
        fake_bell(server.source);
        break;
    case 'd':
        server_drain(&server);
        break;
    case 'x':
        fake_prune(server.source, server.head);
        break;
    case 'k':
        (void)say(p);
        break;
    case 's':
        p->stopped = true;
        break;
    case 't':
        p->stopped = false;
        soon(p);
        break;
    default:
        settle();
    }
}

static void world_open(uv_loop_t *loop)
{
    static const char *const settings[] = {
        "publish_key=k",    "closed=secret/#", "cors_origins=https://app.example",
        "ws_echo=yes",      "max_batch=5",     "journal_events=3",
        "queue_bytes=1k",   "stream_bytes=2k", "max_event_bytes=1k",
        "max_body_bytes=2k"
    };
    struct buf errors = BUF_EMPTY;

    must(sodium_init() >= 0 && conf_init(&conf) == RC_OK);
    for (size_t i = 0; i < LENGTH(settings); i++)
        must(conf_set(&conf, settings[i], "fuzz", &errors) == RC_OK);
    must(uv_loop_init(loop) == 0);
    must(server_init(&server, loop, &conf) == RC_OK);
    server.log.level = LOG_ERROR;
    server.serve = routes_serve;
    server.source = source_new(&server);
    for (int i = 0; i < 8; i++)
        commit(i % 2 ? "a" : "b/c", "\xff old \r\n");
    settle();
    must(server.epoch[0]);
}

static void world_close(uv_loop_t *loop)
{
    settle();
    must(server.open_count == 0 && hub_subscribers(server.hub) == 0);
    source_free(server.source, NULL, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    server_fini(&server);
    while (uv_run(loop, UV_RUN_NOWAIT))
        continue;
    must(uv_loop_close(loop) == 0);
    conf_fini(&conf);
}

/* ---- one request ------------------------------------------------------------------------------
 */

static void peer_serve(struct peer *p)
{
    p->request.ops = &ops;
    p->request.server = &server;
    p->request.head = &p->head;
    p->request.head_only = slice_is(p->head.method, SLICE("HEAD"));
    request_serve(&p->request);
    must(p->ending || p->request.reply_ops);
    p->request.head = NULL;
}

static void peer_leave(struct peer *p)
{
    if (!p->ending)
        request_gone(&p->request);
    turn_cancel(&server, &p->turn);
    buf_fini(&p->headers);
    buf_fini(&p->wire);
    buf_fini(&p->body);
}

static bool has(struct slice text, const char *part)
{
    return text.len && memmem(text.at, text.len, part, strlen(part));
}

static void check_answer(const struct peer *p)
{
    struct slice headers = buf_slice(&p->headers), body = buf_slice(&p->body);

    if (!p->ending || p->stopped || body.len == 0 || p->request.socket)
        return;
    if (p->status >= 400)
        must(has(headers, "application/problem+json"));
    if (has(headers, "json\r\n") && !has(headers, "x-ndjson")) {
        must(utf8_valid(body));
        json_t *root = json_loadb(body.at, body.len, JSON_ALLOW_NUL, NULL);
        must(root);
        json_decref(root);
    }
}

/* Cut the input into a request; what the script says; false: not even a first line. */
static bool take_apart(struct slice rest, struct peer *p, struct buf *path, struct slice *script)
{
    struct slice line;

    if (!line_next(&rest, &line))
        return false;
    const char *blank = memchr(line.at, ' ', line.len);
    size_t method = blank ? (size_t)(blank - line.at) : 0;
    p->head.method = (struct slice){ line.at, method };
    struct slice target = { line.at + method + (blank != NULL),
                            line.len - method - (blank != NULL) };
    const char *mark = target.len ? memchr(target.at, '?', target.len) : NULL;
    if (mark) {
        p->head.query = (struct slice){ mark + 1, target.len - (size_t)(mark + 1 - target.at) };
        target.len = (size_t)(mark - target.at);
    }
    if (percent_decode(path, target, false) != RC_OK)
        return false;
    p->head.path = buf_slice(path);
    while (line_next(&rest, &line) && line.len > 0)
        if (p->line_count < HEADERS_MAX)
            p->lines[p->line_count++] = line;
    p->head.body = rest;
    if (rest.len > (size_t)conf.max_body_bytes) {
        p->head.body_too_large = true;
        p->head.body = SLICE_NONE;
    }
    p->request.head = &p->head;
    *script = on_header(&p->request, "x-script");
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = exact_copy(data, size), script;
    struct peer calm = {
        .head = { .method = SLICE("GET"), .path = SLICE("/events"), .query = SLICE("topic=calm") }
    };
    struct peer peer = { .line_count = 0 };
    struct buf path = BUF_EMPTY;
    uv_loop_t loop;

    world_open(&loop);
    peer_serve(&calm);
    if (take_apart(input, &peer, &path, &script)) {
        char *steps = slice_dup(script.len > 64 ? (struct slice){ script.at, 64 } : script);
        char *said = slice_dup(peer.head.body);
        must(steps && said);
        peer.said = (struct slice){ said, peer.head.body.len };
        peer_serve(&peer);
        free((char *)input.at); /* nothing of it may be needed any more */
        input.at = NULL;
        for (char *s = steps; *s; s++)
            act(&peer, *s);
        free(steps);
        while (say(&peer))
            settle();
        settle();
        check_answer(&peer);
        peer_leave(&peer);
        free(said);
    }
    free((char *)input.at);
    buf_fini(&path);
    fake_bell(server.source);
    fake_back(server.source);
    settle(); /* a new history tells of a gap and goes on behind what is there by then */
    commit("calm", "still here");
    settle();
    must(calm.ending || has(buf_slice(&calm.body), "data: still here\n"));
    must(!calm.ending || server.draining);
    peer_leave(&calm);
    world_close(&loop);
    return 0;
}
