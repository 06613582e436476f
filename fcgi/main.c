/*
 * main.c - the worker: FastCGI or CGI, whatever has started it.  The only file that has met every
 * room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/life.h"
#include "fcgi/cgi.h"
#include "fcgi/fcgi_porch.h"
#include "fcgi/listen.h"
#include "fcgi/options.h"
#include "handlers/routes.h"

enum {
    GRACE_FCGI_MS = 1000, /* for the database's first word */
    GRACE_CGI_MS = 3000,
    ONE_REQUEST_DRAIN_MS = 1000, /* mod_fcgid kills soon after it has asked */
};

struct worker {
    struct life life;
    struct listening listening;
    struct porch *porch;
    struct cgi *cgi;
    bool cgi_over;
};

static struct worker *worker_of(const struct life *life)
{
    return CONTAINER(life, struct worker, life);
}

/* ---- what requests come through -------------------------------------------------------------- */

static void on_cgi_over(void *arg)
{
    struct worker *w = arg;
    w->cgi_over = true;
}

static bool on_begin(struct life *life)
{
    extern char **environ;
    struct worker *w = worker_of(life);

    if (w->listening.kind == LISTEN_CGI)
        w->cgi = cgi_new(&life->server, environ, STDIN_FILENO, STDOUT_FILENO, on_cgi_over, w);
    else
        w->porch = fcgi_porch_new(&life->server, w->listening.fd, &life->limits,
                                  getenv("FCGI_WEB_SERVER_ADDRS"));
    return w->cgi || w->porch;
}

static void on_stop(struct life *life)
{
    struct worker *w = worker_of(life);

    if (w->porch)
        porch_stop(w->porch);
}

static bool is_over(const struct life *life)
{
    const struct worker *w = worker_of(life);
    return w->cgi_over || (life->state == LIFE_STOPPING && w->porch && w->porch->count == 0);
}

static void on_free(struct life *life, void (*done)(void *arg), void *arg)
{
    struct worker *w = worker_of(life);

    if (w->porch)
        porch_free(w->porch, done, arg);
    else if (w->cgi)
        cgi_free(w->cgi, done, arg);
    else
        done(arg);
}

/* ---- what kind of process this is ------------------------------------------------------------ */

static bool one_request(const struct worker *w)
{
    const char *setting = w->life.conf.one_request;

    if (w->listening.kind == LISTEN_CGI || strcmp(setting, "yes") == 0)
        return true;
    return strcmp(setting, "auto") == 0 && w->listening.one_request;
}

/* Can the site's owner be told of trouble only through the web server? */
static bool has_no_terminal(const struct listening *l)
{
    return l->kind == LISTEN_CGI || (l->kind == LISTEN_HANDED && l->fd == 0);
}

static int serve(struct worker *w)
{
    static const struct life_ops ops = { on_begin, on_stop, is_over, on_free, NULL };
    struct life *life = &w->life;
    bool is_cgi = w->listening.kind == LISTEN_CGI;

    life->ops = &ops;
    life->program = "bellpush.fcgi";
    life->started_by = w->listening.how;
    life->serve = routes_serve;
    life->grace_ms = is_cgi ? GRACE_CGI_MS : GRACE_FCGI_MS;
    life->one_slot = one_request(w);
    life->drain_max_ms = life->one_slot ? ONE_REQUEST_DRAIN_MS : 0;
    life->quiet = is_cgi; /* a line for each request is none */
    life->no_terminal = has_no_terminal(&w->listening);
    return life_run(life);
}

static int run(int argc, char **argv, struct worker *w)
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
    enum rc rc = settings_conf(&o.settings, &w->life.conf, &errors);
    bool conf_is_good = rc == RC_OK;
    if (rc != RC_NOMEM)
        rc = listen_find(o.listen, w->life.conf.listen, o.mode, &w->listening, &errors);
    if (errors.len > 0)
        fprintf(stderr, "bellpush.fcgi: cannot start:\n%.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (rc == RC_NOMEM)
        return EXIT_FAILURE;
    w->life.broken = !conf_is_good;
    if (rc == RC_OK && (conf_is_good || has_no_terminal(&w->listening)))
        status = serve(w);
    if (rc == RC_OK)
        socket_file_remove(&w->listening.file);
    conf_fini(&w->life.conf);
    return status;
}

int main(int argc, char **argv)
{
    static struct worker worker;

    life_prepare();
    return run(argc, argv, &worker);
}
