/*
 * pg_listen.h - the listening connection: hears the bell, reads the log, feeds the server.
 */
#ifndef SQL_PG_LISTEN_H
#define SQL_PG_LISTEN_H

#include "core/buf.h"

struct source;
struct pg_listen;

/* Connects at once.  NULL: no memory. */
struct pg_listen *pg_listen_new(struct source *) MUST_USE;
void pg_listen_free(struct pg_listen *);

/* Something was committed by this process itself: no need to wait for the bell. */
void pg_listen_poke(struct pg_listen *);

/* What this process is called in the database; lent. */
const char *pg_listen_worker(const struct pg_listen *);

/* Since the server last said anything on this connection, or on the one before it; -1: never. */
int64_t pg_listen_contact_ms(const struct pg_listen *);

#endif
