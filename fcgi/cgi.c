/*
 * cgi.c - plain CGI: one request, one reply, one process.
 *
 *      READING (body from in) --> ANSWERING --reply_end--> ENDING --all written--> OVER
 *
 * Standard input and output may be pipes, sockets or files.  Files cannot be polled (epoll says
 * EPERM) and need not be: they are always ready.  The web server's leaving is EPOLLERR on a pipe
 * and EPOLLHUP on a socket, which epoll reports unasked; asking for UV_PRIORITIZED, which never
 * comes, lets us hear just these two.  (Not UV_DISCONNECT: a server that has shut down its sending
 * side after the body still reads.)
 */
#include "fcgi/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/text.h"
#include "fcgi/cgi_head.h"
#include "fcgi/fcgi_wire.h"
#include "fcgi/params.h"

enum {
    READ_BYTES = 16 * 1024,
    BODY_MS = 120 * 1000,
    FLUSH_MS = 60 * 1000,
};

enum cgi_state { CGI_READING, CGI_ANSWERING, CGI_ENDING, CGI_OVER };

/* One of our two ends. */
struct end {
    uv_poll_t poll;
    int fd;
    int flags;   /* of the descriptor when we got it: it may be shared with others */
    bool polled; /* false: a file */
};

struct cgi {
    struct server *server;
    struct answer answer;
    struct alarm alarm;
    struct end from, to;
    enum cgi_state state;
    bool stuck;
    struct buf params, body;
    bool body_too_large;
    uint64_t expected; /* bytes of body to come; UINT64_MAX: until the end */
    int handles;
    bool freed;
    void (*over)(void *arg), (*done)(void *arg);
    void *over_arg, *done_arg;
};

static void free_if_over(struct cgi *c)
{
    void (*done)(void *) = c->done;
    void *arg = c->done_arg;

    if (c->handles > 0 || !c->freed)
        return;
    outbox_fini(&c->answer.out);
    buf_fini(&c->params);
    buf_fini(&c->body);
    free(c);
    if (done)
        done(arg);
}

static void on_end_closed(uv_handle_t *handle)
{
    struct cgi *c = handle->data;
    c->handles--;
    free_if_over(c);
}

static void end_close(struct end *e)
{
    if (e->fd < 0)
        return;
    fcntl(e->fd, F_SETFL, e->flags);
    if (e->polled)
        uv_close((uv_handle_t *)&e->poll, on_end_closed);
    close(e->fd);
    e->fd = -1;
}

static void finish(struct cgi *c)
{
    if (c->state == CGI_OVER)
        return;
    bool held = c->state == CGI_ANSWERING;
    c->state = CGI_OVER;
    if (held)
        request_gone(&c->answer.request);
    turn_cancel(c->server, &c->answer.turn);
    alarm_cancel(&c->alarm);
    /* The web server waits for the end of the output: this comes before anything slow. */
    end_close(&c->to);
    end_close(&c->from);
    c->over(c->over_arg);
}

static void on_late(struct alarm *alarm)
{
    struct cgi *c = CONTAINER(alarm, struct cgi, alarm);
    log_warn(&c->server->log, c->state == CGI_READING ? "the request's body does not come"
                                                      : "the web server does not take the reply");
    finish(c);
}

/* ---- the request's door ---------------------------------------------------------------------- */

static struct cgi *cgi_of(const struct request *r)
{
    return CONTAINER(r, struct cgi, answer.request);
}

static struct slice op_header(const struct request *r, const char *name)
{
    return params_header(buf_slice(&cgi_of(r)->params), name);
}

static void op_each_header(const struct request *r, header_fn *fn, void *arg)
{
    params_each_header(buf_slice(&cgi_of(r)->params), fn, arg);
}

static void op_end(struct request *r)
{
    struct cgi *c = cgi_of(r);
    c->state = CGI_ENDING;
    turn_add(c->server, &c->answer.turn);
}

static const struct request_ops ops = {
    .header = op_header,
    .each_header = op_each_header,
    .begin = cgi_head_begin,
    .write = answer_write,
    .lend = answer_lend,
    .end = op_end,
    .queued = answer_queued,
};

/* ---- writing --------------------------------------------------------------------------------- */

static void on_output(uv_poll_t *poll, int status, int events)
{
    struct cgi *c = CONTAINER(poll, struct cgi, to.poll);

    if (status < 0 || events & UV_PRIORITIZED)
        finish(c);
    else
        turn_add(c->server, &c->answer.turn);
}

static void watch_output(struct cgi *c)
{
    if (c->to.polled && c->state != CGI_OVER &&
        uv_poll_start(&c->to.poll, UV_PRIORITIZED | (c->stuck ? UV_WRITABLE : 0), on_output) != 0)
        finish(c);
}

static void on_turn(struct turn *turn)
{
    struct cgi *c = CONTAINER(turn, struct cgi, answer.turn);
    bool was_stuck = c->stuck;
    size_t waiting = c->answer.out.bytes;

    if (c->answer.request.broken) { /* out of memory: half a reply must not look whole */
        finish(c);
        return;
    }
    enum rc rc = outbox_send(&c->answer.out, c->to.fd, NULL, NULL);
    c->stuck = rc == RC_AGAIN;
    if ((rc == RC_OK && c->state == CGI_ENDING) || (rc != RC_OK && rc != RC_AGAIN)) {
        finish(c);
        return;
    }
    if (c->stuck && c->state == CGI_ENDING && (!c->alarm.link || waiting != c->answer.out.bytes))
        alarm_set(c->server->wheel, &c->alarm, FLUSH_MS, on_late);
    if (c->stuck != was_stuck)
        watch_output(c);
    if (rc == RC_OK)
        request_room(&c->answer.request);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void serve(struct cgi *c)
{
    struct request *r = &c->answer.request;
    struct slice params = buf_slice(&c->params);
    struct request_head head = { .body = buf_slice(&c->body), .body_too_large = c->body_too_large };
    struct buf scratch = BUF_EMPTY;

    alarm_cancel(&c->alarm);
    if (c->from.polled)
        uv_poll_stop(&c->from.poll);
    c->state = CGI_ANSWERING;
    watch_output(c);
    if (c->state == CGI_OVER)
        return;
    *r = (struct request){ .ops = &ops, .server = c->server, .head = &head, .one_slot = 1 };
    enum rc rc = params_head(params, &head, &scratch);
    r->head_only = slice_is(head.method, SLICE("HEAD"));
    if (params.len > FCGI_PARAMS_MAX)
        answer_problem(r, 431, "The request's address and headers are too large.", 0);
    else if (rc == RC_NOMEM)
        answer_problem(r, 503, "This server is short of memory.", 10);
    else if (rc != RC_OK)
        answer_problem(r, 400, "The request's address or headers are malformed.", 0);
    else if (!c->body_too_large && !params_body_is_whole(params, c->body.len))
        answer_problem(r, 400, "The request's body is shorter than its Content-Length.", 0);
    else
        request_serve(r);
    r->head = NULL;
    buf_fini(&scratch);
    buf_fini(&c->params);
    buf_fini(&c->body);
}

static void keep(struct cgi *c, struct slice piece)
{
    if (c->expected != UINT64_MAX)
        c->expected -= piece.len;
    if (piece.len > (size_t)c->server->conf->max_body_bytes - c->body.len)
        c->body_too_large = true;
    if (c->body_too_large)
        buf_fini(&c->body);
    else
        buf_put(&c->body, piece);
}

/* RC_OK: the body is here.  RC_AGAIN: more to come. */
static enum rc read_body(struct cgi *c)
{
    char bytes[READ_BYTES];

    while (c->expected > 0) {
        size_t want = c->expected < sizeof(bytes) ? (size_t)c->expected : sizeof(bytes);
        ssize_t n = read(c->from.fd, bytes, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RC_AGAIN : RC_CLOSED;
        if (n == 0)
            break; /* shorter than announced: serve() says so */
        keep(c, (struct slice){ bytes, (size_t)n });
    }
    return buf_rc(&c->body);
}

static void go_on_reading(struct cgi *c)
{
    enum rc rc = read_body(c);

    if (rc == RC_OK)
        serve(c);
    else if (rc != RC_AGAIN)
        finish(c);
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)status; /* read() will say what it is */
    (void)events;
    go_on_reading(CONTAINER(poll, struct cgi, from.poll));
}

/* The first look is taken from the loop too, so that over() never comes from within cgi_new(). */
static void on_first_turn(struct turn *turn)
{
    struct cgi *c = CONTAINER(turn, struct cgi, answer.turn);

    c->answer.turn.run = on_turn;
    go_on_reading(c);
    if (c->state != CGI_READING)
        return;
    if (c->from.polled && uv_poll_start(&c->from.poll, UV_READABLE, on_input) == 0)
        alarm_set(c->server->wheel, &c->alarm, BODY_MS, on_late);
    else
        finish(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool params_from(struct buf *params, char *const *environment)
{
    for (char *const *e = environment; *e; e++) {
        const char *is = strchr(*e, '=');
        if (is)
            params_put(params, (struct slice){ *e, (size_t)(is - *e) }, slice_of(is + 1));
    }
    return buf_rc(params) == RC_OK;
}

/* RFC 3875 section 4.2: a body is announced by CONTENT_LENGTH.  One that came in chunks is not, and
   ends where the input ends; only methods that carry none can be trusted to have none. */
static uint64_t body_expected(struct slice params)
{
    struct slice method = params_get(params, "REQUEST_METHOD");
    int64_t length;

    if (number_parse(params_get(params, "CONTENT_LENGTH"), INT64_MAX, &length) == RC_OK)
        return (uint64_t)length;
    bool none = slice_is(method, SLICE("GET")) || slice_is(method, SLICE("HEAD")) ||
                slice_is(method, SLICE("OPTIONS"));
    return none ? 0 : UINT64_MAX;
}

static bool end_open(struct cgi *c, struct end *e, int fd)
{
    e->fd = fd;
    e->flags = fcntl(fd, F_GETFL);
    int rc = uv_poll_init(c->server->loop, &e->poll, fd); /* makes it non-blocking */
    e->polled = rc == 0;
    if (e->polled) {
        e->poll.data = c;
        c->handles++;
    }
    return rc == 0 || rc == UV_EPERM;
}

struct cgi *cgi_new(struct server *server, char *const *environment, int in, int out,
                    void (*over)(void *arg), void *arg)
{
    struct cgi *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->server = server;
    c->over = over;
    c->over_arg = arg;
    c->answer.turn.run = on_first_turn;
    c->to.fd = c->from.fd = -1;
    outbox_init(&c->answer.out);
    if (!params_from(&c->params, environment) || !end_open(c, &c->from, in) ||
        !end_open(c, &c->to, out)) {
        cgi_free(c, NULL, NULL);
        return NULL;
    }
    c->expected = body_expected(buf_slice(&c->params));
    turn_add(server, &c->answer.turn);
    return c;
}

static void over_nothing(void *arg)
{
    (void)arg;
}

void cgi_free(struct cgi *c, void (*done)(void *arg), void *arg)
{
    c->over = over_nothing;
    finish(c);
    c->done = done;
    c->done_arg = arg;
    c->freed = true;
    free_if_over(c);
}
