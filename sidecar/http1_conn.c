/*
 * http1_conn.c - HTTP/1.1 on a connection.
 *
 * What is unfinished is a struct http1: decoder, head, body, what was read too far, and the clock
 * that runs against whoever does not get on with it.  It exists while a request is arriving, while
 * nothing happens between two (the clock), and while the end of a reply waits to be taken; not
 * while a reply is held.
 *
 *      clock      runs                                         rings
 *      FIRST      from the accept to the first byte            closed
 *      NEXT       from a reply to the next request's           closed
 *      HEAD       from the first byte to the end of the head   408
 *      BODY       from there to the end of the body            408
 *      FLUSH      since the peer has taken some of the reply   closed
 */
#include "sidecar/http1_conn.h"

#include <stdlib.h>

#include "core/text.h"
#include "sidecar/http1_reply.h"
#include "sidecar/http1_wire.h"
#include "sidecar/ws_conn.h"

enum {
    STOP_MS = 1000, /* a client that has just connected may still be about to ask */
    RETRY_S = 10,
    UNFINISHED_SMALL = 4096, /* so much each may have, however many there are */
};

/* conn->marks: of the request being answered */
enum {
    KEEP = 1,    /* the connection stays */
    HTTP_10 = 2, /* the client knows no chunks */
};

enum clock { CLOCK_NONE, CLOCK_FIRST, CLOCK_NEXT, CLOCK_HEAD, CLOCK_BODY, CLOCK_FLUSH };

struct http1 {
    struct conn *conn;
    struct http1_wire wire;
    struct buf rest; /* what came after the request being answered */
    struct alarm alarm;
    enum clock clock;
    bool fresh;     /* nothing has come yet on this connection */
    bool serving;   /* a handler may be looking at the head: */
    bool forgotten; /* then it is freed a little later */
    size_t counted; /* bytes of this in porch->unfinished */
};

static void take(struct conn *c, struct slice bytes);
static void refuse(struct conn *c, int status, const char *why, int retry_after_s);

static struct http1 *unfinished(struct conn *c)
{
    struct http1 *in = c->own;

    if (in || !(in = porch_borrow(conn_porch(c), sizeof(*in))))
        return in;
    in->conn = c;
    http1_wire_init(&in->wire, (size_t)conn_server(c)->conf->max_body_bytes);
    if (c->state != CONN_IDLE)
        in->wire.state = HTTP1_SERVED;
    c->own = in;
    return in;
}

static void count(struct http1 *in, size_t bytes)
{
    conn_porch(in->conn)->unfinished += bytes - in->counted;
    in->counted = bytes;
}

static void http1_free(struct http1 *in)
{
    http1_wire_fini(&in->wire);
    buf_fini(&in->rest);
    porch_give_back(conn_porch(in->conn), in);
}

/* protocol.closed */
static void forget(struct conn *c)
{
    struct http1 *in = c->own;

    c->own = NULL;
    if (!in)
        return;
    count(in, 0);
    alarm_cancel(&in->alarm);
    in->forgotten = true;
    if (!in->serving)
        http1_free(in);
}

struct buf http1_conn_rest(struct conn *c)
{
    struct http1 *in = c->own;
    struct buf rest = in ? in->rest : BUF_EMPTY;

    if (in)
        in->rest = BUF_EMPTY;
    return rest;
}

bool http1_conn_is_old(const struct conn *c)
{
    return c->marks & HTTP_10;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void on_late(struct alarm *alarm)
{
    struct http1 *in = CONTAINER(alarm, struct http1, alarm);

    if (in->clock == CLOCK_HEAD || in->clock == CLOCK_BODY)
        refuse(in->conn, 408, "The request did not come in time.", 0);
    else
        conn_close(in->conn, in->clock == CLOCK_FLUSH ? "the peer does not take the reply"
                                                      : "nothing more was asked");
}

static void start_clock(struct http1 *in, enum clock clock)
{
    const struct porch_limits *l = &conn_porch(in->conn)->limits;
    const uint64_t ms[] = {
        [CLOCK_FIRST] = l->head_ms, [CLOCK_NEXT] = l->next_ms,   [CLOCK_HEAD] = l->head_ms,
        [CLOCK_BODY] = l->body_ms,  [CLOCK_FLUSH] = l->flush_ms,
    };

    in->clock = clock;
    if (clock == CLOCK_NONE)
        alarm_cancel(&in->alarm);
    else
        alarm_set(conn_server(in->conn)->wheel, &in->alarm, ms[clock], on_late);
}

static enum clock clock_of(const struct http1 *in)
{
    const struct conn *c = in->conn;

    if (c->state == CONN_ENDING)
        return c->stuck ? CLOCK_FLUSH : CLOCK_NONE;
    if (c->state != CONN_IDLE)
        return CLOCK_NONE;
    if (in->wire.state >= HTTP1_BODY)
        return CLOCK_BODY;
    if (!http1_wire_at_rest(&in->wire))
        return CLOCK_HEAD;
    return in->fresh ? CLOCK_FIRST : CLOCK_NEXT;
}

/* All requests that are not complete need too much memory together, and this is one of them. */
static void give_up(struct conn *c)
{
    health_refused(conn_server(c));
    if (c->state == CONN_IDLE)
        refuse(c, 503, "This server has no memory for more requests now.", RETRY_S);
    else
        conn_close(c, "sends requests that cannot be kept until it is their turn");
}

/* Let go of what nothing needs; see that the right clock runs when something does. */
static void settle(struct conn *c)
{
    struct porch *porch = conn_porch(c);

    if (c->protocol != &http1_protocol || c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_ANSWERING && c->ended) { /* see on_ended() */
        conn_close(c, "the peer has left");
        return;
    }
    bool needed = c->state == CONN_IDLE || (c->state == CONN_ENDING && c->stuck);
    if (needed && !unfinished(c)) {
        conn_close_short(c);
        return;
    }
    struct http1 *in = c->own;
    if (!in)
        return;
    count(in, in->wire.bytes.cap + in->wire.body.cap + in->rest.cap);
    if (porch->unfinished > porch->limits.unfinished && in->counted > UNFINISHED_SMALL) {
        give_up(c);
        return;
    }
    enum clock clock = clock_of(in);
    if (!needed && in->rest.len == 0)
        forget(c);
    else if (clock != in->clock)
        start_clock(in, clock);
}

/* ---- the request's door ---------------------------------------------------------------------- */

static const struct http1 *asked(const struct request *r)
{
    const struct conn *c = conn_of(r);
    return c->protocol == &http1_protocol ? c->own : NULL;
}

static struct slice op_header(const struct request *r, const char *name)
{
    const struct http1 *in = asked(r);
    return in ? http1_field(in->wire.head.fields, name) : SLICE_NONE;
}

static void op_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const struct http1 *in = asked(r);
    struct slice fields = in ? in->wire.head.fields : SLICE_NONE, name, value;

    while (http1_field_next(&fields, &name, &value))
        fn(arg, name, value);
}

static enum rc op_begin(struct request *r, int status, struct slice headers)
{
    struct conn *c = conn_of(r);
    bool keep = (c->marks & KEEP) && !r->server->draining;
    struct buf head = BUF_EMPTY;

    conn_turn(c); /* a reply that breaks is ended there, too */
    enum http1_body body =
        http1_reply_put_head(&head, status, headers, (c->marks & HTTP_10) != 0, &keep);
    c->marks = (uint8_t)((c->marks & ~KEEP) | (keep ? KEEP : 0));
    if (body == HTTP1_BODY_NONE)
        r->head_only = 1; /* whatever a handler might write */
    c->framed = body == HTTP1_BODY_CHUNKED && !r->head_only;
    c->answer.out.tailed = true;
    enum rc rc = buf_rc(&head);
    if (rc == RC_OK)
        rc = outbox_put_bare(&c->answer.out, buf_slice(&head));
    buf_fini(&head);
    return rc;
}

static void op_end(struct request *r)
{
    conn_end(conn_of(r));
}

static const struct request_ops ops = {
    .header = op_header,
    .each_header = op_each_header,
    .begin = op_begin,
    .write = answer_write,
    .lend = answer_lend,
    .end = op_end,
    .send = conn_send,
    .pack = conn_pack,
    .posted = conn_posted,
    .queued = answer_queued,
    .socket = &ws_socket_ops,
};

/* ---- serving --------------------------------------------------------------------------------- */

/* Instead of a request: it is broken, late, or too much.  The connection ends. */
static void refuse(struct conn *c, int status, const char *why, int retry_after_s)
{
    struct http1 *in = c->own;
    struct request *r = conn_serve(c, &ops);

    c->marks = 0;
    http1_wire_release(&in->wire);
    in->wire.state = HTTP1_SERVED;
    buf_fini(&in->rest);
    log_debug(&r->server->log, "request refused: %d %s", status, why);
    answer_problem(r, status, why, retry_after_s);
    settle(c);
}

/* The part of the path that is ours; false: it is somewhere else. */
static bool split_path(struct slice path, struct slice mount, struct request_head *head)
{
    if (path.len < mount.len || (mount.len > 0 && memcmp(path.at, mount.at, mount.len) != 0))
        return false;
    head->mount = (struct slice){ path.at, mount.len };
    head->path = (struct slice){ path.at + mount.len, path.len - mount.len };
    return head->path.len == 0 || head->path.at[0] == '/';
}

static void serve_elsewhere(struct request *r, struct slice path)
{
    if (r->server->elsewhere)
        r->server->elsewhere(r, path);
    else
        answer_problem(r, 404, "There is nothing at this address.", 0);
}

/* OPTIONS *: RFC 9110 section 9.3.7, nothing but "I am here". */
static void serve_asterisk(struct request *r)
{
    reply_begin(r, 204, SLICE_NONE);
    reply_end(r);
}

static void hand_up(struct conn *c, struct http1 *in, struct request *r)
{
    const struct http1_head *asked_for = &in->wire.head;
    char remote[ADDRESS_TEXT_MAX + 1];
    struct request_head head = { .method = asked_for->method,
                                 .query = asked_for->query,
                                 .body = buf_slice(&in->wire.body),
                                 .body_too_large = in->wire.body_too_large };
    struct buf path = BUF_EMPTY;
    enum rc rc = percent_decode(&path, asked_for->path, false);

    if (rc == RC_OK)
        rc = buf_rc(&path);
    head.remote = (struct slice){ remote, conn_remote(c, remote) };
    r->head = &head;
    if (rc == RC_NOMEM) {
        server_no_memory(r->server, "a request");
        answer_problem(r, 503, "This server is short of memory.", RETRY_S);
    } else if (c->surplus) {
        health_refused(r->server);
        answer_problem(r, 503, "This server has no room for more connections now.", RETRY_S);
    } else if (rc != RC_OK || (path.len > 0 && memchr(path.at, '\0', path.len))) {
        answer_problem(r, 400, "The request's address is malformed.", 0);
    } else if (slice_is(asked_for->path, SLICE("*"))) {
        serve_asterisk(r);
    } else if (!split_path(buf_slice(&path), slice_of(r->server->conf->mount), &head)) {
        serve_elsewhere(r, buf_slice(&path));
    } else {
        request_serve(r);
    }
    r->head = NULL;
    buf_fini(&path);
}

/* rest: what has been read after it. */
static void on_request(struct conn *c, struct slice rest)
{
    struct http1 *in = c->own;
    const struct http1_head *head = &in->wire.head;
    bool keep = head->keep && !c->surplus;

    start_clock(in, CLOCK_NONE);
    in->fresh = false;
    c->marks = (uint8_t)((keep ? KEEP : 0) | (head->minor == 0 ? HTTP_10 : 0));
    if (keep)
        buf_put(&in->rest, rest);
    if (buf_rc(&in->rest) != RC_OK) {
        conn_close_short(c);
        return;
    }
    struct request *r = conn_serve(c, &ops);
    r->head_only = slice_is(head->method, SLICE("HEAD"));
    in->serving = true;
    hand_up(c, in, r);
    in->serving = false;
    if (in->forgotten) { /* another protocol goes on, or it is closed */
        http1_free(in);
        return;
    }
    http1_wire_release(&in->wire);
    if (in->rest.len > 0)
        conn_pause(c, true);
    settle(c);
}

/* 100 (Continue), in front of the reply; the decoder goes on. */
static bool encourage(struct conn *c)
{
    c->framed = 1; /* as what is bare among frames, for frames may follow */
    conn_turn(c);
    return outbox_put_bare(&c->answer.out, SLICE("HTTP/1.1 100 Continue\r\n\r\n")) == RC_OK;
}

static void take(struct conn *c, struct slice bytes)
{
    struct http1 *in = unfinished(c);

    for (;;) {
        switch (in ? http1_wire_feed(&in->wire, &bytes) : HTTP1_STEP_NOMEM) {
        case HTTP1_STEP_MORE:
            settle(c);
            return;
        case HTTP1_STEP_CONTINUE:
            if (!c->surplus && !encourage(c)) {
                conn_close_short(c);
                return;
            }
            break;
        case HTTP1_STEP_REQUEST:
            on_request(c, bytes);
            return;
        case HTTP1_STEP_BROKEN:
            refuse(c, in->wire.fault.status, in->wire.fault.why, 0);
            return;
        case HTTP1_STEP_NOMEM:
            conn_close_short(c);
            return;
        }
    }
}

/* The reply is with the kernel.  Next, if there is a next. */
static void on_answered(struct conn *c)
{
    if (!(c->marks & KEEP) || conn_server(c)->draining) {
        conn_linger(c, "answered");
        return;
    }
    conn_idle(c);
    struct http1 *in = unfinished(c);
    if (!in) {
        conn_close_short(c);
        return;
    }
    struct buf rest = in->rest;
    in->rest = BUF_EMPTY;
    http1_wire_answered(&in->wire);
    conn_pause(c, false);
    if (c->state == CONN_IDLE)
        take(c, buf_slice(&rest));
    buf_fini(&rest);
    if (c->state == CONN_IDLE && c->ended)
        conn_close(c, "the peer has left");
}

/* ---- the protocol ---------------------------------------------------------------------------- */

static void on_opened(struct conn *c)
{
    struct http1 *in = unfinished(c);

    if (in)
        in->fresh = true;
    settle(c);
}

static void on_bytes(struct conn *c, struct slice bytes)
{
    if (c->state == CONN_IDLE) {
        take(c, bytes);
        return;
    }
    if (!(c->marks & KEEP)) /* nothing that comes now will be answered */
        return;
    struct http1 *in = unfinished(c);
    if (in)
        buf_put(&in->rest, bytes);
    if (!in || buf_rc(&in->rest) != RC_OK) {
        conn_close_short(c);
        return;
    }
    conn_pause(c, true);
    settle(c);
}

/* A client that has shut its end is one that has left, unless its answer is on the way already. */
static void on_ended(struct conn *c)
{
    if (c->state != CONN_ENDING)
        conn_close(c, "the peer has left");
}

static void on_sent(struct conn *c)
{
    if (c->state == CONN_ENDING)
        on_answered(c);
    else if (c->state == CONN_ANSWERING)
        request_room(&c->answer.request);
    settle(c);
}

static void on_stuck(struct conn *c, bool took_some)
{
    struct http1 *in = c->own;

    if (in && took_some && in->clock == CLOCK_FLUSH)
        start_clock(in, CLOCK_FLUSH); /* its time begins anew */
    settle(c);
}

static void on_stop(struct conn *c)
{
    struct http1 *in = c->own;

    if (c->state != CONN_IDLE || !in || !http1_wire_at_rest(&in->wire))
        return;
    /* What it has asked already shall be answered. */
    if (conn_is_readable(c))
        return;
    if (in->fresh)
        alarm_set(conn_server(c)->wheel, &in->alarm, STOP_MS, on_late);
    else
        conn_close(c, "stopping");
}

const struct protocol http1_protocol = {
    .name = "HTTP/1.1",
    .opened = on_opened,
    .bytes = on_bytes,
    .ended = on_ended,
    .sent = on_sent,
    .stuck = on_stuck,
    .frame = http1_reply_frame,
    .stop = on_stop,
    .closed = forget,
};
