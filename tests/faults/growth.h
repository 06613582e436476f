/*
 * growth.h - do workers grow?  Memory and descriptors of each worker process, sampled while it
 * lives, and the backends of PostgreSQL.
 *
 * A worker is judged when it has lived long enough: WARM_S after it was first seen its memory is
 * what it needs for this load (the journal is full, the pools are filled), and a line through the
 * samples after that, by least squares, says by how much it grows in a minute.  Bounds are
 * generous, because readers come and go: a run fails when the line rises by more than
 * GROWTH_KB_A_MINUTE and has risen by more than GROWTH_KB.  (An event or a connection that is never
 * freed costs several times as much under this load.)  Descriptors likewise.
 */
#ifndef TESTS_FAULTS_GROWTH_H
#define TESTS_FAULTS_GROWTH_H

#include "tests/faults/site.h"

struct growth;

struct growth *growth_new(const struct site *) MUST_USE; /* gives */
void growth_free(struct growth *);

/* Look at everybody now.  PostgreSQL must be there. */
void growth_sample(struct growth *);

/* The table.  False: somebody grows. */
bool growth_put(const struct growth *, struct buf *out) MUST_USE;

#endif
