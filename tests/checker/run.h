/*
 * run.h - a right run of some size, by a seed: what a perfect Bellpush would have left behind.
 *
 * Five publishers with every kind of transaction and outcome, two epochs, eight subscribers with
 * different filters, gaps, windows in which nobody listens.  The figures that the checker must find
 * are counted while it is made.  Topics are matched by tests/naive.h.
 */
#ifndef TESTS_CHECKER_RUN_H
#define TESTS_CHECKER_RUN_H

#include "tests/checker/folder.h"
#include "tests/faults/records.h"

enum { RUN_PUBLISHERS = 5, RUN_SUBSCRIBERS = 8 }; /* publisher 0 ends it */

struct numbered { /* a row of the log */
    char name[NAME_TEXT_MAX], cursor[40];
    const char *topic;
    int64_t before_us, at_us;
};

struct told_gap {
    int subscriber, line; /* in its file as it was made */
    int skipped;          /* events that match its filters */
    int first;            /* index of the first of these */
};

struct run {
    struct folder folder;
    struct figures figures;
    uint64_t random;

    struct numbered *log;
    int n_log;
    struct told_gap *gaps;
    int n_gaps;
};

/* steps: transactions, about 2.5 events each. */
void run_make(struct run *, uint64_t seed, int steps);
void run_fini(struct run *);

int64_t run_choose(struct run *, int64_t low, int64_t high);

/* "seen" and 3: its file. */
struct file *run_file(struct run *, const char *name, int n);

bool run_matches(struct run *, int subscriber, const char *topic);

#endif
