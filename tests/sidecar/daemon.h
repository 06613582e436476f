/*
 * daemon.h - bellpushd as a process of a test: its folder, its log, its port, its end.
 */
#ifndef TESTS_SIDECAR_DAEMON_H
#define TESTS_SIDECAR_DAEMON_H

#include <sys/types.h>

#include "core/buf.h"

enum { DAEMON_DEADLINE_MS = 20000 };

/* Lent until the next daemon_set_up(). */
struct daemon {
    const char *program;
    char *dir, *log, *conf, *socket; /* paths; the log is there, and empty */
};

extern struct daemon the_daemon;

void daemon_set_up(const char *name);
void daemon_tear_down(void);

/* Wait until its output or its log has this text, or end the test. */
void daemon_expect_logged(const char *text);

/* The first port of 127.0.0.1 that it says it listens on. */
int daemon_port(void);

/* It ends within the deadline, with this status; or is told to, and ends with 0. */
void daemon_expect_end(pid_t, int status);
void daemon_expect_stop(pid_t);

/*
 * A client in a process of its own (returns as fork()), which goes on until it is enough, and then
 * ends with 0 if it was content with all.
 */
pid_t daemon_fork_client(void);
bool daemon_is_enough(void); /* asked by the client */
void daemon_expect_content(pid_t client);

#endif
