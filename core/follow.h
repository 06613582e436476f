/*
 * follow.h - one reader's way through the log: from a cursor through the past into the present.
 *
 *      WAITING (the log's epoch is not known yet)
 *         v
 *      LOCATING (asking where a time is, or how far the log goes)
 *         v
 *      REPLAYING (pages from the database) --> the journal, at one go --> LIVE (the hub tells)
 *         ^                |  no room                   |  ^               |
 *         '--------------- PAUSED <---------------------+--+---------------'
 *                                                    follow_resume()
 *
 * Written once for every transport: stream, poll, WebSocket and MQTT embed a struct follow and are
 * called back with events in log order, each once.  A reader that takes no more is not queued for:
 * it keeps only its number (PAUSED) and is brought forward again from the journal or the database.
 *
 * What cannot be delivered is told by gap(), before the first event after it.
 */
#ifndef CORE_FOLLOW_H
#define CORE_FOLLOW_H

#include "core/gate.h"
#include "core/hub.h"
#include "core/source.h"

struct follow;

enum gap_reason {
    GAP_EXPIRED, /* the cursor is older than what retention kept */
    GAP_EPOCH, /* the cursor belongs to another history: another database, a restore, a fail-over */
    GAP_UNKNOWN, /* the cursor was never given out: not of our form, or ahead of the log */
};
const char *gap_name(enum gap_reason); /* "expired", "epoch", "unknown" */

struct follow_ops {
    /* Next event (lent).  RC_OK: more.  RC_AGAIN: taken, but no more until follow_resume().
       RC_CLOSED: the follower has been stopped meanwhile, do not touch it. */
    enum rc (*event)(struct follow *, struct event *);
    /* Something may be missing; the reader goes on after seq.  Same return values. */
    enum rc (*gap)(struct follow *, enum gap_reason, int64_t continues_after);
    /* All that is committed has been handed out: from here on it is live.  Same return values. */
    enum rc (*caught_up)(struct follow *);
    /* Cannot go on (RC_LIMIT: too many questions; RC_NOMEM).  Stop it. */
    void (*failed)(struct follow *, enum rc);
    /* The next events, several at once, all of which this reader may hear.  Same return values, and
       RC_LIMIT: not at once, they come one by one then.  NULL: always so. */
    enum rc (*run)(struct follow *, struct run *);
};

enum since_kind { SINCE_NOW, SINCE_EARLIEST, SINCE_CURSOR, SINCE_TIME, SINCE_FOREIGN };

struct since {
    enum since_kind kind;
    struct cursor cursor; /* SINCE_CURSOR */
    int64_t ago_ms;       /* SINCE_TIME: so long ago */
};                        /* SINCE_FOREIGN: a cursor that is none of ours: gap, then now */

struct follow {
    struct subscriber sub;
    struct server *server;
    const struct follow_ops *ops;
    struct source_call *call;
    struct follow *next, **link; /* server's list of all followers */
    union {
        struct since *since; /* until the place is known */
        int64_t head;        /* while a page is on its way: server->head when it was asked for */
    };
    int64_t seq; /* everything up to here is done for this reader */
    uint8_t state;
    bool doubts;    /* some event that matches may be closed to this reader: ask the gate */
    struct who who; /* as whom it reads; the caller lends it for follow_start(), which takes its own
                       reference; good until follow_stop() */
};

/*
 * Begin; calls back perhaps from within.  filters: n >= 1 valid filters, copied.
 * Zeroed struct follow but for who.  RC_NOMEM: nothing has begun.
 */
enum rc follow_start(struct follow *, struct server *, const struct follow_ops *,
                     const struct slice *filters, size_t n, const struct since *) MUST_USE;

void follow_resume(struct follow *); /* room again; not paused: nothing happens */
/* Hand out nothing until follow_resume().  False: its place is not known yet, it cannot be. */
bool follow_pause(struct follow *) MUST_USE;

/*
 * Paused, and goes on with other filters, perhaps as somebody else (who is lent; takes a reference
 * of its own); its place stays.  RC_NOMEM: nothing has changed.
 */
enum rc follow_change(struct follow *, const struct slice *filters, size_t n,
                      const struct who *) MUST_USE;
void follow_stop(struct follow *); /* no further callbacks; not started: nothing happens */

/* The number up to which this reader has everything: its cursor.  -1: not known yet. */
int64_t follow_cursor(const struct follow *);

/* --- for server.c: the log's history has turned out to be another, or to have a hole -----------
 */

void follow_place_known(struct follow *); /* the epoch is known now: waiting readers go on */
/* Tell of the gap; go on live after server->head (epoch) or after seq (expired). */
void follow_interrupt(struct follow *, enum gap_reason, int64_t continues_after);

#endif
