/*
 * growth.c - see growth.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/faults/growth.h"
#include "tests/peers/process.h"

enum {
    WORKERS_MAX = 16, /* at a time */
    WINDOW_S = 10,
    WARM = 6,             /* windows of a worker's life that are not judged */
    LIVED = 12,           /* and as many at least after them that are */
    FORGOTTEN_MS = 60000, /* a pid seen again after that is another's */
    GROWTH_KB_A_MINUTE = 256,
    GROWTH_KB = 2048, /* what malloc keeps for later */
    GROWTH_DESCRIPTORS_A_MINUTE = 4,
    GROWTH_DESCRIPTORS = 16, /* streams move from one worker to another */
    GROWTH_BACKENDS_A_MINUTE = 1,
    GROWTH_BACKENDS = 4,
};

/* One number of one process: the least of each window of its life. */
struct measure {
    double *floors;
    size_t n, cap;
    double last, most;
};

static void measure_add(struct measure *m, int64_t age_ms, double value)
{
    size_t window = (size_t)age_ms / 1000 / WINDOW_S;

    m->last = value;
    if (value > m->most)
        m->most = value;
    if (window >= m->cap) {
        m->cap = 2 * window + 64;
        m->floors = realloc(m->floors, m->cap * sizeof *m->floors);
        if (!m->floors)
            abort();
    }
    while (m->n <= window) /* a window without a look is like the one after it */
        m->floors[m->n++] = value;
    if (value < m->floors[window])
        m->floors[window] = value;
}

static bool measure_is_old(const struct measure *m)
{
    return m->n >= WARM + LIVED;
}

static double least(const struct measure *m, size_t from, size_t to)
{
    double floor = m->floors[from];

    for (size_t i = from; i < to; i++)
        if (m->floors[i] < floor)
            floor = m->floors[i];
    return floor;
}

struct trend {
    double early, late, a_minute;
};

/* Of one that is old. */
static struct trend trend_of(const struct measure *m)
{
    size_t middle = WARM + (m->n - WARM) / 2;
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = WARM; i < m->n; i++) {
        double minute = (double)i * WINDOW_S / 60;
        n++, x += minute, y += m->floors[i];
        xx += minute * minute, xy += minute * m->floors[i];
    }
    return (struct trend){ least(m, WARM, middle), least(m, middle, m->n),
                           (n * xy - x * y) / (n * xx - x * x) };
}

static bool grows(struct trend t, double a_minute, double bound)
{
    return t.a_minute > a_minute && t.late - t.early > bound;
}

struct worker {
    struct worker *next;
    pid_t pid;
    size_t front;
    int64_t first_ms, last_ms;
    struct measure private_kb, descriptors;
};

struct growth {
    const struct site *site;
    struct worker *workers; /* the youngest first, the dead among them */
    int64_t began_ms;
    struct measure backends;
};

/* ---- looking at processes -----------------------------------------------------------------------
 */

/* What only this process has, and has written to; -1: it is gone. */
static double private_kb(pid_t pid)
{
    char path[64], line[256];
    double sum = -1;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Private_Dirty:", 14) == 0)
            sum = strtod(line + 14, NULL);
    if (file)
        fclose(file);
    return sum;
}

static double descriptors(pid_t pid)
{
    char path[64];
    double n = -2; /* . and .. */

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static struct worker *worker_of(struct growth *g, size_t front, pid_t pid, int64_t now)
{
    for (struct worker *w = g->workers; w; w = w->next)
        if (w->pid == pid && now - w->last_ms < FORGOTTEN_MS)
            return w;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct worker){
        .next = g->workers, .pid = pid, .front = front, .first_ms = now, .last_ms = now
    };
    return g->workers = w;
}

void growth_sample(struct growth *g)
{
    int64_t now = now_ms();

    for (size_t i = 0; i < SITE_FRONTS; i++) {
        pid_t pids[WORKERS_MAX];
        size_t n = front_workers(g->site->fronts[i], pids, WORKERS_MAX);
        for (size_t k = 0; k < n && k < WORKERS_MAX; k++) {
            double kb = private_kb(pids[k]), fds = descriptors(pids[k]);
            if (kb < 0 || fds < 0)
                continue;
            struct worker *w = worker_of(g, i, pids[k], now);
            w->last_ms = now;
            measure_add(&w->private_kb, now - w->first_ms, kb);
            measure_add(&w->descriptors, now - w->first_ms, fds);
        }
    }
}

void growth_sample_backends(struct growth *g)
{
    char *text = cluster_sql(g->site->dsn, "SELECT count(*) FROM pg_stat_activity"
                                           " WHERE backend_type = 'client backend'");
    measure_add(&g->backends, now_ms() - g->began_ms, atof(text));
    free(text);
}

struct growth *growth_new(const struct site *site)
{
    struct growth *g = calloc(1, sizeof *g);

    if (!g)
        abort();
    g->site = site;
    g->began_ms = now_ms();
    return g;
}

void growth_free(struct growth *g)
{
    struct worker *next;

    for (struct worker *w = g ? g->workers : NULL; w; w = next) {
        next = w->next;
        free(w->private_kb.floors);
        free(w->descriptors.floors);
        free(w);
    }
    if (g)
        free(g->backends.floors);
    free(g);
}

/* ---- the table ----------------------------------------------------------------------------------
 */

static bool put_worker(const struct growth *g, const struct worker *w, struct buf *out)
{
    struct trend kb = trend_of(&w->private_kb), fds = trend_of(&w->descriptors);
    bool bad = grows(kb, GROWTH_KB_A_MINUTE, GROWTH_KB) ||
               grows(fds, GROWTH_DESCRIPTORS_A_MINUTE, GROWTH_DESCRIPTORS);

    buf_printf(out, "%-9s %7d %5zu | %8.0f %8.0f %8.0f %+9.1f | %6.0f %6.0f %6.0f %+9.2f%s\n",
               g->site->load_fronts[w->front].name, (int)w->pid, w->private_kb.n * WINDOW_S,
               kb.early, kb.late, w->private_kb.most, kb.a_minute, fds.early, fds.late,
               w->descriptors.most, fds.a_minute, bad ? "  GROWS" : "");
    return !bad;
}

bool growth_put(const struct growth *g, struct buf *out)
{
    size_t judged = 0, young = 0;
    bool good = true;

    buf_printf(out, "%-9s %7s %5s | %8s %8s %8s %9s | %6s %6s %6s %9s\n", "worker", "pid", "lived",
               "KB early", "late", "most", "a minute", "fds", "late", "most", "a minute");
    for (const struct worker *w = g->workers; w; w = w->next) {
        bool old = measure_is_old(&w->private_kb);
        judged += old;
        young += !old;
        good &= !old || put_worker(g, w, out);
    }
    buf_printf(out, "%zu workers judged; %zu lived less than %d s\n", judged, young,
               (WARM + LIVED) * WINDOW_S);
    buf_printf(out, "PostgreSQL's backends: %.0f at the end, %.0f at most", g->backends.last,
               g->backends.most);
    if (measure_is_old(&g->backends)) {
        struct trend t = trend_of(&g->backends);
        bool bad = grows(t, GROWTH_BACKENDS_A_MINUTE, GROWTH_BACKENDS);
        buf_printf(out, ", %+.2f a minute%s", t.a_minute, bad ? "  GROWS" : "");
        good &= !bad;
    }
    buf_putc(out, '\n');
    return good;
}
