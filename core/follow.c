/*
 * follow.c - one reader's way through the log: from a cursor through the past into the present.
 *
 * The rule: f->seq only ever moves forward over events that were handed out, or that this reader
 * did not ask for.  The pieces meet without a seam because
 *
 *   - a page from the database says up to which number it is complete, and pages follow one
 *     another until that number has reached the journal's floor;
 *   - the journal is complete above its floor, and the walk through it is one step of the loop: no
 *     event can arrive meanwhile;
 *   - the hub knows the reader from the start, but what it tells before the reader is LIVE is
 *     ignored, because the walk will find it in the journal.
 *
 * Retention can empty the past while it is being read.  So its mark is read after the rows of each
 * page: where it has passed the page's beginning, the reader is told of a gap.
 */
#include "core/follow.h"

#include <assert.h>
#include <stdlib.h>

#include "core/server.h"
#include "core/wall.h"

enum state {
    STATE_NONE,      /* not started, or stopped */
    STATE_WAITING,   /* f->since is known, the log's epoch is not */
    STATE_LOCATING,  /* source_locate() is under way; f->since is kept */
    STATE_REPLAYING, /* source_replay() is under way; f->head is kept */
    STATE_WALKING,   /* through the journal, at one go */
    STATE_LIVE,      /* everything committed has been handed out */
    STATE_PAUSED,    /* the reader takes no more; f->seq is all that is kept */
};

static void go_on(struct follow *);

const char *gap_name(enum gap_reason reason)
{
    static const char *const names[] = {
        [GAP_EXPIRED] = "expired", [GAP_EPOCH] = "epoch", [GAP_UNKNOWN] = "unknown"
    };
    return names[reason];
}

static bool expired(const struct event_fields *e)
{
    return e->expires_us != 0 && e->expires_us <= wall_now_us();
}

/* May this reader hear an event that its filters match, and does it still count? */
static bool may_hear(const struct follow *f, const struct event *event)
{
    const struct event_fields *e = event_fields(event);

    if ((f->doubts || (e->flags & EVENT_PRIVATE)) &&
        !gate_may_hear(f->server->gate, &f->who, event))
        return false;
    return !expired(e);
}

/* Hand out one event that the reader's filters match. */
static enum rc hand_out(struct follow *f, struct event *event)
{
    f->seq = event_seq(event);
    return may_hear(f, event) ? f->ops->event(f, event) : RC_OK;
}

/* Hand out all of a run at once; RC_LIMIT: the reader may not, or does not want to, have it so. */
static enum rc hand_out_run(struct follow *f, struct run *run)
{
    int64_t before = f->seq;

    if (run->n == 1 || !f->ops->run || event_seq(run->events[0]) <= before)
        return RC_LIMIT;
    for (size_t i = 0; i < run->n && (f->doubts || !run->open); i++)
        if (!may_hear(f, run->events[i]))
            return RC_LIMIT;
    f->seq = run_last(run);
    enum rc rc = f->ops->run(f, run);
    if (rc == RC_LIMIT)
        f->seq = before;
    return rc;
}

static void pause_reader(struct follow *f)
{
    f->state = STATE_PAUSED;
}

static enum rc tell_gap(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    struct server *s = f->server;

    if (reason == GAP_EXPIRED && f->state == STATE_REPLAYING) /* of the others the server tells */
        log_seldom(&s->log, &s->health.gap_flood, uv_now(s->loop), LOG_INFO,
                   "retention has overtaken a reader: gap told, %lld to %lld",
                   (long long)f->seq + 1, (long long)continues_after);
    f->seq = continues_after;
    s->stats.gaps++;
    return f->ops->gap(f, reason, continues_after);
}

static void on_told(struct subscriber *sub, struct run *run)
{
    struct follow *f = CONTAINER(sub, struct follow, sub);

    if (f->state != STATE_LIVE)
        return;
    enum rc rc = hand_out_run(f, run);
    if (rc == RC_LIMIT) {
        rc = RC_OK;
        for (size_t i = 0; i < run->n && rc == RC_OK && f->state == STATE_LIVE; i++)
            if (event_seq(run->events[i]) > f->seq)
                rc = hand_out(f, run->events[i]);
    }
    if (rc == RC_AGAIN)
        pause_reader(f);
}

static void fail(struct follow *f, enum rc rc)
{
    follow_stop(f);
    f->ops->failed(f, rc);
}

/* ---- the journal ---------------------------------------------------------------------------- */

/* f->seq is at or above the journal's floor: catch up with the present. */
static void walk_journal(struct follow *f)
{
    struct server *s = f->server;
    struct event *event;

    f->state = STATE_WALKING;
    while ((event = journal_next(s->journal, f->seq))) {
        enum rc rc = RC_OK;
        if (hub_wants(s->hub, &f->sub, event_fields(event)->topic))
            rc = hand_out(f, event);
        else
            f->seq = event_seq(event);
        if (rc == RC_AGAIN)
            pause_reader(f);
        if (rc != RC_OK)
            return;
    }
    if (f->seq < s->head)
        f->seq = s->head;
    s->stats.journal_replays++;
    f->state = STATE_LIVE;
    if (f->ops->caught_up(f) == RC_AGAIN)
        pause_reader(f);
}

/* ---- the database -----------------------------------------------------------------------------
 */

static void on_page(void *arg, const struct replay *page)
{
    struct follow *f = arg;
    int64_t asked_after = f->seq, upto = page->upto;

    f->call = NULL;
    if (page->rc != RC_OK) {
        fail(f, page->rc);
        return;
    }
    if (page->pruned_to > asked_after) {
        enum rc rc = tell_gap(f, GAP_EXPIRED, page->pruned_to);
        if (rc == RC_AGAIN)
            pause_reader(f);
        if (rc != RC_OK)
            return;
    }
    if (page->n == 0 && upto <= asked_after)
        upto = f->head; /* nothing is committed after it, so up to here nothing is missing */
    for (size_t i = 0; i < page->n; i++) {
        if (event_seq(page->events[i]) <= f->seq)
            continue;
        enum rc rc = hand_out(f, page->events[i]);
        if (rc == RC_AGAIN)
            pause_reader(f);
        if (rc != RC_OK)
            return;
    }
    if (f->seq < upto)
        f->seq = upto;
    go_on(f);
}

/* The reader's filters live in the hub: lay them out as slices of one text.  NULL: no memory. */
static struct slice *filters_of(struct follow *f, struct buf *text, size_t *n)
{
    struct buf ends = BUF_EMPTY;
    struct slice *filters = NULL;

    for (*n = 0; hub_filter(f->server->hub, &f->sub, *n, text); ++*n)
        buf_put(&ends, (struct slice){ (char *)&text->len, sizeof(text->len) });
    if (buf_rc(text) == RC_OK && buf_rc(&ends) == RC_OK)
        filters = calloc(*n ? *n : 1, sizeof(*filters));
    for (size_t i = 0, start = 0, end; filters && i < *n; i++, start = end) {
        memcpy(&end, ends.at + i * sizeof(end), sizeof(end));
        filters[i] = (struct slice){ text->at + start, end - start };
    }
    buf_fini(&ends);
    return filters;
}

static void ask_page(struct follow *f)
{
    struct server *s = f->server;
    struct buf text = BUF_EMPTY;
    size_t n;
    struct slice *filters = filters_of(f, &text, &n);

    f->state = STATE_REPLAYING;
    f->head = s->head;
    if (filters)
        f->call = source_replay(s->source, f->seq, filters, n, on_page, f);
    s->stats.database_replays++;
    buf_fini(&text);
    if (!f->call)
        fail(f, filters ? RC_LIMIT : RC_NOMEM);
    free(filters);
}

/* Bring the reader forward from f->seq. */
static void go_on(struct follow *f)
{
    if (f->seq >= journal_floor(f->server->journal))
        walk_journal(f);
    else
        ask_page(f);
}

/* ---- where to begin ------------------------------------------------------------------------- */

static void since_drop(struct follow *f)
{
    free(f->since);
    f->since = NULL;
}

/* The place is known: forget how it was said, and go on from there. */
static void placed(struct follow *f, int64_t seq)
{
    since_drop(f);
    f->seq = seq;
    go_on(f);
}

/* The place is none of ours: say so, and go on with the present. */
static void misplaced(struct follow *f, enum gap_reason reason)
{
    since_drop(f);
    f->state = STATE_PAUSED; /* until the gap has been told */
    enum rc rc = tell_gap(f, reason, f->server->head);
    if (rc == RC_OK)
        go_on(f);
}

static void on_located(void *arg, const struct place *place)
{
    struct follow *f = arg;

    f->call = NULL;
    if (place->rc != RC_OK)
        fail(f, place->rc);
    else if (strcmp(place->epoch, f->server->epoch) != 0)
        misplaced(f, GAP_EPOCH);
    else if (f->since->kind != SINCE_CURSOR)
        placed(f, place->seq);
    else if (f->since->cursor.seq <= place->head)
        placed(f, f->since->cursor.seq);
    else
        misplaced(f, GAP_UNKNOWN);
}

static void locate(struct follow *f, int64_t time_us)
{
    f->state = STATE_LOCATING;
    f->call = source_locate(f->server->source, time_us, on_located, f);
    if (!f->call)
        fail(f, RC_LIMIT);
}

/* The log's epoch is known: find the place that f->since says. */
static void find_place(struct follow *f)
{
    struct server *s = f->server;
    const struct since *since = f->since;

    switch (since->kind) {
    case SINCE_NOW:
        placed(f, s->head);
        return;
    case SINCE_FOREIGN:
        misplaced(f, GAP_UNKNOWN);
        return;
    case SINCE_EARLIEST:
        locate(f, 0);
        return;
    case SINCE_TIME:
        locate(f, wall_now_us() - since->ago_ms * 1000);
        return;
    case SINCE_CURSOR:
        if (strcmp(since->cursor.epoch, s->epoch) != 0)
            misplaced(f, GAP_EPOCH);
        else if (since->cursor.seq <= s->head)
            placed(f, since->cursor.seq);
        else /* given out by a process that is ahead of this one?  Ask how far the log goes. */
            locate(f, 0);
        return;
    }
}

void follow_place_known(struct follow *f)
{
    if (f->state == STATE_WAITING)
        find_place(f);
}

void follow_interrupt(struct follow *f, enum gap_reason reason, int64_t continues_after)
{
    bool paused = f->state == STATE_PAUSED;

    if (f->state == STATE_LOCATING) { /* nothing was handed out yet: ask again */
        source_cancel(f->call);
        f->call = NULL;
        find_place(f);
        return;
    }
    /* Who reads pages, or will, finds a hole by itself; and who came from a process that is ahead
       of this one may be beyond it. */
    if (reason == GAP_EXPIRED && (f->state != STATE_LIVE || f->seq >= continues_after))
        return;
    source_cancel(f->call);
    f->call = NULL;
    f->state = STATE_PAUSED;
    if (tell_gap(f, reason, continues_after) == RC_OK && !paused)
        go_on(f);
}

/* ---- the reader's side ---------------------------------------------------------------------- */

static void set_doubts(struct follow *f, const struct slice *filters, size_t n)
{
    f->doubts = false;
    for (size_t i = 0; i < n; i++)
        f->doubts |= gate_doubts(f->server->gate, &f->who, filters[i]);
}

enum rc follow_start(struct follow *f, struct server *s, const struct follow_ops *ops,
                     const struct slice *filters, size_t n, const struct since *since)
{
    f->server = s;
    f->ops = ops;
    f->sub.deliver = on_told;
    f->since = malloc(sizeof(*f->since));
    if (!f->since)
        return RC_NOMEM;
    *f->since = *since;
    if (hub_subscribe(s->hub, &f->sub, filters, n) != RC_OK) {
        since_drop(f);
        return RC_NOMEM;
    }
    set_doubts(f, filters, n);
    f->who = who_ref(&f->who);
    f->next = s->followers;
    f->link = &s->followers;
    if (f->next)
        f->next->link = &f->next;
    s->followers = f;
    f->state = STATE_WAITING;
    if (s->epoch[0])
        find_place(f);
    return RC_OK;
}

bool follow_pause(struct follow *f)
{
    switch ((enum state)f->state) {
    case STATE_LIVE:
        f->seq = follow_cursor(f);
        break;
    case STATE_REPLAYING:
        source_cancel(f->call);
        f->call = NULL;
        break;
    case STATE_PAUSED:
        return true;
    case STATE_NONE:
    case STATE_WAITING:
    case STATE_LOCATING:
    case STATE_WALKING:
        return false;
    }
    pause_reader(f);
    return true;
}

enum rc follow_change(struct follow *f, const struct slice *filters, size_t n,
                      const struct who *who)
{
    struct who old = f->who;

    assert(f->state == STATE_PAUSED);
    if (hub_resubscribe(f->server->hub, &f->sub, filters, n) != RC_OK)
        return RC_NOMEM;
    f->who = who_ref(who);
    who_unref(&old);
    set_doubts(f, filters, n);
    return RC_OK;
}

void follow_resume(struct follow *f)
{
    if (f->state == STATE_PAUSED)
        go_on(f);
}

void follow_stop(struct follow *f)
{
    if (f->state == STATE_NONE)
        return;
    if (f->state == STATE_WAITING || f->state == STATE_LOCATING)
        since_drop(f);
    source_cancel(f->call);
    f->call = NULL;
    hub_unsubscribe(f->server->hub, &f->sub);
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->state = STATE_NONE;
    who_unref(&f->who);
}

int64_t follow_cursor(const struct follow *f)
{
    switch ((enum state)f->state) {
    case STATE_NONE:
    case STATE_WAITING:
    case STATE_LOCATING:
        return -1;
    case STATE_LIVE:
        return f->seq > f->server->head ? f->seq : f->server->head;
    case STATE_REPLAYING:
    case STATE_WALKING:
    case STATE_PAUSED:
        break;
    }
    return f->seq;
}
