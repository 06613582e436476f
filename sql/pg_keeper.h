/*
 * pg_keeper.h - the elected process's own connection: relays and prunes.
 */
#ifndef SQL_PG_KEEPER_H
#define SQL_PG_KEEPER_H

#include "core/buf.h"

struct source;
struct pg_keeper;

enum pg_duty {
    PG_DUTY_NONE,    /* another process does it: no connection */
    PG_DUTY_ELECTED, /* we hold the housekeeper's lock */
    PG_DUTY_SHARED,  /* behind a pooler nobody can hold a session lock: everybody does a little */
};

struct pg_keeper *pg_keeper_new(struct source *) MUST_USE; /* NULL: no memory */
void pg_keeper_free(struct pg_keeper *);

/* From now on; relay: the log is in relay mode.  Nothing new: nothing happens. */
void pg_keeper_duty(struct pg_keeper *, enum pg_duty, bool relay);

#endif
