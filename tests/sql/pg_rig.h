/*
 * pg_rig.h - a source on a loop, with a server as in main and one subscriber of everything.
 */
#ifndef TESTS_SQL_PG_RIG_H
#define TESTS_SQL_PG_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/server.h"
#include "tests/peers/cluster.h"
#include "tests/peers/process.h"
#include "tests/suite.h"

struct heard {
    int64_t seq;
    char epoch[EPOCH_MAX + 1];
    unsigned flags;
    char *topic, *data; /* NUL added */
    size_t len;
};

struct rig {
    uv_loop_t loop;
    struct conf conf;
    struct server server;
    struct subscriber everything;
    struct heard *heard;
    size_t count, cap, told; /* told: how often, of one event or of many together */
    uv_timer_t heartbeat; /* so that conditions are looked at */
    bool freed;
};

/* Start; settings: "channels=a,b", …, NULL; may be NULL.  Gives. */
struct rig *rig_new(const char *dsn, const char *const *settings);
void rig_free(struct rig *); /* and see that nothing is left on the loop */

/* Run the loop until fn(arg) holds; the test fails after 30 s, naming what. */
void rig_until(struct rig *, const char *what, bool (*fn)(void *arg), void *arg);
void rig_run(struct rig *, int64_t ms); /* so long, whatever happens */

void rig_until_heard(struct rig *, size_t count);
void rig_until_state(struct rig *, enum source_state);
void rig_until_why(struct rig *, const char *text); /* server->source_why contains it */
void rig_until_housekeeper(struct rig *);

/* A started rig that is live. */
struct rig *rig_listening(const char *dsn, const char *const *settings);

/* Run SQL and forget what it gives. */
void run_sql(const char *dsn, const char *format, ...) PRINTF(2, 3);

/* Publish "data" values from to upto on a topic, one transaction each. */
void publish_numbers(const char *dsn, const char *topic, int from, int upto);

/* All that was heard on the topic is data 1, 2, … count, in log order. */
void check_numbers(const struct rig *, const char *topic, int count);

/* Another process with its own source; lives until killed.  Gives its pid, which is also the
   application_name of its connections. */
pid_t rig_process(const char *dsn, const char *const *settings);

/* The cluster that suites share; call from an unchecked fixture. */
void rig_cluster(void);
char *rig_database(void); /* a fresh database with the schema: its connection string, given */

#endif
