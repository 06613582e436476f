/*
 * guard.h - somebody who ends a process when we are gone, for programs that would not notice.
 *
 * process_start() asks the kernel to tell the child of our death, but the kernel forgets it when
 * the child changes its user, as lighttpd does.  A guard is a process of its own, and ends with
 * the first of the two.
 */
#ifndef TESTS_PEERS_GUARD_H
#define TESTS_PEERS_GUARD_H

#include <sys/types.h>

/* When we die: SIGTERM, and a while later SIGKILL.  Of our own children only. */
void guard_start(pid_t);

#endif
