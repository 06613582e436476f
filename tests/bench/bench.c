/*
 * bench.c - `make bench`: Bellpush beside the limit and beside nchan, in one run, in one table.
 *
 * The servers take turns (A B C, A B C, …), so that whatever else the machine does hits all of
 * them, and each figure is the median of its rounds.  Nothing here fails a test: the targets are
 * printed as a column.  README.md beside this file says what the columns mean and what is fair.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/delay.h"
#include "tests/bench/load.h"
#include "tests/bench/site.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

enum {
    ROUNDS_MAX = 15,
    SIZES_MAX = 4,
    UNDER_LOAD = 16,   /* events outstanding */
    WARM_RUN_MS = 200, /* not counted */
    SETTLE_MS = 10000, /* until a server has noticed that everybody left */
    FEW = 8,           /* descriptors more or less that mean nothing */
};

enum mode { PACED_ALL, PACED_FIRST, LOADED, MODE__COUNT };

struct options {
    size_t sizes[SIZES_MAX], n_sizes;
    int rounds, ms, outstanding, nginx_processes;
    unsigned sites; /* bit per enum site_kind */
    bool each;      /* a transaction per event even under load */
    bool delay;
};

/* One server, one number of streams, one mode: all its rounds. */
struct figure {
    double rates[ROUNDS_MAX]; /* deliveries per second */
    int n;
    double cpu_seconds, holder_cpu_seconds;
    uint64_t deliveries;
    struct histogram latency;
};

struct bench {
    struct options options;
    struct cluster *cluster;
    struct site *sites[SITE__COUNT];
    struct site_place places[SITE__COUNT];
    struct figure *figures;                                   /* [size][site][mode] */
    double holder_bytes[SITE__COUNT], all_bytes[SITE__COUNT]; /* per stream */
    unsigned topics;
};

static struct figure *figure(struct bench *b, size_t size, int site, enum mode mode)
{
    return &b->figures[(size * SITE__COUNT + (size_t)site) * MODE__COUNT + mode];
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct figure *f)
{
    if (f->n == 0)
        return 0;
    qsort(f->rates, (size_t)f->n, sizeof f->rates[0], by_value);
    return f->n % 2 ? f->rates[f->n / 2] : (f->rates[f->n / 2 - 1] + f->rates[f->n / 2]) / 2;
}

/* --- measuring ----------------------------------------------------------------------------- */

struct settled {
    const struct site *site;
    int64_t descriptors;
};

static bool has_settled(void *arg)
{
    struct settled *s = arg;
    return site_usage(s->site).descriptors <= s->descriptors + FEW;
}

/* Everybody leaves; wait until the server has noticed. */
static void leave(struct bench *b, int site, struct load *l, int64_t descriptors)
{
    struct settled s = { b->sites[site], descriptors };
    load_free(l);
    if (!wait_until(has_settled, &s, SETTLE_MS))
        fprintf(stderr, "bench: %s: still %lld descriptors, %lld before anybody came\n",
                site_name((enum site_kind)site), (long long)site_usage(b->sites[site]).descriptors,
                (long long)descriptors);
}

/* n streams of a new topic, all alive. */
static struct load *arrive(struct bench *b, int site, size_t n, struct publisher **publisher)
{
    char *topic = text_of("bench-%u", ++b->topics);
    char *target = site_target(b->sites[site], topic);
    struct load *l = load_connect(site_address(b->sites[site]), target, n);

    *publisher = l ? site_publisher(b->sites[site], topic, b->options.each) : NULL;
    free(target);
    free(topic);
    if (l && !load_warm(l, *publisher)) {
        (*publisher)->free(*publisher);
        load_free(l);
        l = NULL;
    }
    return l;
}

static void measure(struct bench *b, int site, struct load *l, struct publisher *p,
                    struct pace pace, struct figure *f)
{
    static struct load_sample sample; /* large */
    const struct site *s = b->sites[site];

    if (!load_run(l, p, pace, WARM_RUN_MS, &sample))
        return;
    struct usage all = site_usage(s), holder = site_holder_usage(s);
    if (!load_run(l, p, pace, b->options.ms, &sample))
        return;
    f->cpu_seconds += site_usage(s).cpu_seconds - all.cpu_seconds;
    f->holder_cpu_seconds += site_holder_usage(s).cpu_seconds - holder.cpu_seconds;
    f->deliveries += sample.deliveries;
    f->rates[f->n++] = (double)sample.deliveries / sample.seconds;
    histogram_merge(&f->latency, &sample.latency);
}

static void measure_round(struct bench *b, size_t size, int site)
{
    struct publisher *p;
    int64_t descriptors = site_usage(b->sites[site]).descriptors;
    struct load *l = arrive(b, site, b->options.sizes[size], &p);

    if (!l)
        return;
    measure(b, site, l, p, (struct pace){ 1, false }, figure(b, size, site, PACED_ALL));
    measure(b, site, l, p, (struct pace){ 1, true }, figure(b, size, site, PACED_FIRST));
    measure(b, site, l, p, (struct pace){ (unsigned)b->options.outstanding, false },
            figure(b, size, site, LOADED));
    p->free(p);
    leave(b, site, l, descriptors);
}

/* On a fresh server: what the streams of the largest size add once each has had an event. */
static void measure_memory(struct bench *b, int site)
{
    size_t n = b->options.sizes[b->options.n_sizes - 1];
    struct publisher *p;
    struct site *s = b->sites[site];
    int64_t descriptors = site_usage(s).descriptors;
    struct load *l = arrive(b, site, FEW, &p);

    if (!l)
        return;
    p->free(p);
    leave(b, site, l, descriptors);
    struct usage all = site_usage(s), holder = site_holder_usage(s);
    if (!(l = arrive(b, site, n, &p)))
        return;
    b->all_bytes[site] = (double)(site_usage(s).private_bytes - all.private_bytes) / (double)n;
    b->holder_bytes[site] =
        (double)(site_holder_usage(s).private_bytes - holder.private_bytes) / (double)n;
    p->free(p);
    leave(b, site, l, descriptors);
}

/* --- the table ----------------------------------------------------------------------------- */

static void print_figure(struct figure *f)
{
    double rate = median(f);

    if (f->n == 0) {
        printf(" | %39s", "failed");
        return;
    }
    printf(" | %9.0f %7.2f %7.2f %6.2f %6.2f", rate, (double)histogram_at(&f->latency, 0.5) / 1e6,
           (double)histogram_at(&f->latency, 0.99) / 1e6,
           f->cpu_seconds * 1e6 / (double)f->deliveries,
           f->holder_cpu_seconds * 1e6 / (double)f->deliveries);
}

static void print_table(struct bench *b)
{
    char loaded[32];

    snprintf(loaded, sizeof loaded, "%d events outstanding", b->options.outstanding);
    for (size_t i = 0; i < b->options.n_sizes; i++) {
        printf("\n%5zu subscribers of one topic | %-39s | %-39s | %s\n", b->options.sizes[i],
               "next event when all have this one", "next event when the first one has it", loaded);
        for (int k = 0; k < MODE__COUNT; k++)
            printf("%s | %9s %7s %7s %6s %6s", k ? "" : "                            ", "deliv./s",
                   "p50 ms", "p99 ms", "cpu us", "own us");
        printf("\n");
        for (int s = 0; s < SITE__COUNT; s++) {
            if (!b->sites[s])
                continue;
            printf("%-28s", site_name((enum site_kind)s));
            for (int m = 0; m < MODE__COUNT; m++)
                print_figure(figure(b, i, s, (enum mode)m));
            printf("\n");
        }
    }
    printf("\nprivate bytes per open stream    | its holder | all processes\n");
    for (int s = 0; s < SITE__COUNT; s++)
        if (b->sites[s])
            printf("%-32s | %10.0f | %13.0f\n", site_name((enum site_kind)s), b->holder_bytes[s],
                   b->all_bytes[s]);
}

static void print_target(const char *what, size_t n, double value, double target, bool at_most)
{
    char size[32] = "";

    if (n > 0)
        snprintf(size, sizeof size, "%zu", n);
    if (value <= 0)
        printf("%-60s | %6s | %8s | %8.2f | not measured\n", what, size, "", target);
    else
        printf("%-60s | %6s | %8.2f | %s%7.2f | %s\n", what, size, value, at_most ? "<" : ">",
               target, (at_most ? value <= target : value >= target) ? "yes" : "NO");
}

static void print_ratio(struct bench *b, size_t size, int site, int beside, enum mode mode,
                        double target)
{
    double rate = median(figure(b, size, site, mode)), base = median(figure(b, size, beside, mode));
    static const char *const modes[] = { "paced by all", "paced by first", "loaded" };
    char *what = text_of("%s, %s / %s", modes[mode], site_name((enum site_kind)site),
                         site_name((enum site_kind)beside));

    if (b->sites[site] && b->sites[beside])
        print_target(what, b->options.sizes[size], base > 0 ? rate / base : 0, target, false);
    free(what);
}

static void print_targets(struct bench *b, const struct delay *d)
{
    static const int ours[] = { SITE_NGINX, SITE_LIGHTTPD };

    printf("\n%-60s | %6s | %8s | %8s | met\n", "target", "subscr", "measured", "target");
    for (size_t i = 0; i < b->options.n_sizes; i++)
        for (size_t k = 0; k < LENGTH(ours); k++) {
            for (enum mode m = PACED_ALL; m <= PACED_FIRST; m++) {
                print_ratio(b, i, ours[k], SITE_BARE, m, 0.8);
                print_ratio(b, i, ours[k], SITE_NCHAN, m, 1.5);
            }
            print_ratio(b, i, ours[k], SITE_NCHAN, LOADED, 4);
        }
    for (size_t k = 0; k < LENGTH(ours); k++)
        if (b->sites[ours[k]]) {
            char *what =
                text_of("private bytes per stream, %s", site_name((enum site_kind)ours[k]));
            print_target(what, b->options.sizes[b->options.n_sizes - 1], b->holder_bytes[ours[k]],
                         600, true);
            free(what);
        }
    if (d->streamed_ms > 0) {
        print_target("commit -> client p50 / LISTEN loop, same log", 1, d->streamed_ms / d->read_ms,
                     1.5, true);
        print_target("commit -> client p50 / LISTEN loop, plain NOTIFY", 1,
                     d->streamed_ms / d->listened_ms, 1.5, true);
    }
}

/* --- the run ------------------------------------------------------------------------------- */

static void start_sites(struct bench *b)
{
    static const char *const databases[SITE__COUNT] = {
        [SITE_NGINX] = "nginx", [SITE_LIGHTTPD] = "lighttpd"
    };
    const char *top = getenv("BELLPUSH_TEST_TOP"), *program = getenv("BELLPUSH_TEST_PROGRAM"),
               *bare = getenv("BELLPUSH_TEST_BARE");

    if (!top || !program || !bare) {
        fprintf(stderr, "bench: run me by `make bench`\n");
        exit(EXIT_FAILURE);
    }
    for (int s = 0; s < SITE__COUNT; s++) {
        const char *missing = site_missing((enum site_kind)s);
        if (!(b->options.sites & 1u << s))
            continue;
        if (missing) {
            fprintf(stderr, "bench: without %s: %s\n", site_name((enum site_kind)s), missing);
            continue;
        }
        b->places[s] = (struct site_place){ .top = top,
                                            .program = program,
                                            .bare = bare,
                                            .nginx_processes = b->options.nginx_processes };
        /* Each its own: a NOTIFY wakes every listener of a database. */
        if (databases[s])
            b->places[s].dsn = cluster_database(b->cluster, databases[s]);
        b->sites[s] = site_start((enum site_kind)s, &b->places[s]);
    }
}

static void stop_sites(struct bench *b)
{
    for (int s = 0; s < SITE__COUNT; s++) {
        site_stop(b->sites[s]);
        free((char *)(uintptr_t)b->places[s].dsn);
    }
}

static void run(struct bench *b, struct delay *d)
{
    for (int s = 0; s < SITE__COUNT; s++)
        if (b->sites[s])
            measure_memory(b, s);
    for (size_t i = 0; i < b->options.n_sizes; i++)
        for (int r = 0; r < b->options.rounds; r++)
            for (int s = 0; s < SITE__COUNT; s++)
                if (b->sites[s])
                    measure_round(b, i, s);
    if (b->options.delay && b->sites[SITE_NGINX]) {
        char *target = site_target(b->sites[SITE_NGINX], DELAY_TOPIC);
        char *plain = cluster_empty_database(b->cluster, "plain"),
             *log = cluster_database(b->cluster, "log");
        delay_measure(site_address(b->sites[SITE_NGINX]), target,
                      &(struct delay_databases){ b->places[SITE_NGINX].dsn, plain, log }, d);
        free(plain);
        free(log);
        free(target);
    }
}

static void usage(void)
{
    fprintf(stderr, "usage: bench [--subscribers N,N] [--rounds N] [--ms N] [--outstanding N]\n"
                    "             [--only NAME]… [--each] [--no-delay] [--nginx-processes N]\n"
                    "NAME: a part of a server's name, such as \"nginx\" or \"bare\"\n");
    exit(EXIT_FAILURE);
}

static void read_sizes(struct options *o, char *text)
{
    for (o->n_sizes = 0; text && o->n_sizes < SIZES_MAX; text = strchr(text, ',')) {
        text += *text == ',';
        o->sizes[o->n_sizes++] = strtoul(text, NULL, 10);
    }
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        { "subscribers", required_argument, NULL, 's' },
        { "rounds", required_argument, NULL, 'r' },
        { "ms", required_argument, NULL, 'm' },
        { "outstanding", required_argument, NULL, 'o' },
        { "only", required_argument, NULL, 'n' },
        { "each", no_argument, NULL, 'e' },
        { "no-delay", no_argument, NULL, 'd' },
        { "nginx-processes", required_argument, NULL, 'p' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    *o = (struct options){ { 1000, 5000 }, 2, 5, 800, UNDER_LOAD, 1, 0, false, true };
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (c == 's')
            read_sizes(o, optarg);
        else if (c == 'r')
            o->rounds = atoi(optarg);
        else if (c == 'm')
            o->ms = atoi(optarg);
        else if (c == 'o')
            o->outstanding = atoi(optarg);
        else if (c == 'n')
            for (int s = 0; s < SITE__COUNT; s++)
                o->sites |= strstr(site_name((enum site_kind)s), optarg) ? 1u << s : 0;
        else if (c == 'e')
            o->each = true;
        else if (c == 'p')
            o->nginx_processes = atoi(optarg);
        else if (c == 'd')
            o->delay = false;
        else
            usage();
    if (o->sites == 0)
        o->sites = (1u << SITE__COUNT) - 1;
    if (o->rounds < 1 || o->rounds > ROUNDS_MAX || o->outstanding < 1 ||
        o->outstanding > OUTSTANDING_MAX || o->nginx_processes < 1 || o->ms < 1 ||
        o->n_sizes == 0 || o->sizes[0] == 0)
        usage();
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct delay delay = { 0 };
    struct rlimit files;

    read_options(&b.options, argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files); /* everybody we start inherits it */
    b.figures = calloc(b.options.n_sizes * SITE__COUNT * MODE__COUNT, sizeof *b.figures);
    if (!b.figures)
        abort();
    if (b.options.sites & (1u << SITE_NGINX | 1u << SITE_LIGHTTPD))
        b.cluster = cluster_start();
    start_sites(&b);
    run(&b, &delay);
    print_table(&b);
    delay_print(&delay);
    print_targets(&b, &delay);
    stop_sites(&b);
    cluster_free(b.cluster);
    free(b.figures);
    return EXIT_SUCCESS;
}
