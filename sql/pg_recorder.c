/*
 * pg_recorder.c - plain NOTIFYs on their way into the log: what was heard and is not yet seen
 * there.
 *
 * A NOTIFY has no number and no memory: PostgreSQL tells it once to every session that listens.  To
 * become an event like any other it must be written into the log, by one process and once.  That
 * one is elected by a session lock, and it can die at any moment.  What then?
 *
 *      all of them hear       a b c d e f          PostgreSQL tells every listener of a database
 * the the recorder writes    a b c                same notifications in the same order all of them
 * read       a b      c           from the log, where a recorded event has flag 4
 *
 * Every process keeps what it has heard in a queue, and drops from it what it then sees in the log,
 * together with everything before it (the recorder writes in order, so what stands before was
 * written too, or refused).  So the queue is always: heard, and not known to be written.  The
 * recorder's statements travel on the connection that holds the lock: when the lock is free, every
 * statement of the old recorder is committed or will never be.  The new one first reads the log to
 * its end, which leaves in its queue exactly what nobody has written, and goes on with that.  Its
 * own queue obeys the same rule, so a recorder that lost its connection in the middle of a
 * statement needs no special case either.  The death of a recorder loses nothing and doubles
 * nothing as long as another process was listening.
 *
 * "Another process was listening" includes: since before the notification.  One that has come later
 * has not heard what is not yet written, and if it were elected and wrote, all others would drop
 * what stands before.  Therefore a vacant place is for who has listened longest: every session
 * that listens holds a shared lock with its number (bellpush.listening()), and the housekeeper's
 * lock is tried by the lowest only (bellpush.housekeeper()).  The old one's session may live on for
 * long after its process has given it up, with its lock; meanwhile others come.  Only when the
 * eldest, alive but stuck, leaves the place vacant for SENIOR_MS do the others take it.
 *
 * "Drops what it then sees in the log" includes: all that was written since it began to listen.  So
 * a new process asks how far the log goes before it listens, and reads on from there; asked later,
 * what was heard and written in between would stay in its queue, to be written again one day.
 *
 * One thing is delicate.  The log may be faster than the ear: a session that is in a statement
 * hears nothing until its end, but that statement may already see what the recorder has written
 * meanwhile.  Then the event is seen before it is heard; it is kept in a second, small queue
 * (`early`), and when the notification comes, both are forgotten.  It must come, and soon: the
 * recorder's commit rings the bell, the bell stands behind the notification, and both are told at
 * the end of the statement.  What stays longer than EARLY_MS was written by a recorder who heard
 * it before we listened.  Only notifications that are equal in channel and payload could be taken
 * for one another here, only within EARLY_MS of joining, and it would matter only if the recorder
 * died in that moment.
 */
#include <stdlib.h>

#include "sql/pg_recorder.h"

enum {
    HEARD_MAX = 100 * 1000, /* entries; the oldest go */
    HEARD_MAX_BYTES = 64 << 20,
    EARLY_MAX = 4096,
    EARLY_MS = 2000,
    BATCH_MAX = 1000,
    BATCH_MAX_BYTES = 4 << 20,
};

struct entry {
    struct entry *next;
    uint64_t at_ms;
    size_t channel_len, payload_len;
    char bytes[]; /* channel, then payload */
};

struct queue {
    struct entry *first, **end;
    size_t count, bytes;
};

struct pg_recorder {
    const struct log *log;
    struct queue heard; /* [sent and committed][sent now][to be sent], oldest first */
    struct queue early;
    struct entry **next; /* link to the first one that is to be sent */
    size_t unsent;       /* how many from there on */
    size_t sent_now;     /* in the batch under way */
    size_t singly;       /* so many are to be tried one by one */
    bool overflowing;    /* complained of already */
};

/* ---- queues -------------------------------------------------------------------------------------
 */

static size_t entry_size(const struct entry *e)
{
    return sizeof(*e) + e->channel_len + e->payload_len;
}

static void queue_init(struct queue *q)
{
    *q = (struct queue){ .end = &q->first };
}

static struct entry *queue_put(struct queue *q, struct slice channel, struct slice payload,
                               uint64_t now_ms)
{
    struct entry *e = malloc(sizeof(*e) + channel.len + payload.len);

    if (!e)
        return NULL;
    *e = (struct entry){ NULL, now_ms, channel.len, payload.len };
    memcpy(e->bytes, channel.at, channel.len);
    if (payload.len > 0)
        memcpy(e->bytes + channel.len, payload.at, payload.len);
    *q->end = e;
    q->end = &e->next;
    q->count++;
    q->bytes += entry_size(e);
    return e;
}

static void queue_remove(struct queue *q, struct entry **link)
{
    struct entry *e = *link;

    *link = e->next;
    if (q->end == &e->next)
        q->end = link;
    q->count--;
    q->bytes -= entry_size(e);
    free(e);
}

static struct entry **queue_find(struct queue *q, struct slice channel, struct slice payload)
{
    for (struct entry **link = &q->first; *link; link = &(*link)->next) {
        struct entry *e = *link;
        if (slice_is((struct slice){ e->bytes, e->channel_len }, channel) &&
            slice_is((struct slice){ e->bytes + e->channel_len, e->payload_len }, payload))
            return link;
    }
    return NULL;
}

struct pg_recorder *pg_recorder_new(const struct log *log)
{
    struct pg_recorder *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->log = log;
    queue_init(&r->heard);
    queue_init(&r->early);
    r->next = &r->heard.first;
    return r;
}

void pg_recorder_free(struct pg_recorder *r)
{
    if (!r)
        return;
    while (r->heard.first)
        queue_remove(&r->heard, &r->heard.first);
    while (r->early.first)
        queue_remove(&r->early, &r->early.first);
    free(r);
}

/* ---- hearing and seeing -------------------------------------------------------------------------
 */

/* Drop the oldest one heard. */
static void drop_first(struct pg_recorder *r)
{
    struct entry *e = r->heard.first;

    if (r->next == &r->heard.first) { /* not yet sent */
        r->unsent--;
        queue_remove(&r->heard, &r->heard.first);
        return;
    }
    if (r->next == &e->next)
        r->next = &r->heard.first;
    queue_remove(&r->heard, &r->heard.first);
}

static void forget_old(struct queue *early, uint64_t now_ms)
{
    while (early->first && (early->count > EARLY_MAX || now_ms > early->first->at_ms + EARLY_MS))
        queue_remove(early, &early->first);
}

void pg_recorder_heard(struct pg_recorder *r, struct slice channel, struct slice payload,
                       uint64_t now_ms)
{
    forget_old(&r->early, now_ms);
    struct entry **link = queue_find(&r->early, channel, payload);

    if (link) {
        queue_remove(&r->early, link);
        return;
    }
    if (!queue_put(&r->heard, channel, payload, now_ms)) {
        log_error(r->log, "out of memory: a NOTIFY on channel %.*s is lost", (int)channel.len,
                  channel.at);
        return;
    }
    r->unsent++;
    if (r->heard.count <= HEARD_MAX && r->heard.bytes <= HEARD_MAX_BYTES) {
        r->overflowing = false;
        return;
    }
    if (!r->overflowing)
        log_error(r->log, "too many NOTIFYs wait to be recorded: the oldest are lost");
    r->overflowing = true;
    while (r->sent_now == 0 && /* a batch under way keeps its members until it is answered */
           (r->heard.count > HEARD_MAX || r->heard.bytes > HEARD_MAX_BYTES))
        drop_first(r);
}

void pg_recorder_seen(struct pg_recorder *r, struct slice channel, struct slice payload, bool live,
                      uint64_t now_ms)
{
    struct entry **link = queue_find(&r->heard, channel, payload);

    if (link) {
        struct entry *match = *link;
        while (r->heard.first != match)
            drop_first(r);
        drop_first(r);
    } else if (live) {
        forget_old(&r->early, now_ms);
        (void)queue_put(&r->early, channel, payload, now_ms);
    }
}

/* ---- recording ----------------------------------------------------------------------------------
 */

bool pg_recorder_has_work(const struct pg_recorder *r)
{
    return r->unsent > 0;
}

size_t pg_recorder_batch(struct pg_recorder *r, struct pg_array *channels,
                         struct pg_array *payloads)
{
    size_t most = r->singly > 0 ? 1 : BATCH_MAX, n = 0, bytes = 0;

    pg_array_begin(channels, PG_TEXT);
    pg_array_begin(payloads, PG_TEXT);
    for (struct entry *e = *r->next; e && n < most && bytes < BATCH_MAX_BYTES; e = e->next, n++) {
        bytes += e->channel_len + e->payload_len;
        pg_array_put(channels, (struct slice){ e->bytes, e->channel_len });
        pg_array_put(payloads, (struct slice){ e->bytes + e->channel_len, e->payload_len });
    }
    if (channels->bytes.nomem || payloads->bytes.nomem)
        return 0;
    r->sent_now = n;
    return n;
}

size_t pg_recorder_committed(struct pg_recorder *r)
{
    size_t n = r->sent_now;

    /* They stay until they come back through the log: there is one rule for all processes. */
    for (; r->sent_now > 0 && r->unsent > 0; r->sent_now--, r->unsent--)
        r->next = &(*r->next)->next;
    r->sent_now = 0;
    if (r->singly > 0)
        r->singly--;
    return n;
}

void pg_recorder_postponed(struct pg_recorder *r)
{
    r->sent_now = 0;
}

void pg_recorder_refused(struct pg_recorder *r, const char *why)
{
    if (r->sent_now > 1) {
        r->singly = r->sent_now;
        r->sent_now = 0;
        return;
    }
    r->sent_now = 0;
    if (r->singly > 0)
        r->singly--;
    struct entry *e = *r->next;
    if (!e)
        return;
    log_error(r->log, "a NOTIFY on channel %.*s could not be recorded: %s", (int)e->channel_len,
              e->bytes, why);
    r->unsent--;
    queue_remove(&r->heard, r->next);
}

void pg_recorder_resign(struct pg_recorder *r)
{
    r->next = &r->heard.first;
    r->unsent = r->heard.count;
    r->sent_now = 0;
    r->singly = 0;
}

size_t pg_recorder_waiting(const struct pg_recorder *r)
{
    return r->heard.count;
}
