/*
 * site.h - the servers that are measured, each started as it would stand on a site.
 *
 * The worker's web servers get the files of contrib/ with only paths exchanged; around them, and
 * around nchan, stands the least that runs, with limits high enough for all the streams and one
 * nginx worker process for both.
 */
#ifndef TESTS_BENCH_SITE_H
#define TESTS_BENCH_SITE_H

#include "tests/bench/publisher.h"
#include "tests/bench/usage.h"

enum site_kind {
    /* Event streams: */
    SITE_BARE,          /* the limit: a write per event */
    SITE_BARE_TOGETHER, /* the limit: what waits leaves in one write */
    SITE_NGINX,         /* the worker behind nginx */
    SITE_LIGHTTPD,      /* the worker behind lighttpd */
    SITE_NCHAN,         /* nchan in nginx */
    /* WebSockets: */
    SITE_WS_BARE,
    SITE_WS_BARE_TOGETHER,
    SITE_WS_BARE_LOG, /* the limit for whatever is told by our log */
    SITE_WS_NODE,     /* node's ws */
    SITE_WS_NCHAN,    /* nchan in nginx */
    SITE_BELLPUSHD,
    SITE__COUNT
};

struct site;

/* What they all need. */
struct site_place {
    const char *top;     /* source tree */
    const char *program; /* bellpush.fcgi */
    const char *daemon;  /* bellpushd */
    const char *bare;    /* tests/bench/bare */
    const char *dsn;     /* a database with the schema, for those that site_wants_database() */
    int nginx_processes; /* worker processes of nginx, with or without nchan */
};

const char *site_name(enum site_kind); /* "worker behind nginx" */
bool site_has_websockets(enum site_kind);
bool site_wants_database(enum site_kind);

/* What stands in its way on this machine; NULL: nothing. */
const char *site_missing(enum site_kind);

/* Start and wait until it answers; gives.  On failure shows its log and ends the program. */
struct site *site_start(enum site_kind, const struct site_place *) MUST_USE;
void site_stop(struct site *);

const char *site_address(const struct site *);

/* What a client sends to hear a topic; gives (caller frees). */
char *site_request(const struct site *, const char *topic) MUST_USE;

/* Somebody who publishes there.  bytes, each: see publisher_pg(). */
struct publisher *site_publisher(const struct site *, const char *topic, size_t bytes,
                                 bool each) MUST_USE;

/* All of the site's processes; only those of the worker (nchan: of nginx). */
struct usage site_usage(const struct site *);
struct usage site_holder_usage(const struct site *);

#endif
