/*
 * run_site.h - `make run` as its user has it: started, read, pasted from, ended.
 */
#ifndef TESTS_BROWSER_RUN_SITE_H
#define TESTS_BROWSER_RUN_SITE_H

#include <sys/types.h>

#include "core/buf.h"

struct run_site {
    pid_t pid;   /* leads its process group */
    char *build; /* the folder it was given for BUILD */
    char *log;   /* what it says */
    /* Its four lines, without their labels. */
    char *page, *curl, *psql, *ws;
    char *dsn;             /* out of the psql line */
    char *sockets;         /* its folder of sockets, out of the psql line */
    int port, ws_port;     /* out of the page line and the ws line */
    const char *ws_target; /* what stands behind the port there */
};

/* Start contrib/run/run.sh and wait for its four lines; gives.  how: a shell command that ends in
   running "$@"; NULL: run it directly. */
struct run_site *run_site_start(const char *how);

/* End it with a signal to its process group, wait for the end, and free.  Gives its exit status
   (128 + signal when it was killed).  NULL: nothing happens. */
int run_site_end(struct run_site *, int signal);

/* All processes below it, at most max; how many there are. */
size_t run_site_family(const struct run_site *, pid_t *pids, size_t max);

/* The workers' pids among them. */
size_t run_site_workers(const struct run_site *, pid_t *pids, size_t max);

/* The sidecar's pid. */
pid_t run_site_sidecar(const struct run_site *);

/* How many of these still live (a zombie does not). */
size_t alive_among(const pid_t *pids, size_t n);

#endif
