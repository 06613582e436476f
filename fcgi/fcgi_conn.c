/*
 * fcgi_conn.c - one FastCGI connection on the loop.
 *
 * Reading: when the socket is readable, one recv() into the porch's shared buffer, and the decoder
 * goes over it there; only pieces of unfinished things are copied.  While a reply is open we go on
 * reading, because the peer's leaving shows itself only so.  Only when the next request has begun
 * before this one is answered (pipelining) do we stop and wait for the hang-up alone.
 *
 * Writing: replies queue in the outbox and put the connection on the list of the turn; on_turn()
 * sends all of it in one writev(), as few STDOUT records as will do, END_REQUEST in the same write.
 * Answers of the protocol itself (CANT_MPX_CONN, GET_VALUES_RESULT) may stand only between records:
 * they wait in the intake until the outbox is empty.
 */
#include "fcgi/fcgi_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/cgi_head.h"
#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"

enum {
    SURPLUS_RETRY_S = 10,
    CONTROL_MAX = 4096, /* answers of the protocol that a peer may leave lying */
};

struct fcgi_intake {
    struct fcgi_conn *conn;
    struct fcgi_wire wire;
    struct buf rest;    /* the next request, from after its BEGIN_REQUEST */
    struct buf control; /* answers that belong to no reply */
    struct alarm alarm; /* against requests and peers that never finish */
    bool body_clock;    /* the alarm is that of a body */
    size_t counted;     /* bytes of this in porch->unfinished */
};

static struct porch *porch_of(const struct fcgi_conn *c)
{
    return c->poll.data;
}

static int fd_of(const struct fcgi_conn *c)
{
    uv_os_fd_t fd = -1;
    return uv_fileno((const uv_handle_t *)&c->poll, &fd) == 0 ? fd : -1;
}

/* ---- what is unfinished ---------------------------------------------------------------------- */

static struct fcgi_intake *intake(struct fcgi_conn *c)
{
    struct porch *porch = porch_of(c);

    if (c->in)
        return c->in;
    struct fcgi_intake *in = calloc(1, sizeof(*in));
    if (!in)
        return NULL;
    in->conn = c;
    fcgi_wire_init(&in->wire, (size_t)porch->server->conf->max_body_bytes,
                   (uint32_t)porch->limits.max_conns);
    if (c->state == FCGI_CONN_ANSWERING || c->state == FCGI_CONN_ENDING)
        fcgi_wire_resume(&in->wire, c->id, c->keep);
    c->in = in;
    return in;
}

static void intake_count(struct fcgi_conn *c, size_t bytes)
{
    porch_of(c)->unfinished += bytes - c->in->counted;
    c->in->counted = bytes;
}

static void intake_free(struct fcgi_conn *c)
{
    if (!c->in)
        return;
    intake_count(c, 0);
    alarm_cancel(&c->in->alarm);
    fcgi_wire_fini(&c->in->wire);
    buf_fini(&c->in->rest);
    buf_fini(&c->in->control);
    free(c->in);
    c->in = NULL;
}

static void on_late(struct alarm *alarm)
{
    struct fcgi_intake *in = CONTAINER(alarm, struct fcgi_intake, alarm);
    bool ending = in->conn->state == FCGI_CONN_ENDING;

    fcgi_conn_close(in->conn, ending ? "the peer does not take the reply" : "request not finished");
}

static void close_short(struct fcgi_conn *c)
{
    server_no_memory(porch_of(c)->server, "a connection");
    fcgi_conn_close(c, "out of memory");
}

/* Let go of the intake when nothing needs it; see that the right clock runs when something does. */
static void intake_settle(struct fcgi_conn *c)
{
    struct porch *porch = porch_of(c);
    bool late_reply = c->state == FCGI_CONN_ENDING && c->stuck;
    bool late_request = c->state == FCGI_CONN_IDLE;
    bool body = c->in && late_request && c->in->wire.state == FCGI_STATE_STDIN;

    if (c->state == FCGI_CONN_CLOSED)
        return;
    if (late_reply && !intake(c)) {
        close_short(c);
        return;
    }
    if (!c->in)
        return;
    intake_count(c, c->in->wire.params.cap + c->in->wire.body.cap + c->in->rest.cap);
    if (porch->unfinished > porch->limits.unfinished && body) { /* no memory for it: 503 */
        c->surplus = 1;
        fcgi_wire_discard_body(&c->in->wire);
        intake_count(c, c->in->wire.params.cap + c->in->rest.cap);
    }
    if (!late_reply && !c->fresh && c->in->rest.len == 0 && c->in->control.len == 0 &&
        fcgi_wire_at_rest(&c->in->wire)) {
        intake_free(c);
    } else if (!late_reply && !late_request) {
        alarm_cancel(&c->in->alarm);
    } else if (!c->in->alarm.link || c->in->body_clock != body) {
        c->in->body_clock = body;
        alarm_set(porch->server->wheel, &c->in->alarm,
                  late_reply ? porch->limits.flush_ms
                  : body     ? porch->limits.body_ms
                             : porch->limits.head_ms,
                  on_late);
    }
}

/* ---- the request's door ---------------------------------------------------------------------- */

static struct fcgi_conn *conn_of(const struct request *r)
{
    return CONTAINER(r, struct fcgi_conn, answer.request);
}

static struct slice op_header(const struct request *r, const char *name)
{
    const struct fcgi_conn *c = conn_of(r);
    return c->in ? params_header(buf_slice(&c->in->wire.params), name) : SLICE_NONE;
}

static void op_each_header(const struct request *r, header_fn *fn, void *arg)
{
    const struct fcgi_conn *c = conn_of(r);
    if (c->in)
        params_each_header(buf_slice(&c->in->wire.params), fn, arg);
}

static void op_end(struct request *r)
{
    struct fcgi_conn *c = conn_of(r);
    c->state = FCGI_CONN_ENDING;
    outbox_finish(&c->answer.out);
    turn_add(r->server, &c->answer.turn);
}

static size_t frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX]);

/* While the peer still says something, its turn will see to both. */
static enum rc op_send(struct request *r)
{
    struct fcgi_conn *c = conn_of(r);
    return c->in ? RC_AGAIN : outbox_send(&c->answer.out, fd_of(c), frame, c);
}

static bool op_pack(struct request *r, struct parcel *parcel)
{
    struct fcgi_conn *c = conn_of(r);

    parcel->fd = fd_of(c);
    return !c->in && outbox_pack(&c->answer.out, frame, c, parcel);
}

static enum rc op_posted(struct request *r, const struct parcel *parcel)
{
    struct fcgi_conn *c = conn_of(r);

    return outbox_posted(&c->answer.out, parcel, frame, c);
}

static const struct request_ops ops = {
    .header = op_header,
    .each_header = op_each_header,
    .begin = cgi_head_begin,
    .write = answer_write,
    .lend = answer_lend,
    .end = op_end,
    .send = op_send,
    .pack = op_pack,
    .posted = op_posted,
    .queued = answer_queued,
};

/* ---- serving --------------------------------------------------------------------------------- */

static void hand_up(struct fcgi_conn *c, struct slice params, struct request_head *head)
{
    struct request *r = &c->answer.request;
    const struct fcgi_wire *w = &c->in->wire;
    struct buf scratch = BUF_EMPTY;

    r->head = head;
    if (c->surplus) {
        health_refused(r->server);
        answer_problem(r, 503, "This server has no room for more connections now.",
                       SURPLUS_RETRY_S);
        return;
    }
    if (w->params_too_large) {
        answer_problem(r, 431, "The request's address and headers are too large.", 0);
        return;
    }
    enum rc rc = params_head(params, head, &scratch);
    r->head_only = slice_is(head->method, SLICE("HEAD"));
    if (rc == RC_NOMEM) {
        server_no_memory(r->server, "a request");
        answer_problem(r, 503, "This server is short of memory.", SURPLUS_RETRY_S);
    } else if (rc != RC_OK)
        answer_problem(r, 400, "The request's address or headers are malformed.", 0);
    else if (!w->body_too_large && !params_body_is_whole(params, w->body.len))
        answer_problem(r, 400, "The request's body is shorter than its Content-Length.", 0);
    else
        request_serve(r);
    r->head = NULL;
    buf_fini(&scratch);
}

static void on_request(struct fcgi_conn *c)
{
    struct fcgi_wire *w = &c->in->wire;
    struct request_head head = { .body = buf_slice(&w->body), .body_too_large = w->body_too_large };
    struct server *server = porch_of(c)->server;

    c->id = w->id;
    c->keep = w->keep && !c->surplus;
    c->fresh = 0;
    c->state = FCGI_CONN_ANSWERING;
    c->answer.request =
        (struct request){ .ops = &ops, .server = server, .one_slot = server->one_slot };
    hand_up(c, buf_slice(&w->params), &head);
    fcgi_wire_release(w);
}

/* The web server wants no answer any more, but an end (specification, section 5.4). */
static void on_abort(struct fcgi_conn *c)
{
    struct fcgi_wire *w = &c->in->wire;

    if (c->state == FCGI_CONN_ENDING)
        return;
    bool held = c->state == FCGI_CONN_ANSWERING;
    c->id = w->id;
    c->keep = w->keep;
    c->fresh = 0;
    c->state = FCGI_CONN_ENDING;
    if (held)
        request_gone(&c->answer.request);
    else /* this decoder has seen it arrive: from now on it sees it answered */
        fcgi_wire_resume(w, w->id, w->keep);
    fcgi_wire_release(w);
    c->answer.request.broken = 0;
    outbox_finish(&c->answer.out);
    turn_add(porch_of(c)->server, &c->answer.turn);
}

static void take(struct fcgi_conn *c, struct slice bytes)
{
    struct fcgi_intake *in = intake(c);

    if (!in) {
        close_short(c);
        return;
    }
    for (;;) {
        switch (fcgi_wire_feed(&in->wire, &bytes)) {
        case FCGI_STEP_MORE:
            intake_settle(c);
            return;
        case FCGI_STEP_REQUEST:
            alarm_cancel(&in->alarm);
            on_request(c);
            break;
        case FCGI_STEP_ABORTED:
            alarm_cancel(&in->alarm);
            on_abort(c);
            break;
        case FCGI_STEP_REPLY:
            buf_put(&in->control,
                    (struct slice){ (const char *)in->wire.reply, in->wire.reply_len });
            if (buf_rc(&in->control) != RC_OK || in->control.len > CONTROL_MAX) {
                fcgi_conn_close(c, "asks more than it hears");
                return;
            }
            turn_add(porch_of(c)->server, &c->answer.turn);
            if (!in->wire.reply_closes)
                break;
            c->state = FCGI_CONN_ENDING;
            c->keep = 0;
            return;
        case FCGI_STEP_NEXT:
            c->overtaken = 1;
            buf_put(&in->rest, bytes);
            if (buf_rc(&in->rest) == RC_OK) {
                intake_settle(c);
                return;
            }
            /* fall through */
        case FCGI_STEP_NOMEM:
            close_short(c);
            return;
        case FCGI_STEP_BROKEN:
            log_warn(&porch_of(c)->server->log, "connection closed: %s", in->wire.why);
            fcgi_conn_close(c, in->wire.why);
            return;
        }
    }
}

/* ---- the socket ------------------------------------------------------------------------------ */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Ask the loop for what we need now; silent when it is what it was (a change costs two calls). */
static void watch(struct fcgi_conn *c)
{
    int want = (c->overtaken ? UV_DISCONNECT : UV_READABLE) | (c->stuck ? UV_WRITABLE : 0);

    if (c->state == FCGI_CONN_CLOSED || want == c->watched)
        return;
    if (uv_poll_start(&c->poll, want, on_poll) != 0) {
        fcgi_conn_close(c, "cannot be watched");
        return;
    }
    c->watched = (uint8_t)want;
}

static void on_readable(struct fcgi_conn *c)
{
    struct porch *porch = porch_of(c);
    ssize_t n = recv(fd_of(c), porch->bytes, sizeof(porch->bytes), 0);

    if (n > 0)
        take(c, (struct slice){ porch->bytes, (size_t)n });
    else if (n == 0)
        fcgi_conn_close(c, "the peer has left");
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        fcgi_conn_close(c, "the peer has left in a hurry");
    watch(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct fcgi_conn *c = CONTAINER(poll, struct fcgi_conn, poll);

    if (status < 0) { /* EPOLLERR without anything to read: the read will say what it is */
        c->watched = 0;
        events = UV_READABLE;
    }
    if (events & UV_WRITABLE)
        turn_add(porch_of(c)->server, &c->answer.turn);
    if (c->overtaken && (events & UV_DISCONNECT || status < 0))
        fcgi_conn_close(c, "the peer has left");
    else if (events & UV_READABLE && !c->overtaken)
        on_readable(c);
}

static size_t frame(void *arg, size_t payload, uint8_t head[OUTBOX_HEAD_MAX])
{
    const struct fcgi_conn *c = arg;

    _Static_assert((int)FCGI_TRAILER_LEN <= (int)OUTBOX_HEAD_MAX, "the trailer must fit");
    if (payload == 0)
        return fcgi_put_trailer(head, c->id);
    return fcgi_put_header(head, FCGI_STDOUT, c->id, (uint16_t)payload);
}

/* Answers of the protocol itself; only between records. */
static enum rc send_control(struct fcgi_conn *c)
{
    struct buf *control = c->in ? &c->in->control : NULL;

    while (control && control->len > 0) {
        ssize_t n = send(fd_of(c), control->at, control->len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN : RC_CLOSED;
        buf_shift(control, (size_t)n);
    }
    return RC_OK;
}

static enum rc send_all(struct fcgi_conn *c)
{
    enum rc rc = RC_OK;
    /* what is half sent goes first */
    if (outbox_empty(&c->answer.out) || (c->in && !outbox_amid_frame(&c->answer.out)))
        rc = send_control(c);
    if (rc == RC_OK)
        rc = outbox_send(&c->answer.out, fd_of(c), frame, c);
    return rc == RC_OK ? send_control(c) : rc;
}

/* The reply is with the kernel, END_REQUEST and all. */
static void on_answered(struct fcgi_conn *c)
{
    struct server *server = porch_of(c)->server;

    if (!c->keep || server->draining) {
        fcgi_conn_close(c, "answered");
        return;
    }
    outbox_fini(&c->answer.out);
    c->state = FCGI_CONN_IDLE;
    if (!c->in)
        return;
    alarm_cancel(&c->in->alarm);
    fcgi_wire_answered(&c->in->wire);
    if (c->overtaken) {
        struct buf rest = c->in->rest;
        c->in->rest = BUF_EMPTY;
        c->overtaken = 0;
        take(c, buf_slice(&rest));
        buf_fini(&rest);
    }
}

static void on_turn(struct turn *turn)
{
    struct fcgi_conn *c = CONTAINER(turn, struct fcgi_conn, answer.turn);

    if (c->answer.request.broken &&
        c->state != FCGI_CONN_IDLE) { /* half a reply must not look whole */
        close_short(c);
        return;
    }
    size_t waiting = c->answer.out.bytes;
    enum rc rc = send_all(c);
    if (c->in && c->state == FCGI_CONN_ENDING && c->answer.out.bytes != waiting)
        alarm_cancel(&c->in->alarm); /* it takes some: its time begins anew */
    if (rc != RC_OK && rc != RC_AGAIN) {
        fcgi_conn_close(c, "the peer has left");
        return;
    }
    c->stuck = rc == RC_AGAIN;
    if (rc == RC_OK && c->state == FCGI_CONN_ENDING)
        on_answered(c);
    else if (rc == RC_OK && c->state == FCGI_CONN_ANSWERING)
        request_room(&c->answer.request);
    intake_settle(c);
    watch(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum rc fcgi_conn_open(struct porch *porch, int fd, bool surplus)
{
    struct fcgi_conn *c = calloc(1, sizeof(*c));

    if (!c)
        goto close_fd;
    if (uv_poll_init(porch->server->loop, &c->poll, fd) != 0)
        goto free_conn;
    c->poll.data = porch;
    c->answer.turn.run = on_turn;
    c->fresh = 1;
    c->surplus = surplus;
    outbox_init(&c->answer.out);
    porch_joined(porch);
    if (!intake(c)) {
        close_short(c);
        return RC_NOMEM;
    }
    intake_settle(c);
    watch(c);
    return RC_OK;
free_conn:
    free(c);
close_fd:
    close(fd);
    return RC_NOMEM;
}

static void on_closed(uv_handle_t *handle)
{
    struct fcgi_conn *c = CONTAINER(handle, struct fcgi_conn, poll);
    struct porch *porch = porch_of(c);

    free(c);
    porch_left(porch);
}

void fcgi_conn_close(struct fcgi_conn *c, const char *why)
{
    struct porch *porch = porch_of(c);
    bool held = c->state == FCGI_CONN_ANSWERING;

    if (c->state == FCGI_CONN_CLOSED)
        return;
    log_debug(&porch->server->log, "connection closed: %s", why);
    c->state = FCGI_CONN_CLOSED;
    if (held)
        request_gone(&c->answer.request);
    turn_cancel(porch->server, &c->answer.turn);
    intake_free(c);
    outbox_fini(&c->answer.out);
    porch_leaving(porch);
    int fd = fd_of(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(fd);
}

void fcgi_conn_stop(struct fcgi_conn *c)
{
    if (c->state == FCGI_CONN_IDLE && !c->in)
        fcgi_conn_close(c, "stopping");
}
