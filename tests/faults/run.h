/*
 * run.h - what faults.c does with the faults: one after the other, or at random for hours.
 */
#ifndef TESTS_FAULTS_RUN_H
#define TESTS_FAULTS_RUN_H

#include "tests/faults/fault.h"

struct run {
    uint64_t seed;
    char **names; /* of the faults that are wanted; n_names 0: all */
    int n_names;
    int soak_s;       /* 0: no soak */
    bool keep;        /* records of good runs, too */
    const char *into; /* folder of records: INTO/SEED/NAME */
};

/* All faults, in the linker's order. */
size_t fault_count(void);
const struct fault *fault_at(size_t i);

bool run_wants(const struct run *, const struct fault *);

/* INTO/SEED, made, and locked until we end; INTO/SEED.1 and so on where another of us has it.
   Gives. */
char *run_folder(const struct run *);

/* A state for random_next(): the same for the same seed and name, whatever else is run. */
uint64_t run_seed(const struct run *, const char *name);

/* Start a load in the folder, emptied; commit or relay mode, by the seed; and wait until it flows.
   a->site, ->name and ->random are set. */
void run_begin(struct act *a, const char *folder);
/* Finish the load, check its records, add them to *sum; false: a promise is broken, or a->failed.
   The figures are put to line; what was found goes to stderr.  Good records are removed. */
bool run_end(struct act *a, const struct run *, struct figures *sum, struct buf *line);

/* It has failed: the ends of the logs, where the records are, how to see it again. */
void run_tell(const struct run *, const struct act *);

/* Each wanted fault once; false: one has failed. */
bool run_faults(const struct run *);

/* Faults at random under one load for soak_s seconds. */
bool run_soak(const struct run *);

#endif
