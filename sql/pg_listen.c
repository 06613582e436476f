/*
 * pg_listen.c - the listening connection: hears the bell, reads the log, feeds the server.
 *
 *      AWAY -> CONNECTING -> (MEETING) -> SUBSCRIBING -> GREETING -> CATCHING_UP -> LIVE
 *        ^          |             |             |            |           |           |
 *        '----------+-------------+-------------+------------+-----------+-----------'  lost, or
 *                                                                                       refused
 *
 * LISTEN comes first and is committed before the log is read: what is committed later rings, what
 * was committed earlier is read, and nothing falls between.  hello() tells which history this is
 * and the server says from where it wants to go on.  Pages are read until one is short; from then
 * on a bell causes a read, and bells that ring while a read is under way cause one more, not one
 * each.  The bell is only a hint: the log is looked at once a second anyway.
 *
 * Is anybody at the other end of LISTEN?  A pooler that gives the session to others between our
 * statements (PgBouncer, transaction pooling) accepts LISTEN and lets us hear nothing, except by
 * chance what arrives while a statement of ours runs in that session.  So:
 *
 *   - When pg_backend_pid() is the process that greeted us, the session is our own.
 *   - Otherwise another connection sends us a NOTIFY, and only what arrives while no statement of
 *     ours is under way is a proof.  Without it we poll, say so, and take no session locks.
 *   - The probing goes on while we are live.  Nothing heard for two periods means: poll.
 *
 * One statement at a time, chosen by pg_listen_next(): nothing here may wait for long, because
 * everything else then waits with it.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/pg_listen_priv.h"
#include "sql/pg_rows.h"

enum {
    SCHEMA_VERSION = 5, /* that this program speaks */
    PAGE_ROWS = 1000,
    PAGE_BYTES = 4 << 20,
    FEW_DATA = 64 << 10, /* larger ones are read() */
    FEW_ROWS = PAGE_BYTES / FEW_DATA,
    HELLO_MIN_MS = 200, /* not more often, whatever rings */
    TICK_MS = 1000,     /* at most, with jitter: look at the log, stand for election */
    JUNIOR_MS = 1250,   /* the first tick: seniors have stood for election before us */
    REPORT_MS = 10 * 1000,
    GATE_MS = 30 * 1000,
    PATIENCE_MS = 10 * 1000,
    REFUSED_MS = 5 * 1000, /* a person must act first: no hurry */
    SHORT_MS = 500,        /* no memory: what others had may be free now */
};

uint64_t pg_listen_patience(const struct pg_listen *l)
{
    int64_t ms = 3 * l->server->conf->probe_ms;

    return ms < PATIENCE_MS ? PATIENCE_MS : (uint64_t)ms;
}

static bool is_connected(const struct pg_listen *l)
{
    return l->state == PG_CATCHING_UP || l->state == PG_LIVE;
}

/* ---- away ---------------------------------------------------------------------------------------
 */

static void on_attempt(struct alarm *alarm)
{
    struct pg_listen *l = CONTAINER(alarm, struct pg_listen, again);

    l->state = PG_CONNECTING;
    pg_conn_open(l->conn);
}

static void go_away(struct pg_listen *l, const char *why, uint64_t retry_ms)
{
    const char *own = l->server->conf->listen_database;
    bool was_connected = is_connected(l);

    l->state = PG_AWAY;
    l->prepared = l->few = l->direct = l->hearing = l->elected = l->fresh = false;
    l->vacant_ms = 0;
    l->rung = l->recorded = l->record_later = l->curious = false;
    l->want_read = l->want_hello = l->want_session = l->want_few = l->want_bid = false;
    l->want_probe = l->want_report = false;
    pg_recorder_resign(l->recorder);
    pg_keeper_duty(l->source->keeper, PG_DUTY_NONE, false);
    l->server->housekeeper = false;
    server_state(l->server, SOURCE_AWAY, why);
    health_recorder(l->server, "");
    health_look(l->server);
    alarm_set(l->source->loop.wheel, &l->again, retry_ms, on_attempt);
    /* A lost connection says nothing of the server; one that cannot be had does, unless the pool
       goes another way. */
    if (!was_connected && (!own || !*own))
        pg_pool_server_is_down(l->source->pool, why);
}

static void on_down(void *owner, const char *why)
{
    struct pg_listen *l = owner;

    /* The first time at once; but not if the server only lets us in to throw us out. */
    bool at_once = l->state == PG_LIVE && l->attempts == 0;
    go_away(l, why, at_once ? 0 : pg_backoff_ms(l->attempts));
    l->attempts++;
}

/* The server answers, but not as it should: a person must act. */
static void refuse(struct pg_listen *l, const char *why)
{
    uint64_t retry_ms = REFUSED_MS;

    if (strncmp(why, "out of memory", 13) == 0) { /* ours, or libpq's: ask for less at a time */
        server_no_memory(l->server, "a page of the log");
        l->page_bytes /= 4;
        retry_ms = SHORT_MS;
    }
    pg_conn_close(l->conn);
    go_away(l, why, retry_ms);
}

static void refuse_result(struct pg_listen *l, const PGresult *result, const char *why)
{
    const char *state = pg_error_state(result), *database = pg_conn_database(l->conn);
    char text[2 * PG_WHY_MAX];

    if (strcmp(state, "3F000") == 0 || strcmp(state, "42883") == 0 || strcmp(state, "42P01") == 0)
        snprintf(text, sizeof(text),
                 "the schema is missing: load sql/bellpush.sql into database \"%s\" (%s)", database,
                 why);
    else if (strcmp(state, "42501") == 0)
        snprintf(text, sizeof(text),
                 "this role may not do a worker's work in database \"%s\": let its owner call "
                 "bellpush.grant_worker() (%s)",
                 database, why);
    else
        snprintf(text, sizeof(text), "%s", why);
    refuse(l, text);
}

/* ---- how we stand -------------------------------------------------------------------------------
 */

void pg_listen_standing(struct pg_listen *l)
{
    enum pg_duty duty = PG_DUTY_NONE;

    l->server->housekeeper = l->elected;
    if (l->state != PG_LIVE)
        return;
    if (l->elected)
        duty = PG_DUTY_ELECTED;
    else if (!l->hearing)
        duty = PG_DUTY_SHARED;
    pg_keeper_duty(l->source->keeper, duty, strcmp(l->server->mode, "relay") == 0);
    if (l->hearing)
        server_state(l->server, SOURCE_LISTENING, "");
    else
        server_state(l->server, SOURCE_POLLING,
                     l->direct ? "LISTEN is silent, though the session is our own: is PostgreSQL's "
                                 "queue of notifications full (pg_notification_queue_usage())?"
                               : "LISTEN is silent, there seems to be a pooler between (PgBouncer "
                                 "with transaction pooling?): set listen_database to a direct "
                                 "connection");
}

static void heard_something(struct pg_listen *l)
{
    l->heard_ms = pg_listen_now(l);
    if (!l->hearing) {
        l->hearing = true;
        pg_listen_standing(l);
    }
}

void pg_listen_want_read(struct pg_listen *l)
{
    struct health *h = &l->server->health;

    l->want_read = true;
    if (!h->behind_ms)
        h->behind_ms = pg_listen_now(l);
}

static void on_notified(void *owner, const PGnotify *heard, bool unasked)
{
    struct pg_listen *l = owner;

    if (is_connected(l) && (unasked || l->direct))
        heard_something(l);
    if (strcmp(heard->relname, "bellpush") == 0) {
        l->server->stats.bells++;
        l->rung = true;
        pg_listen_want_read(l);
    } else if (strcmp(heard->relname, l->probe) != 0) {
        pg_recorder_heard(l->recorder, slice_of(heard->relname), slice_of(heard->extra),
                          pg_listen_now(l));
    }
}

static void on_notified_all(void *owner)
{
    pg_listen_next(owner);
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static void on_tick(struct alarm *);

static void go_live(struct pg_listen *l)
{
    l->state = PG_LIVE;
    if (l->was_live)
        l->server->stats.reconnects++;
    l->was_live = true;
    l->want_session = l->direct;
    l->want_probe = !l->direct;
    l->probe_ms = l->heard_ms = pg_listen_now(l);
    l->report_ms = 0; /* at the first tick */
    alarm_set(l->source->loop.wheel, &l->again, JUNIOR_MS, on_tick);
    pg_listen_standing(l);
}

/* Plain NOTIFYs that have become events need not be recorded any more. */
static void tell_recorder(struct pg_listen *l, const struct pg_page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct event_fields *f = event_fields(page->events[i]);
        if (f->flags & EVENT_NOTIFIED)
            pg_recorder_seen(l->recorder, f->topic, f->data, f->seq > l->joined_at,
                             pg_listen_now(l));
    }
}

static void tell_page(struct pg_listen *l, const struct pg_page *page)
{
    tell_recorder(l, page);
    if (page->pruned_to > l->after) { /* retention was quicker: rows are missing, before or among */
        int64_t head = page->upto > page->pruned_to ? page->upto : page->pruned_to;
        l->after = server_epoch(l->server, l->server->epoch, page->pruned_to, head);
    }
    for (size_t i = 0; i < page->n; i++)
        if (slice_is(event_fields(page->events[i])->topic, SLICE(SERVER_GATE_TOPIC))) {
            l->want_gate = true;
            l->gate_hash = 0; /* the site's word may be another, even where gate() says the same */
            break;
        }
    if (page->n > 0)
        server_events(l->server, page->events, page->n, page->upto);
    if (l->after < page->upto)
        l->after = page->upto;
}

static void on_read(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;
    struct pg_page page;

    if (!result)
        return;
    if (!pg_error_none(result)) {
        refuse_result(l, result, why);
        return;
    }
    enum rc rc = pg_page_read(result, l->server->epoch, &page);
    if (rc != RC_OK) {
        refuse(l, rc == RC_NOMEM ? "out of memory" : "read() gave rows of another form");
        return;
    }
    if (page.foreign) { /* whose cursors would these rows get?  hello() says it */
        tell_recorder(l, &page);
        pg_page_fini(&page);
        l->want_hello = l->want_read = l->want_gate = true;
        pg_listen_next(l);
        return;
    }
    bool few = l->asked_rows == FEW_ROWS;
    if (few && (page.n == FEW_ROWS || page.cut)) {
        /* The beginning of a burst: it is told at one go, not its readers sent to twice. */
        pg_page_fini(&page);
        l->calm = false;
        l->want_read = true;
        pg_listen_next(l);
        return;
    }
    bool full =
        !few && (page.n == (size_t)l->asked_rows ||
                 (page.n > 0 && page.bytes + (size_t)l->max_event_bytes >= (size_t)l->page_bytes));
    l->page_bytes = l->page_bytes < PAGE_BYTES / 2 ? 2 * l->page_bytes + 1024 : PAGE_BYTES;
    l->calm = page.n < FEW_ROWS && page.bytes < FEW_DATA;
    l->server->stats.reads++;
    l->read_ms = pg_listen_now(l);
    l->want_read |= full;
    l->curious |= l->answering && page.n == 0;
    l->want_hello |= l->curious && pg_listen_now(l) >= l->hello_ms + HELLO_MIN_MS;
    l->fresh |= !full && l->read_counts;
    tell_page(l, &page);
    pg_page_fini(&page);
    if (!full) /* to the end, as it was when we asked; from then on only the bell is known */
        l->server->health.behind_ms = l->hearing && !l->want_read ? 0 : l->asked_ms;
    if (!full && l->state == PG_CATCHING_UP)
        go_live(l);
    pg_listen_next(l);
}

/* Bells of a calm log are answered without a function around the rows; when more comes than that
   is for, or something large, read() takes over, from the same place. */
static void read_on(struct pg_listen *l)
{
    bool few = l->few && l->calm && l->page_bytes == PAGE_BYTES;
    char after[8], rows[4], bytes[8];
    struct pg_param params[] = { { PG_INT8, { after, sizeof(after) } },
                                 { PG_INT4, { rows, sizeof(rows) } },
                                 { PG_INT8, { bytes, sizeof(bytes) } } };

    l->asked_rows = few ? FEW_ROWS : PAGE_ROWS;
    pg_put_int8(after, l->after);
    pg_put_int4(rows, l->asked_rows);
    pg_put_int8(bytes, few ? FEW_DATA : l->page_bytes); /* of larger ones read() gives one */
    l->asked_ms = pg_listen_now(l);
    l->read_counts = l->elected;
    l->answering = l->rung;
    l->want_read = l->rung = l->recorded = false;
    const char *sql = few ? "bellpush_few" : l->prepared ? "bellpush_read" : PG_LISTEN_READ;
    if ((l->prepared ? pg_conn_execute : pg_conn_ask)(l->conn, sql, params, LENGTH(params),
                                                      pg_listen_patience(l), on_read, l) != RC_OK)
        refuse(l, "out of memory");
}

/* ---- hello --------------------------------------------------------------------------------------
 */

static void subscribe(struct pg_listen *l);

static void on_hello(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (!result)
        return;
    if (!pg_error_none(result) || PQntuples(result) != 1) {
        refuse_result(l, result, why);
        return;
    }
    int64_t version = pg_field_number(result, 0, 0, 0), head = pg_field_number(result, 0, 3, 0);
    if (version != SCHEMA_VERSION) {
        char text[PG_WHY_MAX];
        snprintf(text, sizeof(text),
                 "database \"%s\" has version %lld of the schema, this program needs %d: %s",
                 pg_conn_database(l->conn), (long long)version, SCHEMA_VERSION,
                 version < SCHEMA_VERSION ? "load its sql/bellpush.sql"
                                          : "it is older than the schema, update it");
        refuse(l, text);
        return;
    }
    struct slice epoch = pg_field(result, 0, 1), mode = pg_field(result, 0, 4);
    snprintf(l->server->mode, sizeof(l->server->mode), "%.*s", (int)mode.len, mode.at);
    l->max_event_bytes = pg_field_number(result, 0, 5, 0);
    l->backend = pg_field_number(result, 0, 6, 0);
    l->hello_ms = pg_listen_now(l);
    l->curious = false;
    if (l->state == PG_GREETING) {
        l->direct = l->backend == pg_conn_backend(l->conn);
        l->hearing = l->direct;
        l->joined_at = head;
        l->state = PG_CATCHING_UP;
        l->want_read = l->want_gate = true;
        pg_pool_server_is_up(l->source->pool);
    }
    char name[EPOCH_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)epoch.len, epoch.at);
    l->after = server_epoch(l->server, name, pg_field_number(result, 0, 2, 0), head);
    if (l->state == PG_MEETING) {
        subscribe(l);
        return;
    }
    if (head > l->after)
        pg_listen_want_read(l);
    pg_listen_standing(l);
    pg_listen_next(l);
}

static void say_hello(struct pg_listen *l)
{
    struct pg_param param = { PG_TEXT, SLICE("bellpush " BELLPUSH_VERSION) };

    l->want_hello = false;
    if (pg_conn_ask(l->conn,
                    "SELECT schema_version, epoch, pruned_to, head, mode, max_event_bytes,"
                    " pg_backend_pid() FROM bellpush.hello($1)",
                    &param, 1, pg_listen_patience(l), on_hello, l) != RC_OK)
        refuse(l, "out of memory");
}

/* ---- connecting ---------------------------------------------------------------------------------
 */

static void on_subscribed(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (!result)
        return;
    if (!pg_error_none(result)) {
        refuse_result(l, result, why);
        return;
    }
    l->state = PG_GREETING;
    say_hello(l);
}

static enum rc put_listen(struct pg_listen *l, struct buf *sql, const char *channel)
{
    buf_puts(sql, "LISTEN ");
    enum rc rc = pg_conn_put_name(l->conn, sql, channel);
    buf_puts(sql, "; ");
    return rc;
}

static void subscribe(struct pg_listen *l)
{
    const struct conf_list *channels = &l->server->conf->channels;
    struct buf sql = BUF_EMPTY;

    l->state = PG_SUBSCRIBING;
    enum rc rc = put_listen(l, &sql, "bellpush");
    if (rc == RC_OK)
        rc = put_listen(l, &sql, l->probe);
    for (size_t i = 0; i < channels->n && rc == RC_OK; i++)
        rc = put_listen(l, &sql, channels->at[i]);
    buf_putc(&sql, '\0');
    if (rc == RC_OK)
        rc = buf_rc(&sql);
    if (rc == RC_OK)
        rc = pg_conn_run(l->conn, sql.at, pg_listen_patience(l), on_subscribed, l);
    buf_fini(&sql);
    if (rc != RC_OK)
        refuse(l, rc == RC_SYNTAX ? "a channel's name cannot be said in this encoding"
                                  : "out of memory");
}

/* The first time hello() comes before LISTEN, too: see pg_recorder.c. */
static void on_up(void *owner)
{
    struct pg_listen *l = owner;

    if (l->server->epoch[0]) {
        subscribe(l);
        return;
    }
    l->state = PG_MEETING;
    say_hello(l);
}

static const struct pg_conn_ops conn_ops = { on_up, on_down, on_notified, on_notified_all };

/* ---- what is next -------------------------------------------------------------------------------
 */

static void on_tick(struct alarm *alarm)
{
    struct pg_listen *l = CONTAINER(alarm, struct pg_listen, again);
    uint64_t now = pg_listen_now(l), probe = (uint64_t)l->server->conf->probe_ms;

    l->attempts = 0; /* this connection has held */
    l->record_later = false;
    if (l->read_ms + TICK_MS / 2 <= now)
        pg_listen_want_read(l);
    l->want_hello |= l->curious;
    if (l->probe_ms + probe <= now)
        l->want_probe = l->want_hello = true;
    /* Whoever does not answer at all is dead or far away, and the deadline will say so. */
    if (l->hearing && l->heard_ms + 2 * probe + TICK_MS < now && pg_conn_is_idle(l->conn)) {
        l->hearing = false;
        pg_listen_standing(l);
    }
    l->want_bid = !l->elected;
    l->want_gate |=
        l->gate_ms + GATE_MS <= now; /* the site's own function is made without a word */
    l->want_report |= l->report_ms == 0 || l->report_ms + REPORT_MS <= now;
    health_look(l->server);
    alarm_set(l->source->loop.wheel, &l->again, TICK_MS - randombytes_uniform(TICK_MS / 4),
              on_tick);
    pg_listen_next(l);
}

void pg_listen_next(struct pg_listen *l)
{
    if (!is_connected(l) || !pg_conn_is_idle(l->conn))
        return;
    if (l->want_hello)
        say_hello(l);
    else if (l->want_gate) /* before any event that somebody may no longer hear */
        pg_duty_gate(l);
    else if (l->want_session)
        pg_duty_session(l);
    else if (l->want_few)
        pg_duty_few(l);
    else if (pg_duty_may_record(l) && !(l->recorded && l->want_read))
        pg_duty_record(l);
    else if (l->want_read)
        read_on(l);
    else if (l->want_bid)
        pg_duty_bid(l);
    else if (l->want_report)
        pg_duty_report(l);
    else if (l->want_probe)
        pg_duty_probe(l);
}

void pg_listen_poke(struct pg_listen *l)
{
    if (is_connected(l) && !l->hearing) {
        pg_listen_want_read(l);
        pg_listen_next(l);
    }
}

const char *pg_listen_worker(const struct pg_listen *l)
{
    return l->worker;
}

int64_t pg_listen_contact_ms(const struct pg_listen *l)
{
    uint64_t last = pg_conn_contact_ms(l->conn);

    return last ? (int64_t)(pg_listen_now(l) - last) : -1;
}

/* ---- the door -----------------------------------------------------------------------------------
 */

struct pg_listen *pg_listen_new(struct source *source)
{
    struct pg_listen *l = calloc(1, sizeof(*l));
    unsigned char random[8];

    if (!l)
        return NULL;
    l->source = source;
    l->server = source->server;
    l->page_bytes = PAGE_BYTES;
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(l->worker, sizeof(l->worker), random, sizeof(random));
    snprintf(l->probe, sizeof(l->probe), "bellpush_probe_%s", l->worker);
    l->conn = pg_conn_new(&source->loop, source_direct(source), &conn_ops, l);
    l->recorder = pg_recorder_new(&source->server->log);
    if (!l->conn || !l->recorder) {
        pg_listen_free(l);
        return NULL;
    }
    l->state = PG_CONNECTING;
    pg_conn_open(l->conn);
    return l;
}

void pg_listen_free(struct pg_listen *l)
{
    if (!l)
        return;
    alarm_cancel(&l->again);
    pg_conn_free(l->conn);
    pg_recorder_free(l->recorder);
    free(l);
}
