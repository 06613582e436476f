/*
 * keeper.h - a process that keeps one worker running on a socket, as systemd would: it opens the
 * socket, hands it over as fd 0 and starts the worker again when it ends.
 *
 * Being a process of its own it outlives the single test that kills its worker.
 */
#ifndef TESTS_PEERS_KEEPER_H
#define TESTS_PEERS_KEEPER_H

#include <sys/types.h>

#include "core/buf.h"

struct keeper_spec {
    const char *const *argv; /* the worker */
    const char *socket;      /* path of the unix socket to open; NULL: TCP on 127.0.0.1, */
    int *port;               /* on this port, or 0: on any, which is told here */
    const char *log;
    const char *user; /* as process_spec */
};

/* Gives the pid.  SIGTERM (process_stop) stops the worker, waits for its end and ends the keeper.
 */
pid_t keeper_start(const struct keeper_spec *);

#endif
