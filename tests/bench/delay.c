/*
 * delay.c - see delay.h.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/delay.h"
#include "tests/bench/load.h"
#include "tests/bench/reader.h"

enum { ROUNDS = 600, WARM_ROUNDS = 50, WAIT_MS = 3000, DATA_BYTES = 200 };

struct stream {
    int fd;
    int64_t seen; /* number of the last event */
    struct reader reader;
};

struct trial {
    PGconn *publisher, *writer, *listener, *log_publisher, *log_listener;
    struct stream stream;
    int64_t log_seq;
    struct histogram streamed, listened, fetched, read;
};

static bool complain(const char *what, PGconn *conn)
{
    fprintf(stderr, "bench: delay: %s: %s\n", what, conn ? PQerrorMessage(conn) : strerror(errno));
    return false;
}

static bool sql(PGconn *conn, const char *text, const char *value)
{
    PGresult *result = PQexecParams(conn, text, value != NULL, NULL, &value, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || complain(text, conn);
}

static bool wait_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, WAIT_MS) == 1 || complain("nothing comes", NULL);
}

/* --- the four ways -------------------------------------------------------------------------- */

static void on_event(void *arg, int64_t number)
{
    ((struct stream *)arg)->seen = number;
}

static bool read_stream(struct stream *s)
{
    char bytes[4096];
    ssize_t n;

    if (!wait_readable(s->fd))
        return false;
    n = read(s->fd, bytes, sizeof bytes);
    return (n > 0 &&
            reader_feed(&s->reader, (struct slice){ bytes, (size_t)n }, on_event, s) == RC_OK) ||
           complain("stream", NULL);
}

/* Prepare a transaction on conn, then start the clock and COMMIT. */
static bool commit(PGconn *conn, const char *statement, int64_t number, bool with_data,
                   int64_t *began)
{
    char data[DATA_BYTES + 1] = "";

    if (with_data)
        publisher_data(number, DATA_BYTES, data);
    if (!sql(conn, "BEGIN", NULL) || !sql(conn, statement, data))
        return false;
    *began = now_ns();
    return PQsendQuery(conn, "COMMIT") || complain("COMMIT", conn);
}

static bool committed(PGconn *conn)
{
    PGresult *result;
    bool good = true;

    while ((result = PQgetResult(conn))) {
        good = good && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return good || complain("COMMIT", conn);
}

#define PUBLISH "SELECT bellpush.publish('" DELAY_TOPIC "', $1::text)"

static bool streamed(struct trial *t, int64_t number)
{
    int64_t began;

    if (!commit(t->publisher, PUBLISH, number, true, &began))
        return false;
    while (t->stream.seen != number)
        if (!read_stream(&t->stream))
            return false;
    histogram_add(&t->streamed, (uint64_t)(now_ns() - began));
    return committed(t->publisher);
}

static bool hear(PGconn *conn)
{
    PGnotify *heard;

    while (!(heard = PQnotifies(conn)))
        if (!wait_readable(PQsocket(conn)) || !PQconsumeInput(conn))
            return complain("LISTEN", conn);
    PQfreemem(heard);
    return true;
}

static bool listened(struct trial *t, int64_t number)
{
    static const char statement[] = "WITH row AS (INSERT INTO plain (data) VALUES ($1::text)) "
                                    "SELECT pg_notify('plain', $1::text)";
    int64_t began;

    if (!commit(t->writer, statement, number, true, &began) || !hear(t->listener))
        return false;
    histogram_add(&t->listened, (uint64_t)(now_ns() - began));
    return committed(t->writer);
}

static bool fetched(struct trial *t, int64_t number)
{
    static const char statement[] = "WITH row AS (INSERT INTO plain (data) VALUES ($1::text)) "
                                    "SELECT pg_notify('plain', '')";
    int64_t began;
    PGresult *rows;
    bool good;

    if (!commit(t->writer, statement, number, true, &began) || !hear(t->listener))
        return false;
    rows = PQexecPrepared(t->listener, "newest", 0, NULL, NULL, NULL, 1);
    good = PQntuples(rows) == 1;
    PQclear(rows);
    histogram_add(&t->fetched, (uint64_t)(now_ns() - began));
    return (good || complain("fetch", t->listener)) && committed(t->writer);
}

static bool read_log(struct trial *t, int64_t number)
{
    int64_t began;
    char after[24];
    const char *value = after;
    PGresult *rows;
    bool good;

    if (!commit(t->log_publisher, PUBLISH, number, true, &began) || !hear(t->log_listener))
        return false;
    snprintf(after, sizeof after, "%lld", (long long)t->log_seq);
    rows = PQexecPrepared(t->log_listener, "newest", 1, &value, NULL, NULL, 0);
    good = PQntuples(rows) == 1;
    if (good)
        t->log_seq = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    histogram_add(&t->read, (uint64_t)(now_ns() - began));
    return (good || complain("bellpush.read", t->log_listener)) && committed(t->log_publisher);
}

/* --- setting up ---------------------------------------------------------------------------- */

static PGconn *connect_to(const char *dsn)
{
    PGconn *conn = PQconnectdb(dsn);
    if (PQstatus(conn) != CONNECTION_OK)
        complain("connect", conn);
    return conn;
}

static bool open_stream(struct stream *s, const char *to, const char *request)
{
    struct address a;
    ssize_t n = (ssize_t)strlen(request);

    if (!address_parse(to, &a) || (s->fd = address_connect(&a)) < 0 ||
        write(s->fd, request, (size_t)n) != n)
        return complain("cannot open a stream", NULL);
    while (!reader_open(&s->reader))
        if (!read_stream(s))
            return false;
    return true;
}

static bool set_up(struct trial *t)
{
    return sql(t->writer, "CREATE TABLE plain (id bigserial PRIMARY KEY, data text NOT NULL)",
               NULL) &&
           sql(t->listener, "LISTEN plain", NULL) &&
           sql(t->listener, "PREPARE newest AS SELECT id, data FROM plain ORDER BY id DESC LIMIT 1",
               NULL) &&
           sql(t->log_listener, "LISTEN bellpush", NULL) &&
           sql(t->log_listener,
               "PREPARE newest AS SELECT seq, data FROM bellpush.read($1::bigint, 100, 1000000)"
               " WHERE seq IS NOT NULL",
               NULL);
}

static bool measure(struct trial *t)
{
    for (int64_t i = 1; i <= WARM_ROUNDS + ROUNDS; i++) {
        if (i == WARM_ROUNDS + 1) {
            memset(&t->streamed, 0, sizeof t->streamed);
            memset(&t->listened, 0, sizeof t->listened);
            memset(&t->fetched, 0, sizeof t->fetched);
            memset(&t->read, 0, sizeof t->read);
        }
        if (!streamed(t, i) || !listened(t, i) || !read_log(t, i) || !fetched(t, i))
            return false;
    }
    return true;
}

static void fill(const struct histogram *h, double *p50, double *p99)
{
    *p50 = (double)histogram_at(h, 0.5) / 1e6;
    *p99 = (double)histogram_at(h, 0.99) / 1e6;
}

void delay_measure(const char *to, const char *request, const struct delay_databases *in,
                   struct delay *out)
{
    struct trial *t = calloc(1, sizeof *t);

    if (!t)
        abort();
    t->stream.fd = -1;
    t->publisher = connect_to(in->worker);
    t->writer = connect_to(in->plain);
    t->listener = connect_to(in->plain);
    t->log_publisher = connect_to(in->log);
    t->log_listener = connect_to(in->log);
    if (set_up(t) && open_stream(&t->stream, to, request) && measure(t)) {
        fill(&t->streamed, &out->streamed_ms, &out->streamed_p99_ms);
        fill(&t->listened, &out->listened_ms, &out->listened_p99_ms);
        fill(&t->fetched, &out->fetched_ms, &out->fetched_p99_ms);
        fill(&t->read, &out->read_ms, &out->read_p99_ms);
    }
    PQfinish(t->publisher);
    PQfinish(t->writer);
    PQfinish(t->listener);
    PQfinish(t->log_publisher);
    PQfinish(t->log_listener);
    if (t->stream.fd >= 0)
        close(t->stream.fd);
    free(t);
}

void delay_print(const struct delay *d)
{
    if (d->streamed_ms <= 0)
        return;
    printf("\ncommit -> one client                             |  p50 ms |  p99 ms\n"
           "stream through the worker and nginx              | %7.3f | %7.3f\n"
           "LISTEN loop on the same log: publish, bell, read | %7.3f | %7.3f\n"
           "bare LISTEN loop, plain NOTIFY with the data     | %7.3f | %7.3f\n"
           "bare LISTEN loop, plain NOTIFY and a SELECT      | %7.3f | %7.3f\n",
           d->streamed_ms, d->streamed_p99_ms, d->read_ms, d->read_p99_ms, d->listened_ms,
           d->listened_p99_ms, d->fetched_ms, d->fetched_p99_ms);
}
