/*
 * server.h - one process: what its rooms share, made in main and handed down.
 *
 * The source feeds it (server_epoch, server_events, server_gap); it keeps the journal and lets the
 * hub tell the followers.  Transports call serve().  Whoever has bytes to send or an answer to
 * finish puts itself on the list of the turn and is called once before the loop waits again: that
 * is where many events become one write.  Only what the hub is telling, where that is all that has
 * come, need not wait for so long (turn_add_soon).
 */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include <uv.h>

#include "core/conf.h"
#include "core/follow.h"
#include "core/gate.h"
#include "core/health.h"
#include "core/hub.h"
#include "core/journal.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/request.h"
#include "core/source.h"
#include "core/wheel.h"

struct presence; /* core/presence.h */

/* Something to do once at the end of this loop turn; embedded in its owner, zeroed at first. */
struct turn {
    struct turn *next, **link;  /* link: NULL when not on the list */
    void (*run)(struct turn *); /* may put turns on the list again, or free any */
};

struct stats { /* since start; for /status */
    uint64_t requests, published, events, deliveries, gaps, slow_closed, refused, bells, reads;
    uint64_t journal_replays, database_replays, reconnects, recorded, relayed, denied;
    uint64_t publishes_refused, publishes_uncertain, accept_pauses, clock_jumps, no_memory;
    uint64_t limited;
};

struct server {
    uv_loop_t *loop;
    struct conf *conf;
    struct log log;
    struct hub *hub;
    struct journal *journal;
    struct wheel *wheel;
    struct source *source;
    void (*serve)(struct request *); /* handlers/routes.c */
    /* Where a transport knows addresses that are not ours: what is there.  NULL: nothing. */
    void (*elsewhere)(struct request *, struct slice path);
    struct stats stats;
    struct gate *gate;
    struct limits *limits;
    struct presence *presence;
    struct health health;

    /* the log, as far as this process has seen it */
    char epoch[EPOCH_MAX + 1]; /* "": not known yet */
    int64_t head;              /* every event up to here has been told */
    int64_t head_time_us;      /* when the newest event was published; 0: none seen */
    enum source_state source_state;
    char source_why[256]; /* for the operator: the reason for AWAY or POLLING */
    bool housekeeper;     /* this process records, relays and prunes */
    char mode[8];         /* "commit" or "relay" */

    /* requests */
    struct request *open; /* held ones */
    size_t open_count, max_open;
    size_t kept_bytes; /* of requests that wait to be served again (request_keep) */
    bool one_slot;     /* this process gets one request at a time */
    int slots_fd;      /* one-slot mode: shared lock file; -1: none */
    bool draining;
    int64_t started_us;

    /* private to server.c */
    struct follow *followers;
    struct turn *turns, **turns_end, shed;
    struct turn *soon, **soon_end; /* sent while others are still being told, */
    struct post *post;             /* all of them at once */
    unsigned soon_count;
    bool telling;         /* events, and nothing else is known to come in this turn */
    uv_prepare_t prepare; /* runs the turns just before the loop waits */
    uv_idle_t idle;       /* active while turns remain: keeps the loop from waiting */
};

/* loop, conf and log are the caller's and outlive the server.  RC_NOMEM. */
enum rc server_init(struct server *, uv_loop_t *, struct conf *) MUST_USE;
void server_fini(struct server *); /* source already freed, no open request; closes its handles */

/* Run at the end of this loop turn; on the list already: nothing happens. */
void turn_add(struct server *, struct turn *);
void turn_cancel(struct server *, struct turn *);
/*
 * The same for the turn of a struct answer that has been lent an event: if that is all that it has
 * to say, and it is being told as one of many, it is sent (answers_send) a few readers later, while
 * it is still in the processor's cache.
 */
void turn_add_soon(struct server *, struct turn *);

/* --- for the source ------------------------------------------------------------------------ */

/*
 * The log's history is epoch, its newest number head: called at every (re)connect before any
 * events.  First time: the journal starts at head.  Same epoch: nothing is lost, events go on
 * after server->head (returned) unless pruned_to has passed it (then followers are told of the gap
 * and go on after pruned_to).  Other epoch: followers are told and go on after head.
 * Returns the number after which the source shall read on.
 */
int64_t server_epoch(struct server *, const char *epoch, int64_t pruned_to, int64_t head);

/* New events in log order, every event of the log in (server->head, upto].  Lent. */
void server_events(struct server *, struct event *const *, size_t n, int64_t upto);

/*
 * What the gate must know (gate_load): once after every connect, and again after each event on
 * SERVER_GATE_TOPIC that was read.  Every open reply looks at its rights again.
 */
#define SERVER_GATE_TOPIC "$bellpush/gate"
void server_gate(struct server *, const struct gate_entry *, size_t n);

/* How the source stands; again and again while it cannot be reached: each call is an attempt. */
void server_state(struct server *, enum source_state, const char *why);

/*
 * There was no memory for something ("an answer"), and somebody has gone without it: noted, and
 * what can be done without is given up at the end of this turn: the journal.  Readers behind it ask
 * the database.
 */
void server_no_memory(struct server *, const char *what);

/* --- for handlers: capacity (DESIGN.md section 5) --------------------------------------------- */

struct grant {
    bool refuse;      /* say 503 with Retry-After */
    int64_t hold_ms;  /* hold this long at most; 0: answer at once */
    int64_t retry_ms; /* tell the client to come back after this (jittered) */
    int slot;         /* one-slot mode: lock to give back; -1: none */
};

/* May one more reply be held, for wanted_ms? */
struct grant server_grant(struct server *, int64_t wanted_ms);
void server_grant_end(struct server *, struct grant *);

/* --- for main ------------------------------------------------------------------------------ */

/* Tell every held reply to end (reply_ops.drain). */
void server_drain(struct server *);

#endif
