/*
 * bouncer.h - a real PgBouncer before a cluster, with the file in contrib/ as it stands: only its
 * paths, ports and names are exchanged, and one that is not found there is an error.
 *
 * As root it runs as the user `postgres` (it refuses root, as PostgreSQL does).
 */
#ifndef TESTS_PEERS_BOUNCER_H
#define TESTS_PEERS_BOUNCER_H

#include <sys/types.h>

#include "tests/peers/cluster.h"

struct bouncer_spec {
    const struct cluster *cluster;
    const char *database; /* its owner is the role of the same name: cluster_database() */
    const char *mode;     /* "session"; NULL: as the recipe says, "transaction" */
    int sessions;         /* with the server, so many at most; 0: as the recipe says */
};

struct bouncer;

/* Is it installed? */
bool bouncer_is_there(void);

/* Start and wait until it answers; gives.  On failure says why and ends the program. */
struct bouncer *bouncer_start(const struct bouncer_spec *) MUST_USE;
void bouncer_free(struct bouncer *); /* NULL: nothing happens */

/* Connection strings of the database's owner, lent: over the unix socket, and over TCP by name (of
   localhost's addresses only one answers). */
const char *bouncer_dsn(const struct bouncer *);
const char *bouncer_dsn_tcp(const struct bouncer *);

/* End it: SIGINT waits for open transactions, SIGTERM does not, SIGKILL leaves everything lying.
   It is gone when this returns. */
void bouncer_stop(struct bouncer *, int signal);
void bouncer_again(struct bouncer *); /* start after a stop, same address */

pid_t bouncer_pid(const struct bouncer *); /* 0: stopped */

#endif
