/*
 * main.c - the worker's life.
 *
 *      STARTING --the database has answered, or cannot--> SERVING --signal--> STOPPING --> GONE
 *
 * Starting never waits long for the database, but a little: a process that a web server has started
 * for a request would otherwise answer that very request with "the database is away".
 *
 * Where the site's owner sees no terminal (lighttpd, mod_fcgid, CGI) a broken configuration does
 * not end the process at once: it says on every page that it is broken, and why in the error log,
 * and ends after a while so that the web server starts another and a repaired file is found.
 *
 * The only file that has met every room.
 */
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/server.h"
#include "fcgi/answer.h"
#include "fcgi/cgi.h"
#include "fcgi/fcgi_front.h"
#include "fcgi/listen.h"
#include "fcgi/options.h"
#include "handlers/routes.h"

enum {
    DESCRIPTORS_MAX = 1 << 20,
    GRACE_FCGI_MS = 1000, /* for the database's first word */
    GRACE_CGI_MS = 3000,
    BROKEN_MS = 30 * 1000,
    ONE_REQUEST_DRAIN_MS = 1000, /* mod_fcgid kills soon after it has asked */
};

enum life { LIFE_STARTING, LIFE_SERVING, LIFE_STOPPING, LIFE_GONE };

static const int stop_signals[] = { SIGTERM, SIGINT, SIGUSR1 };

struct worker {
    uv_loop_t loop;
    struct conf conf;
    struct server server;
    struct listening listening;
    struct fcgi_limits limits;
    struct fcgi_front *front;
    struct cgi *cgi;
    enum life life;
    bool broken; /* only to say so */
    bool cgi_over;
    char why_at_start[sizeof(((struct server *)NULL)->source_why)];
    uv_signal_t stop[LENGTH(stop_signals)], hangup;
    uv_prepare_t look; /* once per turn, before the loop waits: may the next part of life begin? */
    uv_timer_t deadline; /* and when it must */
};

/* ---- the end --------------------------------------------------------------------------------- */

static void on_source_freed(void *arg)
{
    struct worker *w = arg;

    w->server.source = NULL;
    server_fini(&w->server);
    for (size_t i = 0; i < LENGTH(w->stop); i++)
        uv_close((uv_handle_t *)&w->stop[i], NULL);
    uv_close((uv_handle_t *)&w->hangup, NULL);
    uv_close((uv_handle_t *)&w->look, NULL);
    uv_close((uv_handle_t *)&w->deadline, NULL);
}

static void on_front_freed(void *arg)
{
    struct worker *w = arg;

    w->front = NULL;
    w->cgi = NULL;
    if (w->server.source)
        source_free(w->server.source, on_source_freed, w);
    else
        on_source_freed(w);
}

static void stop_now(struct worker *w)
{
    if (w->life == LIFE_GONE)
        return;
    w->life = LIFE_GONE;
    uv_timer_stop(&w->deadline);
    uv_prepare_stop(&w->look);
    if (w->front)
        fcgi_front_free(w->front, on_front_freed, w);
    else if (w->cgi)
        cgi_free(w->cgi, on_front_freed, w);
    else
        on_front_freed(w);
}

static void on_deadline(uv_timer_t *timer);

static void stop(struct worker *w)
{
    int64_t drain_ms = w->conf.drain_ms;

    if (w->life != LIFE_SERVING) { /* nothing to wait for, or told twice */
        stop_now(w);
        return;
    }
    w->life = LIFE_STOPPING;
    log_info(&w->server.log, "stopping: %zu replies are open", w->server.open_count);
    if (w->listening.one_request && drain_ms > ONE_REQUEST_DRAIN_MS)
        drain_ms = ONE_REQUEST_DRAIN_MS;
    if (w->front)
        fcgi_front_stop(w->front);
    server_drain(&w->server);
    uv_timer_start(&w->deadline, on_deadline, (uint64_t)drain_ms, 0);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void on_cgi_over(void *arg)
{
    struct worker *w = arg;
    w->cgi_over = true;
}

static void begin(struct worker *w)
{
    extern char **environ;
    const struct listening *l = &w->listening;

    w->life = LIFE_SERVING;
    uv_timer_stop(&w->deadline);
    if (w->broken)
        uv_timer_start(&w->deadline, on_deadline, BROKEN_MS, 0);
    if (l->kind == LISTEN_CGI)
        w->cgi = cgi_new(&w->server, environ, STDIN_FILENO, STDOUT_FILENO, on_cgi_over, w);
    else
        w->front = fcgi_front_new(&w->server, l->fd, &w->limits, getenv("FCGI_WEB_SERVER_ADDRS"));
    if (w->cgi || w->front)
        return;
    log_error(&w->server.log, "cannot serve: %s", strerror(errno));
    stop_now(w);
}

static void on_look(uv_prepare_t *look)
{
    struct worker *w = CONTAINER(look, struct worker, look);
    const struct server *s = &w->server;

    if (w->life == LIFE_STARTING &&
        (w->broken || s->source_state != SOURCE_AWAY || strcmp(s->source_why, w->why_at_start)))
        begin(w);
    if (w->cgi_over || (w->life == LIFE_STOPPING && w->front && w->front->count == 0))
        stop_now(w);
}

static void on_deadline(uv_timer_t *timer)
{
    struct worker *w = CONTAINER(timer, struct worker, deadline);

    if (w->life == LIFE_STARTING) {
        begin(w);
    } else {
        if (w->life == LIFE_STOPPING)
            log_warn(&w->server.log, "%zu replies did not end in time", w->server.open_count);
        stop_now(w);
    }
}

static void on_stop_signal(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data);
}

static void on_hangup(uv_signal_t *signal, int number)
{
    struct worker *w = signal->data;

    (void)number;
    if (log_reopen(&w->server.log) != RC_OK)
        log_error(&w->server.log, "cannot reopen the log: %s", strerror(errno));
}

/* serve() of a process that can only say that it is broken.  No reason: that may hold secrets. */
static void serve_broken(struct request *r)
{
    answer_problem(r, 500,
                   "Bellpush cannot start because its configuration is broken. The reason is in "
                   "the web server's error log, for its owner.",
                   0);
}

/* Whatever is opened next must not become our standard input, output or error. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort();
}

static size_t raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    rlim_t want = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < want) {
        struct rlimit raised = { want, limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            return (size_t)want;
    }
    return limit.rlim_cur < DESCRIPTORS_MAX ? (size_t)limit.rlim_cur : DESCRIPTORS_MAX;
}

/* A sixteenth of the connections is kept for requests that are answered at once. */
static void set_capacity(struct worker *w)
{
    struct fcgi_limits *l = &w->limits;
    size_t wanted = (size_t)w->conf.max_open;

    w->server.health.descriptors_max = raise_descriptor_limit();
    *l = fcgi_limits_for(&w->conf, w->server.health.descriptors_max);
    if (wanted > 0 && wanted + wanted / 16 + 16 < l->max_conns)
        l->max_conns = wanted + wanted / 16 + 16;
    w->server.max_open = l->max_conns - l->max_conns / 16;
    if (wanted > 0 && wanted < w->server.max_open)
        w->server.max_open = wanted;
    else if (wanted > w->server.max_open)
        log_warn(&w->server.log, "max_open = %zu, but descriptors allow only %zu", wanted,
                 w->server.max_open);
}

static enum log_level level_of(const char *name)
{
    return strcmp(name, "error") == 0  ? LOG_ERROR
           : strcmp(name, "warn") == 0 ? LOG_WARN
           : strcmp(name, "info") == 0 ? LOG_INFO
                                       : LOG_DEBUG;
}

static bool one_request(const struct worker *w)
{
    const char *setting = w->conf.one_request;

    if (w->listening.kind == LISTEN_CGI || strcmp(setting, "yes") == 0)
        return true;
    return strcmp(setting, "auto") == 0 && w->listening.one_request;
}

/* Can the site's owner be told of trouble only through the web server? */
static bool has_no_terminal(const struct listening *l)
{
    return l->kind == LISTEN_CGI || (l->kind == LISTEN_HANDED && l->fd == 0);
}

/* Signals that come before there is a loop to hear them wait. */
static void hold_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    for (size_t i = 0; i < LENGTH(stop_signals); i++)
        sigaddset(&set, stop_signals[i]);
    sigprocmask(how, &set, NULL);
}

static void listen_to_signals(struct worker *w)
{
    uv_signal_init(&w->loop, &w->hangup);
    w->hangup.data = w;
    uv_signal_start(&w->hangup, on_hangup, SIGHUP);
    for (size_t i = 0; i < LENGTH(stop_signals); i++) {
        uv_signal_init(&w->loop, &w->stop[i]);
        w->stop[i].data = w;
        uv_signal_start(&w->stop[i], on_stop_signal, stop_signals[i]);
    }
    hold_signals(SIG_UNBLOCK);
}

/* The database's settings may be such that there is no point in starting. */
static void turn_to_database(struct worker *w)
{
    struct server *s = &w->server;

    if (!w->broken && !(s->source = source_new(s))) {
        log_error(&s->log, "the settings of the database cannot be used");
        w->broken = true;
    }
    s->serve = w->broken ? serve_broken : routes_serve;
    memcpy(w->why_at_start, s->source_why, sizeof(w->why_at_start));
}

/* As CGI this would be said for each request: then only to who wants to hear everything. */
static void warn(const struct worker *w, enum log_level level)
{
    struct buf warnings = BUF_EMPTY;

    conf_warn(&w->conf, w->server.one_slot, &warnings);
    for (struct slice rest = buf_slice(&warnings); rest.len > 0;) {
        const char *end = memchr(rest.at, '\n', rest.len);
        int len = (int)(end ? (size_t)(end - rest.at) : rest.len);
        log_line(&w->server.log, level, "%.*s", len, rest.at);
        size_t step = (size_t)len + (end != NULL);
        rest = (struct slice){ rest.at + step, rest.len - step };
    }
    buf_fini(&warnings);
}

static int serve(struct worker *w)
{
    struct server *s = &w->server;
    bool is_cgi = w->listening.kind == LISTEN_CGI;
    enum log_level news = is_cgi ? LOG_DEBUG : LOG_INFO; /* a line for each request is none */

    if (uv_loop_init(&w->loop) != 0 || server_init(s, &w->loop, &w->conf) != RC_OK) {
        fputs("bellpush.fcgi: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    listen_to_signals(w);
    if (log_open(&s->log, w->conf.log_file, level_of(w->conf.log_level)) != RC_OK)
        fprintf(stderr, "bellpush.fcgi: cannot write log_file %s: %s\n", w->conf.log_file,
                strerror(errno));
    s->one_slot = w->listening.one_request = one_request(w);
    set_capacity(w);
    uv_prepare_init(&w->loop, &w->look);
    uv_timer_init(&w->loop, &w->deadline);
    turn_to_database(w);
    if (w->broken && !has_no_terminal(&w->listening)) {
        stop_now(w);
    } else {
        log_line(&s->log, news,
                 "bellpush.fcgi " BELLPUSH_VERSION " started by %s; up to %zu open replies",
                 w->listening.how, s->one_slot ? 1 : s->max_open);
        warn(w, is_cgi ? LOG_DEBUG : LOG_WARN);
        uv_prepare_start(&w->look, on_look);
        uv_timer_start(&w->deadline, on_deadline, is_cgi ? GRACE_CGI_MS : GRACE_FCGI_MS, 0);
    }
    uv_run(&w->loop, UV_RUN_DEFAULT);
    log_line(&s->log, news, "stopped");
    log_close(&s->log);
    return uv_loop_close(&w->loop) == 0 && !w->broken ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int check_conf(const struct options *o, struct worker *w, struct buf *errors)
{
    struct buf out = BUF_EMPTY;
    int status = EXIT_FAILURE;
    enum rc rc = options_conf(o, &w->conf, errors);

    if (rc == RC_OK)
        conf_warn(&w->conf, false, errors);
    if (errors->len > 0)
        fwrite(errors->at, 1, errors->len, stderr);
    if (rc == RC_OK) {
        conf_print(&w->conf, &out);
        if (buf_rc(&out) == RC_OK && fwrite(out.at, 1, out.len, stdout) == out.len)
            status = EXIT_SUCCESS;
        buf_fini(&out);
    }
    if (rc != RC_NOMEM)
        conf_fini(&w->conf);
    buf_fini(errors);
    return status;
}

static int run(int argc, char **argv, struct worker *w)
{
    struct options o;
    struct buf errors = BUF_EMPTY;
    int status = EXIT_FAILURE;
    enum options_task task = options_parse(&o, argc, argv);

    if (task == OPTIONS_DONE)
        return EXIT_SUCCESS;
    if (task == OPTIONS_WRONG)
        return EXIT_FAILURE;
    if (task == OPTIONS_CHECK)
        return check_conf(&o, w, &errors);
    enum rc rc = options_conf(&o, &w->conf, &errors);
    bool conf_is_good = rc == RC_OK;
    if (rc != RC_NOMEM)
        rc = listen_find(o.listen, w->conf.listen, o.mode, &w->listening, &errors);
    signal(SIGPIPE, SIG_IGN); /* after listen_find(): libfcgi installs a handler of its own */
    if (errors.len > 0)
        fprintf(stderr, "bellpush.fcgi: cannot start:\n%.*s", (int)errors.len, errors.at);
    buf_fini(&errors);
    if (rc == RC_NOMEM)
        return EXIT_FAILURE;
    w->broken = !conf_is_good;
    if (rc == RC_OK && (conf_is_good || has_no_terminal(&w->listening)))
        status = serve(w);
    if (rc == RC_OK)
        listen_cleanup(&w->listening);
    conf_fini(&w->conf);
    return status;
}

/*
 * Large events come and go; what they took shall go back to the system.  glibc by itself learns
 * from the first large block that is freed to keep such blocks, up to 32 MiB, for later.
 */
static void return_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
#endif
}

int main(int argc, char **argv)
{
    static struct worker worker;

    return_memory();
    fill_standard_descriptors();
    hold_signals(SIG_BLOCK);
    return run(argc, argv, &worker);
}
