/*
 * pg_pool.c - the query connections of a process: publishes, replays and locates.
 *
 *      publishes  →┐                      ┌ connection  one statement at a time
 *                  ├─ alternating, ───────┼ connection
 *      questions  →┘  to the first idle   └ …           opened when something waits
 *
 * Two queues, so that a thousand clients who come back and want their past do not hold up those
 * who publish, nor these those.  A question that was under way when its connection broke is asked
 * again on the next; a publish only when it has an idempotency key, because then a repetition is
 * harmless: otherwise nobody knows whether it was committed, and its caller is told so.
 *
 * While the database cannot be reached questions wait and publishes fail.  "Cannot be reached" is
 * only known after an attempt: at the start, and when a connection is lost, a publish waits for the
 * outcome of the next attempt.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sql/pg_pool.h"

enum {
    ANSWER_MS = 30 * 1000,  /* a statement may wait for locks as long */
    PUBLISH_MS = 10 * 1000, /* a publish that still waits for a connection is given up */
    IDLE_MS = 60 * 1000,
    TICK_MS = 1000,
    TRIES_MAX = 5,
    CALLS_MAX = 10 * 1000,
    PUBLISH_BYTES_MAX = 64 << 20,
    MEMBERS_MAX = 64,
};

struct member { /* one connection */
    struct pg_pool *pool;
    struct pg_conn *conn;
    struct source_call *call; /* under way */
    bool up;                  /* was connected; not: it is being dialled or closed */
    uint64_t idle_since_ms;
};

struct queue {
    struct source_call *first, **end;
    size_t count;
};

enum { PUBLISHES, QUESTIONS, QUEUES };

struct pg_pool {
    struct server *server;
    struct pg_loop *loop;
    struct queue waiting[QUEUES];
    struct queue failing; /* to be told in this turn */
    struct turn turn;
    unsigned last;        /* the queue that was served last */
    size_t publish_bytes; /* of all publishes not yet answered */
    size_t calls;         /* not yet answered */
    bool server_down;     /* the listening connection cannot be had */
    struct alarm retry;   /* set: the last attempt has failed, and this is how long we wait */
    struct alarm tick;    /* set while anything is open or waits */
    unsigned attempts;
    char why[PG_WHY_MAX]; /* of the last failure */
    uint64_t away_ms;     /* no connection can be had since; 0: not so */
    bool told;            /* and the log knows */
    struct log_flood refusals;
    void (*published)(void *arg);
    void *published_arg;
    size_t member_count;
    struct member members[];
};

/* ---- queues -------------------------------------------------------------------------------------
 */

static void put(struct queue *q, struct source_call *call, bool first)
{
    struct source_call **link = first ? &q->first : q->end;

    call->next = *link;
    call->link = link;
    if (call->next)
        call->next->link = &call->next;
    else
        q->end = &call->next;
    *link = call;
    q->count++;
}

static struct queue *queue_of(struct pg_pool *p, const struct source_call *call)
{
    return call->failed ? &p->failing
                        : &p->waiting[call->kind == PG_PUBLISH ? PUBLISHES : QUESTIONS];
}

static void take_out(struct pg_pool *p, struct source_call *call)
{
    struct queue *q = queue_of(p, call);

    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    else
        q->end = call->link;
    call->link = NULL;
    call->next = NULL;
    q->count--;
}

/* The pool is done with a call: it may be answered and freed. */
static void let_go(struct pg_pool *p, struct source_call *call)
{
    p->calls--;
    if (call->kind == PG_PUBLISH)
        p->publish_bytes -= call->bytes;
}

/* Fail it in this turn, but not from within. */
static void fail_soon(struct pg_pool *p, struct source_call *call, enum rc rc, const char *why)
{
    if (call->link)
        take_out(p, call);
    if (call->kind == PG_PUBLISH && rc == RC_SOURCE) {
        p->server->stats.publishes_refused += !call->uncertain;
        p->server->stats.publishes_uncertain += call->uncertain;
    }
    call->failed = true;
    call->rc = rc;
    snprintf(call->why, sizeof(call->why), "%s", why);
    put(&p->failing, call, false);
    turn_add(p->server, &p->turn);
}

static void on_turn(struct turn *turn)
{
    struct pg_pool *p = CONTAINER(turn, struct pg_pool, turn);
    struct source_call *call = p->failing.first;

    if (!call)
        return;
    take_out(p, call);
    let_go(p, call);
    if (p->failing.first) /* the callback may free the pool: nothing is done after it */
        turn_add(p->server, &p->turn);
    char why[PG_WHY_MAX];
    memcpy(why, call->why, sizeof(why));
    pg_call_fail(call, call->rc, why);
}

/* ---- can it be had? -----------------------------------------------------------------------------
 */

static bool any_up(const struct pg_pool *p)
{
    for (size_t i = 0; i < p->member_count; i++)
        if (p->members[i].up)
            return true;
    return false;
}

static bool is_away(const struct pg_pool *p)
{
    return !any_up(p) && (p->server_down || p->retry.link);
}

static void fail_publishes(struct pg_pool *p)
{
    char why[PG_WHY_MAX + 64];

    snprintf(why, sizeof(why), "the database is away, nothing was published: %s", p->why);
    while (p->waiting[PUBLISHES].first)
        fail_soon(p, p->waiting[PUBLISHES].first, RC_SOURCE, why);
}

static void dispatch(struct pg_pool *);

static void open_member(struct pg_pool *);

/* Once it is known that none can be had we try until one can, even if nothing waits for it: so that
   the trouble has an end that somebody sees. */
static void try_again(struct pg_pool *p)
{
    dispatch(p);
    if (p->away_ms)
        open_member(p);
}

static void on_retry(struct alarm *alarm)
{
    try_again(CONTAINER(alarm, struct pg_pool, retry));
}

void pg_pool_server_is_up(struct pg_pool *p)
{
    p->server_down = false;
    p->attempts = 0;
    alarm_cancel(&p->retry);
    try_again(p);
}

void pg_pool_server_is_down(struct pg_pool *p, const char *why)
{
    p->server_down = true;
    snprintf(p->why, sizeof(p->why), "%s", why);
    if (is_away(p))
        fail_publishes(p);
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void again(struct pg_pool *p, struct source_call *call)
{
    if (call->cancelled && call->kind != PG_PUBLISH) {
        let_go(p, call);
        pg_call_free(call);
        return;
    }
    call->since_ms = uv_now(p->loop->uv);
    put(queue_of(p, call), call, true);
}

/* The connection broke under it. */
static void on_broken(struct pg_pool *p, struct source_call *call, const char *why)
{
    bool harmless = call->kind != PG_PUBLISH || call->has_key;

    snprintf(p->why, sizeof(p->why), "%s", why);
    if (harmless && ++call->tries < TRIES_MAX) {
        again(p, call);
        return;
    }
    call->uncertain = true;
    fail_soon(p, call, RC_SOURCE, why);
}

static void on_refused(struct pg_pool *p, struct source_call *call, const PGresult *result,
                       const char *why)
{
    const char *state = pg_error_state(result);
    const char *said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum rc rc = pg_error_rc(result);

    if (!*state) { /* libpq's own trouble, such as memory for the answer: it may be committed */
        on_broken(p, call, why);
        return;
    }
    if (pg_error_cure(result) == PG_CURE_REPEAT && ++call->tries < TRIES_MAX) {
        again(p, call);
        return;
    }
    /* To publishers RC_AGAIN means: the same key is still under way. */
    if (rc == RC_AGAIN && !call->has_key)
        rc = RC_SOURCE;
    if (rc == RC_SOURCE || call->kind != PG_PUBLISH)
        log_seldom(&p->server->log, &p->refusals, uv_now(p->loop->uv), LOG_WARN,
                   "database refuses %s: %s (%s)",
                   call->kind == PG_PUBLISH ? "a publish" : "a question", why, state);
    call->refused = rc == RC_SYNTAX || rc == RC_LIMIT;
    fail_soon(p, call, rc, said ? said : why);
}

static void on_reply(void *arg, const PGresult *result, const char *why)
{
    struct member *m = arg;
    struct pg_pool *p = m->pool;
    struct source_call *call = m->call;

    m->call = NULL;
    m->idle_since_ms = uv_now(p->loop->uv);
    if (!result) {
        on_broken(p, call, why); /* on_down() follows, and dispatches */
        return;
    }
    if (!pg_error_none(result)) {
        on_refused(p, call, result, why);
        dispatch(p);
        return;
    }
    let_go(p, call);
    if (call->kind == PG_PUBLISH && p->published)
        p->published(p->published_arg);
    dispatch(p); /* before the answer: its callback may free the pool */
    pg_call_answer(call, result, p->server->epoch);
}

/* ---- connections --------------------------------------------------------------------------------
 */

/* Nobody answers; if the listening connection is cut off too, the server tells of both. */
static void none_to_be_had(struct pg_pool *p)
{
    if (!p->away_ms)
        p->away_ms = uv_now(p->loop->uv);
    if (!p->told && p->server->source_state != SOURCE_AWAY) {
        log_warn(&p->server->log, "query connections away: %s", p->why);
        p->told = true;
    }
}

static void one_was_had(struct pg_pool *p)
{
    if (p->told)
        log_info(&p->server->log, "query connections back after %.1f s, %u attempts",
                 seconds_between(p->away_ms, uv_now(p->loop->uv)), p->attempts);
    p->away_ms = 0;
    p->told = false;
}

static void on_up(void *owner)
{
    struct member *m = owner;

    m->up = true;
    m->idle_since_ms = uv_now(m->pool->loop->uv);
    one_was_had(m->pool);
    m->pool->attempts = 0;
    alarm_cancel(&m->pool->retry);
    dispatch(m->pool);
}

static void on_down(void *owner, const char *why)
{
    struct member *m = owner;
    struct pg_pool *p = m->pool;
    bool was_up = m->up;

    m->up = false;
    snprintf(p->why, sizeof(p->why), "%s", why);
    if (was_up) {
        dispatch(p); /* perhaps on a new connection, at once */
        return;
    }
    alarm_set(p->loop->wheel, &p->retry, pg_backoff_ms(p->attempts++), on_retry);
    if (!any_up(p)) {
        none_to_be_had(p);
        fail_publishes(p);
    }
}

static const struct pg_conn_ops conn_ops = { on_up, on_down, NULL, NULL };

static struct source_call *next_call(struct pg_pool *p)
{
    unsigned other = !p->last;

    if (!p->waiting[other].first)
        other = p->last;
    struct source_call *call = p->waiting[other].first;
    if (call)
        p->last = other;
    return call;
}

static struct member *idle_member(struct pg_pool *p)
{
    struct member *best = NULL;

    /* The one used last: the others may grow old and be closed. */
    for (size_t i = 0; i < p->member_count; i++) {
        struct member *m = &p->members[i];
        if (m->conn && pg_conn_is_idle(m->conn) &&
            (!best || m->idle_since_ms > best->idle_since_ms))
            best = m;
    }
    return best;
}

/* Open one more; the next when it is up and calls still wait. */
static void open_member(struct pg_pool *p)
{
    const char *dsn = p->server->conf->database;
    struct member *m = NULL;

    if (p->retry.link || p->server_down)
        return;
    for (size_t i = 0; i < p->member_count; i++) {
        struct member *each = &p->members[i];
        if (each->conn && !pg_conn_is_closed(each->conn) && !each->up)
            return; /* one is being dialled */
        if (!m && (!each->conn || pg_conn_is_closed(each->conn)))
            m = each;
    }
    if (m && !m->conn)
        m->conn = pg_conn_new(p->loop, dsn ? dsn : "", &conn_ops, m);
    if (m && m->conn)
        pg_conn_open(m->conn);
}

static void on_tick(struct alarm *);

static void dispatch(struct pg_pool *p)
{
    struct source_call *call;
    struct member *m;

    while ((call = next_call(p)) && (m = idle_member(p))) {
        take_out(p, call);
        m->call = call;
        if (pg_conn_ask(m->conn, call->sql, call->params, call->n, ANSWER_MS, on_reply, m) !=
            RC_OK) {
            m->call = NULL;
            server_no_memory(p->server, "a statement");
            fail_soon(p, call, RC_NOMEM, "out of memory");
        }
    }
    if (call)
        open_member(p);
    if (!p->tick.link)
        alarm_set(p->loop->wheel, &p->tick, TICK_MS, on_tick);
}

static void on_tick(struct alarm *alarm)
{
    struct pg_pool *p = CONTAINER(alarm, struct pg_pool, tick);
    uint64_t now = uv_now(p->loop->uv);
    bool any = p->calls > 0;

    while (p->waiting[PUBLISHES].first && p->waiting[PUBLISHES].first->since_ms + PUBLISH_MS <= now)
        fail_soon(p, p->waiting[PUBLISHES].first, RC_SOURCE,
                  "the database was too busy, nothing was published");
    for (size_t i = 0; i < p->member_count; i++) {
        struct member *m = &p->members[i];
        if (m->up && !m->call && m->idle_since_ms + IDLE_MS <= now) {
            pg_conn_close(m->conn);
            m->up = false;
        }
        any |= m->up;
    }
    if (any)
        alarm_set(p->loop->wheel, &p->tick, TICK_MS, on_tick);
}

/* ---- the door -----------------------------------------------------------------------------------
 */

struct pg_pool *pg_pool_new(struct server *server, struct pg_loop *loop)
{
    int64_t size = server->conf->database_pool;
    size_t n = size < 1 ? 1 : size > MEMBERS_MAX ? MEMBERS_MAX : (size_t)size;
    struct pg_pool *p = calloc(1, sizeof(*p) + n * sizeof(p->members[0]));

    if (!p)
        return NULL;
    p->server = server;
    p->loop = loop;
    p->turn.run = on_turn;
    p->failing.end = &p->failing.first;
    for (size_t i = 0; i < QUEUES; i++)
        p->waiting[i].end = &p->waiting[i].first;
    p->member_count = n;
    for (size_t i = 0; i < n; i++)
        p->members[i].pool = p;
    return p;
}

static void drop_all(struct queue *q)
{
    while (q->first) {
        struct source_call *call = q->first;
        q->first = call->next;
        pg_call_free(call);
    }
}

void pg_pool_free(struct pg_pool *p)
{
    if (!p)
        return;
    alarm_cancel(&p->retry);
    alarm_cancel(&p->tick);
    turn_cancel(p->server, &p->turn);
    for (size_t i = 0; i < p->member_count; i++) {
        pg_conn_free(p->members[i].conn);
        if (p->members[i].call)
            pg_call_free(p->members[i].call);
    }
    drop_all(&p->waiting[PUBLISHES]);
    drop_all(&p->waiting[QUESTIONS]);
    drop_all(&p->failing);
    free(p);
}

bool pg_pool_take(struct pg_pool *p, struct source_call *call)
{
    bool publish = call->kind == PG_PUBLISH;
    bool first = call->kind == PG_PRESENCE; /* there is but one, and it speaks for many */

    if (publish && (p->calls >= CALLS_MAX || p->publish_bytes + call->bytes > PUBLISH_BYTES_MAX)) {
        pg_call_free(call);
        return false;
    }
    call->pool = p;
    call->taken_ms = call->since_ms = uv_now(p->loop->uv);
    if (publish)
        p->publish_bytes += call->bytes;
    if (p->calls++ >= CALLS_MAX && !first) {
        fail_soon(p, call, RC_LIMIT, "too many questions wait for the database");
        return true;
    }
    put(queue_of(p, call), call, first);
    if (publish && is_away(p))
        fail_publishes(p);
    else
        dispatch(p);
    return true;
}

void pg_pool_cancel(struct source_call *call)
{
    struct pg_pool *p = call->pool;

    call->cancelled = true;
    if (!call->link) /* under way */
        return;
    if (call->kind == PG_PUBLISH && !call->failed)
        return; /* promised to take place all the same */
    take_out(p, call);
    let_go(p, call);
    pg_call_free(call);
}

static void look_at_publish(const struct source_call *call, uint64_t *oldest,
                            struct source_view *out)
{
    if (call->kind != PG_PUBLISH)
        return;
    if (call->taken_ms < *oldest)
        *oldest = call->taken_ms;
    out->publishes++;
}

void pg_pool_look(const struct pg_pool *p, struct source_view *out)
{
    uint64_t now = uv_now(p->loop->uv), oldest = now;

    for (size_t i = 0; i < p->member_count; i++) {
        const struct member *m = &p->members[i];
        out->open += m->up;
        out->busy += m->call != NULL;
        if (m->call)
            look_at_publish(m->call, &oldest, out);
    }
    for (const struct source_call *c = p->waiting[PUBLISHES].first; c; c = c->next)
        look_at_publish(c, &oldest, out);
    out->publish_ms = (int64_t)(now - oldest);
    out->questions = p->calls - out->publishes - p->failing.count;
    out->max = p->member_count;
    out->away = is_away(p) || p->away_ms;
    out->why = out->away ? p->why : "";
}

void pg_pool_on_published(struct pg_pool *p, void (*fn)(void *arg), void *arg)
{
    p->published = fn;
    p->published_arg = arg;
}
