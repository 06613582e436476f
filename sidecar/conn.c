/*
 * conn.c - one connection on the loop, whatever it speaks.
 *
 * Reading: when the socket is readable, one recv() into the porch's shared buffer, and the protocol
 * goes over it there.  While a reply is held we go on reading, because the peer's leaving shows
 * itself only so; a protocol that has enough for now pauses, and then the hang-up alone is waited
 * for (which comes even while bytes are still unread).
 *
 * Writing: replies queue in the outbox and put the connection on the list of the turn; on_turn()
 * sends all of it at once and tells the protocol whether that was all.
 *
 * All bytes of the peer pass through receive() and deliver().
 */
#include "sidecar/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINGER_MS = 5000,
    LINGER_BYTES = 16 * 1024 * 1024, /* that the peer may have sent already */
};

static int fd_of(const struct conn *c)
{
    uv_os_fd_t fd = -1;
    return uv_fileno((const uv_handle_t *)&c->poll, &fd) == 0 ? fd : -1;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* As recv(). */
static ssize_t receive(struct conn *c, char *at, size_t len)
{
    if (c->via)
        return via_receive(c->via, at, len);
    return recv(fd_of(c), at, len, 0);
}

/* outbox_sink_fn; as sendmsg(). */
static ssize_t deliver(void *to, const struct iovec *iov, int pieces, size_t bytes)
{
    const struct conn *c = to;
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov,
                              .msg_iovlen = (size_t)pieces };

    if (c->via)
        return via_send(c->via, iov, pieces, bytes);
    if (pieces == 1)
        return send(fd_of(c), iov->iov_base, bytes, MSG_NOSIGNAL);
    return sendmsg(fd_of(c), &message, MSG_NOSIGNAL);
}

static outbox_frame_fn *framer(const struct conn *c)
{
    return c->framed ? c->protocol->frame : NULL;
}

/* All of what waits; RC_AGAIN also while it waits below the outbox. */
static enum rc send_all(struct conn *c)
{
    enum rc rc = outbox_send_to(&c->answer.out, deliver, c, framer(c), c);

    return rc == RC_OK && c->via ? via_flush(c->via) : rc;
}

enum rc conn_send(struct request *r)
{
    return send_all(conn_of(r));
}

bool conn_pack(struct request *r, struct parcel *parcel)
{
    struct conn *c = conn_of(r);

    parcel->fd = fd_of(c);
    return !c->via && outbox_pack(&c->answer.out, framer(c), c, parcel);
}

enum rc conn_posted(struct request *r, const struct parcel *parcel)
{
    struct conn *c = conn_of(r);

    return outbox_posted(&c->answer.out, parcel, framer(c), c);
}

static size_t waiting(const struct conn *c)
{
    return c->answer.out.bytes + (c->via ? via_waiting(c->via) : 0);
}

/* ---- what the loop is asked for -------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Silent when it is what it was (a change costs two calls). */
static void watch(struct conn *c)
{
    int want = c->stuck ? UV_WRITABLE : 0;

    if (c->paused)
        want |= c->hung_up ? 0 : UV_DISCONNECT;
    else
        want |= c->ended ? 0 : UV_READABLE;
    if (c->state == CONN_CLOSED || want == c->watched)
        return;
    int rc = want ? uv_poll_start(&c->poll, want, on_poll) : uv_poll_stop(&c->poll);
    if (rc != 0)
        conn_close(c, "cannot be watched");
    else
        c->watched = (uint8_t)want;
}

static void tell_ended(struct conn *c)
{
    if (c->protocol->ended)
        c->protocol->ended(c);
    else
        conn_close(c, "the peer has left");
}

static void on_readable(struct conn *c)
{
    struct porch *porch = conn_porch(c);
    ssize_t n = receive(c, porch->bytes, sizeof(porch->bytes));

    if (n > 0) {
        c->protocol->bytes(c, (struct slice){ porch->bytes, (size_t)n });
    } else if (n == 0) {
        c->ended = 1;
        tell_ended(c);
    } else if (errno == EPROTO && c->via) {
        conn_close(c, via_why(c->via));
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        conn_close(c, "the peer has left in a hurry");
    }
    if (c->state != CONN_CLOSED && c->via && via_waiting(c->via) > 0)
        c->stuck = 1; /* an answer of TLS itself; a turn will send it */
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *c = conn_of_poll(poll);
    bool reads = !c->paused && !c->ended;

    if (status < 0) { /* EPOLLERR without anything to read: the read will say what it is */
        c->watched = 0;
        events = UV_READABLE;
    }
    if (events & UV_WRITABLE)
        turn_add(conn_server(c), &c->answer.turn);
    if (reads && events & UV_READABLE) {
        on_readable(c);
    } else if (status < 0) {
        conn_close(c, "the peer has left in a hurry");
    } else if (c->paused && events & UV_DISCONNECT) {
        c->hung_up = 1;
        tell_ended(c);
    }
    watch(c);
}

static void on_turn(struct turn *turn)
{
    struct conn *c = CONTAINER(turn, struct conn, answer.turn);
    bool replies = c->state == CONN_ANSWERING || c->state == CONN_ENDING;
    size_t before = waiting(c);

    if (c->answer.request.broken && replies) { /* half a reply must not look whole */
        conn_close_short(c);
        return;
    }
    enum rc rc = send_all(c);
    if (rc == RC_NOMEM) {
        conn_close_short(c);
        return;
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        conn_close(c, "the peer has left");
        return;
    }
    c->stuck = rc == RC_AGAIN;
    if (!c->stuck)
        c->protocol->sent(c);
    else if (c->protocol->stuck)
        c->protocol->stuck(c, waiting(c) != before);
    watch(c);
}

void conn_turn(struct conn *c)
{
    turn_add(conn_server(c), &c->answer.turn);
}

void conn_pause(struct conn *c, bool pause)
{
    c->paused = pause;
    watch(c);
}

bool conn_is_readable(const struct conn *c)
{
    char byte;
    return recv(fd_of(c), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* ---- the reply ------------------------------------------------------------------------------- */

struct request *conn_serve(struct conn *c, const struct request_ops *ops)
{
    struct server *server = conn_server(c);

    c->state = CONN_ANSWERING;
    c->answer.request =
        (struct request){ .ops = ops, .server = server, .one_slot = server->one_slot };
    return &c->answer.request;
}

void conn_end(struct conn *c)
{
    c->state = CONN_ENDING;
    if (c->framed)
        outbox_finish(&c->answer.out);
    conn_turn(c);
}

void conn_idle(struct conn *c)
{
    outbox_fini(&c->answer.out);
    c->framed = 0;
    c->state = CONN_IDLE;
}

void conn_switch(struct conn *c, const struct protocol *protocol, void *own)
{
    c->protocol->closed(c);
    c->protocol = protocol;
    c->own = own;
    conn_pause(c, false);
    if (protocol->opened && c->state != CONN_CLOSED)
        protocol->opened(c);
}

/* ---- from whom ------------------------------------------------------------------------------- */

size_t conn_remote(const struct conn *c, char out[ADDRESS_TEXT_MAX + 1])
{
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    struct address address = { { 0 } };

    if (c->via && c->via->told)
        return c->via->addressed ? address_text(&c->via->address, out) : 0;
    if (getpeername(fd_of(c), (struct sockaddr *)&peer, &len) < 0)
        return 0;
    if (peer.ss_family == AF_INET6) {
        memcpy(address.at, &((const struct sockaddr_in6 *)&peer)->sin6_addr, sizeof(address.at));
    } else if (peer.ss_family == AF_INET) {
        address = address_of_v4((const uint8_t *)&((const struct sockaddr_in *)&peer)->sin_addr);
    } else {
        return 0;
    }
    return address_text(&address, out);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum rc conn_open(struct porch *porch, int fd, const struct via_door *door,
                  const struct protocol *protocol, bool surplus)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        goto close_fd;
    if (via_needed(door) && !(c->via = via_new(door, fd)))
        goto free_conn;
    if (uv_poll_init(porch->server->loop, &c->poll, fd) != 0)
        goto free_conn;
    c->poll.data = porch;
    c->answer.turn.run = on_turn;
    c->protocol = protocol;
    c->surplus = surplus;
    outbox_init(&c->answer.out);
    porch_joined(porch);
    if (protocol->opened)
        protocol->opened(c);
    watch(c);
    return RC_OK;
free_conn:
    via_free(c->via);
    free(c);
close_fd:
    close(fd);
    return RC_NOMEM;
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = conn_of_poll((uv_poll_t *)handle);
    struct porch *porch = conn_porch(c);

    free(c);
    porch_left(porch);
}

void conn_close(struct conn *c, const char *why)
{
    bool held = c->state == CONN_ANSWERING;

    if (c->state == CONN_CLOSED)
        return;
    if (c->via && !held && outbox_empty(&c->answer.out)) /* nothing is cut short */
        via_goodbye(c->via);
    log_debug(&conn_server(c)->log, "connection closed (%s): %s", c->protocol->name, why);
    c->state = CONN_CLOSED;
    if (held)
        request_gone(&c->answer.request);
    turn_cancel(conn_server(c), &c->answer.turn);
    c->protocol->closed(c);
    outbox_fini(&c->answer.out);
    via_free(c->via);
    c->via = NULL;
    porch_leaving(conn_porch(c));
    int fd = fd_of(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(fd);
}

void conn_close_short(struct conn *c)
{
    server_no_memory(conn_server(c), "a connection");
    conn_close(c, "out of memory");
}

void conn_porch_stop(uv_poll_t *poll)
{
    struct conn *c = conn_of_poll(poll);
    c->protocol->stop(c);
}

void conn_porch_close(uv_poll_t *poll, const char *why)
{
    conn_close(conn_of_poll(poll), why);
}

/* ---- lingering: a protocol in which everything means nothing --------------------------------- */

struct lingering {
    struct conn *conn;
    struct alarm alarm;
    size_t bytes;
};

static void on_lingered(struct alarm *alarm)
{
    conn_close(CONTAINER(alarm, struct lingering, alarm)->conn, "the peer does not leave");
}

static void linger_bytes(struct conn *c, struct slice bytes)
{
    struct lingering *l = c->own;

    l->bytes += bytes.len;
    if (l->bytes > LINGER_BYTES)
        conn_close(c, "the peer does not stop talking");
}

static void linger_nothing(struct conn *c)
{
    (void)c;
}

static void linger_closed(struct conn *c)
{
    struct lingering *l = c->own;

    if (!l)
        return;
    alarm_cancel(&l->alarm);
    free(l);
    c->own = NULL;
}

void conn_linger(struct conn *c, const char *why)
{
    static const struct protocol lingering = {
        .name = "lingering",
        .bytes = linger_bytes,
        .sent = linger_nothing,
        .stop = linger_nothing,
        .closed = linger_closed,
    };
    struct lingering *l = c->ended ? NULL : calloc(1, sizeof(*l));

    if (c->via)
        via_goodbye(c->via);
    if (!l || shutdown(fd_of(c), SHUT_WR) < 0) {
        free(l);
        conn_close(c, why);
        return;
    }
    log_debug(&conn_server(c)->log, "connection ends (%s): %s", c->protocol->name, why);
    l->conn = c;
    conn_switch(c, &lingering, l);
    outbox_fini(&c->answer.out);
    c->state = CONN_LINGERING;
    alarm_set(conn_server(c)->wheel, &l->alarm, LINGER_MS, on_lingered);
    conn_pause(c, false);
}
