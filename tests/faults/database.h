/*
 * database.h - what faults of the database have in common.
 */
#ifndef TESTS_FAULTS_DATABASE_H
#define TESTS_FAULTS_DATABASE_H

#include "tests/faults/fault.h"

/* SQL for pg_stat_activity: is this session one on which a worker listens? */
extern const char database_listeners[];

/*
 * From now on nobody may listen (act_unheard()): and all that was notified up to now is on its way
 * to the workers, because each of their listening sessions has finished a statement since.
 */
void database_quiet(struct act *);

/* All workers listen, the log says that the database is back, and the load flows. */
void database_back(struct act *);

/*
 * Its answers are missing: every worker says that the database is away, within ms at most; and
 * clients are served all the same: a poll with a cursor is answered empty, a stream stays open and
 * beats, and a publish ends with an error in good time.
 */
void database_away(struct act *, int64_t ms);

#endif
