/*
 * contest.c - see contest.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/contest.h"
#include "tests/peers/process.h"

enum {
    WARM_RUN_MS = 200, /* not counted */
    WARM_OUTSTANDING = 4,
    SETTLE_MS = 10000, /* until a server has noticed that everybody left */
    FEW = 8,           /* descriptors more or less that mean nothing */
};

struct figure *contest_figure(const struct contest *c, size_t size, size_t bytes, int site,
                              enum mode mode)
{
    size_t at = (size * c->plan.n_bytes + bytes) * SITE__COUNT + (size_t)site;
    return &c->figures[at * MODE__COUNT + mode];
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int n)
{
    double sorted[ROUNDS_MAX];

    if (n == 0)
        return 0;
    memcpy(sorted, values, (size_t)n * sizeof sorted[0]);
    qsort(sorted, (size_t)n, sizeof sorted[0], by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double figure_rate(const struct figure *f)
{
    return median(f->rates, f->n);
}

double figure_fan_rate(const struct figure *f)
{
    return median(f->fan_rates, f->n);
}

/* --- clients come and go -------------------------------------------------------------------- */

/* Clients of one topic, all alive. */
struct crowd {
    enum site_kind kind;
    const struct site *site;
    char *topic, *request;
    struct load *load;
    int64_t descriptors; /* of the server before they came */
};

static bool has_settled(void *arg)
{
    struct crowd *crowd = arg;
    return site_usage(crowd->site).descriptors <= crowd->descriptors + FEW;
}

/* Everybody leaves; wait until the server has noticed. */
static void leave(struct crowd *crowd)
{
    load_free(crowd->load);
    free(crowd->request);
    free(crowd->topic);
    if (!wait_until(has_settled, crowd, SETTLE_MS))
        fprintf(stderr, "bench: %s: still %lld descriptors, %lld before anybody came\n",
                site_name(crowd->kind), (long long)site_usage(crowd->site).descriptors,
                (long long)crowd->descriptors);
}

/* n clients of a new topic, each of which has heard something. */
static bool arrive(struct contest *c, int site, size_t n, struct crowd *crowd)
{
    struct publisher *p;
    bool alive;

    crowd->kind = (enum site_kind)site;
    crowd->site = c->sites[site];
    crowd->descriptors = site_usage(crowd->site).descriptors;
    crowd->topic = text_of("bench-%u", ++c->topics);
    crowd->request = site_request(crowd->site, crowd->topic);
    crowd->load = load_connect(site_address(crowd->site), crowd->request, n);
    if (crowd->load) {
        p = site_publisher(crowd->site, crowd->topic, c->plan.bytes[0], c->plan.each);
        alive = load_warm(crowd->load, p);
        p->free(p);
        if (alive)
            return true;
    }
    leave(crowd);
    return false;
}

/* --- measuring ----------------------------------------------------------------------------- */

static void measure(struct contest *c, struct crowd *crowd, struct publisher *p, struct pace pace,
                    struct figure *f)
{
    static struct load_sample sample; /* large */
    struct pace warm = pace;

    if (warm.outstanding > WARM_OUTSTANDING)
        warm.outstanding = WARM_OUTSTANDING;
    if (!load_run(crowd->load, p, warm, WARM_RUN_MS, &sample))
        return;
    struct usage all = site_usage(crowd->site), holder = site_holder_usage(crowd->site);
    if (!load_run(crowd->load, p, pace, c->plan.ms, &sample))
        return;
    f->cpu_seconds += site_usage(crowd->site).cpu_seconds - all.cpu_seconds;
    f->holder_cpu_seconds += site_holder_usage(crowd->site).cpu_seconds - holder.cpu_seconds;
    f->deliveries += sample.deliveries;
    f->rates[f->n] = (double)sample.deliveries / sample.seconds;
    f->fan_rates[f->n++] = (double)sample.deliveries / sample.fan_seconds;
    histogram_merge(&f->latency, &sample.latency);
}

static void measure_round(struct contest *c, size_t size, int site)
{
    struct pace paces[MODE__COUNT] = { [PACED_ALL] = { 1, false },
                                       [PACED_FIRST] = { 1, true },
                                       [LOADED] = { (unsigned)c->plan.outstanding, false } };
    struct crowd crowd;
    struct publisher *p;

    if (!arrive(c, site, c->plan.sizes[size], &crowd))
        return;
    for (size_t i = 0; i < c->plan.n_bytes; i++) {
        p = site_publisher(crowd.site, crowd.topic, c->plan.bytes[i], c->plan.each);
        for (enum mode mode = 0; mode < MODE__COUNT; mode++)
            measure(c, &crowd, p, paces[mode], contest_figure(c, size, i, site, mode));
        p->free(p);
    }
    leave(&crowd);
}

static double idle_cpu(const struct site *s, int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
    int64_t begin = now_ns();
    double before = site_usage(s).cpu_seconds;

    nanosleep(&t, NULL);
    return (site_usage(s).cpu_seconds - before) / ((double)(now_ns() - begin) / 1e9);
}

/* On a fresh server: what the clients of the largest size add once each has had an event. */
static void measure_upkeep(struct contest *c, int site)
{
    size_t n = c->plan.sizes[c->plan.n_sizes - 1];
    struct upkeep *u = &c->upkeep[site];
    struct site *s = c->sites[site];
    struct crowd crowd;

    if (!arrive(c, site, FEW, &crowd))
        return;
    leave(&crowd);
    u->cpu_alone = idle_cpu(s, c->plan.idle_ms);
    struct usage all = site_usage(s), holder = site_holder_usage(s);
    if (!arrive(c, site, n, &crowd))
        return;
    u->all_bytes = (double)(site_usage(s).private_bytes - all.private_bytes) / (double)n;
    u->holder_bytes =
        (double)(site_holder_usage(s).private_bytes - holder.private_bytes) / (double)n;
    u->cpu = idle_cpu(s, c->plan.idle_ms);
    leave(&crowd);
}

void contest_run(struct contest *c)
{
    size_t n = c->plan.n_sizes * c->plan.n_bytes * SITE__COUNT * MODE__COUNT;

    if (!(c->figures = calloc(n, sizeof *c->figures)))
        abort();
    for (int s = 0; s < SITE__COUNT; s++)
        if (c->sites[s])
            measure_upkeep(c, s);
    for (size_t i = 0; i < c->plan.n_sizes; i++)
        for (int r = 0; r < c->plan.rounds; r++)
            for (int s = 0; s < SITE__COUNT; s++)
                if (c->sites[s])
                    measure_round(c, i, s);
}

void contest_fini(struct contest *c)
{
    free(c->figures);
}
