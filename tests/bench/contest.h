/*
 * contest.h - servers that do the same for the same clients, measured side by side.
 *
 * They take turns (A B C, A B C, …), so that whatever else the machine does hits all of them, and
 * each rate is the median of its rounds.
 */
#ifndef TESTS_BENCH_CONTEST_H
#define TESTS_BENCH_CONTEST_H

#include "tests/bench/load.h"
#include "tests/bench/site.h"

enum { ROUNDS_MAX = 15, SIZES_MAX = 4 };

enum mode {
    PACED_ALL,   /* the next event when all have this one */
    PACED_FIRST, /* when the first one has it */
    LOADED,      /* so many outstanding */
    MODE__COUNT
};

/* The numbers of a contest. */
struct plan {
    size_t sizes[SIZES_MAX], n_sizes; /* clients */
    size_t bytes[SIZES_MAX], n_bytes; /* of an event's data */
    int rounds, ms, outstanding;
    int idle_ms; /* to watch idle clients; 0: they are not */
    bool each;   /* a transaction per event even under load */
};

/* One server, one number of clients, one size of events, one mode: all its rounds. */
struct figure {
    double rates[ROUNDS_MAX], fan_rates[ROUNDS_MAX]; /* deliveries per second */
    int n;
    double cpu_seconds, holder_cpu_seconds;
    uint64_t deliveries;
    struct histogram latency;
};

/* What idle clients cost. */
struct upkeep {
    double holder_bytes, all_bytes; /* private memory, per client */
    double cpu_alone, cpu;          /* parts of a processor: without clients, with all */
};

struct contest {
    /* By whoever begins it: */
    bool websockets; /* the clients are; else event streams */
    struct plan plan;
    struct site *sites[SITE__COUNT]; /* NULL: takes no part */
    /* Filled in by contest_run(): */
    struct figure *figures;
    struct upkeep upkeep[SITE__COUNT];
    unsigned topics;
};

/* Measure everything; what fails says why on stderr and has no figures. */
void contest_run(struct contest *);
void contest_fini(struct contest *);

/* Lends; size and bytes are places in the plan. */
struct figure *contest_figure(const struct contest *, size_t size, size_t bytes, int site,
                              enum mode);

/* Medians; 0: not measured.  fan: while some client had an event that another one had not yet. */
double figure_rate(const struct figure *);
double figure_fan_rate(const struct figure *);

#endif
