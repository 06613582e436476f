/*
 * workers.h - several processes that serve together, and the one that looks after them.
 *
 *      the first process: holds the sockets, serves nobody, starts again whoever dies
 *        |-- worker 1 --.
 *        |-- worker 2   |--- accept from the sockets that the first process holds, too,
 *        '-- …          |    so that none is ever closed with connections waiting in it
 *
 *      SIGUSR2:  the program is asked whether the new configuration is good (-n); then it takes its
 *                own place (execve(2): same process, same sockets), perhaps as another version;
 *                starts new workers; and when all of them serve, tells the old ones to drain.
 *      SIGHUP:   handed on: logs are reopened, certificates read again.
 *      SIGTERM, SIGINT, SIGUSR1:  handed on; the last worker's end is the end.
 *
 * A worker that dies is replaced: at once if it had lived for a while, otherwise later and later.
 * Workers drain by themselves when the first process is killed.
 */
#ifndef SIDECAR_WORKERS_H
#define SIDECAR_WORKERS_H

#include <sys/types.h>

#include "core/log.h"

enum { WORKERS_MAX = 64 };

/* A worker's place. */
struct workers_seat {
    size_t index;
    pid_t first; /* the process that looks after it */
    int ready_fd;
};

struct workers_ask {
    size_t n;    /* 1 to WORKERS_MAX */
    char **argv; /* of main() */
    struct log *log;
    int64_t stop_ms; /* who has not ended so long after a signal to stop is killed */
    /* In a new process: serve; returns its exit status. */
    int (*work)(void *arg, const struct workers_seat *);
    /* The program is about to be executed anew: let the sockets survive it (true), or it could not
       be (false). */
    void (*hand_over)(void *arg, bool);
    void *arg;
};

/* The first process's life; returns its exit status. */
int workers_run(const struct workers_ask *) MUST_USE;

/* For a worker: it shall stop when the first process dies; call it when the worker has become who
   it is to be.  And: it serves now. */
void workers_sit_down(const struct workers_seat *);
void workers_say_ready(const struct workers_seat *);

#endif
