/*
 * pg_dial.h - from a connection string to an open connection, without ever blocking the loop.
 */
#ifndef SQL_PG_DIAL_H
#define SQL_PG_DIAL_H

#include <libpq-fe.h>

#include "sql/pg_loop.h"

struct pg_dial;

/* Connected, non-blocking, taken by the callee; or NULL and why not (one line, lent). */
typedef void pg_dialled_fn(void *arg, PGconn *, const char *why);

/*
 * Begin; never calls back from within.  dsn: a libpq connection string or URI, a database name, or
 * "" for the PG* environment; copied.  Ends by itself after the string's connect_timeout, or 10 s.
 * NULL: no memory.
 */
struct pg_dial *pg_dial_start(struct pg_loop *, const char *dsn, pg_dialled_fn *,
                              void *arg) MUST_USE;
void pg_dial_cancel(struct pg_dial *); /* the callback will not come; NULL: nothing happens */

/* Is it a connection string that libpq understands?  (What is wrong is not said: libpq's message
   quotes the string, which may hold a password.) */
bool pg_dial_understands(const char *dsn);

#endif
