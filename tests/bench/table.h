/*
 * table.h - what a contest came to, for people: one table, and beside the targets a yes or NO.
 */
#ifndef TESTS_BENCH_TABLE_H
#define TESTS_BENCH_TABLE_H

#include "tests/bench/contest.h"

void table_print(const struct contest *);

/* A server beside another one: the ratio of what they deliver. */
struct target {
    enum site_kind site, beside;
    enum mode mode;
    bool fan; /* their fan-out alone */
    double at_least;
};

void table_print_target_head(void);
void table_print_targets(const struct contest *, const struct target *, size_t n);

/* One more line; n = 0: no number of clients; value <= 0: not measured. */
void table_print_target(const char *what, size_t n, double value, double target, bool at_most);

#endif
