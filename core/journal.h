/*
 * journal.h - the last events, in memory and in log order, so that a reconnect rarely asks the
 * database.
 *
 *      floor            last
 *        |  e1 e2 … en   |       every event of the log with floor < seq <= last is here
 *
 * The rule that makes it useful: what is above the floor is complete.  The oldest events leave when
 * the count or the bytes pass the limits, and the floor follows them.
 */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include "core/event.h"

struct journal; /* opaque: journal.c */

struct journal *journal_new(size_t max_events,
                            size_t max_bytes) MUST_USE; /* gives; NULL: no memory */
void journal_free(struct journal *);

/* Empty it: nothing at or below seq is known, everything above will be appended. */
void journal_reset(struct journal *, int64_t seq);

/* Append; takes its own reference.  seq must be above the last.  RC_NOMEM: reset to this seq. */
enum rc journal_append(struct journal *, struct event *);

int64_t journal_floor(const struct journal *);
int64_t journal_last(const struct journal *); /* seq of the newest, or the floor when empty */
size_t journal_count(const struct journal *);

/* The first event with seq > after (after >= floor), lent until the next append; NULL: none. */
struct event *journal_next(const struct journal *, int64_t after);

#endif
