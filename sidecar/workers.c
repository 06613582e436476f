/*
 * workers.c - the process that looks after those who serve.
 *
 * It has no event loop and no memory to lose: signals and the word of workers that they are ready
 * come through two descriptors.  All signals that it knows are blocked and read; they stay pending
 * while the program takes its own place, so that none is lost then.
 *
 *      STARTING --says so--> READY --the next generation is ready--> told to stop --> reaped
 *         '--dies--> GONE until its time has come
 */
#include "sidecar/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/text.h"

enum {
    LIVED_MS = 10 * 1000, /* who dies later than that is replaced at once */
    AGAIN_FIRST_MS = 100,
    AGAIN_MAX_MS = 10 * 1000,
    OLD_MAX = 4 * WORKERS_MAX, /* restarted again and again before the first have drained */
    PIDS_TEXT_MAX = 12 * OLD_MAX,
};

/* Pids, separated by commas; below 0: of those that have been told to stop. */
static const char handed_workers[] = "BELLPUSHD_WORKERS";

struct worker {
    pid_t pid; /* 0: none */
    bool ready;
    int64_t started_ms;
    int64_t due_ms;   /* none: start one then */
    int64_t again_ms; /* so long the last pause was; 0: none */
};

/* One of a generation before. */
struct old {
    pid_t pid; /* 0: none */
    bool told; /* to stop; twice would mean at once */
};

struct crew {
    const struct workers_ask *ask;
    struct worker workers[WORKERS_MAX];
    struct old old[OLD_MAX];
    pid_t check;      /* asks whether the new configuration is good; 0: none */
    bool check_again; /* it may have changed since */
    int signals, ready_in, ready_out;
    bool served; /* somebody has been ready */
    bool stopping, failed;
    int64_t kill_ms; /* stopping: then */
};

/* Of a clock that never jumps. */
static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

static sigset_t known_signals(void)
{
    static const int known[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < LENGTH(known); i++)
        sigaddset(&set, known[i]);
    return set;
}

/* ---- everybody ------------------------------------------------------------------------------- */

static void signal_workers(const struct crew *c, int number)
{
    for (size_t i = 0; i < c->ask->n; i++)
        if (c->workers[i].pid)
            kill(c->workers[i].pid, number);
}

static void signal_old(const struct crew *c, int number)
{
    for (size_t i = 0; i < OLD_MAX; i++)
        if (c->old[i].pid)
            kill(c->old[i].pid, number);
}

static bool has_old(const struct crew *c)
{
    for (size_t i = 0; i < OLD_MAX; i++)
        if (c->old[i].pid)
            return true;
    return false;
}

static bool all_ready(const struct crew *c)
{
    for (size_t i = 0; i < c->ask->n; i++)
        if (!c->workers[i].ready)
            return false;
    return true;
}

static bool is_over(const struct crew *c)
{
    for (size_t i = 0; i < c->ask->n; i++)
        if (c->workers[i].pid)
            return false;
    return c->stopping && !has_old(c);
}

/* ---- a worker begins ------------------------------------------------------------------------- */

void workers_sit_down(const struct workers_seat *seat)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a change of user would have undone it */
    if (getppid() != seat->first)     /* too late */
        raise(SIGTERM);
}

void workers_say_ready(const struct workers_seat *seat)
{
    pid_t pid = getpid();
    (void)!write(seat->ready_fd, &pid, sizeof(pid));
}

/* Signals are held until it has a loop to hear them. */
_Noreturn static void be_worker(const struct crew *c, const struct workers_seat *seat)
{
    sigset_t others;

    close(c->signals);
    close(c->ready_in);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&others);
    sigaddset(&others, SIGCHLD);
    sigaddset(&others, SIGUSR2);
    sigprocmask(SIG_UNBLOCK, &others, NULL);
    setpgid(0, 0); /* Ctrl-C is for the first process to hand on, and not to be heard twice */
    exit(c->ask->work(c->ask->arg, seat));
}

/* Who dies soon comes back later and later. */
static void set_due(struct worker *w, int64_t now)
{
    int64_t longer = w->again_ms ? w->again_ms * 2 : AGAIN_FIRST_MS;

    w->again_ms = now - w->started_ms >= LIVED_MS ? 0
                  : longer < AGAIN_MAX_MS         ? longer
                                                  : AGAIN_MAX_MS;
    w->due_ms = now + w->again_ms;
}

static void start_one(struct crew *c, size_t index)
{
    struct workers_seat seat = { index, getpid(), c->ready_out };
    struct worker *w = &c->workers[index];
    int64_t now = now_ms();
    pid_t pid = fork();

    if (pid == 0)
        be_worker(c, &seat);
    w->started_ms = now;
    w->ready = false;
    if (pid < 0) {
        log_error(c->ask->log, "worker %zu cannot be started: %s", index + 1, strerror(errno));
        set_due(w, now);
        return;
    }
    w->pid = pid;
}

static void start_due(struct crew *c)
{
    int64_t now = now_ms();

    for (size_t i = 0; !c->stopping && i < c->ask->n; i++)
        if (!c->workers[i].pid && c->workers[i].due_ms <= now)
            start_one(c, i);
}

/* ---- and ends -------------------------------------------------------------------------------- */

static void stop(struct crew *c, int number)
{
    if (!c->stopping)
        c->kill_ms = now_ms() + c->ask->stop_ms;
    c->stopping = true;
    signal_workers(c, number);
    signal_old(c, number);
}

static void on_worker_died(struct crew *c, size_t index, int status)
{
    struct worker *w = &c->workers[index];
    pid_t pid = w->pid;
    char how[64];

    w->pid = 0;
    w->ready = false;
    if (c->stopping)
        return;
    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof(how), "has ended with status %d", WEXITSTATUS(status));
    if (!c->served && !has_old(c) && !WIFSIGNALED(status) && WEXITSTATUS(status) != 0) {
        log_error(c->ask->log, "worker %zu [%d] %s before anybody served: giving up", index + 1,
                  (int)pid, how);
        c->failed = true;
        stop(c, SIGTERM);
        return;
    }
    set_due(w, now_ms());
    log_error(c->ask->log, "worker %zu [%d] %s; another begins in %.1f s", index + 1, (int)pid, how,
              (double)w->again_ms / 1000);
}

static void tell_old(struct crew *c)
{
    size_t n = 0;

    if (!all_ready(c))
        return;
    for (size_t i = 0; i < OLD_MAX; i++) {
        struct old *o = &c->old[i];
        if (!o->pid || o->told)
            continue;
        kill(o->pid, SIGTERM);
        o->told = true;
        n++;
    }
    if (n > 0)
        log_info(c->ask->log, "the new workers serve; %zu of before drain", n);
}

/* ---- the program takes its own place --------------------------------------------------------- */

static size_t count_of(char *const *argv)
{
    size_t n = 0;

    while (argv[n])
        n++;
    return n;
}

/* The program's path, even when there is another file in its place by now. */
static const char *program_path(void)
{
    static char path[4096];
    static const char gone[] = " (deleted)";
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    size_t len = n > 0 ? (size_t)n : 0, cut = sizeof(gone) - 1;

    if (len > cut && memcmp(path + len - cut, gone, cut) == 0)
        len -= cut;
    path[len] = '\0';
    return path;
}

/* As the program with "-n" says, which prints the settings: nobody wants to read them. */
static void begin_check(struct crew *c)
{
    const char *path = program_path();
    size_t n = count_of(c->ask->argv);
    char **argv = calloc(n + 2, sizeof(*argv));
    sigset_t none;

    c->check_again = c->check != 0;
    if (!argv || c->check || c->stopping) {
        free(argv);
        return;
    }
    memcpy(argv, c->ask->argv, n * sizeof(*argv));
    argv[n] = (char *)"-n";
    c->check = fork();
    if (c->check == 0) {
        int null = open("/dev/null", O_WRONLY);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(null, STDOUT_FILENO);
        execv(path, argv);
        _exit(127);
    }
    if (c->check < 0) {
        log_error(c->ask->log, "restart: %s", strerror(errno));
        c->check = 0;
    }
    free(argv);
}

static void put_pid(char *text, size_t room, pid_t pid)
{
    size_t len = strlen(text);

    if (pid)
        snprintf(text + len, room - len, "%s%d", len ? "," : "", (int)pid);
}

/* Does not return but in failure. */
static void take_own_place(struct crew *c)
{
    char pids[PIDS_TEXT_MAX] = "";
    const char *path = program_path();

    for (size_t i = 0; i < OLD_MAX; i++)
        put_pid(pids, sizeof(pids), c->old[i].told ? -c->old[i].pid : c->old[i].pid);
    for (size_t i = 0; i < c->ask->n; i++)
        put_pid(pids, sizeof(pids), c->workers[i].pid);
    log_info(c->ask->log, "restart: %s takes its own place", path);
    setenv(handed_workers, pids, 1);
    c->ask->hand_over(c->ask->arg, true);
    execv(path, c->ask->argv);
    log_error(c->ask->log, "restart: %s: %s", path, strerror(errno));
    c->ask->hand_over(c->ask->arg, false);
    unsetenv(handed_workers);
}

static void on_checked(struct crew *c, int status)
{
    c->check = 0;
    if (c->stopping)
        return;
    if (c->check_again)
        begin_check(c);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        take_own_place(c);
    else
        log_error(c->ask->log, "restart: the new configuration or program is not good (see above, "
                               "or ask with -n); all stays as it was");
}

static void take_handed(struct crew *c)
{
    struct slice rest = slice_of(getenv(handed_workers)), one;
    int64_t pid;

    for (size_t i = 0; i < OLD_MAX && item_next(&rest, ',', &one); i++) {
        c->old[i].told = one.len > 0 && one.at[0] == '-';
        if (c->old[i].told)
            one = (struct slice){ one.at + 1, one.len - 1 };
        if (number_parse(one, INT32_MAX, &pid) == RC_OK)
            c->old[i].pid = (pid_t)pid;
    }
    unsetenv(handed_workers);
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void reap(struct crew *c)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == c->check)
            on_checked(c, status);
        for (size_t i = 0; i < c->ask->n; i++)
            if (pid == c->workers[i].pid)
                on_worker_died(c, i, status);
        for (size_t i = 0; i < OLD_MAX; i++)
            if (pid == c->old[i].pid)
                c->old[i].pid = 0;
    }
}

static void on_signal(struct crew *c, int number)
{
    if (number == SIGCHLD) {
        reap(c);
    } else if (number == SIGUSR2) {
        begin_check(c);
    } else if (number == SIGHUP) {
        if (log_reopen(c->ask->log) != RC_OK)
            log_error(c->ask->log, "cannot reopen the log: %s", strerror(errno));
        signal_workers(c, SIGHUP);
        signal_old(c, SIGHUP);
    } else {
        log_info(c->ask->log, "stopping %zu workers", c->ask->n);
        stop(c, number);
    }
}

static void take_signals(struct crew *c)
{
    struct signalfd_siginfo info;

    while (read(c->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        on_signal(c, (int)info.ssi_signo);
}

static void take_ready(struct crew *c)
{
    pid_t pid;

    while (read(c->ready_in, &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
        for (size_t i = 0; i < c->ask->n; i++)
            c->workers[i].ready |= c->workers[i].pid == pid;
        c->served = true;
    }
}

/* Milliseconds until there is something to do; -1: not before something comes. */
static int until_next(const struct crew *c)
{
    int64_t now = now_ms(), next = c->stopping ? c->kill_ms : INT64_MAX;

    for (size_t i = 0; !c->stopping && i < c->ask->n; i++)
        if (!c->workers[i].pid && c->workers[i].due_ms < next)
            next = c->workers[i].due_ms;
    if (next == INT64_MAX)
        return -1;
    return next <= now ? 0 : (int)(next - now < 60000 ? next - now : 60000);
}

static bool open_crew(struct crew *c)
{
    sigset_t known = known_signals();
    int ready[2];

    sigprocmask(SIG_BLOCK, &known, NULL);
    c->signals = signalfd(-1, &known, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->signals < 0 || pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    c->ready_in = ready[0];
    c->ready_out = ready[1];
    return true;
}

int workers_run(const struct workers_ask *ask)
{
    static struct crew crew; /* large, and there is one */
    struct crew *c = &crew;

    c->ask = ask;
    if (!open_crew(c)) {
        log_error(ask->log, "workers cannot be looked after: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    take_handed(c);
    reap(c); /* whoever died while the program took its own place */
    while (!is_over(c)) {
        struct pollfd fds[] = { { c->signals, POLLIN, 0 }, { c->ready_in, POLLIN, 0 } };
        start_due(c);
        poll(fds, LENGTH(fds), until_next(c));
        take_ready(c);
        tell_old(c);
        take_signals(c);
        if (c->stopping && now_ms() >= c->kill_ms) {
            log_warn(ask->log, "workers that do not end are killed");
            signal_workers(c, SIGKILL);
            signal_old(c, SIGKILL);
            c->kill_ms = INT64_MAX;
        }
    }
    log_info(ask->log, "stopped");
    return c->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
