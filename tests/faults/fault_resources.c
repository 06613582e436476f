/*
 * fault_resources.c - what a worker needs runs out: descriptors, memory; and its clock is set.
 *
 * Shortage ends single requests, never the streams that are there; a worker that dies of it is
 * started again.  All of it ends by itself when there is enough again.
 */
#include <stdlib.h>

#include "tests/faults/clients.h"
#include "tests/faults/gauge.h"
#include "tests/faults/site_clock.h"
#include "tests/faults/site_tight.h"
#include "tests/peers/process.h"

enum { WORKERS_MAX = 16, SOME_COMMITS = 30, PRLIMIT_MS = 5000 };

struct workers {
    pid_t pids[WORKERS_MAX];
    size_t n;
};

static struct workers find_workers(const struct act *a)
{
    struct workers w;

    w.n = gauge_workers(a->site, w.pids, WORKERS_MAX);
    return w;
}

/*
 * Only the soft limit, so that nobody needs rights to lift it again; and as the worker's own user,
 * because root may not everywhere.  prlimit(1) takes "80:" for soft 80, hard as it was.
 */
static bool set_limit(pid_t pid, const char *what, int64_t most)
{
    char *who = text_of("--pid=%d", (int)pid);
    char *limit =
        most < 0 ? text_of("--%s=unlimited:", what) : text_of("--%s=%lld:", what, (long long)most);
    const char *const argv[] = { "prlimit", who, limit, NULL };
    bool set =
        process_run(&(struct process_spec){ .argv = argv, .user = "www-data" }, PRLIMIT_MS) == 0;

    free(limit);
    free(who);
    return set;
}

static void limit(struct act *a, pid_t pid, const char *what, int64_t most)
{
    if (!set_limit(pid, what, most))
        act_fail(a, "cannot set limit %s of worker %d", what, (int)pid);
}

/* Of those that still are. */
static void lift(const struct workers *w, const char *what, int64_t most)
{
    for (size_t i = 0; i < w->n; i++)
        if (gauge_descriptors(w->pids[i]) > 0)
            (void)set_limit(w->pids[i], what, most);
}

/* ---- descriptors --------------------------------------------------------------------------------
 */

enum {
    CROWD = 240, /* more than all workers of the site can hold (site_tight.c) */
    FEW = 60,
    FEWER_DESCRIPTORS = 3, /* than it has open */
    REFUSED_MS = 20000,
    IDLE_PERCENT = 50, /* of a processor that a worker may use meanwhile */
};

struct readers { /* one behind each front, from before */
    struct http *https[SITE_FRONTS];
};

static struct readers readers_come(struct act *a)
{
    struct readers r;

    for (size_t i = 0; i < SITE_FRONTS; i++) {
        r.https[i] = client_ask(a, i, "GET", "/push/stream?topic=" FILLER_FILTER, "");
        client_hears(a, r.https[i], "bellpush-hello");
    }
    return r;
}

static void readers_hear(struct act *a, struct readers *r, const char *text)
{
    fillers_say(a, text);
    for (size_t i = 0; i < SITE_FRONTS; i++)
        client_hears(a, r->https[i], text);
}

static void readers_leave(struct readers *r)
{
    for (size_t i = 0; i < SITE_FRONTS; i++)
        http_free(r->https[i]);
}

static bool some_are_refused(void *arg)
{
    return crowd_count(arg, 503) > 0;
}

/* More streams than a worker has room for: it counts, and says 503 in time. */
static void fill_the_house(struct act *a, struct readers *readers)
{
    int64_t refused = gauge_sum(a, "counts.refused");
    struct crowd *crowd = crowd_new(a, CROWD);

    if (!act_wait(a, some_are_refused, crowd, REFUSED_MS))
        act_fail(a, "nobody is told 503 where %d streams are too many", CROWD);
    evidence_log(a, 0, "full: requests are refused");
    readers_hear(a, readers, "while the house is full");
    act_last(a, act_choose(a, 0, 2000));
    crowd_free(crowd);
    evidence_log(a, 0, "room again");
    gauge_rises(a, "counts.refused", refused + 1);
    act_flows(a, SOME_COMMITS);
}

/* Others have taken what it counted on: the kernel says no. */
static void take_descriptors(struct act *a, struct readers *readers)
{
    struct workers w = find_workers(a);
    int64_t cpu_ms[WORKERS_MAX], lasts = act_choose(a, 1000, 4000);

    evidence_log_mark(a);
    for (size_t i = 0; i < w.n; i++)
        limit(a, w.pids[i], "nofile", gauge_descriptors(w.pids[i]) - FEWER_DESCRIPTORS);
    struct crowd *crowd = crowd_new(a, FEW);
    evidence_log(a, 0, "descriptors exhausted");
    readers_hear(a, readers, "while there are no descriptors");
    for (size_t i = 0; i < w.n; i++)
        cpu_ms[i] = gauge_cpu_ms(w.pids[i]);
    act_last(a, lasts);
    for (size_t i = 0; i < w.n; i++)
        if (gauge_cpu_ms(w.pids[i]) - cpu_ms[i] > lasts * IDLE_PERCENT / 100)
            act_fail(a, "worker %d uses %lld ms of %lld ms while it cannot accept", (int)w.pids[i],
                     (long long)(gauge_cpu_ms(w.pids[i]) - cpu_ms[i]), (long long)lasts);
    lift(&w, "nofile", SITE_TIGHT_DESCRIPTORS);
    evidence_log(a, 0, "accepting again");
    evidence_status(a, 0, "accepting", "true");
    readers_hear(a, readers, "and there are some again");
    crowd_free(crowd);
    act_flows(a, SOME_COMMITS);
}

static void descriptors_exhausted(struct act *a)
{
    struct readers readers = readers_come(a);

    fill_the_house(a, &readers);
    take_descriptors(a, &readers);
    readers_leave(&readers);
}

FAULT(descriptors_exhausted, .name = "descriptors-exhausted",
      .what = "streams until workers have no descriptors, counted and not counted",
      .flavour = SITE_TIGHT, .run = descriptors_exhausted);

/* ---- memory -------------------------------------------------------------------------------------
 */

enum {
    LARGE_BYTES = 1000 * 1000,
    LARGE_AT_ONCE = 10,
    BURSTS = 2,
    /* What all had heard and not yet recorded when they died was heard by nobody. */
    UNRECORDED_US = 1000000,
    SANITIZED_KB = 1 << 30, /* so much address space means: built with a sanitizer */
};

/* Each may have so much more than it has now; and then it is given much to tell. */
static void leave_little(struct act *a, const struct workers *w, int64_t bytes)
{
    for (size_t i = 0; i < w->n; i++)
        if (gauge_descriptors(w->pids[i]) > 0) /* it lives */
            limit(a, w->pids[i], "as", (gauge_memory_kb(w->pids[i], "VmSize") << 10) + bytes);
    for (int i = 0; i < BURSTS; i++) {
        fillers_publish(a, LARGE_AT_ONCE, LARGE_BYTES);
        act_last(a, act_choose(a, 0, 300));
    }
}

static void memory_limit(struct act *a)
{
    struct workers w = find_workers(a);
    int64_t none = gauge_sum(a, "counts.no_memory"), room = act_choose(a, 2 << 20, 12 << 20);
    size_t left = 0;

    if (w.n == 0 || gauge_memory_kb(w.pids[0], "VmSize") > SANITIZED_KB) {
        act_note(a, "skipped: a worker with a sanitizer takes all address space there is");
        return;
    }
    act_unheard(a);
    a->unheard_since_us -= UNRECORDED_US;
    do {
        leave_little(a, &w, room);
        room /= 2;
    } while (gauge_sum(a, "counts.no_memory") == none && room > 0);
    evidence_log(a, 0, "no memory for ");
    act_last(a, act_choose(a, 0, 3000));
    for (size_t i = 0; i < w.n; i++)
        left += gauge_descriptors(w.pids[i]) > 0;
    lift(&w, "as", -1);
    evidence_status(a, 0, "database.state", "listening");
    (void)evidence_some_status(a, 0, "database.housekeeper", "true");
    act_heard(a);
    evidence_log(a, 0, "memory again");
    act_note(a, "%zu of %zu workers live on, where %lld kB were not enough", left, w.n,
             (long long)(2 * room >> 10));
    act_flows(a, SOME_COMMITS);
}

FAULT(memory_limit, .name = "memory-limit",
      .what = "workers may have a few megabytes more, and a burst of large events comes",
      .flavour = SITE_TIGHT, .lethal = true, .run = memory_limit);

/* ---- the clock ----------------------------------------------------------------------------------
 */

enum { HOUR_S = 3600, SHORT_LIFE_MS = 4000, ANSWER_MS = 20000 };

struct question {
    struct act *act;
    const char *target, *text;
    bool wanted;
};

/* Is the text in what a poll is told, or not in it? */
static bool is_told(void *arg)
{
    const struct question *q = arg;
    int status;
    char *body = client_answer(q->act, 0, "GET", q->target, "", &status);
    bool is = status == 200 && (strstr(body, q->text) != NULL) == q->wanted;

    free(body);
    return is;
}

static void expect(struct act *a, const char *target, const char *text, bool wanted)
{
    if (!act_wait(a, is_told, &(struct question){ a, target, text, wanted }, ANSWER_MS))
        act_fail(a, "%s %s \"%s\"", target, wanted ? "never says" : "goes on saying", text);
}

/* Events live as long as they should by the clock that is, and a time ago is found. */
static void keep_time(struct act *a, const char *mark)
{
    char *cursor = client_cursor(a, 0);
    char *from = text_of("/push/poll?topic=" FILLER_TOPIC "&wait=0&since=%s", cursor);
    char *dies = text_of("SELECT bellpush.publish('" FILLER_TOPIC "', 'short life %s',"
                         " expires => interval '%d ms')",
                         mark, SHORT_LIFE_MS);

    fillers_say(a, mark);
    expect(a, "/push/poll?topic=" FILLER_TOPIC "&wait=0&since=-1m", mark, true);
    free(cluster_sql(a->site->dsn, dies));
    expect(a, from, "short life", true);
    expect(a, from, "short life", false);
    expect(a, from, mark, true);
    free(cluster_sql(a->site->dsn, "SELECT bellpush.maintain()"));
    char *pruned = cluster_sql(a->site->dsn, "SELECT pruned_to FROM bellpush.stats");
    if (strcmp(pruned, "0") != 0)
        act_fail(a, "retention has removed what is up to %s, and nothing is a day old", pruned);
    free(pruned);
    free(dies);
    free(from);
    free(cursor);
}

static void clock_set_back(struct act *a)
{
    int64_t jumps = gauge_sum(a, "counts.clock_jumps");
    int64_t workers = (int64_t)find_workers(a).n;

    keep_time(a, "before");
    clock_set(a->site, -HOUR_S);
    evidence_log(a, 0, "clock set back by");
    gauge_rises(a, "counts.clock_jumps", jumps + workers);
    act_flows(a, SOME_COMMITS);
    keep_time(a, "an hour ago");
    act_last(a, act_choose(a, 0, 3000));
    clock_set(a->site, 0);
    evidence_log(a, 0, "clock set forward by");
    gauge_rises(a, "counts.clock_jumps", jumps + 2 * workers);
    act_flows(a, SOME_COMMITS);
    keep_time(a, "now");
}

FAULT(clock_set_back, .name = "clock-set-back",
      .what = "the wall clock of workers and PostgreSQL set back an hour, and forward again",
      .flavour = SITE_CLOCK, .run = clock_set_back);
