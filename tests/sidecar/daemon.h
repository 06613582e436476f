/*
 * daemon.h - bellpushd as a program of a test: who asks it, and its workers.
 */
#ifndef TESTS_SIDECAR_DAEMON_H
#define TESTS_SIDECAR_DAEMON_H

#include "tests/peers/program.h"

enum { DAEMON_REPLY_MAX = 16384, CHILDREN_MAX = 16 };

void daemon_set_up(const char *name);

/* Serve at this address, with so many workers; option and value may be NULL.  It listens. */
pid_t daemon_start(const char *address, const char *workers, const char *option, const char *value);

/* The first port of 127.0.0.1 that it says it listens on. */
int daemon_port(void);

/* ---- clients --------------------------------------------------------------------------------- */

/* port 0: its unix socket.  -1: errno says why. */
int daemon_connect(int port);

/* Ask /status, and take all of the answer.  NULL: it came whole; otherwise what went wrong. */
const char *daemon_ask(int port, char reply[DAEMON_REPLY_MAX]);
void daemon_expect_answer(int port, char reply[DAEMON_REPLY_MAX]);

/* The process that has given the answer. */
pid_t daemon_process_of(const char *reply);

/*
 * A client in a process of its own (returns as fork()), which goes on until it is enough, and then
 * ends with 0 if it was content with all.
 */
pid_t daemon_fork_client(void);
bool daemon_is_enough(void); /* asked by the client */
void daemon_expect_content(pid_t client);

/* ---- its workers ----------------------------------------------------------------------------- */

struct family {
    pid_t first;
    size_t wanted;              /* children that there shall be */
    pid_t before[CHILDREN_MAX]; /* none of these among them */
    size_t n_before;
};

/* Wait until there are so many children of it, none of them one of `but` (NULL: whoever). */
struct family daemon_expect_family(pid_t first, size_t wanted, const struct family *but);

#endif
