/*
 * growth.h - do workers grow?  Memory and descriptors of each worker process, sampled while it
 * lives, and the backends of PostgreSQL.
 *
 * Large events and stalled readers cost megabytes for seconds, and give them back: what is looked
 * at is the floor, the least of every ten seconds.  A worker is judged when it has lived long
 * enough: its first minute is for warming up (the journal fills, the pools fill), then a line is
 * laid through its floors by least squares.  A run fails when the line rises by more than
 * GROWTH_KB_A_MINUTE and the later half of life stands on a floor higher by GROWTH_KB.  Bounds are
 * generous; an event or a connection never freed costs several times as much under this load.
 * Descriptors and backends likewise.
 */
#ifndef TESTS_FAULTS_GROWTH_H
#define TESTS_FAULTS_GROWTH_H

#include "tests/faults/site.h"

struct growth;

struct growth *growth_new(const struct site *) MUST_USE; /* gives */
void growth_free(struct growth *);

/* Look at the workers now, about once a second; and at PostgreSQL, which must be there. */
void growth_sample(struct growth *);
void growth_sample_backends(struct growth *);

/* The table.  False: somebody grows. */
bool growth_put(const struct growth *, struct buf *out) MUST_USE;

#endif
