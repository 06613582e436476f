/*
 * gauge.h - numbers of a site's workers: what they say at /status, and what the kernel says of
 * them.
 */
#ifndef TESTS_FAULTS_GAUGE_H
#define TESTS_FAULTS_GAUGE_H

#include <sys/types.h>

#include "tests/faults/fault.h"

/* The sum, and the least, of a number ("counts.slow_closed") over all workers.  One that does not
   answer counts nothing, and makes the least 0. */
int64_t gauge_sum(const struct act *, const char *path);
int64_t gauge_least(const struct act *, const char *path);

/* Wait until the sum is so much at least, or at most; false and act_fail(): it never was. */
bool gauge_rises(struct act *, const char *path, int64_t least);
bool gauge_falls(struct act *, const char *path, int64_t most);

/* The workers that run now; at most max of their pids.  Returns how many. */
size_t gauge_workers(const struct site *, pid_t *pids, size_t max);

/* Of one process; 0: it is gone. */
int64_t gauge_cpu_ms(pid_t);                      /* that it has used, user and system */
int64_t gauge_memory_kb(pid_t, const char *name); /* "VmSize", "VmRSS" */
int64_t gauge_descriptors(pid_t);

#endif
