/*
 * loopback.h - the stage of memory: handlers, core and a fake source in this process, no sockets.
 *
 * Besides what stage.h offers to scenarios, its tests can reach behind the curtain.
 */
#ifndef TESTS_HANDLERS_LOOPBACK_H
#define TESTS_HANDLERS_LOOPBACK_H

#include "core/server.h"
#include "tests/fake/fake_source.h"
#include "tests/scenarios/stage.h"

/* Build the stage; settings: "name=value", NULL-terminated, on top of the stage's own; may be NULL.
 */
void loopback_open(const char *const *settings);
void loopback_close(void); /* ends the test when a reply, a call or a timer was left behind */

/* For checked fixtures. */
void loopback_setup(void);
void loopback_teardown(void);

struct server *loopback_server(void);
struct source *loopback_source(void);

/* The address from which the following requests come; lent. */
void loopback_remote(const char *address);

/* The peer stops taking bytes; goes on. */
void loopback_take(struct answer *, bool);

/* The next write fails for want of memory. */
void loopback_break(struct answer *);

/* A peer with a WebSocket says something; does its handler take no more now? */
void loopback_say(struct answer *, const char *text);
bool loopback_deaf(const struct answer *);

/* Run the loop until done(arg), or end the test saying what was waited for. */
void loopback_until(bool (*done)(void *arg), void *arg, const char *what);
void loopback_settle(void); /* until nothing more happens at once */

/* One-request mode without a slot: every hold is denied. */
void loopback_one_slot(void);

/* stage_rights.c: nothing has been given, and nobody has a session. */
void loopback_forget_rights(void);

#endif
