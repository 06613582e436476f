/*
 * act_priv.h - more of act.c, for faults.c, soak.c and faults that look at single workers.
 */
#ifndef TESTS_FAULTS_ACT_PRIV_H
#define TESTS_FAULTS_ACT_PRIV_H

#include <jansson.h>
#include <sys/types.h>

#include "tests/faults/fault.h"

/* On a terminal: how the load is doing, now and then; and its line cleared. */
void act_show(const struct act *);
void act_hide(void);

/* What the worker behind this socket of a front says at /status; gives.  NULL: nothing. */
json_t *act_ask(const struct act *, size_t front, size_t worker);
/* Of that, what is at "database.state"; lent.  NULL: it is not there. */
const json_t *act_member(const json_t *status, const char *path);
/* Its pid, as it says itself; 0: it does not. */
pid_t act_pid(const json_t *status);

#endif
