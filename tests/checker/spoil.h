/*
 * spoil.h - one wrong thing in a right run, at a random place, and what the checker must make of
 * it.
 */
#ifndef TESTS_CHECKER_SPOIL_H
#define TESTS_CHECKER_SPOIL_H

#include "tests/checker/run.h"

struct spoilt {
    struct figures figures; /* what must be found; begins as those of the run */
    char finding[96];       /* what a line of the report begins with; empty: there is none */
    bool about; /* the figures that are not 0 must be at least as great, no more is known */
};

struct spoiler {
    const char *what;
    bool (*spoil)(struct run *, struct spoilt *); /* false: the run has no place for it */
};

extern const struct spoiler log_spoilers[], seen_spoilers[];
extern const int n_log_spoilers, n_seen_spoilers;

/* "lost: @3.17.2@" */
void spoilt_finding(struct spoilt *, const char *kind, const char *name);

/* A line of the file, at random, for which fits() holds; -1: there is none. */
typedef bool fits_fn(struct run *, const struct file *, int i);
int spoil_choose(struct run *, const struct file *, fits_fn *fits);

/* Drop the lines of all seen.* that are sightings of this; gives how many. */
size_t spoil_unsee(struct run *, const char *name);
size_t spoil_sightings(struct run *, const char *name);

#endif
