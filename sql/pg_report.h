/*
 * pg_report.h - what a process tells the database of itself (bellpush.workers, .subscribers).
 */
#ifndef SQL_PG_REPORT_H
#define SQL_PG_REPORT_H

#include "core/server.h"

/*
 * Append a JSON object: state, counts, and up to 1,000 filters with their subscribers.  backend:
 * the server's process behind our listening session, by which others know whose a lock is.
 */
void pg_report_state(const struct server *, int64_t backend, struct buf *out);

#endif
