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
    WORKERS_MAX = 16,     /* at a time */
    WARM_S = 60,          /* of a worker's life, not judged */
    FORGOTTEN_MS = 60000, /* a pid seen again after that is another's */
    LIVED_S = 60,         /* after that: long enough to be judged */
    GROWTH_KB_A_MINUTE = 256,
    GROWTH_KB = 1024, /* what glibc keeps or gives back from one minute to the next */
    GROWTH_DESCRIPTORS_A_MINUTE = 4,
    GROWTH_DESCRIPTORS = 16, /* streams move from one worker to another */
    GROWTH_BACKENDS = 12,
};

/* What a line through points needs; and the line's two ends. */
struct line {
    double n, x, y, xx, xy;
};

static void line_add(struct line *l, double x, double y)
{
    l->n++;
    l->x += x;
    l->y += y;
    l->xx += x * x;
    l->xy += x * y;
}

static double line_slope(const struct line *l)
{
    double spread = l->n * l->xx - l->x * l->x;
    return spread > 0 ? (l->n * l->xy - l->x * l->y) / spread : 0;
}

/* One number of one process, by its age in seconds. */
struct measure {
    double warm, last, most; /* the first after warming up; 0: not yet */
    struct line line;
};

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

static void measure_add(struct measure *m, double age_s, double value)
{
    m->last = value;
    if (value > m->most)
        m->most = value;
    if (age_s < WARM_S)
        return;
    if (m->line.n == 0)
        m->warm = value;
    line_add(&m->line, age_s, value);
}

static double a_minute(const struct measure *m)
{
    return line_slope(&m->line) * 60;
}

static bool measure_grows(const struct measure *m, double lived_s, double bound_a_minute,
                          double bound)
{
    double slope = line_slope(&m->line);
    return slope * 60 > bound_a_minute && slope * lived_s > bound;
}

/* ---- looking at processes -----------------------------------------------------------------------
 */

/* The sum of a field in /proc/PID/smaps_rollup; -1: it is gone. */
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

static struct worker *worker_of(struct growth *g, size_t front, pid_t pid)
{
    for (struct worker *w = g->workers; w; w = w->next)
        if (w->pid == pid && now_ms() - w->last_ms < FORGOTTEN_MS)
            return w;
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct worker){
        .next = g->workers, .pid = pid, .front = front, .first_ms = now_ms(), .last_ms = now_ms()
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
            struct worker *w = worker_of(g, i, pids[k]);
            w->last_ms = now;
            measure_add(&w->private_kb, (double)(now - w->first_ms) / 1e3, kb);
            measure_add(&w->descriptors, (double)(now - w->first_ms) / 1e3, fds);
        }
    }
    char *text = cluster_sql(g->site->dsn, "SELECT count(*) FROM pg_stat_activity"
                                           " WHERE backend_type = 'client backend'");
    measure_add(&g->backends, (double)(now - g->began_ms) / 1e3, atof(text));
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
        free(w);
    }
    free(g);
}

/* ---- the table ----------------------------------------------------------------------------------
 */

static double lived_s(const struct worker *w)
{
    return (double)(w->last_ms - w->first_ms) / 1e3 - WARM_S;
}

static bool put_worker(const struct growth *g, const struct worker *w, struct buf *out)
{
    double s = lived_s(w);
    bool grows = measure_grows(&w->private_kb, s, GROWTH_KB_A_MINUTE, GROWTH_KB) ||
                 measure_grows(&w->descriptors, s, GROWTH_DESCRIPTORS_A_MINUTE, GROWTH_DESCRIPTORS);

    buf_printf(out, "%-9s %7d %6.0f | %8.0f %8.0f %8.0f %+8.1f | %6.0f %6.0f %6.0f %+8.2f%s\n",
               g->site->load_fronts[w->front].name, (int)w->pid, s + WARM_S, w->private_kb.warm,
               w->private_kb.last, w->private_kb.most, a_minute(&w->private_kb),
               w->descriptors.warm, w->descriptors.last, w->descriptors.most,
               a_minute(&w->descriptors), grows ? "  GROWS" : "");
    return !grows;
}

bool growth_put(const struct growth *g, struct buf *out)
{
    double age_s = (double)(now_ms() - g->began_ms) / 1e3;
    size_t judged = 0, young = 0;
    bool good = true;

    buf_printf(out, "worker        pid  lived | KB: warm      end     most   a minute | fds: warm"
                    "  end   most  a minute\n");
    for (const struct worker *w = g->workers; w; w = w->next) {
        if (lived_s(w) < LIVED_S) {
            young++;
            continue;
        }
        judged++;
        good &= put_worker(g, w, out);
    }
    buf_printf(out, "%zu workers judged; %zu lived less than %d s\n", judged, young,
               WARM_S + LIVED_S);
    bool more = measure_grows(&g->backends, age_s - WARM_S, 1, GROWTH_BACKENDS);
    buf_printf(out, "PostgreSQL's backends: %.0f at the end, %.0f at most, %+.2f a minute%s\n",
               g->backends.last, g->backends.most, a_minute(&g->backends), more ? "  GROWS" : "");
    return good && !more;
}
