/*
 * pg_recorder.h - plain NOTIFYs on their way into the log: what was heard and is not yet seen
 * there.
 *
 * No I/O: the listening connection feeds it and asks what to record.
 */
#ifndef SQL_PG_RECORDER_H
#define SQL_PG_RECORDER_H

#include "core/log.h"
#include "sql/pg_array.h"

struct pg_recorder;

/* log is lent.  NULL: no memory. */
struct pg_recorder *pg_recorder_new(const struct log *) MUST_USE;
void pg_recorder_free(struct pg_recorder *);

/* Heard from the server, in its order; copies.  now_ms: the loop's clock. */
void pg_recorder_heard(struct pg_recorder *, struct slice channel, struct slice payload,
                       uint64_t now_ms);

/* A recorded event has come through the log; live: it was written since we listen. */
void pg_recorder_seen(struct pg_recorder *, struct slice channel, struct slice payload, bool live,
                      uint64_t now_ms);

/* --- only the elected one, and only when it has read the log to its end ----------------------- */

/* Does anything wait to be recorded? */
bool pg_recorder_has_work(const struct pg_recorder *);
/* The next ones to record, as two text[] of the same length, which is returned; begun here,
   pg_array_fini() is the caller's.  0: nothing, or no memory. */
size_t pg_recorder_batch(struct pg_recorder *, struct pg_array *channels,
                         struct pg_array *payloads);
/* The batch was committed: how many; or it could not be done now, and comes again; or the server
   refused it: then its members are tried one by one, and who is refused alone is dropped. */
size_t pg_recorder_committed(struct pg_recorder *);
void pg_recorder_postponed(struct pg_recorder *);
void pg_recorder_refused(struct pg_recorder *, const char *why);
/* The election is over (or was lost): whoever comes next begins with what the log does not have. */
void pg_recorder_resign(struct pg_recorder *);

size_t pg_recorder_waiting(const struct pg_recorder *); /* heard, not yet seen in the log */

#endif
