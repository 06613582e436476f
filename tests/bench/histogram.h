/*
 * histogram.h - how often which latency: log-linear buckets, exact to 1/64 of the value.
 */
#ifndef TESTS_BENCH_HISTOGRAM_H
#define TESTS_BENCH_HISTOGRAM_H

#include "core/buf.h"

enum { HISTOGRAM_FINE = 64, HISTOGRAM_BUCKETS = HISTOGRAM_FINE * 42 };

/* Zero it before use. */
struct histogram {
    uint64_t total;
    uint64_t count[HISTOGRAM_BUCKETS];
};

/*
 *      value   0 … 63   64 … 127   128, 130 … 254   256, 260 … 508   …
 *      bucket  0 … 63   64 … 127   128      … 191   192      … 255   …
 */
static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    unsigned shift = ns < HISTOGRAM_FINE ? 0 : 57 - (unsigned)__builtin_clzll(ns);
    size_t at = (size_t)shift * HISTOGRAM_FINE + (size_t)(ns >> shift);

    h->count[at < HISTOGRAM_BUCKETS ? at : HISTOGRAM_BUCKETS - 1]++;
    h->total++;
}

/* The value below which the given part (0 to 1) of all lies, in nanoseconds; 0: empty. */
uint64_t histogram_at(const struct histogram *, double part);

/* Add all of one to another. */
void histogram_merge(struct histogram *into, const struct histogram *);

#endif
