/*
 * ws_conn.c - one WebSocket on the loop.
 *
 * Reading: what has come is unmasked and checked where it lies (ws_wire).  A message that came
 * whole is handed up from there; one in pieces is put together in a struct unfinished, which exists
 * for no other reason but this, bytes that were read while the handler listens to nothing, and the
 * clock that runs against either.
 *
 * Writing: each item of the outbox is one or more whole frames, so whatever is queued may follow
 * whatever was: pongs stand between messages, never within one.
 *
 * The end: whoever begins it sends a close frame and hears no more.  We then close our end, and
 * wait a little for the peer to close its own (conn_linger): so it can read everything, ours last.
 */
#include "sidecar/ws_conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "sidecar/http1_conn.h"
#include "sidecar/ws_deflate.h"
#include "sidecar/ws_handshake.h"

enum mark { /* bits of conn->marks */
            MARK_DEFLATE = 0x01,
            MARK_BITS = 0x0E, /* the peer's window, less WS_WINDOW_MIN */
            MARK_OVER = 0x10, /* ws_wire.over */
            MARK_DEAF = 0x20,
            MARK_HEARD = 0x40,  /* since the last sweep */
            MARK_PINGED = 0x80, /* by it, and nothing has come since */
};

enum { SWEEP_SLICES = 16 };

struct unfinished {
    struct conn *conn;
    struct ws_reading *amid; /* ws_wire.amid */
    struct buf message;      /* its pieces so far */
    bool is_text, begun;     /* of the message */
    struct buf rest;         /* read, but not looked at yet */
    struct alarm alarm;
    size_t counted; /* bytes of this in porch->unfinished */
};

static const struct protocol ws_protocol;

static struct ws_share *share_of(const struct conn *c)
{
    return conn_porch(c)->owner;
}

/* ---- what is unfinished ---------------------------------------------------------------------- */

static struct unfinished *unfinished(struct conn *c)
{
    struct unfinished *u = c->own;

    if (!u && (u = calloc(1, sizeof(*u)))) {
        u->conn = c;
        c->own = u;
    }
    return u;
}

static void count(struct unfinished *u, size_t bytes)
{
    conn_porch(u->conn)->unfinished += bytes - u->counted;
    u->counted = bytes;
}

static void on_closed(struct conn *c)
{
    struct unfinished *u = c->own;
    struct ws_wire wire = { .amid = u ? u->amid : NULL };

    ws_wire_fini(&wire);
    if (!u)
        return;
    count(u, 0);
    alarm_cancel(&u->alarm);
    buf_fini(&u->message);
    buf_fini(&u->rest);
    free(u);
    c->own = NULL;
}

static void end(struct conn *c, unsigned code, struct slice reason, bool says_why);

static void on_late(struct alarm *alarm)
{
    struct conn *c = CONTAINER(alarm, struct unfinished, alarm)->conn;

    if (c->state == CONN_ENDING)
        conn_close(c, "the peer does not take what is said to it");
    else
        end(c, WS_CODE_POLICY, SLICE("the message was not finished in time"), true);
}

/* Let go of it when nothing needs it; otherwise see that it does not stay for ever. */
static void settle(struct conn *c)
{
    struct unfinished *u = c->own;
    struct porch *porch = conn_porch(c);

    if (!u || c->state == CONN_CLOSED)
        return;
    count(u, u->message.cap + u->rest.cap);
    bool late = u->amid || u->begun || (c->state == CONN_ENDING && c->stuck);
    if (!late && u->rest.len == 0) {
        on_closed(c);
    } else if (!late) {
        alarm_cancel(&u->alarm);
    } else if (!u->alarm.link) {
        alarm_set(porch->server->wheel, &u->alarm,
                  c->state == CONN_ENDING ? porch->limits.flush_ms : porch->limits.body_ms,
                  on_late);
    }
}

/* ---- frames out ------------------------------------------------------------------------------ */

static bool deflates(const struct conn *c)
{
    return c->marks & MARK_DEFLATE;
}

static int window_bits(const struct conn *c)
{
    return WS_WINDOW_MIN + ((c->marks & MARK_BITS) >> 1);
}

/* A whole message in one frame, compressed where bits are given and it is worth it. */
static enum rc put_message(struct ws_deflate *deflate, int bits, enum ws_opcode opcode,
                           struct slice payload, struct buf *out)
{
    uint8_t head[WS_HEAD_MAX];
    struct buf small = BUF_EMPTY;
    enum rc rc = RC_AGAIN;

    if (bits && payload.len >= WS_DEFLATE_WORTH)
        rc = ws_deflate_put(deflate, bits, payload, &small);
    if (rc == RC_OK)
        payload = buf_slice(&small);
    size_t n = ws_put_head(head, opcode, true, rc == RC_OK, payload.len);
    if (buf_reserve(out, n + payload.len)) {
        buf_put(out, (struct slice){ (const char *)head, n });
        buf_put(out, payload);
    }
    buf_fini(&small);
    return buf_rc(out);
}

static enum rc op_say(struct request *r, enum message_kind kind, struct slice message)
{
    struct conn *c = conn_of(r);
    struct buf frame = BUF_EMPTY;
    enum rc rc = put_message(share_of(c)->rules.deflate, deflates(c) ? window_bits(c) : 0,
                             kind == MESSAGE_TEXT ? WS_TEXT : WS_BINARY, message, &frame);

    conn_turn(c); /* a reply that breaks is ended there, too */
    if (rc == RC_OK)
        rc = outbox_put(&c->answer.out, buf_slice(&frame));
    buf_fini(&frame);
    return rc;
}

struct framing {
    struct ws_deflate *deflate;
    int bits; /* 0: not compressed */
    const struct encoder *message;
};

static enum rc encode_frame(const struct event *event, const void *with, struct buf *out)
{
    const struct framing *f = with;
    struct buf message = BUF_EMPTY;
    enum rc rc = event_encode(event, f->message, &message);

    if (rc == RC_OK)
        rc = put_message(f->deflate, f->bits, WS_TEXT, buf_slice(&message), out);
    buf_fini(&message);
    return rc;
}

/* The same for all whose frames are alike: in clear, or deflated for the same window. */
static enum rc op_bytes(struct request *r, struct run *run, const struct encoder *message,
                        struct block **out)
{
    const struct conn *c = conn_of(r);
    struct framing framing = { share_of(c)->rules.deflate, 0, message };
    struct encoder frame = { ENC__COUNT + message->which, encode_frame, &framing };

    if (deflates(c)) {
        framing.bits = window_bits(c);
        frame.which += ENC__COUNT * (unsigned)(framing.bits - WS_WINDOW_MIN + 1);
    }
    return run_bytes(run, &frame, out);
}

static void put_control(struct conn *c, enum ws_opcode opcode, struct slice payload)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    size_t n = ws_put_control(frame, opcode, payload);

    if (outbox_put(&c->answer.out, (struct slice){ (const char *)frame, n }) != RC_OK)
        conn_close_short(c);
    else
        conn_turn(c);
}

/* Our close frame; nothing is heard after it. */
static void end(struct conn *c, unsigned code, struct slice reason, bool says_why)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    size_t n = ws_put_close(frame, code, reason);

    if (says_why)
        log_debug(&conn_server(c)->log, "a WebSocket is closed with %u: %.*s", code,
                  (int)reason.len, reason.len ? reason.at : "");
    if (c->state == CONN_ANSWERING && !c->answer.request.ended)
        request_gone(&c->answer.request);
    c->marks |= MARK_OVER;
    on_closed(c);
    if (outbox_put(&c->answer.out, (struct slice){ (const char *)frame, n }) != RC_OK)
        conn_close_short(c);
    else
        conn_end(c);
}

static void op_close(struct request *r, unsigned code, const char *why)
{
    struct conn *c = conn_of(r);

    end(c, code, slice_of(why), false);
}

/* ---- messages in ----------------------------------------------------------------------------- */

static bool hands_up(const struct conn *c)
{
    return c->state == CONN_ANSWERING && !(c->marks & (MARK_OVER | MARK_DEAF));
}

static void hand_up(struct conn *c, bool is_text, struct slice message)
{
    (void)request_message(&c->answer.request, is_text ? MESSAGE_TEXT : MESSAGE_BINARY, message);
}

/* A piece of a message. */
static void on_data(struct conn *c, const struct ws_seen *seen)
{
    const struct porch *porch = conn_porch(c);

    if (seen->first && seen->last) {
        hand_up(c, seen->text, seen->bytes);
        return;
    }
    struct unfinished *u = unfinished(c);
    if (!u) {
        conn_close_short(c);
        return;
    }
    if (seen->first) {
        u->begun = true;
        u->is_text = seen->text;
    }
    buf_put(&u->message, seen->bytes);
    count(u, u->message.cap + u->rest.cap);
    if (buf_rc(&u->message) != RC_OK) {
        conn_close_short(c);
    } else if (porch->unfinished > porch->limits.unfinished) {
        end(c, WS_CODE_TRY_LATER, SLICE("there is no room for more unfinished messages"), true);
    } else if (seen->last) {
        struct buf message = u->message;
        u->message = BUF_EMPTY;
        u->begun = false;
        hand_up(c, u->is_text, buf_slice(&message));
        buf_fini(&message);
    }
}

/* Who pings without listening is not answered for ever. */
static void on_ping(struct conn *c, struct slice payload)
{
    if (c->answer.out.bytes <= (uint32_t)conn_server(c)->conf->queue_bytes)
        put_control(c, WS_PONG, payload);
}

static void on_step(struct conn *c, enum ws_step step, const struct ws_seen *seen)
{
    switch (step) {
    case WS_STEP_DATA:
        on_data(c, seen);
        break;
    case WS_STEP_PING:
        on_ping(c, seen->bytes);
        break;
    case WS_STEP_CLOSE:
        end(c, seen->code, SLICE_NONE, false);
        break;
    case WS_STEP_BROKEN:
        end(c, seen->code, slice_of(seen->why), true);
        break;
    case WS_STEP_PONG:
    case WS_STEP_MORE:
        break;
    }
}

/* One step; false: all bytes are consumed. */
static bool step(struct conn *c, struct slice *in)
{
    struct unfinished *u = c->own;
    struct ws_wire wire = { .amid = u ? u->amid : NULL, .deflate = deflates(c) };
    struct ws_seen seen;
    enum ws_step s = ws_wire_feed(&wire, &share_of(c)->rules, in, &seen);

    if (wire.amid && !u && !(u = unfinished(c))) {
        ws_wire_fini(&wire);
        conn_close_short(c);
        return false;
    }
    if (u)
        u->amid = wire.amid;
    if (u && !wire.amid) /* the next message has a time of its own */
        alarm_cancel(&u->alarm);
    on_step(c, s, &seen);
    return s != WS_STEP_MORE;
}

/* Until all is consumed, or nobody hears more; what is left then is kept. */
static void feed(struct conn *c, struct slice in)
{
    bool more = true;

    while (more && hands_up(c))
        more = step(c, &in);
    if (c->state == CONN_ANSWERING && in.len > 0) {
        struct unfinished *u = unfinished(c);
        if (u)
            buf_put(&u->rest, in);
        if (!u || buf_rc(&u->rest) != RC_OK)
            conn_close_short(c);
    }
    settle(c);
}

static void on_bytes(struct conn *c, struct slice bytes)
{
    struct unfinished *u = c->own;

    c->marks = (uint8_t)((c->marks | MARK_HEARD) & ~MARK_PINGED);
    if (!(u && u->rest.len > 0)) {
        feed(c, bytes);
        return;
    }
    buf_put(&u->rest, bytes); /* it waits behind what waits */
    if (buf_rc(&u->rest) != RC_OK)
        conn_close_short(c);
}

/* What was read while the handler did not listen. */
static void feed_rest(struct conn *c)
{
    struct unfinished *u = c->own;

    if (!u || u->rest.len == 0 || !hands_up(c))
        return;
    struct buf rest = u->rest;
    u->rest = BUF_EMPTY;
    feed(c, buf_slice(&rest));
    buf_fini(&rest);
}

static void op_deafen(struct request *r, bool deaf)
{
    struct conn *c = conn_of(r);

    c->marks = (uint8_t)(deaf ? c->marks | MARK_DEAF : c->marks & ~MARK_DEAF);
    conn_pause(c, deaf);
    if (!deaf)
        conn_turn(c); /* feed_rest() */
}

/* ---- what happens to it ---------------------------------------------------------------------- */

static void on_sent(struct conn *c)
{
    if (c->state == CONN_ENDING) {
        conn_linger(c, "closed");
        return;
    }
    feed_rest(c);
    if (c->state == CONN_ANSWERING)
        request_room(&c->answer.request);
}

static void on_stuck(struct conn *c, bool took_some)
{
    struct unfinished *u = c->state == CONN_ENDING ? unfinished(c) : NULL;

    if (u && took_some)
        alarm_cancel(&u->alarm);
    if (u)
        settle(c);
}

/* Its end is closed: there will be no close frame.  While we are deaf there may be something
   before that. */
static void on_ended(struct conn *c)
{
    if (c->ended || !(c->marks & MARK_DEAF))
        conn_close(c, "the peer has left");
}

static void on_stop(struct conn *c)
{
    (void)c; /* its handler drains */
}

static const struct protocol ws_protocol = {
    .name = "WebSocket",
    .bytes = on_bytes,
    .ended = on_ended,
    .sent = on_sent,
    .stuck = on_stuck,
    .stop = on_stop,
    .closed = on_closed,
};

/* ---- the handshake --------------------------------------------------------------------------- */

static struct ws_asked asked_by(const struct request *r)
{
    return (struct ws_asked){
        .method = r->head->method,
        .http_1_1 = !http1_conn_is_old(conn_of(r)),
        .host = request_header(r, "host"),
        .upgrade = request_header(r, "upgrade"),
        .connection = request_header(r, "connection"),
        .key = request_header(r, "sec-websocket-key"),
        .version = request_header(r, "sec-websocket-version"),
    };
}

static bool terms_of(const struct request *r, struct ws_terms *terms)
{
    static const struct ws_policy policy = { WS_WINDOW_MAX, WS_WINDOW_MAX };
    const struct conn *c = conn_of(r);
    struct slice offers = request_header(r, "sec-websocket-extensions");

    *terms = (struct ws_terms){ .deflate = false };
    return !share_of(c)->rules.deflate || !offers.at ||
           ws_handshake_deflate(offers, &policy, terms) == RC_OK;
}

static int op_refuses(const struct request *r, const char **why)
{
    struct ws_asked asked = asked_by(r);
    struct ws_refusal refusal;
    struct ws_terms terms;

    if (!ws_handshake_check(&asked, &refusal)) {
        *why = refusal.why;
        return refusal.status;
    }
    *why = "Sec-WebSocket-Extensions is malformed";
    return terms_of(r, &terms) ? 0 : 400;
}

/* From here on it is this protocol; what has come after the handshake waits for the next turn. */
static void begin(struct conn *c, const struct ws_terms *terms)
{
    struct buf rest = http1_conn_rest(c);

    conn_switch(c, &ws_protocol, NULL);
    conn_pause(c, false);
    c->framed = 0;
    c->marks = MARK_HEARD;
    if (terms->deflate)
        c->marks |= (uint8_t)(MARK_DEFLATE | (terms->server_bits - WS_WINDOW_MIN) << 1);
    if (rest.len == 0)
        return;
    struct unfinished *u = unfinished(c);
    if (u)
        u->rest = rest;
    else
        buf_fini(&rest);
    c->answer.request.broken |= !u;
}

static enum rc op_accept(struct request *r, struct slice protocol, struct slice headers)
{
    struct conn *c = conn_of(r);
    struct buf head = BUF_EMPTY;
    struct ws_terms terms;
    char accept[WS_ACCEPT_LEN + 1];

    (void)terms_of(r, &terms);
    ws_handshake_accept(request_header(r, "sec-websocket-key"), accept);
    buf_printf(&head,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n",
               accept);
    if (protocol.len > 0)
        buf_printf(&head, "Sec-WebSocket-Protocol: %.*s\r\n", (int)protocol.len, protocol.at);
    if (terms.deflate) {
        buf_puts(&head, "Sec-WebSocket-Extensions: ");
        ws_handshake_put_deflate(&head, &terms);
        buf_puts(&head, "\r\n");
    }
    buf_put(&head, headers);
    buf_puts(&head, "\r\n");
    begin(c, &terms);
    return answer_head(r, &head);
}

const struct socket_ops ws_socket_ops = {
    .refuses = op_refuses,
    .accept = op_accept,
    .say = op_say,
    .bytes = op_bytes,
    .close = op_close,
    .deafen = op_deafen,
};

/* ---- who is still there? --------------------------------------------------------------------- */

static void look_after(uv_poll_t *poll)
{
    struct conn *c = conn_of_poll(poll);
    uv_os_fd_t fd = 0;

    if (c->protocol != &ws_protocol || c->state != CONN_ANSWERING || c->marks & MARK_DEAF ||
        uv_fileno((const uv_handle_t *)poll, &fd) != 0 ||
        (unsigned)fd % SWEEP_SLICES != share_of(c)->slice)
        return;
    if (c->marks & MARK_HEARD) {
        c->marks = (uint8_t)(c->marks & ~(MARK_HEARD | MARK_PINGED));
    } else if (c->marks & MARK_PINGED) {
        conn_close(c, "the peer is silent, also when it is pinged");
    } else {
        c->marks |= MARK_PINGED;
        put_control(c, WS_PING, SLICE_NONE);
    }
}

/* A slice of all connections at a time, so that not all are pinged at once. */
static void on_sweep(struct alarm *alarm)
{
    struct ws_share *s = CONTAINER(alarm, struct ws_share, sweep);
    const struct server *server = s->porch->server;

    s->slice = (s->slice + 1) % SWEEP_SLICES;
    porch_each(s->porch, look_after);
    alarm_set(server->wheel, alarm, (uint64_t)server->conf->ws_ping_ms / SWEEP_SLICES, on_sweep);
}

void ws_share_watch(struct ws_share *s, struct porch *porch)
{
    s->porch = porch;
    alarm_set(porch->server->wheel, &s->sweep,
              (uint64_t)porch->server->conf->ws_ping_ms / SWEEP_SLICES, on_sweep);
}

enum rc ws_share_init(struct ws_share *s, const struct conf *conf)
{
    char accept[WS_ACCEPT_LEN + 1];

    *s = (struct ws_share){ .rules.max_message = (uint64_t)conf->max_body_bytes };
    ws_handshake_accept(SLICE("warm-up"), accept); /* libcrypto gets ready now, not for the first */
    if (strcmp(conf->ws_deflate, "yes") == 0 &&
        !(s->rules.deflate = ws_deflate_new(WS_INFLATES_MAX)))
        return RC_NOMEM;
    return RC_OK;
}

void ws_share_fini(struct ws_share *s)
{
    alarm_cancel(&s->sweep);
    if (s->rules.deflate)
        ws_deflate_free(s->rules.deflate);
}
