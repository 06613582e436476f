/*
 * publisher.c - one publisher: transactions of every sort, one after the other, and a line for each
 * that says what it was told of it.
 *
 * The server may vanish at any moment and in any way.  So nothing here waits without a deadline:
 * a connection that does not answer in time is left, and if that was after COMMIT had been sent,
 * the outcome is unknown.  There is no statement_timeout: it would also end a COMMIT's wait for
 * a standby, and so make a transaction visible that a fail-over then undoes.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "tests/faults/publisher_priv.h"
#include "tests/peers/process.h"

enum {
    ANSWER_MS = 4000,
    COMMIT_MS = 6000,
    RECONNECT_LEAST_MS = 50,
    RECONNECT_MOST_MS = 200,
    PAUSE_LEAST_MS = 4, /* between transactions: some hundred events a second in all */
    PAUSE_MOST_MS = 60,
    POST_WEIGHT = 60, /* beside the sorts' */
};

static const char *const outcome_names[] = { "committed", "rolledback", "unknown" };

void publisher_pause(int64_t ms)
{
    poll(NULL, 0, (int)ms);
}

/* ---- the connection ---------------------------------------------------------------------------
 */

static void on_notice(void *arg, const PGresult *notice)
{
    struct publisher *p = arg;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    p->warned |= severity && strcmp(severity, "WARNING") == 0;
}

static void drop(struct publisher *p)
{
    PQfinish(p->conn);
    p->conn = NULL;
}

static bool connected(struct publisher *p)
{
    static const char *const keys[] = {
        "dbname",           "application_name", "connect_timeout",
        "keepalives",       "keepalives_idle",  "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", NULL
    };
    const char *values[] = { p->spec->dsn, LOAD_PUBLISHER_NAME, "3", "1", "1", "1", "2", "3000",
                             NULL };

    while (!p->conn && !load_told_to_finish) {
        p->conn = PQconnectdbParams(keys, values, 1);
        if (PQstatus(p->conn) == CONNECTION_OK && PQsetnonblocking(p->conn, 1) == 0) {
            PQsetNoticeReceiver(p->conn, on_notice, p);
            break;
        }
        drop(p);
        publisher_pause(choose(p, RECONNECT_LEAST_MS, RECONNECT_MOST_MS));
    }
    return p->conn;
}

/* Wait until the connection can be written to or read from, as asked for. */
static bool ready(struct publisher *p, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd fd = { .fd = PQsocket(p->conn), .events = events };
        int64_t left = until_ms - now_ms();
        int n = left > 0 ? poll(&fd, 1, (int)left) : 0;
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

static bool flushed(struct publisher *p, int64_t until_ms)
{
    int left;

    while ((left = PQflush(p->conn)) > 0)
        if (!ready(p, POLLIN | POLLOUT, until_ms) || !PQconsumeInput(p->conn))
            return false;
    return left == 0;
}

/* The last result; NULL: none has come in time. */
static PGresult *answer(struct publisher *p, int64_t until_ms)
{
    PGresult *last = NULL;

    for (;;) {
        while (PQisBusy(p->conn))
            if (!ready(p, POLLIN, until_ms) || !PQconsumeInput(p->conn)) {
                PQclear(last);
                return NULL;
            }
        PGresult *next = PQgetResult(p->conn);
        if (!next)
            return last;
        PQclear(last);
        last = next;
    }
}

/* Gives the result; NULL: there is no telling, and the connection is gone. */
static PGresult *ask(struct publisher *p, const char *sql, int n, const char *const *values,
                     int64_t ms)
{
    int64_t until = now_ms() + ms;
    PGresult *result = NULL;

    p->warned = false;
    if (PQsendQueryParams(p->conn, sql, n, NULL, values, NULL, NULL, 0) && flushed(p, until))
        result = answer(p, until);
    if (result && PQstatus(p->conn) == CONNECTION_OK)
        return result;
    PQclear(result);
    drop(p);
    return NULL;
}

static bool went_well(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* What can go wrong in a transaction that nobody disturbs: anything else is our own mistake. */
static void complain_of_mistakes(const PGresult *result, const char *sql)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    if (state && (strncmp(state, "42", 2) == 0 || strncmp(state, "22", 2) == 0))
        load_fail("%.200s: %s", sql, PQresultErrorMessage(result));
}

bool publisher_ask(struct publisher *p, const char *sql, int n, const char *const *values)
{
    PGresult *result = ask(p, sql, n, values, ANSWER_MS);
    bool good = result && went_well(result);

    if (result && !good)
        complain_of_mistakes(result, sql);
    PQclear(result);
    return good;
}

/* ---- names and data ---------------------------------------------------------------------------
 */

void publisher_name(struct publisher *p, char out[NAME_TEXT_MAX])
{
    name_text((struct name){ p->number, p->transaction, ++p->event }, out);
}

const char *publisher_topic(struct publisher *p)
{
    return load_topic((size_t)choose(p, 0, LOAD_TOPICS_ALL - 1));
}

void publisher_data(struct publisher *p, const char *name, struct buf *out)
{
    static const char *const before[] = {
        "", "paid ", "{\"a\":[1,2],\"name\":\"", "eins\nzwei\r\n", "<script>\"\\", "größer als 雪 "
    };
    static const char *const after[] = { "", " 42", "\"}", "\ndrei\n", "</script>", "\t𝄞" };

    buf_puts(out, before[choose(p, 0, LENGTH(before) - 1)]);
    buf_puts(out, name);
    buf_puts(out, after[choose(p, 0, LENGTH(after) - 1)]);
    for (int64_t n = choose(p, 0, 3) == 0 ? choose(p, 0, 40) : 0; n > 0; n--)
        buf_puts(out, " and so on");
    buf_putc(out, '\0');
}

/* ---- one transaction --------------------------------------------------------------------------
 */

static void acknowledge(struct publisher *p, int64_t before_us, enum outcome outcome,
                        enum kind kind, struct slice names)
{
    fprintf(p->acks, "%d.%d\t%lld\t%lld\t%s\t%s%.*s\n", p->number, p->transaction,
            (long long)before_us, (long long)now_us(), outcome_names[outcome], kind_names[kind],
            (int)names.len, names.len ? names.at : "");
    fflush(p->acks);
    p->count->transactions++;
    p->count->committed += outcome == OUTCOME_COMMITTED;
}

/* An error that is not fatal rolls back, and "COMMIT" of a failed transaction says "ROLLBACK". */
static enum outcome commit(struct publisher *p)
{
    PGresult *result = ask(p, "COMMIT", 0, NULL, COMMIT_MS);
    enum outcome outcome = OUTCOME_UNKNOWN;

    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity && strcmp(severity, "ERROR") == 0)
            outcome = OUTCOME_ROLLEDBACK;
        complain_of_mistakes(result, "COMMIT");
    } else if (result && !p->warned) {
        outcome =
            strcmp(PQcmdStatus(result), "COMMIT") == 0 ? OUTCOME_COMMITTED : OUTCOME_ROLLEDBACK;
    }
    PQclear(result);
    return outcome;
}

static void transact(struct publisher *p, const struct sort *sort)
{
    if (!connected(p))
        return;
    p->transaction++;
    p->event = 0;
    bool good = publisher_ask(p, sort->begin, 0, NULL) && sort->fill(p);
    int64_t before = now_us();
    enum outcome outcome = OUTCOME_ROLLEDBACK;
    if (good && !sort->rolls_back)
        outcome = commit(p);
    else if (p->conn && !publisher_ask(p, "ROLLBACK", 0, NULL) && p->conn)
        drop(p);
    acknowledge(p, before, outcome, sort->kind, SLICE_NONE);
    p->count->failed += sort->rolls_back ? !good : outcome != OUTCOME_COMMITTED;
}

static void post(struct publisher *p)
{
    struct buf names = BUF_EMPTY;
    int64_t before;

    p->transaction++;
    p->event = 0;
    enum outcome outcome = publisher_post(p, &before, &names);
    acknowledge(p, before, outcome, KIND_HTTP, buf_slice(&names));
    p->count->failed += outcome != OUTCOME_COMMITTED;
    buf_fini(&names);
}

/* One of the sorts by weight; NULL: a POST. */
static const struct sort *choose_sort(struct publisher *p)
{
    int sum = p->spec->no_http ? 0 : POST_WEIGHT;

    for (size_t i = 0; i < SORTS; i++)
        sum += sorts[i].weight;
    int64_t at = choose(p, 0, sum - 1);
    for (size_t i = 0; i < SORTS; at -= sorts[i++].weight)
        if (at < sorts[i].weight)
            return &sorts[i];
    return NULL;
}

void publisher_run(const struct load_spec *spec, struct load_shared *shared, int number)
{
    struct publisher p = { .spec = spec,
                           .count = &shared->publishers[number - 1],
                           .random = spec->seed + (uint64_t)number,
                           .born_us = now_us(),
                           .number = number,
                           .acks = record_open(spec->folder, "acks", number, "w") };

    while (!load_told_to_finish) {
        const struct sort *sort = choose_sort(&p);
        if (!sort)
            post(&p);
        else if (sort->kind != KIND_NOTIFY || !spec->no_notify)
            transact(&p, sort);
        publisher_pause(choose(&p, PAUSE_LEAST_MS, PAUSE_MOST_MS));
    }
    PQfinish(p.conn);
    fclose(p.acks);
}
