/*
 * histogram.c - see histogram.h.
 */
#include "tests/bench/histogram.h"

uint64_t histogram_at(const struct histogram *h, double part)
{
    double wanted = part * (double)h->total;
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->count[i];
        if (h->count[i] == 0 || (double)seen < wanted)
            continue;
        unsigned shift = i < 2 * HISTOGRAM_FINE ? 0 : (unsigned)(i / HISTOGRAM_FINE) - 1;
        return (uint64_t)(i - (size_t)shift * HISTOGRAM_FINE) << shift;
    }
    return 0;
}

void histogram_merge(struct histogram *into, const struct histogram *h)
{
    into->total += h->total;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->count[i] += h->count[i];
}
