/*
 * pg_pool.h - the query connections of a process: publishes, replays and locates.
 *
 * Opened when something waits, up to conf->database_pool of them, and closed when long idle.  See
 * core/source.h for what callers may expect.
 */
#ifndef SQL_PG_POOL_H
#define SQL_PG_POOL_H

#include "core/server.h"
#include "sql/pg_call.h"
#include "sql/pg_loop.h"

struct pg_pool;

struct pg_pool *pg_pool_new(struct server *, struct pg_loop *) MUST_USE; /* NULL: no memory */
void pg_pool_free(struct pg_pool *); /* drops all calls without a word */

/*
 * Take a call and see to it.  It fails in the loop's next turn when it must not wait (a publish
 * while the database is away, too much waiting already).  False: refused outright for want of
 * room, and freed.
 */
bool pg_pool_take(struct pg_pool *, struct source_call *) MUST_USE;
void pg_pool_cancel(struct source_call *); /* see source_cancel() */

/* News from the listening connection: the server answers, or it does not (why: one line). */
void pg_pool_server_is_up(struct pg_pool *);
void pg_pool_server_is_down(struct pg_pool *, const char *why);

/* Fill in what the pool knows. */
void pg_pool_look(const struct pg_pool *, struct source_view *);

/* Called after each committed publish of this process; may be NULL. */
void pg_pool_on_published(struct pg_pool *, void (*fn)(void *arg), void *arg);

#endif
