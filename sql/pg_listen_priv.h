/*
 * pg_listen_priv.h - the listening connection, for the two files that drive it.
 *
 *      pg_listen.c   connects, subscribes, reads, decides what is next
 *      pg_duties.c   the statements besides reading: session, probe, election, recording, report
 */
#ifndef SQL_PG_LISTEN_PRIV_H
#define SQL_PG_LISTEN_PRIV_H

#include "sql/pg_conn.h"
#include "sql/pg_listen.h"
#include "sql/pg_recorder.h"
#include "sql/pg_rows.h"
#include "sql/pg_source.h"

#define PG_LISTEN_READ "SELECT " PG_ROW_COLUMNS " FROM bellpush.read($1, $2, $3)"

enum pg_listen_state {
    PG_AWAY, /* waiting for the next attempt */
    PG_CONNECTING,
    PG_MEETING,     /* hello() under way, the log's place not yet known */
    PG_SUBSCRIBING, /* LISTEN under way */
    PG_GREETING,    /* hello() under way, now that we listen */
    PG_CATCHING_UP, /* reading what was missed */
    PG_LIVE,
};

struct pg_listen {
    struct source *source;
    struct server *server;
    struct pg_conn *conn;
    struct pg_recorder *recorder;
    enum pg_listen_state state;
    struct alarm again; /* away: the next attempt; live: the tick */
    unsigned attempts;
    bool was_live;   /* ever: the next time is a reconnect */
    char worker[17]; /* our name in bellpush.workers */
    char probe[40];  /* our own channel */
    int64_t backend; /* the server's process behind our session */

    int64_t after;           /* read on from here */
    int64_t joined_at;       /* the log's head just after we had begun to listen */
    int64_t max_event_bytes; /* a page may end so much before its limit, */
    int64_t page_bytes;      /* which is less while memory is short */
    bool direct;             /* the session is our own */
    bool prepared;           /* and knows bellpush_read, */
    bool few;                /* and bellpush_few */
    bool calm;               /* the log lately had few rows at a time */
    int asked_rows;          /* the read under way wants at most so many */
    bool hearing;            /* LISTEN is known to work */
    bool elected;            /* we hold the housekeeper's lock */
    bool fresh;              /* and have read the log to its end since */
    bool read_counts;        /* the read under way began after the election */
    bool rung;               /* a bell has rung that no read has answered yet */
    bool answering;          /* the read under way answers a bell */
    bool recorded;           /* the last statement was record(): a read has its turn */
    bool record_later;       /* not before the next tick */
    bool curious;            /* a bell with nothing behind it: mode, epoch or settings may be new */
    bool want_read, want_hello, want_session, want_few, want_gate, want_bid, want_probe,
        want_report;
    uint64_t read_ms, hello_ms, heard_ms, probe_ms, report_ms, gate_ms; /* when last */
    uint64_t
        vacant_ms; /* since when nobody has been housekeeper, as far as we saw; 0: somebody is */
    uint64_t gate_hash;    /* of what the gate was told last; 0: nothing yet */
    int64_t presence_turn; /* when the report under way was sent */
    uint64_t asked_ms;     /* the read under way was sent */
    struct log_flood trouble;
};

static inline uint64_t pg_listen_now(const struct pg_listen *l)
{
    return uv_now(l->source->loop.uv);
}

/* How long a statement of this connection may take before the connection counts as dead. */
uint64_t pg_listen_patience(const struct pg_listen *);

/* The log is to be read: something may be in it that was not told. */
void pg_listen_want_read(struct pg_listen *);

/* A statement is answered: see what is next. */
void pg_listen_next(struct pg_listen *);

/* Tell the server and the keeper how we stand (hearing, elected, mode). */
void pg_listen_standing(struct pg_listen *);

/* Each sends its statement, or does nothing if it cannot. */
void pg_duty_session(struct pg_listen *);
void pg_duty_few(struct pg_listen *);
void pg_duty_gate(struct pg_listen *);
void pg_duty_probe(struct pg_listen *);
void pg_duty_bid(struct pg_listen *);
void pg_duty_record(struct pg_listen *);
void pg_duty_report(struct pg_listen *);

/* Is there something to record that this process may record now? */
bool pg_duty_may_record(const struct pg_listen *);

#endif
