/*
 * pg_conn.h - one connection to PostgreSQL on the loop: one statement at a time, and what it hears.
 *
 *      CLOSED --pg_conn_open()--> DIALLING --> IDLE <--> BUSY
 *         ^                          |           |        |
 *         '-------- down() ----------+-----------+--------'
 *
 * One at a time, because a statement that waits (for a lock, for a disk) would hold up all that had
 * been sent behind it; who wants more at once opens more connections.  Statements are unnamed,
 * unless the session is known to be ours alone: nothing is lost when a pooler changes the session
 * beneath, and the functions called keep their own plans.  Results come in binary format, but for
 * pg_conn_run().
 *
 * A callback may do anything with its connection but free the struct owner under it: ask, close,
 * open, free.
 */
#ifndef SQL_PG_CONN_H
#define SQL_PG_CONN_H

#include <libpq-fe.h>

#include "sql/pg_array.h"
#include "sql/pg_error.h"
#include "sql/pg_loop.h"

struct pg_conn;

struct pg_conn_ops {
    void (*up)(void *owner);                    /* connected, idle */
    void (*down)(void *owner, const char *why); /* could not connect, or lost; it is closed now */
    /* unasked: it came while no statement was under way.  May be NULL. */
    void (*notified)(void *owner, const PGnotify *, bool unasked);
    /* All notifications that had arrived have been told.  May be NULL. */
    void (*notified_all)(void *owner);
};

/* A binary parameter. */
struct pg_param {
    enum pg_type type;
    struct slice value; /* at NULL, len 0: SQL NULL */
};

/*
 * The answer: the last result, or the first error; lent.  NULL: the connection broke before an
 * answer came, so whether the statement took place is not known; down() follows.
 */
typedef void pg_reply_fn(void *arg, const PGresult *, const char *why);

struct pg_conn *pg_conn_new(struct pg_loop *, const char *dsn, const struct pg_conn_ops *,
                            void *owner) MUST_USE; /* copies dsn; NULL: no memory */
void pg_conn_free(struct pg_conn *);               /* closes; no further callback */

void pg_conn_open(struct pg_conn *); /* not closed: nothing happens; never calls back from within */
void pg_conn_close(struct pg_conn *); /* no further callback, not even a reply */

bool pg_conn_is_closed(const struct pg_conn *);
bool pg_conn_is_idle(const struct pg_conn *);         /* may be asked */
const char *pg_conn_database(const struct pg_conn *); /* its name; lent; "": not connected */
int pg_conn_backend(const struct pg_conn *); /* process id, as the server said at the beginning */
uint64_t
pg_conn_contact_ms(const struct pg_conn *); /* loop clock: it last said anything; 0: never */

/*
 * Send one statement; the connection must be idle.  No answer after deadline_ms: it counts as
 * dead.  Parameters are copied.  The reply never comes from within.  RC_NOMEM: nothing was sent.
 */
enum rc pg_conn_ask(struct pg_conn *, const char *sql, const struct pg_param *, size_t n,
                    uint64_t deadline_ms, pg_reply_fn *, void *arg) MUST_USE;

/* The same for a statement that was prepared in this session (PREPARE by pg_conn_run()). */
enum rc pg_conn_execute(struct pg_conn *, const char *statement, const struct pg_param *, size_t n,
                        uint64_t deadline_ms, pg_reply_fn *, void *arg) MUST_USE;

/* The same for one or several statements without parameters or binary results. */
enum rc pg_conn_run(struct pg_conn *, const char *sql, uint64_t deadline_ms, pg_reply_fn *,
                    void *arg) MUST_USE;

/* Append an identifier in its quotes.  RC_SYNTAX: it cannot be one in this encoding. */
enum rc pg_conn_put_name(struct pg_conn *, struct buf *, const char *name) MUST_USE;

#endif
