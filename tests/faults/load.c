/*
 * load.c - starts publishers and subscribers, watches them, and ends them in order (load.h).
 *
 * All that children report while they run goes through memory shared with them; what they have seen
 * stands in their own files.  A child that ends without being told to has failed, and the run with
 * it: a load that silently became smaller would prove less than it says.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/load_priv.h"
#include "tests/peers/process.h"

enum {
    PUBLISHERS = 6,
    SUBSCRIBERS = 40,
    PUBLISHER_ENDS_MS = 25000, /* longest transaction, last statement's deadline, last POST */
    LAST_EVENTS_MS = 60000,
    ASK_AGAIN_MS = 20,
};

const char *const load_topics[LOAD_TOPICS] = {
    "orders/1/paid", "orders/1/sent",   "orders/2/paid", "orders/2/sent",
    "orders/3/paid", "goods/1",         "goods/2",       "goods/3",
    "chat/red",      "chat/blue/quiet", "news",          "ümläut/雪",
};

struct load {
    struct load_spec spec; /* as it was given, with the numbers filled in; copies */
    struct load_shared *shared;
    pid_t publishers[LOAD_PUBLISHERS_MAX], subscribers; /* 0: has ended */
};

volatile sig_atomic_t load_told_to_finish;
static bool is_child;

const char *load_topic(size_t i)
{
    return i < LOAD_TOPICS ? load_topics[i] : LOAD_CHANNEL;
}

void load_put_encoded(struct buf *out, const char *topic)
{
    for (; *topic; topic++)
        if (*topic == '/' || (*topic >= 'a' && *topic <= 'z') || (*topic >= '0' && *topic <= '9'))
            buf_putc(out, *topic);
        else
            buf_printf(out, "%%%02X", (unsigned char)*topic);
}

void load_fail(const char *format, ...)
{
    va_list ap;

    fputs("load: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    if (is_child) /* what our parent wants to have done at its exit is not for us */
        _exit(EXIT_FAILURE);
    exit(EXIT_FAILURE);
}

/* ---- children ---------------------------------------------------------------------------------
 */

static void on_term(int signal)
{
    (void)signal;
    load_told_to_finish = 1;
}

/* A process that dies with us and holds nobody's sockets open. */
static pid_t start_child(const char *name)
{
    const struct sigaction act = { .sa_handler = on_term };
    pid_t parent = getpid();
    sigset_t none;

    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        load_fail("cannot fork for %s", name);
    if (pid > 0)
        return pid;
    is_child = true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &act, NULL); /* without SA_RESTART: whatever waits shall look up */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    return 0;
}

static void start_publisher(struct load *l, int i)
{
    l->publishers[i] = start_child("publisher");
    if (l->publishers[i] == 0) {
        publisher_run(&l->spec, l->shared, i + 1);
        fflush(NULL);
        _exit(EXIT_SUCCESS); /* not our parent's atexit() */
    }
}

static void start_subscribers(struct load *l)
{
    l->subscribers = start_child("subscribers");
    if (l->subscribers == 0) {
        subscribers_run(&l->spec, l->shared);
        fflush(NULL);
        _exit(EXIT_SUCCESS);
    }
}

static void end_child(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

/* Has it ended?  In failure: so do we. */
static bool has_ended(pid_t *pid, const char *name, int number)
{
    int status = 0;

    if (*pid > 0 && !process_ended(*pid, &status))
        return false;
    *pid = 0;
    if (status != 0)
        load_fail("%s %d has ended (wait status 0x%x)", name, number, status);
    return true;
}

static void check_children(struct load *l)
{
    for (int i = 0; i < l->spec.publishers; i++)
        if (has_ended(&l->publishers[i], "publisher", i + 1))
            load_fail("publisher %d has ended too early", i + 1);
    if (has_ended(&l->subscribers, "the process of subscribers", 1))
        load_fail("the process of subscribers has ended too early");
}

/* ---- start ------------------------------------------------------------------------------------
 */

static struct load_front *copy_fronts(const struct load_spec *spec)
{
    struct load_front *fronts = calloc(spec->n_fronts, sizeof *fronts);

    if (!fronts)
        load_fail("no memory");
    for (size_t i = 0; i < spec->n_fronts; i++)
        fronts[i] = (struct load_front){ text_of("%s", spec->fronts[i].name), spec->fronts[i].port,
                                         spec->fronts[i].sockets };
    return fronts;
}

struct load *load_start(const struct load_spec *spec)
{
    struct load *l = calloc(1, sizeof *l);

    if (!l)
        load_fail("no memory");
    l->spec = *spec;
    l->spec.publishers = spec->publishers ? spec->publishers : PUBLISHERS;
    l->spec.subscribers = spec->subscribers ? spec->subscribers : SUBSCRIBERS;
    if (l->spec.publishers > LOAD_PUBLISHERS_MAX || l->spec.subscribers > LOAD_SUBSCRIBERS_MAX ||
        spec->n_fronts == 0)
        load_fail("%d publishers, %d subscribers, %zu fronts: that is no load", l->spec.publishers,
                  l->spec.subscribers, spec->n_fronts);
    l->spec.folder = text_of("%s", spec->folder);
    l->spec.dsn = text_of("%s", spec->dsn);
    l->spec.key = text_of("%s", spec->key);
    l->spec.fronts = copy_fronts(spec);
    l->shared =
        mmap(NULL, sizeof *l->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (l->shared == MAP_FAILED)
        load_fail("no memory to share");
    tables_empty(spec->dsn);
    start_subscribers(l);
    for (int i = 0; i < l->spec.publishers; i++)
        start_publisher(l, i);
    return l;
}

void load_free(struct load *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->spec.publishers; i++)
        end_child(&l->publishers[i]);
    end_child(&l->subscribers);
    munmap(l->shared, sizeof *l->shared);
    for (size_t i = 0; i < l->spec.n_fronts; i++)
        free((char *)(uintptr_t)l->spec.fronts[i].name);
    free((struct load_front *)(uintptr_t)l->spec.fronts);
    free((char *)(uintptr_t)l->spec.folder);
    free((char *)(uintptr_t)l->spec.dsn);
    free((char *)(uintptr_t)l->spec.key);
    free(l);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

void load_look(const struct load *l, struct load_progress *out)
{
    *out = (struct load_progress){ .subscribers = l->spec.subscribers };
    for (int i = 0; i < l->spec.publishers; i++) {
        const struct publisher_count *c = &l->shared->publishers[i];
        out->transactions += c->transactions;
        out->committed += c->committed;
        out->failed += c->failed;
    }
    for (int i = 0; i < l->spec.subscribers; i++) {
        const struct subscriber_count *c = &l->shared->subscribers[i];
        out->sightings += c->sightings;
        out->connects += c->connects;
        out->refusals += c->refusals;
        out->gaps += c->gaps;
        out->open += c->open;
    }
}

struct flow { /* what load_flows() waits for */
    struct load *load;
    int64_t committed;                       /* at least */
    int64_t sightings[LOAD_SUBSCRIBERS_MAX]; /* more than these */
};

static bool flows(void *arg)
{
    struct flow *f = arg;
    struct load_progress now;

    check_children(f->load);
    load_look(f->load, &now);
    if (now.committed < f->committed)
        return false;
    for (int i = 0; i < f->load->spec.subscribers; i++)
        if (f->load->shared->subscribers[i].sightings <= f->sightings[i])
            return false;
    return true;
}

bool load_flows(struct load *l, int64_t commits, int64_t ms)
{
    struct load_progress now;
    struct flow f = { .load = l };

    load_look(l, &now);
    f.committed = now.committed + commits;
    for (int i = 0; i < l->spec.subscribers; i++)
        f.sightings[i] = l->shared->subscribers[i].sightings;
    return wait_until(flows, &f, ms);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static bool publishers_ended(void *arg)
{
    struct load *l = arg;
    bool all = true;

    for (int i = 0; i < l->spec.publishers; i++)
        all &= has_ended(&l->publishers[i], "publisher", i + 1);
    return all;
}

static bool subscribers_ended(void *arg)
{
    struct load *l = arg;
    return has_ended(&l->subscribers, "the process of subscribers", 1);
}

void load_finish(struct load *l, const char *dsn, int64_t ms)
{
    check_children(l);
    for (int i = 0; i < l->spec.publishers; i++)
        kill(l->publishers[i], SIGTERM);
    if (!wait_until(publishers_ended, l, PUBLISHER_ENDS_MS)) {
        fprintf(stderr, "load: a publisher does not end, and is killed\n");
        for (int i = 0; i < l->spec.publishers; i++)
            end_child(&l->publishers[i]);
    }
    if (!tables_end(&l->spec, dsn, l->shared, LAST_EVENTS_MS))
        fprintf(stderr, "load: the last events are not in the log\n");
    kill(l->subscribers, SIGTERM);
    if (!wait_until(subscribers_ended, l, ms))
        fprintf(stderr, "load: some subscribers have not seen the last events\n");
    tables_write(l->spec.folder, dsn);
    load_free(l);
}
