/*
 * crowd.h - many clients that listen to one topic as browsers do: read, and when the reply ends for
 * whatever reason, wait as they were told and come back with their cursor.
 *
 * Events on the topic are numbers: "1", "2", … .  Each client must get every number, in order, none
 * twice, however often it has to come back; the first that does not ends the test.
 */
#ifndef TESTS_WEB_CROWD_H
#define TESTS_WEB_CROWD_H

#include "core/buf.h"

enum crowd_way {
    CROWD_STREAM, /* GET /events, Last-Event-ID */
    CROWD_POLL,   /* GET /poll, since= */
    CROWD_MIXED,  /* half and half */
};

struct crowd;

struct crowd *crowd_new(const char *topic, enum crowd_way, size_t n); /* gives */
void crowd_free(struct crowd *);                                      /* all leave */

/* Run until everybody has a cursor: what is published from here on must reach all. */
void crowd_settle(struct crowd *);
/* Run until everybody has got the numbers up to this one. */
void crowd_expect(struct crowd *, int upto);
/* Run for so long: for tests that do something meanwhile. */
void crowd_run(struct crowd *, int64_t ms);
/* Run for one turn: until something happens, ms at most. */
void crowd_turn(struct crowd *, int64_t ms);
/* The least that anybody has got. */
int crowd_least(const struct crowd *);

/* Replies that are open now; how often somebody had to come back; replies that were not 200. */
size_t crowd_open(const struct crowd *);
size_t crowd_returns(const struct crowd *);
size_t crowd_refusals(const struct crowd *);

#endif
