/*
 * life.h - a server process from its first signal to its last: what the programs have in common.
 *
 *      STARTING --the database has answered, or cannot--> SERVING --signal--> STOPPING --> GONE
 *
 * Starting never waits long for the database, but a little: a process that a web server has started
 * for a request would otherwise answer that very request with "the database is away".  Stopping
 * drains: held replies are asked to end, for `drain` at most; a second signal ends it at once.
 *
 * Where the site's owner sees no terminal (lighttpd, mod_fcgid, CGI) a broken configuration does
 * not end the process at once: it says on every page that it is broken, and why in the error log,
 * and ends after a while so that the web server starts another and a repaired file is found.
 *
 * What requests come through, and when there is no more of it, only the program knows: life_ops.
 */
#ifndef CORE_LIFE_H
#define CORE_LIFE_H

#include "core/porch.h"

struct life;

enum life_state { LIFE_STARTING, LIFE_SERVING, LIFE_STOPPING, LIFE_GONE };

enum { LIFE_SIGNALS = 3 };

struct life_ops {
    /* Open what requests come through.  False: cannot be (errno). */
    bool (*begin)(struct life *);
    /* Let no more in. */
    void (*stop)(struct life *);
    /* Asked once a turn: is there nothing more to wait for? */
    bool (*over)(const struct life *);
    /* Give up what is left; done() when no handle is.  begin() may not have been called. */
    void (*free)(struct life *, void (*done)(void *arg), void *arg);
    /* SIGHUP, besides the log.  NULL: nothing. */
    void (*hangup)(struct life *);
};

struct life {
    /* Filled before life_run(); conf is the caller's, too. */
    const char *program;    /* "bellpush.fcgi" */
    const char *started_by; /* "systemd", for the log */
    const struct life_ops *ops;
    void (*serve)(struct request *); /* routes_serve */
    struct conf conf;
    uint64_t grace_ms;    /* for the database's first word */
    int64_t drain_max_ms; /* never drain longer; 0: as the settings say */
    bool one_slot;        /* one request at a time */
    bool quiet;           /* a line for each start would be no news */
    bool no_terminal;     /* see above */
    bool broken;          /* the configuration is; also set when the database's settings are */

    /* For the program. */
    uv_loop_t loop;
    struct server server;
    struct porch_limits limits; /* as descriptors and max_open allow */
    enum life_state state;

    /* private to life.c */
    char why_at_start[sizeof(((struct server *)NULL)->source_why)];
    uv_signal_t signals[LIFE_SIGNALS], hangup;
    uv_prepare_t look; /* once per turn, before the loop waits: may the next part of life begin? */
    uv_timer_t deadline; /* and when it must */
};

/*
 * The first thing in main: standard descriptors are filled, signals wait until there is a loop to
 * hear them, memory of large events will go back to the system.
 */
void life_prepare(void);

/* Live; returns the process's exit status.  Says why on stderr or in the log. */
int life_run(struct life *) MUST_USE;

#endif
