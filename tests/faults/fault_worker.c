/*
 * fault_worker.c - workers are killed, stopped, frozen; the log's mode is changed.
 *
 * A worker that ends is started again by whoever keeps it (lighttpd, systemd; here the keeper for
 * nginx and Apache).  Its readers come back with their cursors, its publishers repeat what they do
 * not know the end of, and another process records and relays in its place.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/faults/act_priv.h"
#include "tests/peers/process.h"

enum {
    WORKERS_MAX = 16,
    SOME_COMMITS = 40, /* life goes on */
    /* What processes had heard and not yet recorded when all were killed at once was heard by
       nobody; they are a fraction of this behind. */
    UNRECORDED_US = 1000000,
    MODE_CHANGES_MIN = 2,
    MODE_CHANGES_MAX = 5,
};

/* ---- who there is -------------------------------------------------------------------------------
 */

struct workers {
    const struct act *act;
    pid_t pids[WORKERS_MAX];
    size_t n;
};

static struct workers look(const struct act *a)
{
    struct workers w = { .act = a };

    for (size_t i = 0; i < SITE_FRONTS; i++)
        w.n += front_workers(a->site->fronts[i], w.pids + w.n, WORKERS_MAX - w.n);
    if (w.n > WORKERS_MAX)
        w.n = WORKERS_MAX;
    return w;
}

static bool has(const struct workers *w, pid_t pid)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->pids[i] == pid)
            return true;
    return false;
}

/* None of those that ended, and as many again. */
static bool are_replaced(void *arg)
{
    const struct workers *ended = arg;
    struct workers now = look(ended->act);
    size_t new = 0;

    for (size_t i = 0; i < ended->n; i++)
        if (has(&now, ended->pids[i]))
            return false;
    for (size_t i = 0; i < SITE_FRONTS; i++)
        new += front_sockets(ended->act->site->fronts[i]);
    return now.n >= new;
}

/* Those in *ended end; wait until others are in their places and know the database. */
static void await_others(struct act *a, struct workers *ended)
{
    if (!act_wait(a, are_replaced, ended, ACT_PATIENCE_MS))
        act_fail(a, "nobody starts the workers again");
    else if (evidence_status(a, 0, "database.state", "listening"))
        (void)evidence_some_status(a, 0, "database.housekeeper", "true");
}

static struct workers choose_one(struct act *a)
{
    struct workers w = look(a);

    if (w.n == 0) {
        act_fail(a, "there is no worker");
        return w;
    }
    w.pids[0] = w.pids[act_choose(a, 0, (int64_t)w.n - 1)];
    w.n = 1;
    return w;
}

/* ---- killed, stopped ----------------------------------------------------------------------------
 */

static void end_one(struct act *a, int signal)
{
    struct workers one = choose_one(a);

    if (one.n == 0)
        return;
    kill(one.pids[0], signal);
    if (signal == SIGTERM)
        (void)evidence_log(a, 0, "stopping: ");
    await_others(a, &one);
    act_flows(a, SOME_COMMITS);
}

static void kill_worker(struct act *a)
{
    end_one(a, SIGKILL);
}

static void stop_worker(struct act *a)
{
    end_one(a, SIGTERM);
}

static void kill_all_workers(struct act *a)
{
    struct workers all = look(a);

    act_unheard(a);
    a->unheard_since_us -= UNRECORDED_US;
    for (size_t i = 0; i < all.n; i++)
        kill(all.pids[i], SIGKILL);
    await_others(a, &all);
    act_heard(a);
    act_flows(a, SOME_COMMITS);
}

static void kill_recorder(struct act *a)
{
    pid_t pid = evidence_some_status(a, 0, "database.housekeeper", "true");
    struct workers one = { .act = a, .pids = { pid }, .n = 1 };

    if (pid <= 0)
        return;
    evidence_log_mark(a);
    kill(pid, SIGKILL);
    (void)evidence_log(a, 0, "housekeeper: this process");
    await_others(a, &one);
    act_flows(a, SOME_COMMITS);
}

FAULT(kill_worker, .name = "kill-worker", .what = "a worker, any, is killed (kill -9)",
      .soak = true, .lethal = true, .run = kill_worker);
FAULT(stop_worker, .name = "stop-worker", .what = "a worker, any, is told to stop, and drains",
      .soak = true, .lethal = true, .run = stop_worker);
FAULT(kill_all_workers, .name = "kill-all-workers",
      .what = "all workers of all web servers are killed at once", .soak = true, .lethal = true,
      .run = kill_all_workers);
FAULT(kill_recorder, .name = "kill-recorder",
      .what = "the process that records, relays and prunes is killed", .soak = true, .lethal = true,
      .run = kill_recorder);

/* ---- frozen -------------------------------------------------------------------------------------
 */

/* Somebody is silent whoever asks. */
static bool one_is_silent(void *arg)
{
    const struct act *a = arg;

    for (size_t i = 0; i < SITE_FRONTS; i++)
        for (size_t k = 0; k < front_sockets(a->site->fronts[i]); k++) {
            json_t *status = act_ask(a, i, k);
            if (!status)
                return true;
            json_decref(status);
        }
    return false;
}

static void freeze_worker(struct act *a)
{
    struct workers one = choose_one(a);

    if (one.n == 0)
        return;
    kill(one.pids[0], SIGSTOP);
    if (!act_wait(a, one_is_silent, a, ACT_PATIENCE_MS))
        act_fail(a, "all workers answer, even the frozen one");
    act_last(a, act_choose(a, 500, 4000));
    kill(one.pids[0], SIGCONT);
    if (evidence_status(a, 0, "database.state", "listening"))
        (void)evidence_some_status(a, 0, "database.housekeeper", "true");
    act_flows(a, SOME_COMMITS);
}

FAULT(freeze_worker, .name = "freeze-worker",
      .what = "a worker, any, stands still for seconds (SIGSTOP)", .soak = true,
      .run = freeze_worker);

/* ---- the mode -----------------------------------------------------------------------------------
 */

static void set_mode(struct act *a, const char *mode)
{
    char *sql = text_of("SELECT bellpush.set_mode('%s')", mode);

    free(cluster_sql(a->site->dsn, sql));
    free(sql);
    (void)evidence_status(a, 0, "database.mode", mode);
}

static void change_mode(struct act *a)
{
    static const char *const modes[] = { "commit", "relay" };
    char *now = cluster_sql(a->site->dsn, "SELECT mode FROM bellpush.state");
    size_t mode = strcmp(now, modes[1]) == 0;

    free(now);
    for (int64_t n = act_choose(a, MODE_CHANGES_MIN, MODE_CHANGES_MAX); n > 0 && !a->failed; n--) {
        mode ^= 1;
        set_mode(a, modes[mode]);
        act_flows(a, act_choose(a, 1, SOME_COMMITS));
    }
}

FAULT(mode_change, .name = "mode-change", .what = "set_mode(): commit, relay, and back, some times",
      .soak = true, .run = change_mode);
