/*
 * pg_keeper.c - the elected process's own connection: relays and prunes.
 *
 * Its statements may wait for locks and disks, so they do not travel on the connection that hears
 * the bell.  relay() and maintain() each take their own lock for one transaction: two processes
 * that do it at once are slow, not wrong.  That makes the hand-over simple (the new one begins when
 * it is elected, the old one ends when it notices), and the shared duty possible.
 *
 * Relay mode.  Publishers only insert, and somebody must number what they have committed:
 *
 *      AWAKE   relay() as long as it moves anything.  Nothing left: relay_sleep(), which takes a
 *              lock that publishers try; refused while one of them is in a transaction, for then it
 *              will commit without ringing: look again in a moment.
 *      ASLEEP  relay() once more, for what was committed before the lock was ours.  From now on
 *              each publisher finds the lock taken and rings bellpush_relay.  Rung, or after a
 *              while anyway: relay_wake(), which gives the lock back, and AWAKE.
 *
 * Under shared duty there is no sleep, for its lock belongs to a session: we look often.
 */
#include <sodium.h>
#include <stdlib.h>

#include "sql/pg_conn.h"
#include "sql/pg_keeper.h"
#include "sql/pg_rows.h"
#include "sql/pg_source.h"

enum {
    RELAY_ROWS = 2000,    /* numbered in one transaction */
    LOOK_AGAIN_MS = 10,   /* a publisher is in its transaction */
    SLEEP_MS = 1000,      /* longest, in case a bell was not heard */
    SHARED_LOOK_MS = 200, /* shared duty has no bell */
    MAINTAIN_MS = 10 * 1000,
    MAINTAIN_MORE_MS = 200, /* small steps, so that nobody waits for it */
    ANSWER_MS = 120 * 1000, /* behind a large commit the lock may be long in coming */
};

struct pg_keeper {
    struct source *source;
    struct pg_conn *conn;
    enum pg_duty duty;
    bool relay;
    bool asleep;  /* relay_sleep() has said yes */
    bool checked; /* and nothing was left */
    bool rung;    /* bellpush_relay was heard */
    uint64_t maintain_at_ms;
    struct alarm again; /* next step, or next attempt to connect */
    unsigned attempts;
    struct log_flood trouble;
};

static void step(struct pg_keeper *k);

static uint64_t now_ms(const struct pg_keeper *k)
{
    return uv_now(k->source->loop.uv);
}

static void on_again(struct alarm *alarm)
{
    struct pg_keeper *k = CONTAINER(alarm, struct pg_keeper, again);

    if (pg_conn_is_closed(k->conn))
        pg_conn_open(k->conn);
    else
        step(k);
}

static void step_in(struct pg_keeper *k, uint64_t ms)
{
    uint64_t due = k->maintain_at_ms > now_ms(k) ? k->maintain_at_ms - now_ms(k) : 0;

    alarm_set(k->source->loop.wheel, &k->again, ms < due ? ms : due, on_again);
}

/* ---- the relay ----------------------------------------------------------------------------------
 */

/* True: the statement went well, go on.  Else wait a little. */
static bool went_well(struct pg_keeper *k, const PGresult *result, const char *why)
{
    if (!result)
        return false; /* on_down() follows */
    if (pg_error_none(result))
        return true;
    log_seldom(&k->source->server->log, &k->trouble, now_ms(k), LOG_WARN, "housekeeping: %s", why);
    step_in(k, SLEEP_MS);
    return false;
}

static void on_woken(void *arg, const PGresult *result, const char *why)
{
    struct pg_keeper *k = arg;

    k->asleep = k->checked = k->rung = false;
    if (went_well(k, result, why))
        step(k);
}

static void on_slept(void *arg, const PGresult *result, const char *why)
{
    struct pg_keeper *k = arg;

    if (!went_well(k, result, why))
        return;
    k->asleep = pg_field_true(result, 0, 0);
    k->checked = k->rung = false;
    if (k->asleep)
        step(k);
    else
        step_in(k, LOOK_AGAIN_MS);
}

static void on_relayed(void *arg, const PGresult *result, const char *why)
{
    struct pg_keeper *k = arg;

    if (!went_well(k, result, why))
        return;
    int64_t moved = pg_field_number(result, 0, 0, 0);
    k->source->server->stats.relayed += (uint64_t)moved;
    if (moved > 0)
        k->rung |= k->asleep; /* so wake up */
    else if (k->asleep)
        k->checked = true;
    else if (k->duty == PG_DUTY_ELECTED) {
        if (pg_conn_ask(k->conn, "SELECT bellpush.relay_sleep()", NULL, 0, ANSWER_MS, on_slept,
                        k) != RC_OK)
            step_in(k, SLEEP_MS);
        return;
    } else {
        step_in(k, SHARED_LOOK_MS);
        return;
    }
    step(k);
}

static enum rc relay_once(struct pg_keeper *k)
{
    char rows[4];
    struct pg_param param = { PG_INT4, { rows, sizeof(rows) } };

    pg_put_int4(rows, RELAY_ROWS);
    return pg_conn_ask(k->conn, "SELECT bellpush.relay($1)", &param, 1, ANSWER_MS, on_relayed, k);
}

/* ---- one step after the other -------------------------------------------------------------------
 */

static void on_maintained(void *arg, const PGresult *result, const char *why)
{
    struct pg_keeper *k = arg;
    bool more = result && pg_error_none(result) && pg_field_true(result, 0, 0);

    k->maintain_at_ms =
        now_ms(k) + (more ? MAINTAIN_MORE_MS : MAINTAIN_MS / 2 + randombytes_uniform(MAINTAIN_MS));
    if (went_well(k, result, why))
        step(k);
}

static void step(struct pg_keeper *k)
{
    enum rc rc = RC_OK;

    if (!pg_conn_is_idle(k->conn))
        return;
    alarm_cancel(&k->again);
    if (k->asleep && (k->rung || !k->relay)) {
        rc = pg_conn_ask(k->conn, "SELECT bellpush.relay_wake()", NULL, 0, ANSWER_MS, on_woken, k);
    } else if (now_ms(k) >= k->maintain_at_ms) {
        rc = pg_conn_ask(k->conn, "SELECT (bellpush.maintain() ->> 'more')::boolean", NULL, 0,
                         ANSWER_MS, on_maintained, k);
    } else if (k->relay && !k->checked) {
        rc = relay_once(k);
    } else {
        k->rung |= k->asleep; /* when the alarm rings, look whether the bell was missed */
        step_in(k, k->asleep ? SLEEP_MS : MAINTAIN_MS);
    }
    if (rc != RC_OK)
        step_in(k, SLEEP_MS);
}

static void on_listening(void *arg, const PGresult *result, const char *why)
{
    struct pg_keeper *k = arg;

    if (went_well(k, result, why))
        step(k);
}

static void on_up(void *owner)
{
    struct pg_keeper *k = owner;

    k->attempts = 0;
    k->asleep = k->checked = k->rung = false;
    if (k->duty == PG_DUTY_SHARED)
        step(k);
    else if (pg_conn_run(k->conn, "LISTEN bellpush_relay", ANSWER_MS, on_listening, k) != RC_OK)
        step_in(k, SLEEP_MS);
}

static void on_down(void *owner, const char *why)
{
    struct pg_keeper *k = owner;

    log_debug(&k->source->server->log, "housekeeping connection: %s", why);
    alarm_set(k->source->loop.wheel, &k->again, pg_backoff_ms(k->attempts++), on_again);
}

static void on_notified(void *owner, const PGnotify *heard, bool unasked)
{
    struct pg_keeper *k = owner;

    (void)unasked;
    k->rung |= strcmp(heard->relname, "bellpush_relay") == 0;
}

static void on_notified_all(void *owner)
{
    step(owner);
}

static const struct pg_conn_ops conn_ops = { on_up, on_down, on_notified, on_notified_all };

/* ---- the door -----------------------------------------------------------------------------------
 */

struct pg_keeper *pg_keeper_new(struct source *source)
{
    struct pg_keeper *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->source = source;
    k->conn = pg_conn_new(&source->loop, source_direct(source), &conn_ops, k);
    if (!k->conn) {
        free(k);
        return NULL;
    }
    return k;
}

void pg_keeper_free(struct pg_keeper *k)
{
    if (!k)
        return;
    alarm_cancel(&k->again);
    pg_conn_free(k->conn);
    free(k);
}

void pg_keeper_duty(struct pg_keeper *k, enum pg_duty duty, bool relay)
{
    bool new_relay = relay != k->relay;

    k->relay = relay;
    if (duty == k->duty) {
        if (duty != PG_DUTY_NONE && new_relay)
            step(k);
        return;
    }
    k->duty = duty;
    alarm_cancel(&k->again);
    pg_conn_close(k->conn);
    if (duty == PG_DUTY_NONE)
        return;
    /* Everybody in turn: who shares the duty does not begin with it. */
    k->maintain_at_ms =
        now_ms(k) +
        (duty == PG_DUTY_SHARED ? MAINTAIN_MS / 2 + randombytes_uniform(MAINTAIN_MS) : 0);
    pg_conn_open(k->conn);
}
