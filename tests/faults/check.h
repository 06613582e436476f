/*
 * check.h - compares what was committed with what each subscriber saw.
 *
 * The promise, and what breaks it:
 *
 *      lost         committed, but the log has no number for it; or numbered and matching a
 *                   subscriber's filters after its start, not seen, and in no announced gap
 *      reordered    seen after an event that comes later in the log; or events of one publisher
 *                   (and one kind) numbered in another order than it committed them
 *      phantom      seen or numbered, but rolled back, or never published; or seen with another
 *                   topic or cursor than the log's, before its COMMIT was sent, or by somebody
 *                   whose filters do not match it
 *      duplicated   numbered twice, seen twice, or seen by somebody who started after it; or one
 *                   number given to two.  No transport of today may repeat, so these
 *                   fail a run too
 *
 * What is told and not held against anybody: gaps (each is announced; events within are counted as
 * `skipped`), plain NOTIFYs committed while no process listened (`unheard`; "unheard" windows in
 * the records say when), transactions whose outcome their publisher never learnt (either is right,
 * the ledger says which).
 */
#ifndef TESTS_FAULTS_CHECK_H
#define TESTS_FAULTS_CHECK_H

#include "core/buf.h"

struct figures {
    size_t committed; /* events in ledger and acks that are owed; not what went unheard */
    size_t delivered; /* sightings by all subscribers */
    size_t lost, reordered, phantom, duplicated;
    size_t gaps, skipped, unheard;
    size_t subscribers, unfinished; /* unfinished: never saw the last event of all */
    int64_t worst_delay_us;         /* from its publisher's COMMIT being sent to a sighting, faults,
                                       reconnects and sleep included */
};

/*
 * Read all records of a folder and compare.  Every finding is written to report, one line each, at
 * most 100 of a kind.  False: the records cannot be read, or there is no publisher or no subscriber
 * (why is in report, "FILE:LINE: …").
 */
bool check_folder(const char *folder, struct figures *out, struct buf *report) MUST_USE;

/* Nothing lost, reordered, phantom or duplicated, and everybody finished? */
bool figures_are_good(const struct figures *);
void figures_add(struct figures *sum, const struct figures *); /* worst_delay_us: the greater */

/* "committed=… delivered=… lost=0 reordered=0 phantom=0 duplicated=… gaps=… worst_delay_ms=…", and
   skipped=… unheard=… unfinished=…; without a newline */
void figures_put(struct buf *out, const struct figures *);

#endif
