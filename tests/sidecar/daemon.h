/*
 * daemon.h - bellpushd as a program of a test, and clients that ask without a pause.
 */
#ifndef TESTS_SIDECAR_DAEMON_H
#define TESTS_SIDECAR_DAEMON_H

#include "tests/peers/program.h"

void daemon_set_up(const char *name);

/* The first port of 127.0.0.1 that it says it listens on. */
int daemon_port(void);

/*
 * A client in a process of its own (returns as fork()), which goes on until it is enough, and then
 * ends with 0 if it was content with all.
 */
pid_t daemon_fork_client(void);
bool daemon_is_enough(void); /* asked by the client */
void daemon_expect_content(pid_t client);

#endif
