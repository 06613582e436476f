/*
 * site_clock.h - the wall clock of a SITE_CLOCK: PostgreSQL's and the workers'.  The clock that
 * only ever goes forward, and web servers and clients, are left alone.
 */
#ifndef TESTS_FAULTS_SITE_CLOCK_H
#define TESTS_FAULTS_SITE_CLOCK_H

#include "tests/faults/site.h"

/* From now on it shows so many seconds more (or less) than the machine's. */
void clock_set(const struct site *, int64_t offset_s);

#endif
