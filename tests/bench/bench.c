/*
 * bench.c - `make bench`: Bellpush beside the limit and beside others, in one run, in tables.
 *
 * Two contests (contest.h): event streams through web servers, and WebSockets.  Nothing here fails
 * a test: the targets are printed as a column.  README.md beside this file says what the columns
 * mean and what is fair.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/contest.h"
#include "tests/bench/delay.h"
#include "tests/bench/reader.h"
#include "tests/bench/table.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"

struct options {
    struct plan streams, websockets;
    bool run_streams, run_websockets;
    int nginx_processes;
    unsigned sites; /* bit per enum site_kind */
    bool delay;
};

/* What both contests and the measuring of delays are done with. */
struct bench {
    struct options options;
    struct cluster *cluster;
    struct site_place places[SITE__COUNT];
};

/* --- sites --------------------------------------------------------------------------------- */

static void place_site(struct bench *b, enum site_kind kind)
{
    struct site_place *p = &b->places[kind];

    p->top = getenv("BELLPUSH_TEST_TOP");
    p->program = getenv("BELLPUSH_TEST_PROGRAM");
    p->daemon = getenv("BELLPUSH_TEST_DAEMON");
    p->bare = getenv("BELLPUSH_TEST_BARE");
    p->nginx_processes = b->options.nginx_processes;
    if (!p->top || !p->program || !p->daemon || !p->bare) {
        fprintf(stderr, "bench: run me by `make bench`\n");
        exit(EXIT_FAILURE);
    }
    /* Each its own: a NOTIFY wakes every listener of a database. */
    if (site_wants_database(kind)) {
        char *name = text_of("site%d", (int)kind);
        if (!b->cluster)
            b->cluster = cluster_start();
        p->dsn = cluster_database(b->cluster, name);
        free(name);
    }
}

static void start_sites(struct bench *b, struct contest *c)
{
    for (enum site_kind k = 0; k < SITE__COUNT; k++) {
        if (!(b->options.sites & 1u << k) || site_has_websockets(k) != c->websockets)
            continue;
        const char *missing = site_missing(k);
        if (missing) {
            fprintf(stderr, "bench: without %s: %s\n", site_name(k), missing);
            continue;
        }
        place_site(b, k);
        c->sites[k] = site_start(k, &b->places[k]);
    }
}

static void stop_sites(struct bench *b, struct contest *c)
{
    for (int k = 0; k < SITE__COUNT; k++) {
        if (!c->sites[k])
            continue;
        site_stop(c->sites[k]);
        free((char *)(uintptr_t)b->places[k].dsn);
    }
    contest_fini(c);
}

/* --- the contests -------------------------------------------------------------------------- */

/* site: the worker behind nginx. */
static void measure_delay(struct bench *b, const struct site *site, struct delay *d)
{
    char *request = site_request(site, DELAY_TOPIC);
    char *plain = cluster_empty_database(b->cluster, "plain"),
         *log = cluster_database(b->cluster, "log");

    delay_measure(site_address(site), request,
                  &(struct delay_databases){ b->places[SITE_NGINX].dsn, plain, log }, d);
    free(plain);
    free(log);
    free(request);
}

static void print_bytes_target(const struct contest *c, enum site_kind kind)
{
    char *what = text_of("private bytes per open %s, %s", c->websockets ? "WebSocket" : "stream",
                         site_name(kind));

    if (c->sites[kind])
        table_print_target(what, c->plan.sizes[c->plan.n_sizes - 1], c->upkeep[kind].holder_bytes,
                           600, true);
    free(what);
}

static void run_streams(struct bench *b)
{
    static const struct target targets[] = {
        { SITE_NGINX, SITE_BARE, PACED_ALL, false, 0.8 },
        { SITE_NGINX, SITE_NCHAN, PACED_ALL, false, 1.5 },
        { SITE_NGINX, SITE_BARE, PACED_FIRST, false, 0.8 },
        { SITE_NGINX, SITE_NCHAN, PACED_FIRST, false, 1.5 },
        { SITE_NGINX, SITE_NCHAN, LOADED, false, 4 },
        { SITE_LIGHTTPD, SITE_BARE, PACED_ALL, false, 0.8 },
        { SITE_LIGHTTPD, SITE_NCHAN, PACED_ALL, false, 1.5 },
        { SITE_LIGHTTPD, SITE_BARE, PACED_FIRST, false, 0.8 },
        { SITE_LIGHTTPD, SITE_NCHAN, PACED_FIRST, false, 1.5 },
        { SITE_LIGHTTPD, SITE_NCHAN, LOADED, false, 4 },
    };
    struct contest c = { .plan = b->options.streams };
    struct delay delay = { 0 };

    start_sites(b, &c);
    contest_run(&c);
    if (b->options.delay && c.sites[SITE_NGINX])
        measure_delay(b, c.sites[SITE_NGINX], &delay);
    table_print(&c);
    delay_print(&delay);
    table_print_target_head();
    table_print_targets(&c, targets, LENGTH(targets));
    print_bytes_target(&c, SITE_NGINX);
    print_bytes_target(&c, SITE_LIGHTTPD);
    if (delay.streamed_ms > 0) {
        table_print_target("commit -> client p50 / LISTEN loop, same log", 1,
                           delay.streamed_ms / delay.read_ms, 1.5, true);
        table_print_target("commit -> client p50 / LISTEN loop, plain NOTIFY", 1,
                           delay.streamed_ms / delay.listened_ms, 1.5, true);
    }
    stop_sites(b, &c);
}

static void run_websockets(struct bench *b)
{
    static const struct target targets[] = {
        { SITE_BELLPUSHD, SITE_WS_BARE, PACED_ALL, false, 0.95 },
        { SITE_BELLPUSHD, SITE_WS_BARE, PACED_ALL, true, 0.95 },
        { SITE_BELLPUSHD, SITE_WS_BARE_LOG, PACED_ALL, false, 0.95 },
        { SITE_BELLPUSHD, SITE_WS_NODE, PACED_ALL, false, 1 },
        { SITE_BELLPUSHD, SITE_WS_NCHAN, PACED_ALL, false, 1 },
        { SITE_BELLPUSHD, SITE_WS_BARE_TOGETHER, LOADED, false, 0.85 },
        { SITE_BELLPUSHD, SITE_WS_BARE_TOGETHER, LOADED, true, 0.85 },
        { SITE_BELLPUSHD, SITE_WS_BARE_LOG, LOADED, false, 0.85 },
        { SITE_BELLPUSHD, SITE_WS_NODE, LOADED, false, 1 },
        { SITE_BELLPUSHD, SITE_WS_NCHAN, LOADED, false, 1 },
    };
    struct contest c = { .websockets = true, .plan = b->options.websockets };

    start_sites(b, &c);
    contest_run(&c);
    table_print(&c);
    table_print_target_head();
    table_print_targets(&c, targets, LENGTH(targets));
    print_bytes_target(&c, SITE_BELLPUSHD);
    stop_sites(b, &c);
}

/* --- options ------------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(
        stderr,
        "usage: bench [--streams | --ws] [--subscribers N,N] [--bytes N,N] [--rounds N] [--ms N]\n"
        "             [--outstanding N] [--only NAME]… [--each] [--no-delay] [--nginx-processes "
        "N]\n"
        "NAME: a part of a server's name, such as \"nginx\" or \"bare\"\n");
    exit(EXIT_FAILURE);
}

static size_t read_sizes(const char *text, size_t *out)
{
    size_t n = 0;

    for (; text && n < SIZES_MAX; text = strchr(text, ',')) {
        text += *text == ',';
        out[n++] = strtoul(text, NULL, 10);
    }
    return n;
}

static bool plan_makes_sense(const struct plan *p)
{
    bool good = p->rounds >= 1 && p->rounds <= ROUNDS_MAX && p->outstanding >= 1 &&
                p->outstanding <= OUTSTANDING_MAX && p->ms >= 1;

    for (size_t i = 0; i < p->n_sizes; i++)
        good = good && p->sizes[i] > 0;
    for (size_t i = 0; i < p->n_bytes; i++)
        good = good && p->bytes[i] > EVENT_DIGITS + 1 && p->bytes[i] <= EVENT_DATA_MAX;
    return good;
}

/* False: no option of a plan. */
static bool read_plan_option(struct plan *p, int option, const char *value)
{
    switch (option) {
    case 's':
        p->n_sizes = read_sizes(value, p->sizes);
        return true;
    case 'b':
        p->n_bytes = read_sizes(value, p->bytes);
        return true;
    case 'r':
        p->rounds = atoi(value);
        return true;
    case 'm':
        p->ms = atoi(value);
        return true;
    case 'o':
        p->outstanding = atoi(value);
        return true;
    case 'e':
        p->each = true;
        return true;
    default:
        return false;
    }
}

static unsigned sites_called(const char *part)
{
    unsigned sites = 0;

    for (enum site_kind k = 0; k < SITE__COUNT; k++)
        if (strstr(site_name(k), part))
            sites |= 1u << k;
    return sites;
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        { "streams", no_argument, NULL, 'S' },
        { "ws", no_argument, NULL, 'W' },
        { "subscribers", required_argument, NULL, 's' },
        { "bytes", required_argument, NULL, 'b' },
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

    *o = (struct options){
        .streams = { { 1000, 5000 }, 2, { 200 }, 1, 5, 800, 16, 0, false },
        .websockets = { { 1000, 10000 }, 2, { 64, 512 }, 2, 3, 800, 32, 3000, false },
        .nginx_processes = 1,
        .run_streams = true,
        .run_websockets = true,
        .delay = true,
    };
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (c == 'S')
            o->run_websockets = false;
        else if (c == 'W')
            o->run_streams = false;
        else if (c == 'n')
            o->sites |= sites_called(optarg);
        else if (c == 'p')
            o->nginx_processes = atoi(optarg);
        else if (c == 'd')
            o->delay = false;
        else if (!read_plan_option(&o->streams, c, optarg) ||
                 !read_plan_option(&o->websockets, c, optarg))
            usage();
    if (o->sites == 0)
        o->sites = (1u << SITE__COUNT) - 1;
    if (!plan_makes_sense(&o->streams) || !plan_makes_sense(&o->websockets) ||
        o->nginx_processes < 1)
        usage();
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct rlimit files;

    read_options(&b.options, argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files); /* everybody we start inherits it */
    if (b.options.run_streams)
        run_streams(&b);
    if (b.options.run_websockets)
        run_websockets(&b);
    cluster_free(b.cluster);
    return EXIT_SUCCESS;
}
