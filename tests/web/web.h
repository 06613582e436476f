/*
 * web.h - the site that a suite's tests visit: a database, a web server, a worker; set up once per
 * suite in the parent of all its tests.
 */
#ifndef TESTS_WEB_WEB_H
#define TESTS_WEB_WEB_H

#include <check.h>
#include <libpq-fe.h>

#include "tests/peers/cluster.h"
#include "tests/peers/front.h"
#include "tests/peers/http.h"
#include "tests/peers/process.h"
#include "tests/scenarios/stage.h"

enum {
    WEB_PATIENCE_MS = 60000, /* generous: waiting longer means that it never comes */
    WEB_PROCESSES = 10,      /* of one-request sites, as the recipes say */
};

/* What can be said of a way to serve, before asking. */
struct web_way {
    struct stage_traits traits;
    bool sees_leaving; /* tells the worker at once that a client has left; others at a write */
    bool lasting;      /* the worker outlives its requests and may be killed and stopped apart */
    bool by_itself;    /* there is no web server in front */
    bool ws;           /* WebSockets are carried, by a bellpushd beside the workers or by itself */
};

struct web {
    enum front_kind kind;
    const struct web_way *way;
    struct cluster *cluster;
    char *dsn;
    struct front *front;
};

extern struct web web; /* the one of this suite; stage_web.c plays there */

/* Set up and take down web, with settings added to bellpush.conf (NULL: none). */
void web_open(enum front_kind, const char *settings);
void web_close(void);

/* A front of the same kind, but with no sidecar beside it, for one test alone: on its own cluster
   if cluster is not NULL, with another program if program is not NULL; returns where web was
   before, for web_back(). */
struct web web_aside(struct cluster *, const char *settings, const char *program);
void web_back(struct web before);

/* The database was restarted, or is another one now: publish over a new connection. */
void web_forget_database(void);

/* "/push" + target, asked now; the short form of http_new(). */
struct http *web_ask(const struct ask *);

/* In the site's database; caller clears.  What fails ends the test. */
PGresult *web_query(const char *sql, int n, const char *const *values);

/* Requests that the workers hold now. */
size_t web_held(void);

/* Commit one event each: topic, data "1", "2"… (from first to last). */
void web_publish_numbers(const char *topic, int first, int last);

/* The tests that are about the web and not about a scenario; each picks what its way can do. */
void flow_tests(TCase *, const struct web_way *);
void crowd_tests(TCase *, const struct web_way *);
void upset_tests(TCase *, const struct web_way *);
void passing_tests(TCase *, const struct web_way *);
void limits_tests(TCase *, const struct web_way *);
void smuggle_tests(TCase *, const struct web_way *);
void ws_tests(TCase *, const struct web_way *);

#endif
