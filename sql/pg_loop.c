/*
 * pg_loop.c - what the event loop holds for a source: descriptors and names being looked up.
 *
 * libpq opens and closes its sockets itself, several while it connects.  The loop must have
 * forgotten a descriptor before libpq closes it, or its number may come back as somebody else's.
 */
#include <sodium.h>
#include <stdlib.h>

#include "sql/pg_loop.h"

static void release(struct pg_loop *l)
{
    if (--l->held == 0 && l->empty)
        l->empty(l->arg);
}

/* ---- descriptors --------------------------------------------------------------------------------
 */

struct pg_watch {
    uv_poll_t poll; /* first: its close callback gets it back */
    struct pg_loop *loop;
    pg_watch_fn *fn;
    void *arg;
    int events; /* asked for now */
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pg_watch *w = (struct pg_watch *)poll;

    /* A broken socket is both: libpq finds out what is wrong when it reads.  libuv has stopped
       watching it, but the server's last words may be read first and the error only then. */
    if (status < 0) {
        events = UV_READABLE | UV_WRITABLE;
        w->events = 0;
    }
    w->fn(w->arg, events);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct pg_watch *w = (struct pg_watch *)handle;
    struct pg_loop *l = w->loop;

    free(w);
    release(l);
}

struct pg_watch *pg_watch_new(struct pg_loop *l, int fd, pg_watch_fn *fn, void *arg)
{
    struct pg_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    if (uv_poll_init(l->uv, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->loop = l;
    w->fn = fn;
    w->arg = arg;
    l->held++;
    return w;
}

void pg_watch_set(struct pg_watch *w, int events)
{
    if (events == w->events)
        return;
    w->events = events;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
}

void pg_watch_close(struct pg_watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, on_poll_closed);
}

/* ---- names --------------------------------------------------------------------------------------
 */

struct pg_lookup {
    uv_getaddrinfo_t request; /* first: its callback gets it back */
    struct pg_loop *loop;
    pg_looked_up_fn *fn; /* NULL: cancelled */
    void *arg;
};

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct pg_lookup *k = (struct pg_lookup *)request;
    struct pg_loop *l = k->loop;

    if (k->fn)
        k->fn(k->arg, found, status);
    uv_freeaddrinfo(found);
    free(k);
    release(l);
}

struct pg_lookup *pg_lookup_start(struct pg_loop *l, const char *host, pg_looked_up_fn *fn,
                                  void *arg)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct pg_lookup *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->loop = l;
    k->fn = fn;
    k->arg = arg;
    if (uv_getaddrinfo(l->uv, &k->request, on_addresses, host, NULL, &hints) != 0) {
        free(k);
        return NULL;
    }
    l->held++;
    return k;
}

void pg_lookup_cancel(struct pg_lookup *k)
{
    if (!k)
        return;
    k->fn = NULL; /* a thread may be at it: its answer comes and is dropped */
    uv_cancel((uv_req_t *)&k->request);
}

/* ---- patience -----------------------------------------------------------------------------------
 */

uint64_t pg_backoff_ms(unsigned attempts)
{
    enum { LEAST_MS = 100, MOST_MS = 5000 };
    uint32_t most = attempts < 6 ? (uint32_t)LEAST_MS << attempts : MOST_MS;

    return randombytes_uniform((most < MOST_MS ? most : MOST_MS) + 1);
}
