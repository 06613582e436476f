/*
 * cluster.h - a throw-away PostgreSQL: a real server in a temporary folder, unix socket only.
 *
 * As root it runs as the user `postgres` (initdb refuses root).  The server dies with its cluster,
 * and cluster_start() makes sure that it dies with the test program too.  Programs are looked for
 * in $BELLPUSH_PG_BINDIR, then where `pg_config --bindir` says, then in PATH.
 *
 * check forks for every test: start a cluster that tests share in an unchecked fixture.  Stop and
 * start again only what the calling process has started itself.
 */
#ifndef TESTS_PEERS_CLUSTER_H
#define TESTS_PEERS_CLUSTER_H

#include "core/buf.h"

struct cluster;

struct cluster *cluster_start(void) MUST_USE; /* gives; on failure says why and ends the program */
/* With more settings: "fsync=off", …, NULL. */
struct cluster *cluster_start_with(const char *const *settings) MUST_USE;

struct cluster_spec {
    const char *const *settings; /* as above; may be NULL */
    int64_t disk_bytes;          /* its data on a disk of their own of that size (disk.h); 0: no */
    int net;                     /* the network namespace it lives in (far.h); 0: ours */
    const char *address;         /* listen there, too, port 5432, trusting everybody; NULL: no */
};
struct cluster *cluster_start_as(const struct cluster_spec *) MUST_USE;
void cluster_free(struct cluster *);

/* The one cluster that all suites of this program may share; lent.  Started at the first call,
   which must come from a fixture, stopped at exit.  fsync=off. */
struct cluster *cluster_shared(void);

/* Connection string of the superuser for a database; gives (caller frees). */
char *cluster_dsn(const struct cluster *, const char *database);
/* The folder of the server's socket; lent. */
const char *cluster_socket(const struct cluster *);
/* The folder of its data, and the server's log; lent. */
const char *cluster_data(const struct cluster *);
const char *cluster_log(const struct cluster *);

/* Create a database owned by an ordinary role of the same name, with sql/bellpush.sql loaded by
   that role; gives the role's connection string (caller frees).  One of that name is replaced. */
char *cluster_database(struct cluster *, const char *name);
/* The same without the schema. */
char *cluster_empty_database(struct cluster *, const char *name);
/* The text of sql/bellpush.sql, given (caller frees). */
char *cluster_schema(void);

void cluster_stop(struct cluster *, const char *mode); /* "fast", "immediate" */
void cluster_again(struct cluster *);                  /* start after a stop */
bool cluster_died(struct cluster *);                   /* by itself; if so it counts as stopped */

/* SIGSTOP to the server and all its backends, and SIGCONT: nobody answers, nobody hangs up. */
void cluster_freeze(struct cluster *);
void cluster_thaw(struct cluster *);

/* A standby as of now, which hears nothing of what comes later; once for each fail-over. */
void cluster_back_up(struct cluster *);
/* The server dies; its standby is promoted and takes its address, a history of its own. */
void cluster_fail_over(struct cluster *);

/*
 * Start a standby on this machine that streams, synchronously: from now on a COMMIT is answered
 * when the standby has it.  After cluster_stop() it can take the place of the server, in two steps
 * and in whichever order: promoted, and given the server's address (till then nobody answers
 * there).  Then there is no standby any more, and COMMITs do not wait for one.
 */
void cluster_follow(struct cluster *);
void cluster_promote(struct cluster *);
void cluster_move(struct cluster *);

/* Run SQL on a connection string; the first column of the first row, or "" (caller frees).
   cluster_sql() ends the test on an error; cluster_try() gives "SQLSTATE message" instead,
   "00000" when there was none. */
char *cluster_sql(const char *dsn, const char *sql);
char *cluster_try(const char *dsn, const char *sql);

#endif
