/*
 * cluster_priv.h - a cluster from within, for cluster.c and cluster_standby.c.
 */
#ifndef TESTS_PEERS_CLUSTER_PRIV_H
#define TESTS_PEERS_CLUSTER_PRIV_H

#include <sys/types.h>

#include "tests/peers/cluster.h"

enum { CLUSTER_START_MS = 60000, CLUSTER_SETTINGS_MAX = 32 };

struct cluster {
    char *folder, *data, *log, *address;
    bool on_disk;                         /* data is mounted (disk.h) */
    int net;                              /* lent */
    char *settings[CLUSTER_SETTINGS_MAX]; /* "name=value", NULL-terminated */
    pid_t maker, pid;                     /* pid 0: stopped */
    char *standby;                        /* its data; NULL: none */
    char *standby_folder;                 /* of its socket, while it streams */
    pid_t standby_pid;                    /* 0: does not run */
    unsigned standbys;                    /* made so far */
};

/* Start a server on some data with its socket in some folder, and wait until it answers. */
pid_t cluster_serve(const struct cluster *, const char *data, const char *folder);
void cluster_stop_standby(struct cluster *);

/* The path of a program of PostgreSQL; given. */
char *cluster_program(const char *name);

_Noreturn void cluster_give_up(const char *why, const char *log); /* log: shown; may be NULL */

#endif
