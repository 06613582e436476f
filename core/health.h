/*
 * health.h - how this process is: what an operator wants to know while something goes wrong.
 *
 * Each room notes here what it alone sees; /status and /metrics read it, and the log gets one line
 * when a trouble begins and one when it ends.  Durations are taken from the loop's clock, which
 * nobody can set; the wall clock is only shown.
 */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H

#include <stdint.h>

#include "core/log.h"

struct server;

enum source_state {
    SOURCE_AWAY,      /* no connection; why says more */
    SOURCE_POLLING,   /* connected, but LISTEN is silent (a pooler?): asks once a second */
    SOURCE_LISTENING, /* as it should be */
};

enum { PROCESS_NAME_MAX = 255 };

struct health {
    char process[PROCESS_NAME_MAX + 1];  /* HOST:PID, ours */
    char recorder[PROCESS_NAME_MAX + 1]; /* the housekeeper's; "": none, or not known yet */

    uint64_t started_ms;

    /* the database; _ms by the loop's clock */
    uint64_t state_ms;                  /* when its state began */
    int64_t state_us;                   /* the same by the wall clock */
    uint64_t said_ms;                   /* away: when the log was told last; 0: not yet */
    unsigned attempts;                  /* to reach it that have failed since it is away */
    uint64_t events_then, refused_then; /* counts when it went away */

    /* the log */
    uint64_t behind_ms; /* since then it may hold something committed and not told; 0: no */
    uint64_t told_ms;   /* the newest event was told; 0: none yet */
    int64_t delay_us;   /* from its publication to that, by both machines' wall clocks */

    /* readers and descriptors */
    size_t slow; /* paused: their queue is full */
    size_t connections, descriptors_max;
    bool not_accepting;
    size_t descriptors; /* open; 0: cannot be known */
    uint64_t counted_ms;

    uint64_t full_ms;       /* requests are refused since; 0: they are not */
    uint64_t full_last_ms;  /* and when one was, last */
    uint64_t full_then;     /* how many had been, before */
    uint64_t short_ms;      /* memory is short since; 0: it is not */
    uint64_t short_last_ms; /* and the last time there was none */
    uint64_t short_then;    /* how often till it began */

    int64_t wall_us; /* what the wall clock is ahead of the steady one */
    struct log_flood slow_flood, gap_flood, hook_flood, limit_flood;
    bool proxy_told; /* the log has named a proxy that is not among trusted_proxies */
};

void health_init(struct server *);

/* The source's state is this now; called again and again while it cannot be reached. */
void health_state(struct server *, enum source_state, const char *why);

/* Who keeps house: "" for nobody. */
void health_recorder(struct server *, const char *process);

/* For how long the log may have held something that was not told, in ms; -1: nothing is known. */
int64_t health_lag_ms(const struct server *);

/* An event that was published at time_us has been told. */
void health_told(struct server *, int64_t time_us);

/* A request is refused because this process is full: counted, noted. */
void health_refused(struct server *);

/* For server_no_memory(). */
void health_no_memory(struct server *, const char *what);

/* Once a second or so: has somebody set the wall clock?  Is a shortage of memory over? */
void health_look(struct server *);

/* Open descriptors of this process, counted at most once a second; 0: cannot be known. */
size_t health_descriptors(struct server *);

static inline double seconds_between(uint64_t from_ms, uint64_t to_ms)
{
    return to_ms > from_ms ? (double)(to_ms - from_ms) / 1e3 : 0;
}

#endif
