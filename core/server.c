/*
 * server.c - one process: what its rooms share.
 *
 * The order of things within a turn of the loop: descriptors become ready and events arrive; they
 * go into the journal and through the hub, and every reader they concern queues bytes and puts its
 * connection on the list of the turn; just before the loop waits again, the prepare handle runs the
 * list, and each connection writes once.
 *
 * Where all that has come is of one topic, its readers do not wait for the list.  A walk past ten
 * thousand of them puts each out of the processor's cache before its turn would come, and meanwhile
 * nobody would receive anything.  So after every few (POST_MAX) the walk stands still while they
 * are sent to, in one system call where there is such a thing; of so few both what they need and
 * the code for it stay in the cache.  Sending calls nobody back, so the walk does not notice;
 * whatever else there is to do for them is done in their turn.
 *
 * A place in the log is `head`: it moves only after an event has been told to everyone, so that a
 * reader who asks for its cursor in the middle of a fan-out never skips what it has not been told.
 */
#include "core/server.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "core/answer.h"
#include "core/presence.h"
#include "core/slots.h"
#include "core/wall.h"

enum {
    TURN_PASSES = 4, /* a turn may call for another (an answer, then its sending) */
    SHORTENED_HOLD_MS = 25000,
    RETRY_FULL_FACTOR = 10,
};

/* ---- turns ---------------------------------------------------------------------------------- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that it is active is enough: the loop does not wait */
}

static void append(struct turn ***end, struct turn *t)
{
    t->next = NULL;
    t->link = *end;
    **end = t;
    *end = &t->next;
}

static bool comes_soon(const struct server *s, const struct turn *t)
{
    const struct turn *soon = s->soon; /* a few, if any */

    while (soon && soon != t)
        soon = soon->next;
    return soon;
}

void turn_add(struct server *s, struct turn *t)
{
    if (comes_soon(s, t)) /* there is more to do than to send */
        turn_cancel(s, t);
    if (t->link)
        return;
    append(&s->turns_end, t);
    if (!uv_is_active((uv_handle_t *)&s->idle))
        uv_idle_start(&s->idle, on_idle);
}

void turn_cancel(struct server *s, struct turn *t)
{
    if (!t->link)
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    if (s->turns_end == &t->next)
        s->turns_end = t->link;
    if (s->soon_end == &t->next)
        s->soon_end = t->link;
    t->link = NULL;
}

static void send_soon(struct server *s)
{
    struct answer *answers[POST_MAX];
    unsigned n = 0;

    while (s->soon) {
        struct turn *t = s->soon;
        turn_cancel(s, t);
        answers[n++] = CONTAINER(t, struct answer, turn);
    }
    s->soon_count = 0;
    n = answers_send(s->post, answers, n);
    for (unsigned i = 0; i < n; i++)
        turn_add(s, &answers[i]->turn);
}

void turn_add_soon(struct server *s, struct turn *t)
{
    if (!s->telling) {
        turn_add(s, t);
        return;
    }
    if (s->soon_count == POST_MAX) /* the others have been told of everything */
        send_soon(s);
    s->soon_count++;
    append(&s->soon_end, t);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct server *s = CONTAINER(prepare, struct server, prepare);

    for (int pass = 0; pass < TURN_PASSES && s->turns; pass++) {
        /* A mark in the list ends the pass: what is added meanwhile waits for the next. */
        struct turn mark = { 0 };
        turn_add(s, &mark);
        while (s->turns != &mark) {
            struct turn *t = s->turns;
            turn_cancel(s, t);
            t->run(t);
        }
        turn_cancel(s, &mark);
    }
    if (!s->turns)
        uv_idle_stop(&s->idle);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void on_shed(struct turn *turn)
{
    struct server *s = CONTAINER(turn, struct server, shed);

    journal_reset(s->journal, s->head);
}

void server_no_memory(struct server *s, const char *what)
{
    health_no_memory(s, what);
    turn_add(s, &s->shed); /* not now: somebody may be looking at an event in it */
}

/* ---- life ----------------------------------------------------------------------------------- */

enum rc server_init(struct server *s, uv_loop_t *loop, struct conf *conf)
{
    *s = (struct server){ .loop = loop, .conf = conf, .slots_fd = -1, .log = { .fd = 2 } };
    s->log.level = LOG_INFO;
    s->turns_end = &s->turns;
    s->soon_end = &s->soon;
    s->shed.run = on_shed;
    snprintf(s->mode, sizeof(s->mode), "commit");
    s->hub = hub_new();
    s->journal = journal_new((size_t)conf->journal_events, (size_t)conf->journal_bytes);
    s->wheel = wheel_new(loop);
    s->gate = gate_new(conf, &s->log);
    s->limits = limits_new(conf);
    s->presence = presence_new(s);
    s->post = post_new(strcmp(conf->io_uring, "auto") == 0);
    if (!s->post || !s->hub || !s->journal || !s->wheel || !s->gate || !s->limits || !s->presence)
        goto fail;
    s->started_us = wall_now_us();
    uv_prepare_init(loop, &s->prepare);
    uv_prepare_start(&s->prepare, on_prepare);
    uv_unref((uv_handle_t *)&s->prepare);
    uv_idle_init(loop, &s->idle);
    snprintf(s->source_why, sizeof(s->source_why), "not connected yet");
    health_init(s);
    return RC_OK;
fail:
    post_free(s->post);
    presence_free(s->presence);
    limits_free(s->limits);
    gate_free(s->gate);
    if (s->wheel)
        wheel_free(s->wheel);
    journal_free(s->journal);
    if (s->hub)
        hub_free(s->hub);
    return RC_NOMEM;
}

void server_fini(struct server *s)
{
    if (s->slots_fd >= 0)
        close(s->slots_fd);
    post_free(s->post);
    presence_free(s->presence);
    limits_free(s->limits);
    gate_free(s->gate);
    journal_free(s->journal);
    hub_free(s->hub);
    wheel_free(s->wheel);
    uv_close((uv_handle_t *)&s->prepare, NULL);
    uv_close((uv_handle_t *)&s->idle, NULL);
}

/* ---- from the source --------------------------------------------------------------------------
 */

/* Call back every follower there is now, whatever the calls do to the list. */
static void each_follower(struct server *s, void (*fn)(struct follow *, enum gap_reason, int64_t),
                          enum gap_reason reason, int64_t seq)
{
    struct follow *todo = s->followers;

    s->followers = NULL;
    if (todo)
        todo->link = &todo;
    while (todo) {
        struct follow *f = todo;
        todo = f->next;
        if (todo)
            todo->link = &todo;
        f->next = s->followers;
        f->link = &s->followers;
        if (s->followers)
            s->followers->link = &f->next;
        s->followers = f;
        fn(f, reason, seq);
    }
}

static void place_known(struct follow *f, enum gap_reason reason, int64_t seq)
{
    (void)reason;
    (void)seq;
    follow_place_known(f);
}

int64_t server_epoch(struct server *s, const char *epoch, int64_t pruned_to, int64_t head)
{
    if (s->epoch[0] == '\0') {
        snprintf(s->epoch, sizeof(s->epoch), "%s", epoch);
        s->head = head;
        journal_reset(s->journal, head);
        each_follower(s, place_known, GAP_EPOCH, 0);
    } else if (strcmp(s->epoch, epoch) != 0 || head < s->head) {
        enum gap_reason reason = strcmp(s->epoch, epoch) != 0 ? GAP_EPOCH : GAP_UNKNOWN;
        uint64_t told = s->stats.gaps;
        log_warn(&s->log, "the log's history has changed (%s): epoch %s, head %lld; was %s, %lld",
                 reason == GAP_EPOCH ? "restored, failed over, or new_epoch() was called"
                                     : "its newest events are gone",
                 epoch, (long long)head, s->epoch, (long long)s->head);
        snprintf(s->epoch, sizeof(s->epoch), "%s", epoch);
        s->head = head;
        journal_reset(s->journal, head);
        each_follower(s, follow_interrupt, reason, head);
        log_info(&s->log, "gap told to %llu readers", (unsigned long long)(s->stats.gaps - told));
    } else if (pruned_to > s->head) {
        uint64_t told = s->stats.gaps;
        log_warn(&s->log, "retention has overtaken this process: events %lld to %lld are gone",
                 (long long)s->head + 1, (long long)pruned_to);
        s->head = pruned_to;
        journal_reset(s->journal, pruned_to);
        each_follower(s, follow_interrupt, GAP_EXPIRED, pruned_to);
        log_info(&s->log, "gap told to %llu readers", (unsigned long long)(s->stats.gaps - told));
    }
    return s->head;
}

/* Are n (>= 1) events of one topic? */
static bool are_of_one_topic(struct event *const *events, size_t n)
{
    struct slice topic = event_fields(events[0])->topic;
    size_t i = 1;

    while (i < n && slice_is(event_fields(events[i])->topic, topic))
        i++;
    return i == n;
}

/* One walk.  The journal has all of a run's events before anybody is told of the first: who stops
   in the middle goes on from there. */
static void tell(struct server *s, struct event *const *events, size_t n)
{
    const struct event_fields *last = event_fields(events[n - 1]);
    struct run run = run_of(events, n);

    for (size_t i = 0; i < n; i++)
        if (journal_append(s->journal, events[i]) != RC_OK)
            server_no_memory(s, "the journal"); /* it begins anew from here */
    s->stats.deliveries += n * hub_publish(s->hub, &run);
    run_fini(&run);
    s->stats.events += n;
    s->head = last->seq;
    s->head_time_us = last->time_us;
}

void server_events(struct server *s, struct event *const *events, size_t n, int64_t upto)
{
    for (; n > 0 && event_seq(events[0]) <= s->head; n--)
        events++;
    if (n > 0) {
        size_t span = run_span(events, n);
        s->telling = are_of_one_topic(events + span - 1, n - span + 1); /* those of a run are */
        while (n > 0) {
            tell(s, events, span);
            events += span;
            n -= span;
            span = n > 0 ? run_span(events, n) : 0;
        }
        send_soon(s);
        s->telling = false;
        health_told(s, s->head_time_us);
    }
    if (upto > s->head)
        s->head = upto;
}

void server_state(struct server *s, enum source_state state, const char *why)
{
    health_state(s, state, why);
    if (state != SOURCE_AWAY)
        presence_wake(s->presence);
}

/* ---- capacity ------------------------------------------------------------------------------- */

/* Between half and one and a half of it, so that clients do not come back together. */
static int64_t jitter(int64_t ms)
{
    return ms / 2 + (int64_t)randombytes_uniform((uint32_t)(ms < 1 ? 1 : ms) + 1);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/*
 * One process, one request: half of the site's processes may hold a reply, the others are for
 * clients who only want to know what is new.  Those are asked to stay away a little longer, the
 * longer the fewer processes there are.
 */
static struct grant grant_one_slot(struct server *s, int64_t wanted_ms)
{
    int slots = (int)(s->conf->processes / 2);

    if (s->slots_fd < 0) {
        s->slots_fd = slots_open(s->conf->slots_file);
        if (s->slots_fd < 0)
            log_warn(&s->log,
                     "no slots file (%s): nothing is held in one-request mode; "
                     "set slots_file to a writable path",
                     strerror(errno));
    }
    int slot = slot_take(s->slots_fd, slots);
    if (slot >= 0)
        return (struct grant){ .hold_ms = least(wanted_ms, s->conf->one_request_hold_ms),
                               .retry_ms = jitter(s->conf->retry_ms / 4),
                               .slot = slot };
    return (struct grant){ .retry_ms = jitter(s->conf->retry_ms * 2), .slot = -1 };
}

struct grant server_grant(struct server *s, int64_t wanted_ms)
{
    struct grant g = { .hold_ms = wanted_ms, .retry_ms = jitter(s->conf->retry_ms), .slot = -1 };

    if (s->draining)
        return (struct grant){ .retry_ms = g.retry_ms, .slot = -1 };
    if (s->one_slot)
        return grant_one_slot(s, wanted_ms);
    if (s->max_open == 0)
        return g;
    size_t percent = s->open_count * 100 / s->max_open;
    if (percent >= 100) {
        g = (struct grant){ .refuse = true, .slot = -1 };
        g.retry_ms = jitter(s->conf->retry_ms * RETRY_FULL_FACTOR);
        health_refused(s);
    } else if (percent >= 95) {
        g.hold_ms = 0;
        g.retry_ms = jitter(s->conf->retry_ms * RETRY_FULL_FACTOR / 2);
    } else if (percent >= 75) {
        g.hold_ms = least(wanted_ms, SHORTENED_HOLD_MS) * (int64_t)(96 - percent) / 21;
        g.retry_ms = jitter(s->conf->retry_ms * 2);
    }
    return g;
}

void server_grant_end(struct server *s, struct grant *g)
{
    slot_give(s->slots_fd, g->slot);
    g->slot = -1;
}

void server_gate(struct server *s, const struct gate_entry *entries, size_t n)
{
    if (gate_load(s->gate, entries, n) != RC_OK) {
        log_error(&s->log, "no memory for keys and revocations: those from before still hold");
        return;
    }
    log_debug(&s->log, "the gate knows %zu keys and revocations", n);
    for (struct request *r = s->open, *next; r; r = next) {
        next = r->next_open; /* rights() may end its own request, and no other */
        if (r->reply_ops->rights)
            r->reply_ops->rights(r->owner);
    }
}

void server_drain(struct server *s)
{
    s->draining = true;
    for (struct request *r = s->open, *next; r; r = next) {
        next = r->next_open; /* drain() may end its own request, and no other */
        r->reply_ops->drain(r->owner);
    }
}
