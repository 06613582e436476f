/*
 * fcgi_front.c - the side that faces the web server: accepts, counts, lets go.
 */
#include "fcgi/fcgi_front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/text.h"
#include "fcgi/fcgi_wire.h"

enum {
    ACCEPTS_PER_TURN = 64, /* then everybody else has his turn */
    SURPLUS_MAX = 64,
    OTHER_DESCRIPTORS = 32, /* loop, log, reserve, libraries */
    PAUSE_MS = 200,
    CALM_MS = 1000,
    HEAD_MS = 30 * 1000,
    BODY_MS = 120 * 1000,
    FLUSH_MS = 60 * 1000,
    UNFINISHED_BODIES = 16, /* of the greatest size, or more smaller ones */
};

struct fcgi_limits fcgi_limits_for(const struct conf *conf, size_t descriptors)
{
    size_t others = OTHER_DESCRIPTORS + (size_t)conf->database_pool;
    size_t room = descriptors > others + 2 ? descriptors - others : 2;
    size_t surplus = room / 4 < SURPLUS_MAX ? room / 4 + 1 : SURPLUS_MAX;

    return (struct fcgi_limits){
        .max_conns = room - surplus,
        .surplus = surplus,
        .head_ms = HEAD_MS,
        .body_ms = BODY_MS,
        .flush_ms = FLUSH_MS,
        .unfinished = UNFINISHED_BODIES * (size_t)conf->max_body_bytes,
    };
}

/* FCGI_WEB_SERVER_ADDRS (specification, section 3.2): only for TCP; a list "a,b,c". */
static bool may_connect(const struct fcgi_front *front, const struct sockaddr_storage *peer)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct slice rest = buf_slice(&front->allowed);

    if (rest.len == 0 || (peer->ss_family != AF_INET && peer->ss_family != AF_INET6))
        return true;
    const void *address = peer->ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (!inet_ntop(peer->ss_family, address, text, sizeof(text)))
        return false;
    while (rest.len > 0) {
        const char *comma = memchr(rest.at, ',', rest.len);
        struct slice one = { rest.at, comma ? (size_t)(comma - rest.at) : rest.len };
        if (slice_is(one, slice_of(text)))
            return true;
        size_t step = one.len + (comma ? 1 : 0);
        rest = (struct slice){ rest.at + step, rest.len - step };
    }
    return false;
}

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

/* For a while nothing has failed; but perhaps only because nobody has come. */
static void on_calm(struct alarm *alarm)
{
    struct fcgi_front *front = CONTAINER(alarm, struct fcgi_front, calm);
    struct server *s = front->server;
    int fd = reserve_open();

    if (fd < 0) {
        alarm_set(s->wheel, &front->calm, CALM_MS, on_calm);
        return;
    }
    close(fd);
    log_info(&s->log, "accepting again after %.1f s; %llu connections were turned away",
             seconds_between(front->stuck_ms, front->failed_ms + PAUSE_MS),
             (unsigned long long)front->turned_away);
    front->stuck_ms = 0;
    s->health.not_accepting = front->full;
}

static void on_pause_over(struct alarm *alarm)
{
    struct fcgi_front *front = CONTAINER(alarm, struct fcgi_front, pause);

    if (front->reserve_fd < 0)
        front->reserve_fd = reserve_open();
    if (front->fd >= 0)
        uv_poll_start(&front->poll, UV_READABLE, on_acceptable);
    alarm_set(front->server->wheel, &front->calm, CALM_MS, on_calm);
}

/* Do not spin on a socket that stays readable while nothing can be done about it. */
static void pause_accepting(struct fcgi_front *front)
{
    uv_poll_stop(&front->poll);
    alarm_cancel(&front->calm);
    alarm_set(front->server->wheel, &front->pause, PAUSE_MS, on_pause_over);
}

/* Nothing can be accepted: one line when that begins, one when it ends. */
static void get_stuck(struct fcgi_front *front, const char *what)
{
    struct server *s = front->server;

    pause_accepting(front);
    front->failed_ms = uv_now(s->loop);
    if (front->stuck_ms)
        return;
    front->stuck_ms = front->failed_ms;
    front->turned_away = 0;
    s->health.not_accepting = true;
    s->stats.accept_pauses++;
    log_warn(&s->log, "%s: not accepting; %zu connections are open", what, front->count);
}

/* No descriptor left: give up the one in reserve to say at least "no" to one client. */
static void turn_away(struct fcgi_front *front)
{
    get_stuck(front, "descriptors exhausted (raise ulimit -n, or lower max_open)");
    if (front->reserve_fd >= 0) {
        close(front->reserve_fd);
        int fd = accept4(front->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            front->server->stats.refused++;
            front->turned_away++;
        }
        front->reserve_fd = reserve_open();
    }
}

/* Above everything: who comes now waits until somebody has left. */
static void wait_for_room(struct fcgi_front *front)
{
    struct server *s = front->server;

    uv_poll_stop(&front->poll);
    s->health.not_accepting = true;
    s->stats.accept_pauses += !front->full;
    if (!front->full)
        log_seldom(&s->log, &front->full_flood, uv_now(s->loop), LOG_WARN,
                   "full: not accepting until some of %zu connections have left", front->count);
    front->full = true;
}

/* False: no more now. */
static bool accept_one(struct fcgi_front *front)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    int fd = accept4(front->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        int why = errno;
        if (why == EMFILE || why == ENFILE)
            turn_away(front);
        else if (why == ENOBUFS || why == ENOMEM)
            get_stuck(front, "no memory in the kernel for a connection");
        return why == ECONNABORTED || why == EINTR;
    }
    if (!may_connect(front, &peer)) {
        log_warn(&front->server->log, "connection refused: not in FCGI_WEB_SERVER_ADDRS");
        close(fd);
        return true;
    }
    if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    bool surplus = front->count >= front->limits.max_conns;
    if (fcgi_conn_open(front, fd, surplus) != RC_OK) {
        front->turned_away++;
        get_stuck(front, "no memory for a connection");
        return false;
    }
    front->server->health.connections = front->count;
    if (front->count >= front->limits.max_conns + front->limits.surplus) {
        wait_for_room(front); /* fcgi_front_left() */
        return false;
    }
    return true;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct fcgi_front *front = CONTAINER(poll, struct fcgi_front, poll);

    (void)events;
    if (status < 0) {
        get_stuck(front, uv_strerror(status));
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(front); i++)
        ;
}

struct fcgi_front *fcgi_front_new(struct server *server, int listen_fd,
                                  const struct fcgi_limits *limits, const char *allowed)
{
    struct fcgi_front *front = calloc(1, sizeof(*front));

    if (!front)
        return NULL;
    front->server = server;
    front->limits = *limits;
    front->fd = listen_fd;
    front->reserve_fd = reserve_open();
    if (allowed)
        buf_puts(&front->allowed, allowed);
    int rc = buf_rc(&front->allowed) == RC_OK ? 0 : UV_ENOMEM;
    if (rc == 0)
        rc = uv_poll_init(server->loop, &front->poll, listen_fd); /* makes it non-blocking */
    if (rc == 0) {
        front->polled = true;
        front->handles = 1;
        rc = uv_poll_start(&front->poll, UV_READABLE, on_acceptable);
    }
    if (rc == 0)
        return front;
    errno = -rc;
    if (front->polled) { /* a handle dies only on the loop */
        fcgi_front_free(front, NULL, NULL);
        return NULL;
    }
    close(listen_fd);
    if (front->reserve_fd >= 0)
        close(front->reserve_fd);
    buf_fini(&front->allowed);
    free(front);
    return NULL;
}

static void free_if_over(struct fcgi_front *front)
{
    void (*done)(void *) = front->done;
    void *arg = front->arg;

    if (!done || front->handles > 0)
        return;
    if (front->reserve_fd >= 0)
        close(front->reserve_fd);
    buf_fini(&front->allowed);
    free(front);
    done(arg);
}

void fcgi_front_left(struct fcgi_front *front)
{
    bool room = front->count < front->limits.max_conns + front->limits.surplus;

    struct server *s = front->server;

    s->health.connections = front->count;
    if (front->full && front->count < front->limits.max_conns) {
        log_seldom(&s->log, &front->full_flood, uv_now(s->loop), LOG_INFO,
                   "no longer full: %zu connections are open", front->count);
        front->full = false;
        s->health.not_accepting = front->stuck_ms != 0;
    }
    if (front->fd >= 0 && room && !front->pause.link && !uv_is_active((uv_handle_t *)&front->poll))
        uv_poll_start(&front->poll, UV_READABLE, on_acceptable);
    free_if_over(front);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct fcgi_front *front = CONTAINER(handle, struct fcgi_front, poll);
    front->handles--;
    free_if_over(front);
}

struct each {
    const struct fcgi_front *front;
    void (*fn)(struct fcgi_conn *);
};

static void on_handle(uv_handle_t *handle, void *arg)
{
    const struct each *e = arg;

    if (handle->type == UV_POLL && handle->data == e->front && !uv_is_closing(handle))
        e->fn(CONTAINER(handle, struct fcgi_conn, poll));
}

void fcgi_front_each(struct fcgi_front *front, void (*fn)(struct fcgi_conn *))
{
    uv_walk(front->server->loop, on_handle, &(struct each){ front, fn });
}

static void close_idle(struct fcgi_conn *c)
{
    if (c->state == FCGI_CONN_IDLE && !c->in)
        fcgi_conn_close(c, "stopping");
}

static void close_any(struct fcgi_conn *c)
{
    fcgi_conn_close(c, "stopped");
}

void fcgi_front_stop(struct fcgi_front *front)
{
    if (front->fd < 0)
        return;
    /* Who has connected already shall be answered. */
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(front); i++)
        ;
    alarm_cancel(&front->pause);
    alarm_cancel(&front->calm);
    uv_close((uv_handle_t *)&front->poll, on_poll_closed);
    close(front->fd);
    front->fd = -1;
    fcgi_front_each(front, close_idle);
}

static void done_nothing(void *arg)
{
    (void)arg;
}

void fcgi_front_free(struct fcgi_front *front, void (*done)(void *arg), void *arg)
{
    if (front->fd >= 0) {
        alarm_cancel(&front->pause);
        alarm_cancel(&front->calm);
        uv_close((uv_handle_t *)&front->poll, on_poll_closed);
        close(front->fd);
        front->fd = -1;
    }
    front->done = done ? done : done_nothing;
    front->arg = arg;
    fcgi_front_each(front, close_any);
    free_if_over(front);
}
