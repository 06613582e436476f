/*
 * site.h - what faults are made in: a database, three web servers with their workers, as files of
 * contrib/ describe them, and around them what a fault needs.
 */
#ifndef TESTS_FAULTS_SITE_H
#define TESTS_FAULTS_SITE_H

#include "tests/faults/load.h"
#include "tests/peers/cluster.h"
#include "tests/peers/front.h"

enum { SITE_FRONTS = 3 }; /* nginx, lighttpd, Apache with mod_proxy_fcgi */

/* What a fault needs besides the usual. */
enum site_flavour {
    SITE_PLAIN,
    SITE_STANDBY, /* a streaming standby, synchronous, so that a fail-over loses nothing committed
                   */
    SITE_POOLED,  /* everything through PgBouncer in transaction mode */
    SITE_SPLIT,   /* LISTEN over a direct connection, everything else through PgBouncer */
    SITE_SMALL,   /* PostgreSQL on a small file system of its own (needs mount) */
    SITE_CLOCK,   /* workers and PostgreSQL under libfaketime */
    SITE_TIGHT,   /* workers with few descriptors and little memory */
    SITE_FAR,     /* PostgreSQL over TCP in a network namespace of its own (needs root) */
    SITE__COUNT
};

struct site {
    enum site_flavour flavour;
    struct cluster *cluster;
    char *dsn;           /* of the owner, direct */
    char *publisher_dsn; /* what publishers use: dsn, or the pooler */
    struct front *fronts[SITE_FRONTS];
    struct load_front load_fronts[SITE_FRONTS];
    char *key;
    uint64_t seed;
    bool spent;  /* a fault has used it up: the next fault of this flavour gets a new one */
    void *extra; /* the flavour's own (site_*.c) */
};

/* Why this machine cannot have the flavour ("needs root", "libfaketime is not installed"); NULL:
   it can.  Static text. */
const char *site_lacks(enum site_flavour);

/* Start; waits until every front is ready.  Ends the program on failure.  Gives. */
struct site *site_start(enum site_flavour, uint64_t seed) MUST_USE;
void site_free(struct site *); /* NULL: nothing happens */

/* Not spent, and every worker says that it is ready: fit for the next fault? */
bool site_is_well(const struct site *);

/* What a log says of a worker that crashed by itself, which whoever keeps it would hide by starting
   another; gives.  NULL: none did. */
char *site_crash(const struct site *);

#endif
