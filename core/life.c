/*
 * life.c - a server process from its first signal to its last.
 */
#include "core/life.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/answer.h"
#include "core/presence.h"

enum {
    DESCRIPTORS_MAX = 1 << 20,
    BROKEN_MS = 30 * 1000,
};

static const int stop_signals[LIFE_SIGNALS] = { SIGTERM, SIGINT, SIGUSR1 };

/* ---- before there is a loop ------------------------------------------------------------------ */

/* Whatever is opened next must not become our standard input, output or error. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort();
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

void life_prepare(void)
{
    return_memory();
    fill_standard_descriptors();
    hold_signals(SIG_BLOCK);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void on_source_freed(void *arg)
{
    struct life *life = arg;

    life->server.source = NULL;
    server_fini(&life->server);
    for (size_t i = 0; i < LENGTH(life->signals); i++)
        uv_close((uv_handle_t *)&life->signals[i], NULL);
    uv_close((uv_handle_t *)&life->hangup, NULL);
    uv_close((uv_handle_t *)&life->look, NULL);
    uv_close((uv_handle_t *)&life->deadline, NULL);
}

static void on_farewell(void *arg)
{
    struct life *life = arg;

    source_free(life->server.source, on_source_freed, life);
}

/* Whoever was present through this process is told as gone, while there is somebody to tell. */
static void on_freed(void *arg)
{
    struct life *life = arg;

    if (life->server.source)
        presence_end(life->server.presence, on_farewell, life);
    else
        on_source_freed(life);
}

static void stop_now(struct life *life)
{
    if (life->state == LIFE_GONE)
        return;
    life->state = LIFE_GONE;
    uv_timer_stop(&life->deadline);
    uv_prepare_stop(&life->look);
    life->ops->free(life, on_freed, life);
}

static void on_deadline(uv_timer_t *timer);

static void stop(struct life *life)
{
    int64_t drain_ms = life->conf.drain_ms;

    if (life->state != LIFE_SERVING) { /* nothing to wait for, or told twice */
        stop_now(life);
        return;
    }
    life->state = LIFE_STOPPING;
    log_info(&life->server.log, "stopping: %zu replies are open", life->server.open_count);
    if (life->drain_max_ms > 0 && drain_ms > life->drain_max_ms)
        drain_ms = life->drain_max_ms;
    life->ops->stop(life);
    server_drain(&life->server);
    uv_timer_start(&life->deadline, on_deadline, (uint64_t)drain_ms, 0);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void begin(struct life *life)
{
    life->state = LIFE_SERVING;
    uv_timer_stop(&life->deadline);
    if (life->broken)
        uv_timer_start(&life->deadline, on_deadline, BROKEN_MS, 0);
    if (life->ops->begin(life))
        return;
    log_error(&life->server.log, "cannot serve: %s", strerror(errno));
    stop_now(life);
}

static void on_look(uv_prepare_t *look)
{
    struct life *life = CONTAINER(look, struct life, look);
    const struct server *s = &life->server;

    if (life->state == LIFE_STARTING && (life->broken || s->source_state != SOURCE_AWAY ||
                                         strcmp(s->source_why, life->why_at_start)))
        begin(life);
    if (life->state != LIFE_STARTING && life->ops->over(life))
        stop_now(life);
}

static void on_deadline(uv_timer_t *timer)
{
    struct life *life = CONTAINER(timer, struct life, deadline);

    if (life->state == LIFE_STARTING) {
        begin(life);
    } else {
        if (life->state == LIFE_STOPPING)
            log_warn(&life->server.log, "%zu replies did not end in time", life->server.open_count);
        stop_now(life);
    }
}

static void on_stop_signal(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data);
}

static void on_hangup(uv_signal_t *signal, int number)
{
    struct life *life = signal->data;

    (void)number;
    if (log_reopen(&life->server.log) != RC_OK)
        log_error(&life->server.log, "cannot reopen the log: %s", strerror(errno));
    if (life->ops->hangup)
        life->ops->hangup(life);
}

/* serve() of a process that can only say that it is broken.  No reason: that may hold secrets. */
static void serve_broken(struct request *r)
{
    answer_problem(r, 500,
                   "Bellpush cannot start because its configuration is broken. The reason is in "
                   "the web server's error log, for its owner.",
                   0);
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
static void set_capacity(struct life *life)
{
    struct porch_limits *l = &life->limits;
    size_t wanted = (size_t)life->conf.max_open;

    life->server.health.descriptors_max = raise_descriptor_limit();
    *l = front_limits_for(&life->conf, life->server.health.descriptors_max);
    if (wanted > 0 && wanted + wanted / 16 + 16 < l->max_conns)
        l->max_conns = wanted + wanted / 16 + 16;
    life->server.max_open = l->max_conns - l->max_conns / 16;
    if (wanted > 0 && wanted < life->server.max_open)
        life->server.max_open = wanted;
    else if (wanted > life->server.max_open)
        log_warn(&life->server.log, "max_open = %zu, but descriptors allow only %zu", wanted,
                 life->server.max_open);
}

static enum log_level level_of(const char *name)
{
    return strcmp(name, "error") == 0  ? LOG_ERROR
           : strcmp(name, "warn") == 0 ? LOG_WARN
           : strcmp(name, "info") == 0 ? LOG_INFO
                                       : LOG_DEBUG;
}

static void listen_to_signals(struct life *life)
{
    uv_signal_init(&life->loop, &life->hangup);
    life->hangup.data = life;
    uv_signal_start(&life->hangup, on_hangup, SIGHUP);
    for (size_t i = 0; i < LENGTH(stop_signals); i++) {
        uv_signal_init(&life->loop, &life->signals[i]);
        life->signals[i].data = life;
        uv_signal_start(&life->signals[i], on_stop_signal, stop_signals[i]);
    }
    hold_signals(SIG_UNBLOCK);
}

/* The database's settings may be such that there is no point in starting. */
static void turn_to_database(struct life *life)
{
    struct server *s = &life->server;

    if (!life->broken && !(s->source = source_new(s))) {
        log_error(&s->log, "the settings of the database cannot be used");
        life->broken = true;
    }
    s->serve = life->broken ? serve_broken : life->serve;
    memcpy(life->why_at_start, s->source_why, sizeof(life->why_at_start));
}

static void warn(const struct life *life)
{
    struct buf warnings = BUF_EMPTY;

    conf_warn(&life->conf, life->one_slot, &warnings);
    for (struct slice rest = buf_slice(&warnings); rest.len > 0;) {
        const char *end = memchr(rest.at, '\n', rest.len);
        int len = (int)(end ? (size_t)(end - rest.at) : rest.len);
        log_line(&life->server.log, life->quiet ? LOG_DEBUG : LOG_WARN, "%.*s", len, rest.at);
        size_t step = (size_t)len + (end != NULL);
        rest = (struct slice){ rest.at + step, rest.len - step };
    }
    buf_fini(&warnings);
}

int life_run(struct life *life)
{
    struct server *s = &life->server;
    enum log_level news = life->quiet ? LOG_DEBUG : LOG_INFO;

    if (uv_loop_init(&life->loop) != 0 || server_init(s, &life->loop, &life->conf) != RC_OK) {
        fprintf(stderr, "%s: out of memory\n", life->program);
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN); /* libfcgi may have installed a handler of its own */
    listen_to_signals(life);
    if (log_open(&s->log, life->conf.log_file, level_of(life->conf.log_level)) != RC_OK)
        fprintf(stderr, "%s: cannot write log_file %s: %s\n", life->program, life->conf.log_file,
                strerror(errno));
    s->one_slot = life->one_slot;
    set_capacity(life);
    uv_prepare_init(&life->loop, &life->look);
    uv_timer_init(&life->loop, &life->deadline);
    turn_to_database(life);
    if (life->broken && !life->no_terminal) {
        stop_now(life);
    } else {
        log_line(&s->log, news, "%s " BELLPUSH_VERSION " started by %s; up to %zu open replies",
                 life->program, life->started_by, s->one_slot ? 1 : s->max_open);
        warn(life);
        uv_prepare_start(&life->look, on_look);
        uv_timer_start(&life->deadline, on_deadline, life->grace_ms, 0);
    }
    uv_run(&life->loop, UV_RUN_DEFAULT);
    log_line(&s->log, news, "stopped");
    log_close(&s->log);
    return uv_loop_close(&life->loop) == 0 && !life->broken ? EXIT_SUCCESS : EXIT_FAILURE;
}
