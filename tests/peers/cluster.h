/*
 * cluster.h - a throw-away PostgreSQL: a real server in a temporary folder, unix socket only.
 *
 * As root it runs as the user `postgres` (initdb refuses root).  The server dies with its cluster,
 * and cluster_start() makes sure that it dies with the test program too.
 */
#ifndef TESTS_PEERS_CLUSTER_H
#define TESTS_PEERS_CLUSTER_H

#include "core/buf.h"

struct cluster;

struct cluster *cluster_start(void) MUST_USE; /* gives; on failure says why and ends the program */
void cluster_free(struct cluster *);

/* Connection string of the superuser for a database; gives (caller frees). */
char *cluster_dsn(const struct cluster *, const char *database);

/* Create a database owned by an ordinary role of the same name, with sql/bellpush.sql loaded by
   that role; gives the role's connection string (caller frees). */
char *cluster_database(struct cluster *, const char *name);

void cluster_stop(struct cluster *, const char *mode); /* "fast", "immediate" */
void cluster_again(struct cluster *);                  /* start after a stop */

/* Run SQL on a connection string; the first column of the first row, or "" (caller frees).
   cluster_sql() ends the test on an error; cluster_try() gives the SQLSTATE and message instead. */
char *cluster_sql(const char *dsn, const char *sql);
char *cluster_try(const char *dsn, const char *sql);

#endif
