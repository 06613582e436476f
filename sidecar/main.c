/*
 * main.c - bellpushd: HTTP by itself.  The only file that has met every room.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/life.h"
#include "handlers/routes.h"
#include "sidecar/http1_conn.h"
#include "sidecar/listen.h"
#include "sidecar/options.h"
#include "sidecar/ws_conn.h"

enum { GRACE_MS = 1000 }; /* for the database's first word */

struct sidecar {
    struct life life;
    struct listening listening;
    struct porch *porch;
    struct ws_share sockets;
    void (*freed)(void *arg); /* the porch is, too */
    void *arg;
};

static struct sidecar *sidecar_of(const struct life *life)
{
    return CONTAINER(life, struct sidecar, life);
}

/* ---- what requests come through -------------------------------------------------------------- */

static enum rc on_connection(struct porch *porch, const struct porch_socket *by, int fd,
                             const struct sockaddr_storage *peer, bool surplus)
{
    (void)by;
    (void)peer;
    return conn_open(porch, fd, NULL, &http1_protocol, surplus);
}

static bool on_begin(struct life *life)
{
    static const struct porch_ops ops = {
        .open = on_connection,
        .stop = conn_porch_stop,
        .close = conn_porch_close,
    };
    struct sidecar *d = sidecar_of(life);
    struct porch_socket sockets[LISTEN_MAX];

    if (ws_share_init(&d->sockets, &life->conf) != RC_OK)
        return false;
    for (size_t i = 0; i < d->listening.n; i++) {
        sockets[i] = (struct porch_socket){ d->listening.at[i].fd, d->listening.at[i].scheme };
        d->listening.at[i].fd = -1; /* the porch's from now on */
    }
    d->porch = porch_new(&life->server, &ops, &d->sockets, sockets, d->listening.n, &life->limits);
    if (d->porch)
        ws_share_watch(&d->sockets, d->porch);
    return d->porch != NULL;
}

static void on_stop(struct life *life)
{
    porch_stop(sidecar_of(life)->porch);
}

static bool is_over(const struct life *life)
{
    return life->state == LIFE_STOPPING && sidecar_of(life)->porch->count == 0;
}

static void on_porch_freed(void *arg)
{
    struct sidecar *d = arg;

    ws_share_fini(&d->sockets);
    d->freed(d->arg);
}

static void on_free(struct life *life, void (*done)(void *arg), void *arg)
{
    struct sidecar *d = sidecar_of(life);

    d->freed = done;
    d->arg = arg;
    if (d->porch)
        porch_free(d->porch, on_porch_freed, d);
    else
        on_porch_freed(d);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* Where it can be reached, for people and for whoever has asked for port 0. */
static void tell_where(const struct listening *l)
{
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < l->n; i++) {
        buf_puts(&out, "listening on ");
        listen_put_name(&l->at[i], &out);
        buf_putc(&out, '\n');
    }
    if (buf_rc(&out) == RC_OK)
        fwrite(out.at, 1, out.len, stdout);
    fflush(stdout);
    buf_fini(&out);
}

static int serve(struct sidecar *d)
{
    static const struct life_ops ops = { on_begin, on_stop, is_over, on_free, NULL };
    struct life *life = &d->life;

    tell_where(&d->listening);
    life->ops = &ops;
    life->program = "bellpushd";
    life->started_by = d->listening.how;
    life->serve = routes_serve;
    life->grace_ms = GRACE_MS;
    return life_run(life);
}

static int run(int argc, char **argv, struct sidecar *d)
{
    struct options o;
    struct buf errors = BUF_EMPTY;
    int status = EXIT_FAILURE;
    enum settings_task task = options_parse(&o, argc, argv);

    if (task == SETTINGS_DONE)
        return EXIT_SUCCESS;
    if (task == SETTINGS_WRONG)
        return EXIT_FAILURE;
    if (task == SETTINGS_CHECK)
        return settings_check(&o.settings);
    enum rc rc = settings_conf(&o.settings, &d->life.conf, &errors);
    if (rc == RC_NOMEM)
        return EXIT_FAILURE;
    if (rc == RC_OK)
        rc = listen_find(o.listen, o.n_listen, &d->life.conf.listen_http, o.mode, &d->listening,
                         &errors);
    if (errors.len > 0)
        fprintf(stderr, "bellpushd: cannot start:\n%.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (rc == RC_OK)
        status = serve(d);
    listen_close(&d->listening);
    listen_cleanup(&d->listening);
    conf_fini(&d->life.conf);
    return status;
}

int main(int argc, char **argv)
{
    static struct sidecar sidecar;

    life_prepare();
    return run(argc, argv, &sidecar);
}
