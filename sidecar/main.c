/*
 * main.c - bellpushd: HTTP by itself.  The only file that has met every room.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/life.h"
#include "handlers/routes.h"
#include "sidecar/files.h"
#include "sidecar/http1_conn.h"
#include "sidecar/listen.h"
#include "sidecar/options.h"
#include "sidecar/workers.h"
#include "sidecar/ws_conn.h"

enum {
    GRACE_MS = 1000,     /* for the database's first word */
    KILL_MS = 10 * 1000, /* beyond `drain` */
};

struct sidecar {
    struct life life;
    struct options options;
    struct privileges privileges;
    struct listening listening;
    struct via_door doors[LISTEN_MAX]; /* of the sockets, in their order */
    struct tls_context *tls;           /* NULL: spoken nowhere */
    struct files *files;               /* NULL: none */
    const struct workers_seat *seat;   /* NULL: the only process */
    struct log log;                    /* of who looks after workers */
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
    (void)peer;
    return conn_open(porch, fd, by->tag, &http1_protocol, surplus);
}

static void serve_file(struct request *r, struct slice path)
{
    const struct sidecar *d = CONTAINER(r->server, struct sidecar, life.server);
    files_serve(d->files, r, path);
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
    size_t n = 0;

    if (ws_share_init(&d->sockets, &life->conf) != RC_OK)
        return false;
    for (size_t i = 0; i < d->listening.n; i++) {
        struct listen_socket *s = &d->listening.at[i];
        if (s->fd < 0)
            continue;
        d->doors[i] = (struct via_door){ s->scheme->proxy, s->scheme->tls ? d->tls : NULL };
        sockets[n++] = (struct porch_socket){ s->fd, &d->doors[i] };
        s->fd = -1; /* the porch's from now on */
    }
    d->porch = porch_new(&life->server, &ops, &d->sockets, sockets, n, &life->limits);
    if (!d->porch)
        return false;
    ws_share_watch(&d->sockets, d->porch);
    if (d->files)
        life->server.elsewhere = serve_file;
    if (d->tls)
        tls_context_watch(d->tls, &life->server, TLS_LOOK_MS);
    if (d->seat)
        workers_say_ready(d->seat);
    return true;
}

static void on_hangup(struct life *life)
{
    if (sidecar_of(life)->tls)
        tls_context_reload(sidecar_of(life)->tls);
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

    if (d->tls)
        tls_context_unwatch(d->tls);
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
        if (l->at[i].turn > 0) /* has been told */
            continue;
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
    static const struct life_ops ops = { on_begin, on_stop, is_over, on_free, on_hangup };
    struct life *life = &d->life;

    if (!privileges_drop(&d->privileges)) {
        fprintf(stderr, "bellpushd: cannot become %s: %s\n", d->privileges.user, strerror(errno));
        return EXIT_FAILURE;
    }
    if (d->seat)
        workers_sit_down(d->seat);
    life->ops = &ops;
    life->program = "bellpushd";
    life->started_by = d->listening.how;
    life->serve = routes_serve;
    life->grace_ms = GRACE_MS;
    return life_run(life);
}

/* ---- several processes ----------------------------------------------------------------------- */

static int work(void *arg, const struct workers_seat *seat)
{
    struct sidecar *d = arg;

    d->seat = seat;
    if (d->tls) /* while we may: the first process has read them long ago, perhaps */
        tls_context_refresh(d->tls, &d->log);
    for (size_t i = 0; i < d->listening.n; i++) {
        struct listen_socket *s = &d->listening.at[i];
        if (listen_is_for(s, seat->index, (size_t)d->life.conf.workers))
            continue;
        close(s->fd);
        s->fd = -1;
    }
    return serve(d);
}

static void on_hand_over(void *arg, bool yes)
{
    listen_hand_over(&((struct sidecar *)arg)->listening, yes);
}

static int look_after_workers(struct sidecar *d, char **argv)
{
    const struct conf *conf = &d->life.conf;
    struct log *log = &d->log;
    struct workers_ask ask = { .n = (size_t)conf->workers,
                               .argv = argv,
                               .log = log,
                               .stop_ms = conf->drain_ms + KILL_MS,
                               .work = work,
                               .hand_over = on_hand_over,
                               .arg = d };

    if (log_open(log, conf->log_file, LOG_INFO) != RC_OK)
        fprintf(stderr, "bellpushd: cannot write log_file %s: %s\n", conf->log_file,
                strerror(errno));
    if (*conf->log_file)
        privileges_give(&d->privileges, conf->log_file);
    if (geteuid() == 0 && !d->privileges.change)
        log_warn(log, "everything runs as root: set `user`");
    log_info(log, "bellpushd " BELLPUSH_VERSION " looks after %zu workers", ask.n);
    int status = workers_run(&ask);
    log_close(log);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* What settings alone cannot tell: users, certificates, folders. */
static enum rc open_things(struct sidecar *d, struct buf *errors)
{
    const struct conf *conf = &d->life.conf;
    size_t before = errors->len;
    enum rc rc = privileges_find(conf->user, &d->privileges, errors);

    if (conf->tls_certificate.n > 0)
        d->tls = tls_context_new(&conf->tls_certificate, &conf->tls_key, errors);
    if (*conf->www)
        d->files = files_new(conf->www, errors);
    return rc == RC_OK && errors->len > before ? RC_SYNTAX : rc;
}

static enum rc open_sockets(struct sidecar *d, struct buf *errors)
{
    struct listen_ask ask = { .addresses = d->options.listen,
                              .n = d->options.n_listen,
                              .setting = &d->life.conf.listen_http,
                              .mode = d->options.mode,
                              .workers = (size_t)d->life.conf.workers,
                              .owner = &d->privileges };
    enum rc rc = listen_find(&ask, &d->listening, errors);

    if (rc != RC_OK || d->tls || !listen_has_tls(&d->listening))
        return rc;
    buf_puts(errors, "tls: is to be spoken, but there is no tls_certificate\n");
    return RC_SYNTAX;
}

static void close_things(struct sidecar *d)
{
    listen_close(&d->listening);
    if (!d->seat) /* the first process's to remove */
        listen_cleanup(&d->listening);
    files_free(d->files);
    tls_context_free(d->tls);
    conf_fini(&d->life.conf);
}

/* Everything is good but for what only a process that serves can find out. */
static int check(struct sidecar *d)
{
    struct buf errors = BUF_EMPTY;
    int status = settings_check(&d->options.settings);

    if (status == EXIT_SUCCESS &&
        (settings_conf(&d->options.settings, &d->life.conf, &errors) != RC_OK ||
         open_things(d, &errors) != RC_OK))
        status = EXIT_FAILURE;
    if (errors.len > 0)
        fwrite(errors.at, 1, errors.len, stderr);
    buf_fini(&errors);
    close_things(d);
    return status;
}

static int run(int argc, char **argv, struct sidecar *d)
{
    struct buf errors = BUF_EMPTY;
    int status = EXIT_FAILURE;
    enum settings_task task = options_parse(&d->options, argc, argv);

    if (task == SETTINGS_DONE)
        return EXIT_SUCCESS;
    if (task == SETTINGS_WRONG)
        return EXIT_FAILURE;
    if (task == SETTINGS_CHECK)
        return check(d);
    enum rc rc = settings_conf(&d->options.settings, &d->life.conf, &errors);
    if (rc == RC_NOMEM)
        return EXIT_FAILURE;
    if (rc == RC_OK)
        rc = open_things(d, &errors);
    if (rc == RC_OK)
        rc = open_sockets(d, &errors);
    if (errors.len > 0)
        fprintf(stderr, "bellpushd: cannot start:\n%.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (rc == RC_OK) {
        tell_where(&d->listening);
        status = d->life.conf.workers > 0 ? look_after_workers(d, argv) : serve(d);
    }
    close_things(d);
    return status;
}

int main(int argc, char **argv)
{
    static struct sidecar sidecar;

    life_prepare();
    signal(SIGUSR2, SIG_IGN); /* only who looks after workers knows it */
    return run(argc, argv, &sidecar);
}
