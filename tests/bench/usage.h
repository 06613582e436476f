/*
 * usage.h - what programs cost: memory of their own, processor time, descriptors.
 */
#ifndef TESTS_BENCH_USAGE_H
#define TESTS_BENCH_USAGE_H

#include <sys/types.h>

#include "core/buf.h"

struct usage {
    int processes;
    int64_t private_bytes; /* Private_Clean + Private_Dirty of smaps_rollup */
    double cpu_seconds;    /* user and system */
    int64_t descriptors;
};

/* The sum over root and everything below it that is called name ("nginx"; NULL: whatever). */
struct usage usage_of(pid_t root, const char *name);

#endif
