/*
 * porch.c - the side of a process that faces its peers: accepts, counts, lets go.
 */
#include "core/porch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 64, /* then everybody else has his turn */
    SURPLUS_MAX = 64,
    OTHER_DESCRIPTORS = 32, /* loop, log, reserve, libraries */
    PAUSE_MS = 200,
    CALM_MS = 1000,
    HEAD_MS = 30 * 1000,
    BODY_MS = 120 * 1000,
    NEXT_MS = 75 * 1000,
    FLUSH_MS = 60 * 1000,
    UNFINISHED_BODIES = 16, /* of the greatest size, or more smaller ones */
};

struct porch_limits front_limits_for(const struct conf *conf, size_t descriptors)
{
    size_t others = OTHER_DESCRIPTORS + (size_t)conf->database_pool;
    size_t room = descriptors > others + 2 ? descriptors - others : 2;
    size_t surplus = room / 4 < SURPLUS_MAX ? room / 4 + 1 : SURPLUS_MAX;

    return (struct porch_limits){
        .max_conns = room - surplus,
        .surplus = surplus,
        .head_ms = HEAD_MS,
        .body_ms = BODY_MS,
        .next_ms = NEXT_MS,
        .flush_ms = FLUSH_MS,
        .unfinished = UNFINISHED_BODIES * (size_t)conf->max_body_bytes,
    };
}

/* ---- accepting ------------------------------------------------------------------------------- */

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void start_accepting(struct porch *porch)
{
    for (size_t i = 0; porch->listening && i < porch->n_listeners; i++)
        uv_poll_start(&porch->listeners[i].poll, UV_READABLE, on_acceptable);
}

static void stop_accepting(struct porch *porch)
{
    for (size_t i = 0; i < porch->n_listeners; i++)
        uv_poll_stop(&porch->listeners[i].poll);
}

/* For a while nothing has failed; but perhaps only because nobody has come. */
static void on_calm(struct alarm *alarm)
{
    struct porch *porch = CONTAINER(alarm, struct porch, calm);
    struct server *s = porch->server;
    int fd = reserve_open();

    if (fd < 0) {
        alarm_set(s->wheel, &porch->calm, CALM_MS, on_calm);
        return;
    }
    close(fd);
    log_info(&s->log, "accepting again after %.1f s; %llu connections were turned away",
             seconds_between(porch->stuck_ms, porch->failed_ms + PAUSE_MS),
             (unsigned long long)porch->turned_away);
    porch->stuck_ms = 0;
    s->health.not_accepting = porch->full;
}

static void on_pause_over(struct alarm *alarm)
{
    struct porch *porch = CONTAINER(alarm, struct porch, pause);

    if (porch->reserve_fd < 0)
        porch->reserve_fd = reserve_open();
    start_accepting(porch);
    alarm_set(porch->server->wheel, &porch->calm, CALM_MS, on_calm);
}

/* Do not spin on a socket that stays readable while nothing can be done about it. */
static void pause_accepting(struct porch *porch)
{
    stop_accepting(porch);
    alarm_cancel(&porch->calm);
    alarm_set(porch->server->wheel, &porch->pause, PAUSE_MS, on_pause_over);
}

/* Nothing can be accepted: one line when that begins, one when it ends. */
static void get_stuck(struct porch *porch, const char *what)
{
    struct server *s = porch->server;

    pause_accepting(porch);
    porch->failed_ms = uv_now(s->loop);
    if (porch->stuck_ms)
        return;
    porch->stuck_ms = porch->failed_ms;
    porch->turned_away = 0;
    s->health.not_accepting = true;
    s->stats.accept_pauses++;
    log_warn(&s->log, "%s: not accepting; %zu connections are open", what, porch->count);
}

/* No descriptor left: give up the one in reserve to say at least "no" to one client. */
static void turn_away(struct porch_listener *l)
{
    struct porch *porch = l->porch;

    get_stuck(porch, "descriptors exhausted (raise ulimit -n, or lower max_open)");
    if (porch->reserve_fd >= 0) {
        close(porch->reserve_fd);
        int fd = accept4(l->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            porch->server->stats.refused++;
            porch->turned_away++;
        }
        porch->reserve_fd = reserve_open();
    }
}

/* Above everything: who comes now waits until somebody has left. */
static void wait_for_room(struct porch *porch)
{
    struct server *s = porch->server;

    stop_accepting(porch);
    s->health.not_accepting = true;
    s->stats.accept_pauses += !porch->full;
    if (!porch->full)
        log_seldom(&s->log, &porch->full_flood, uv_now(s->loop), LOG_WARN,
                   "full: not accepting until some of %zu connections have left", porch->count);
    porch->full = true;
}

/* False: no more now. */
static bool accept_one(struct porch_listener *l)
{
    struct porch *porch = l->porch;
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    int fd = accept4(l->socket.fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        int why = errno;
        if (why == EMFILE || why == ENFILE)
            turn_away(l);
        else if (why == ENOBUFS || why == ENOMEM)
            get_stuck(porch, "no memory in the kernel for a connection");
        return why == ECONNABORTED || why == EINTR;
    }
    if (porch->ops->allow && !porch->ops->allow(porch, &peer)) {
        close(fd);
        return true;
    }
    if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    bool surplus = porch->count >= porch->limits.max_conns;
    if (porch->ops->open(porch, &l->socket, fd, &peer, surplus) != RC_OK) {
        porch->turned_away++;
        get_stuck(porch, "no memory for a connection");
        return false;
    }
    porch->server->health.connections = porch->count;
    if (porch->count >= porch->limits.max_conns + porch->limits.surplus) {
        wait_for_room(porch); /* porch_left() */
        return false;
    }
    return true;
}

static void accept_some(struct porch_listener *l)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(l); i++)
        ;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct porch_listener *l = CONTAINER(poll, struct porch_listener, poll);

    (void)events;
    if (status < 0)
        get_stuck(l->porch, uv_strerror(status));
    else
        accept_some(l);
}

/* ---- connections come and go ----------------------------------------------------------------- */

static void free_if_over(struct porch *porch)
{
    void (*done)(void *) = porch->done;
    void *arg = porch->arg;

    if (!done || porch->handles > 0)
        return;
    if (porch->reserve_fd >= 0)
        close(porch->reserve_fd);
    while (porch->spares) {
        struct porch_spare *spare = porch->spares;
        porch->spares = spare->next;
        free(spare);
    }
    free(porch->listeners);
    free(porch);
    done(arg);
}

void *porch_borrow(struct porch *porch, size_t bytes)
{
    struct porch_spare *spare = porch->spares;

    if (!spare)
        return calloc(1, bytes);
    porch->spares = spare->next;
    porch->spare_count--;
    return memset(spare, 0, bytes);
}

void porch_give_back(struct porch *porch, void *block)
{
    struct porch_spare *spare = block;

    if (porch->spare_count == PORCH_SPARES_MAX) {
        free(spare);
        return;
    }
    spare->next = porch->spares;
    porch->spares = spare;
    porch->spare_count++;
}

void porch_joined(struct porch *porch)
{
    porch->count++;
    porch->handles++;
}

void porch_leaving(struct porch *porch)
{
    porch->count--;
}

void porch_left(struct porch *porch)
{
    struct server *s = porch->server;
    bool room = porch->count < porch->limits.max_conns + porch->limits.surplus;

    porch->handles--;
    s->health.connections = porch->count;
    if (porch->full && porch->count < porch->limits.max_conns) {
        log_seldom(&s->log, &porch->full_flood, uv_now(s->loop), LOG_INFO,
                   "no longer full: %zu connections are open", porch->count);
        porch->full = false;
        s->health.not_accepting = porch->stuck_ms != 0;
    }
    if (porch->listening && room && !porch->pause.link &&
        !uv_is_active((uv_handle_t *)&porch->listeners[0].poll))
        start_accepting(porch);
    free_if_over(porch);
}

struct each {
    const struct porch *porch;
    void (*fn)(uv_poll_t *);
};

static void on_handle(uv_handle_t *handle, void *arg)
{
    const struct each *e = arg;

    if (handle->type == UV_POLL && handle->data == e->porch && !uv_is_closing(handle))
        e->fn((uv_poll_t *)handle);
}

void porch_each(struct porch *porch, void (*fn)(uv_poll_t *))
{
    uv_walk(porch->server->loop, on_handle, &(struct each){ porch, fn });
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_listener_closed(uv_handle_t *handle)
{
    struct porch_listener *l = CONTAINER(handle, struct porch_listener, poll);

    l->porch->handles--;
    free_if_over(l->porch);
}

/* Of those whose handles there are. */
static void close_listeners(struct porch *porch)
{
    alarm_cancel(&porch->pause);
    alarm_cancel(&porch->calm);
    porch->listening = false;
    for (size_t i = 0; i < porch->n_listeners; i++) {
        struct porch_listener *l = &porch->listeners[i];
        if (l->socket.fd < 0)
            continue;
        uv_close((uv_handle_t *)&l->poll, on_listener_closed);
        close(l->socket.fd);
        l->socket.fd = -1;
    }
}

/* The loop knows all listeners that there are: n_listeners counts them. */
static int listen_to(struct porch *porch, const struct porch_socket *sockets, size_t n)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct porch_listener *l = &porch->listeners[i];
        l->porch = porch;
        l->socket = sockets[i];
        rc = uv_poll_init(porch->server->loop, &l->poll, l->socket.fd); /* non-blocking from now */
        if (rc != 0)
            break;
        porch->n_listeners++;
        porch->handles++;
        rc = uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    }
    return rc;
}

struct porch *porch_new(struct server *server, const struct porch_ops *ops, void *owner,
                        const struct porch_socket *sockets, size_t n,
                        const struct porch_limits *limits)
{
    struct porch *porch = calloc(1, sizeof(*porch));
    struct porch_listener *listeners = calloc(n, sizeof(*listeners));
    int rc = UV_ENOMEM;

    if (!porch || !listeners)
        goto fail;
    porch->server = server;
    porch->ops = ops;
    porch->owner = owner;
    porch->limits = *limits;
    porch->listeners = listeners;
    porch->listening = true;
    porch->reserve_fd = reserve_open();
    rc = listen_to(porch, sockets, n);
    if (rc == 0)
        return porch;
    for (size_t i = porch->n_listeners; i < n; i++)
        close(sockets[i].fd);
    porch_free(porch, NULL, NULL); /* a handle dies only on the loop */
    errno = -rc;
    return NULL;
fail:
    for (size_t i = 0; i < n; i++)
        close(sockets[i].fd);
    free(listeners);
    free(porch);
    errno = ENOMEM;
    return NULL;
}

static void close_if_idle(uv_poll_t *poll)
{
    const struct porch *porch = poll->data;
    porch->ops->stop(poll);
}

static void close_any(uv_poll_t *poll)
{
    const struct porch *porch = poll->data;
    porch->ops->close(poll, "stopped");
}

void porch_stop(struct porch *porch)
{
    if (!porch->listening)
        return;
    /* Who has connected already shall be answered. */
    for (size_t i = 0; i < porch->n_listeners; i++)
        accept_some(&porch->listeners[i]);
    close_listeners(porch);
    porch_each(porch, close_if_idle);
}

static void done_nothing(void *arg)
{
    (void)arg;
}

void porch_free(struct porch *porch, void (*done)(void *arg), void *arg)
{
    if (porch->listening)
        close_listeners(porch);
    porch->done = done ? done : done_nothing;
    porch->arg = arg;
    porch_each(porch, close_any);
    free_if_over(porch);
}
