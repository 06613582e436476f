/*
 * pg_conn.c - one connection to PostgreSQL on the loop: one statement at a time, and what it hears.
 *
 * Callbacks may close or free the connection they come from.  So whoever calls back holds it
 * (`calls`), looks afterwards whether it is still the same (`life` counts openings and closings),
 * and the last to leave a freed one sweeps it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sql/pg_conn.h"
#include "sql/pg_dial.h"

enum {
    PARAMS_MAX = 11, /* presence_change() has that many */
    WATCH_MS = 10 * 1000,
};

struct pg_conn {
    struct pg_loop *loop;
    const struct pg_conn_ops *ops;
    void *owner;
    char *dsn;
    struct pg_dial *dial; /* while dialling */
    PGconn *pg;           /* while idle or busy */
    struct pg_watch *watch;
    struct alarm alarm; /* the deadline of the statement under way */
    uint64_t deadline_ms;
    pg_reply_fn *reply; /* NULL: no statement is under way */
    void *reply_arg;
    PGresult *result;          /* so far */
    char farewell[PG_WHY_MAX]; /* what the server said unasked; "": nothing */
    uint64_t contact_ms;
    unsigned life, calls;
    bool freed;
};

struct pg_conn *pg_conn_new(struct pg_loop *loop, const char *dsn, const struct pg_conn_ops *ops,
                            void *owner)
{
    struct pg_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->loop = loop;
    c->ops = ops;
    c->owner = owner;
    c->dsn = strdup(dsn);
    if (!c->dsn) {
        free(c);
        return NULL;
    }
    return c;
}

static void sweep(struct pg_conn *c)
{
    if (!c->freed || c->calls > 0)
        return;
    explicit_bzero(c->dsn, strlen(c->dsn));
    free(c->dsn);
    free(c);
}

void pg_conn_free(struct pg_conn *c)
{
    if (!c)
        return;
    pg_conn_close(c);
    c->freed = true;
    sweep(c);
}

void pg_conn_close(struct pg_conn *c)
{
    c->life++;
    alarm_cancel(&c->alarm);
    pg_dial_cancel(c->dial);
    pg_watch_close(c->watch);
    PQclear(c->result);
    PQfinish(c->pg); /* says goodbye if there is room for it, and does not wait */
    c->dial = NULL;
    c->watch = NULL;
    c->result = NULL;
    c->pg = NULL;
    c->reply = NULL;
}

bool pg_conn_is_closed(const struct pg_conn *c)
{
    return !c->pg && !c->dial;
}

bool pg_conn_is_idle(const struct pg_conn *c)
{
    return c->pg && !c->reply;
}

const char *pg_conn_database(const struct pg_conn *c)
{
    return c->pg && PQdb(c->pg) ? PQdb(c->pg) : "";
}

int pg_conn_backend(const struct pg_conn *c)
{
    return c->pg ? PQbackendPID(c->pg) : 0;
}

uint64_t pg_conn_contact_ms(const struct pg_conn *c)
{
    return c->contact_ms;
}

/* ---- losing it ----------------------------------------------------------------------------------
 */

/* The connection is of no use any more: answer the open statement, then tell the owner. */
static void lose(struct pg_conn *c, const char *message)
{
    pg_reply_fn *reply = c->reply;
    void *arg = c->reply_arg;
    char why[PG_WHY_MAX];

    pg_error_line(message, why);
    if (why[0] == '\0')
        snprintf(why, sizeof(why), "the connection is lost");
    pg_conn_close(c);
    unsigned life = c->life;
    c->calls++;
    if (reply)
        reply(arg, NULL, why);
    if (life == c->life && !c->freed)
        c->ops->down(c->owner, why);
    c->calls--;
    sweep(c);
}

static void on_deadline(struct alarm *alarm)
{
    struct pg_conn *c = CONTAINER(alarm, struct pg_conn, alarm);
    char why[PG_WHY_MAX];

    snprintf(why, sizeof(why), "no answer within %llu s: the connection counts as dead",
             (unsigned long long)c->deadline_ms / 1000);
    lose(c, why);
}

static void on_lost(struct alarm *alarm)
{
    struct pg_conn *c = CONTAINER(alarm, struct pg_conn, alarm);
    char why[PG_WHY_MAX];

    pg_error_line(PQerrorMessage(c->pg), why);
    lose(c, why);
}

/* ---- reading ------------------------------------------------------------------------------------
 */

/* Tell what has been heard.  False: the connection is no longer what it was. */
static bool tell_notifications(struct pg_conn *c, bool unasked)
{
    unsigned life = c->life;
    bool any = false;
    PGnotify *heard;

    while (life == c->life && (heard = PQnotifies(c->pg))) {
        any = true;
        if (c->ops->notified)
            c->ops->notified(c->owner, heard, unasked);
        PQfreemem(heard);
    }
    if (any && life == c->life && c->ops->notified_all)
        c->ops->notified_all(c->owner);
    return life == c->life;
}

/* Keep the last result or the first error.  True: the statement is finished. */
static bool take_results(struct pg_conn *c)
{
    while (c->reply && !PQisBusy(c->pg)) {
        PGresult *result = PQgetResult(c->pg);
        if (!result)
            return true;
        if (c->result && !pg_error_none(c->result)) {
            PQclear(result);
        } else {
            PQclear(c->result);
            c->result = result;
        }
    }
    return false;
}

static void answer(struct pg_conn *c)
{
    pg_reply_fn *reply = c->reply;
    void *arg = c->reply_arg;
    PGresult *result = c->result;
    char why[PG_WHY_MAX];

    c->reply = NULL;
    c->result = NULL;
    alarm_cancel(&c->alarm);
    pg_error_line(PQresultErrorMessage(result), why);
    reply(arg, result, why);
    PQclear(result);
}

static void flush(struct pg_conn *c)
{
    int left = PQflush(c->pg);

    /* A failed write is told by the next read, together with what the server said at the end. */
    pg_watch_set(c->watch, left == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void on_io(void *arg, int events)
{
    struct pg_conn *c = arg;
    unsigned life = c->life;
    bool unasked = !c->reply, alive = true;
    char why[PG_WHY_MAX];

    c->calls++;
    if (events & UV_READABLE)
        alive = PQconsumeInput(c->pg);
    pg_error_line(alive ? "" : PQerrorMessage(c->pg), why); /* libpq will add to it */
    bool finished = take_results(c);
    if (alive && PQstatus(c->pg) == CONNECTION_BAD) {
        alive = false;
        pg_error_line(PQerrorMessage(c->pg), why);
    }
    if (alive && (events & UV_READABLE))
        c->contact_ms = uv_now(c->loop->uv);
    if (!alive && c->farewell[0])
        memcpy(why, c->farewell, sizeof(why));
    /* The server's last words may still be an answer; but its reason for hanging up is none. */
    if (tell_notifications(c, unasked) && finished && (alive || pg_error_none(c->result)))
        answer(c);
    if (life == c->life && !alive)
        lose(c, why);
    else if (life == c->life)
        flush(c);
    c->calls--;
    sweep(c);
}

/* ---- opening and asking -------------------------------------------------------------------------
 */

/* Warnings of statements are of no interest; the reason for hanging up comes this way too. */
static void on_notice(void *arg, const char *message)
{
    struct pg_conn *c = arg;

    if (!c->reply)
        pg_error_line(message, c->farewell);
}

/* ---- being missed -------------------------------------------------------------------------------
 *
 * When we, or the line, vanish without a word, the server is to notice it in seconds as we do
 * (pg_dial.c).  By itself it takes hours, and as long it keeps the session and what that has
 * locked. A pooler's session is not ours to change: its process is not the one that greeted us.
 */

static bool is_distant(const PGconn *pg)
{
    const char *host = PQhost(pg);

    return host && *host && *host != '/' && *host != '@'; /* a socket's folder; an abstract one */
}

static void on_watching(void *arg, const PGresult *result, const char *why)
{
    struct pg_conn *c = arg;

    (void)why; /* refused: then the server must know by itself */
    if (result)
        c->ops->up(c->owner);
}

static enum rc ask_for_watch(struct pg_conn *c)
{
    char pid[4];
    struct pg_param param = { PG_INT4, { pid, sizeof(pid) } };

    pg_put_int4(pid, PQbackendPID(c->pg));
    return pg_conn_ask(c,
                       "SELECT set_config('tcp_keepalives_idle', '2', false),"
                       " set_config('tcp_keepalives_interval', '1', false),"
                       " set_config('tcp_keepalives_count', '3', false),"
                       " set_config('tcp_user_timeout', '3s', false)"
                       " WHERE pg_backend_pid() = $1",
                       &param, 1, WATCH_MS, on_watching, c);
}

static void on_dialled(void *arg, PGconn *pg, const char *why)
{
    struct pg_conn *c = arg;

    c->dial = NULL;
    if (!pg) {
        lose(c, why);
        return;
    }
    c->pg = pg;
    c->watch = pg_watch_new(c->loop, PQsocket(pg), on_io, c);
    if (!c->watch) {
        lose(c, "out of memory");
        return;
    }
    pg_watch_set(c->watch, UV_READABLE);
    PQsetNoticeProcessor(pg, on_notice, c);
    c->farewell[0] = '\0';
    if (is_distant(pg) && ask_for_watch(c) == RC_OK)
        return;
    c->calls++;
    c->ops->up(c->owner);
    c->calls--;
    sweep(c);
}

static void on_no_memory(struct alarm *alarm)
{
    lose(CONTAINER(alarm, struct pg_conn, alarm), "out of memory");
}

void pg_conn_open(struct pg_conn *c)
{
    if (!pg_conn_is_closed(c))
        return;
    c->life++;
    c->dial = pg_dial_start(c->loop, c->dsn, on_dialled, c);
    if (!c->dial)
        alarm_set(c->loop->wheel, &c->alarm, 0, on_no_memory);
}

static enum rc sent(struct pg_conn *c, int ok, uint64_t deadline_ms, pg_reply_fn *fn, void *arg)
{
    if (!ok && PQstatus(c->pg) != CONNECTION_BAD)
        return RC_NOMEM;
    c->reply = fn;
    c->reply_arg = arg;
    c->deadline_ms = deadline_ms;
    if (!ok) { /* broken already: the reply says so, but not from within */
        pg_watch_set(c->watch, 0);
        alarm_set(c->loop->wheel, &c->alarm, 0, on_lost);
        return RC_OK;
    }
    alarm_set(c->loop->wheel, &c->alarm, deadline_ms, on_deadline);
    flush(c);
    return RC_OK;
}

/* Parameters as libpq wants them. */
struct laid_out {
    Oid types[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
};

static bool lay_out(struct laid_out *out, const struct pg_param *params, size_t n)
{
    for (size_t i = 0; i < n && n <= PARAMS_MAX; i++) {
        if (params[i].value.len > INT32_MAX)
            return false;
        out->types[i] = params[i].type;
        out->values[i] = params[i].value.at;
        out->lengths[i] = (int)params[i].value.len;
        out->formats[i] = 1;
    }
    return n <= PARAMS_MAX;
}

enum rc pg_conn_ask(struct pg_conn *c, const char *sql, const struct pg_param *params, size_t n,
                    uint64_t deadline_ms, pg_reply_fn *fn, void *arg)
{
    struct laid_out p;

    if (!pg_conn_is_idle(c) || !lay_out(&p, params, n))
        return RC_NOMEM;
    return sent(c,
                PQsendQueryParams(c->pg, sql, (int)n, p.types, p.values, p.lengths, p.formats, 1),
                deadline_ms, fn, arg);
}

enum rc pg_conn_execute(struct pg_conn *c, const char *statement, const struct pg_param *params,
                        size_t n, uint64_t deadline_ms, pg_reply_fn *fn, void *arg)
{
    struct laid_out p;

    if (!pg_conn_is_idle(c) || !lay_out(&p, params, n))
        return RC_NOMEM;
    return sent(c, PQsendQueryPrepared(c->pg, statement, (int)n, p.values, p.lengths, p.formats, 1),
                deadline_ms, fn, arg);
}

enum rc pg_conn_run(struct pg_conn *c, const char *sql, uint64_t deadline_ms, pg_reply_fn *fn,
                    void *arg)
{
    if (!pg_conn_is_idle(c))
        return RC_NOMEM;
    return sent(c, PQsendQuery(c->pg, sql), deadline_ms, fn, arg);
}

enum rc pg_conn_put_name(struct pg_conn *c, struct buf *out, const char *name)
{
    char *quoted = PQescapeIdentifier(c->pg, name, strlen(name));

    if (!quoted)
        return RC_SYNTAX;
    buf_puts(out, quoted);
    PQfreemem(quoted);
    return RC_OK;
}
