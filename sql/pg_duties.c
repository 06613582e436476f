/*
 * pg_duties.c - what the listening connection does besides reading: it sets up its session, probes
 * its hearing, stands for election, records plain NOTIFYs and reports.
 *
 * Why the lock and the recording are on this very connection: pg_recorder.c.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/presence.h"
#include "sql/pg_listen_priv.h"
#include "sql/pg_report.h"
#include "sql/pg_rows.h"

enum { SENIOR_MS = 5000 }; /* who has listened longest has so long to take the vacant place */

/* An answer nobody needs: only tell what went wrong. */
static void on_done(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (!result)
        return;
    if (!pg_error_none(result))
        log_seldom(&l->server->log, &l->trouble, pg_listen_now(l), LOG_WARN,
                   "listening connection: %s", why);
    pg_listen_next(l);
}

/* ---- session ------------------------------------------------------------------------------------
 */

static void on_session(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    l->prepared = l->want_few = result && pg_error_none(result);
    on_done(arg, result, why);
}

/*
 * Nothing here may wait for long (lock_timeout).  The reads that answer bells are parsed and
 * planned once: that saves a tenth of the way from a commit to its readers, and bellpush_few
 * another tenth.
 */
void pg_duty_session(struct pg_listen *l)
{
    l->want_session = false;
    (void)!pg_conn_run(l->conn,
                       "SET lock_timeout = '1s'; "
                       "SELECT bellpush.listening(); "
                       "PREPARE bellpush_read (bigint, int, bigint) AS " PG_LISTEN_READ,
                       pg_listen_patience(l), on_session, l);
}

static void on_few(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    l->few = result && pg_error_none(result) && pg_field_true(result, 0, 0);
    on_done(arg, result, why);
}

/* Where the role may not read the log but by read(), that will do. */
void pg_duty_few(struct pg_listen *l)
{
    l->want_few = false;
    (void)!pg_conn_ask(l->conn, "SELECT bellpush.prepare_few()", NULL, 0, pg_listen_patience(l),
                       on_few, l);
}

/* ---- the gate -----------------------------------------------------------------------------------
 */

static bool entry_of(const PGresult *result, int row, struct gate_entry *out)
{
    static const struct {
        const char *name;
        enum gate_entry_kind kind;
    } kinds[] = { { "key", GATE_KEY },
                  { "token", GATE_TOKEN },
                  { "subject", GATE_SUBJECT },
                  { "ask", GATE_ASK } };
    struct slice kind = pg_field(result, row, 0);

    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (slice_is(kind, slice_of(kinds[i].name))) {
            *out = (struct gate_entry){ .kind = kinds[i].kind,
                                        .name = pg_field(result, row, 1),
                                        .value = pg_field(result, row, 2),
                                        .at_us = pg_field_number(result, row, 3, 0),
                                        .until_us = pg_field_number(result, row, 4, 0) };
            return true;
        }
    return false;
}

/* What is told again and again is passed on only when it is something else: every open reply would
   look at its rights, and the site be asked anew. */
static uint64_t hash_of(const PGresult *result)
{
    unsigned char out[crypto_generichash_BYTES_MIN];
    uint64_t hash;
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof(out));
    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < PQnfields(result); column++) {
            struct slice s = pg_field(result, row, column);
            uint64_t len = s.len;
            crypto_generichash_update(&state, (unsigned char *)&len, sizeof(len));
            crypto_generichash_update(&state, (const unsigned char *)s.at, s.len);
        }
    crypto_generichash_final(&state, out, sizeof(out));
    memcpy(&hash, out, sizeof(hash));
    return hash ? hash : 1;
}

static void on_gate(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;
    struct gate_entry *entries;
    size_t n = 0;

    if (!result || !pg_error_none(result)) {
        l->gate_ms = 0; /* at the next tick again */
        on_done(arg, result, why);
        return;
    }
    uint64_t hash = hash_of(result);
    l->gate_ms = pg_listen_now(l);
    entries = hash == l->gate_hash ? NULL : calloc((size_t)PQntuples(result) + 1, sizeof(*entries));
    if (entries) {
        for (int row = 0; row < PQntuples(result); row++)
            n += entry_of(result, row, &entries[n]);
        l->gate_hash = hash;
        server_gate(l->server, entries, n);
        free(entries);
    }
    pg_listen_next(l);
}

void pg_duty_gate(struct pg_listen *l)
{
    l->want_gate = false;
    (void)!pg_conn_ask(l->conn, "SELECT kind, name, value, at_us, until_us FROM bellpush.gate()",
                       NULL, 0, pg_listen_patience(l), on_gate, l);
}

/* ---- probe --------------------------------------------------------------------------------------
 */

void pg_duty_probe(struct pg_listen *l)
{
    struct pg_param param = { PG_TEXT, slice_of(l->probe) };

    l->want_probe = false;
    l->probe_ms = pg_listen_now(l);
    if (l->direct) {
        (void)!pg_conn_ask(l->conn, "SELECT pg_notify($1, '')", &param, 1, pg_listen_patience(l),
                           on_done, l);
        return;
    }
    /* A session that is lent to us for one statement would hear its own probe. */
    struct source_call *call = pg_call_notify(l->probe);
    if (call)
        (void)!pg_pool_take(l->source->pool, call);
}

/* ---- election -----------------------------------------------------------------------------------
 */

/*
 * Who holds the lock is in pg_locks as the process of a server; what it is called, it has reported
 * itself, just after the election.
 */
#define HOLDER                                                                                     \
    "SELECT w.host || ':' || w.pid FROM pg_locks k"                                                \
    " JOIN bellpush.workers w ON w.state ->> 'backend' = k.pid::text"                              \
    " WHERE k.locktype = 'advisory' AND k.classid = 1650813036 AND k.objid = 2"                    \
    " AND k.objsubid = 2 AND k.granted AND k.database ="                                           \
    " (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY w.at DESC LIMIT 1"

static void tell_holder(struct pg_listen *l, struct slice holder)
{
    char name[PROCESS_NAME_MAX + 1];

    snprintf(name, sizeof(name), "%.*s", (int)holder.len, holder.at ? holder.at : "");
    health_recorder(l->server, name);
}

static void on_bid(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (!result)
        return;
    if (!pg_error_none(result)) {
        log_seldom(&l->server->log, &l->trouble, pg_listen_now(l), LOG_WARN,
                   "election of the housekeeper: %s", why);
    } else if (pg_field_true(result, 0, 0)) {
        l->elected = true;
        l->fresh = false;
        pg_listen_want_read(l); /* to the end, then record */
        l->want_report = true;  /* so that the others know */
        health_recorder(l->server, l->server->health.process);
        pg_listen_standing(l);
    } else {
        tell_holder(l, pg_field(result, 0, 1));
        if (!pg_field_true(result, 0, 2))
            l->vacant_ms = 0;
        else if (l->vacant_ms == 0)
            l->vacant_ms = pg_listen_now(l);
    }
    pg_listen_next(l);
}

void pg_duty_bid(struct pg_listen *l)
{
    const char *sql = l->hearing ? "SELECT elected, (" HOLDER
                                   "), vacant FROM bellpush.housekeeper($1)"
                                 : "SELECT false, (" HOLDER "), $1 AND false";
    bool impatient = l->vacant_ms > 0 && l->vacant_ms + SENIOR_MS <= pg_listen_now(l);
    struct pg_param param = { PG_BOOL, { impatient ? "\1" : "\0", 1 } };

    l->want_bid = false;
    (void)!pg_conn_ask(l->conn, sql, &param, 1, pg_listen_patience(l), on_bid, l);
}

/* ---- recording ----------------------------------------------------------------------------------
 */

bool pg_duty_may_record(const struct pg_listen *l)
{
    return l->elected && l->fresh && !l->record_later && pg_recorder_has_work(l->recorder);
}

static void on_recorded(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (!result)
        return;
    if (pg_error_none(result)) {
        l->server->stats.recorded += pg_recorder_committed(l->recorder);
    } else if (pg_error_cure(result) == PG_CURE_NONE) {
        pg_recorder_refused(l->recorder, why);
    } else {
        pg_recorder_postponed(l->recorder);
        l->record_later = pg_error_cure(result) == PG_CURE_OPERATOR;
        if (l->record_later)
            log_seldom(&l->server->log, &l->trouble, pg_listen_now(l), LOG_WARN,
                       "cannot record NOTIFYs: %s", why);
    }
    l->recorded = true;
    pg_listen_want_read(l);
    pg_listen_next(l);
}

void pg_duty_record(struct pg_listen *l)
{
    struct pg_array channels, payloads;

    if (pg_recorder_batch(l->recorder, &channels, &payloads) > 0) {
        struct pg_param params[] = { { PG_TEXT_ARRAY, pg_array_end(&channels) },
                                     { PG_TEXT_ARRAY, pg_array_end(&payloads) } };
        if (pg_conn_ask(l->conn, "SELECT bellpush.record($1, $2)", params, 2, pg_listen_patience(l),
                        on_recorded, l) != RC_OK) {
            pg_recorder_postponed(l->recorder);
            l->record_later = true;
        }
    } else {
        l->record_later = true;
    }
    pg_array_fini(&channels);
    pg_array_fini(&payloads);
}

/* ---- report -------------------------------------------------------------------------------------
 */

/* It also says what the database knows of our members. */
static void on_reported(void *arg, const PGresult *result, const char *why)
{
    struct pg_listen *l = arg;

    if (result && pg_error_none(result))
        presence_known(l->server->presence, l->presence_turn, pg_field_number(result, 0, 0, 0));
    on_done(arg, result, why);
}

void pg_duty_report(struct pg_listen *l)
{
    struct buf state = BUF_EMPTY;
    char host[256] = "", pid[4], open[4];

    l->want_report = false;
    l->report_ms = pg_listen_now(l);
    l->presence_turn = presence_turn(l->server->presence);
    gethostname(host, sizeof(host) - 1);
    pg_put_int4(pid, getpid());
    pg_put_int4(open, (int32_t)l->server->open_count);
    pg_report_state(l->server, l->backend, &state);
    struct pg_param params[] = {
        { PG_TEXT, slice_of(l->worker) },  { PG_TEXT, slice_of(host) },
        { PG_INT4, { pid, sizeof(pid) } }, { PG_INT4, { open, sizeof(open) } },
        { PG_TEXT, buf_slice(&state) },
    };
    if (buf_rc(&state) == RC_OK)
        (void)!pg_conn_ask(l->conn, "SELECT bellpush.report($1, $2, $3, $4, $5::jsonb)", params,
                           LENGTH(params), pg_listen_patience(l), on_reported, l);
    buf_fini(&state);
}
