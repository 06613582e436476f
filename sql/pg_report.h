/*
 * pg_report.h - what a process tells the database of itself (bellpush.workers, .subscribers).
 */
#ifndef SQL_PG_REPORT_H
#define SQL_PG_REPORT_H

#include "core/server.h"

/* Append a JSON object: state, counts, and up to 1,000 filters with their subscribers. */
void pg_report_state(const struct server *, struct buf *out);

#endif
