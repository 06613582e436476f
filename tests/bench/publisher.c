/*
 * publisher.c - see publisher.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"
#include "tests/bench/load.h"
#include "tests/bench/reader.h"

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

void publisher_data(int64_t number, size_t bytes, char *out)
{
    int n = sprintf(out, "%0*lld ", EVENT_DIGITS, (long long)number);
    memset(out + n, 'x', bytes - (size_t)n);
    out[bytes] = '\0';
}

/* --- addresses ----------------------------------------------------------------------------- */

bool address_parse(const char *text, struct address *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&out->at;
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&out->at;
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN];

    memset(out, 0, sizeof *out);
    if (text[0] == '/') {
        out->len = sizeof *un;
        un->sun_family = AF_UNIX;
        return snprintf(un->sun_path, sizeof un->sun_path, "%s", text) < (int)sizeof un->sun_path;
    }
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    out->len = sizeof *in;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

int address_connect(const struct address *a)
{
    int fd = socket(a->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&a->at, a->len) == 0 &&
        fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* --- PostgreSQL ---------------------------------------------------------------------------- */

struct pg {
    struct publisher base;
    PGconn *conn;
    char *topic;
};

/* {"…","…"}: digits, spaces and letters need no more quoting.  Gives one for all calls. */
static const char *array_literal(const struct publisher *p, int64_t first, unsigned n)
{
    static char array[OUTSTANDING_MAX * (EVENT_DATA_MAX + 3) + 3]; /* large */
    char *at = array;

    *at++ = '{';
    for (unsigned i = 0; i < n; i++) {
        at += sprintf(at, i ? ",\"" : "\"");
        publisher_data(first + i, p->bytes, at);
        at += p->bytes;
        *at++ = '"';
    }
    strcpy(at, "}");
    return array;
}

/* One transaction, one statement. */
static void publish_in_one(struct publisher *p, int64_t first, unsigned n)
{
    struct pg *pg = (struct pg *)(void *)p;
    char data[EVENT_DATA_MAX + 1];

    publisher_data(first, p->bytes, data);
    const char *values[] = { pg->topic, n == 1 ? data : array_literal(p, first, n) };
    if (!PQsendQueryPrepared(pg->conn, n == 1 ? "one" : "many", 2, values, NULL, NULL, 0))
        give_up("publish", PQerrorMessage(pg->conn));
    p->waiting++;
}

static void publish_each(struct publisher *p, int64_t first, unsigned n)
{
    struct pg *pg = (struct pg *)(void *)p;
    char data[EVENT_DATA_MAX + 1];
    const char *values[] = { pg->topic, data };

    for (unsigned i = 0; i < n; i++) {
        publisher_data(first + i, p->bytes, data);
        if (!PQsendQueryPrepared(pg->conn, "one", 2, values, NULL, NULL, 0) ||
            !PQpipelineSync(pg->conn)) /* ends the implicit transaction */
            give_up("publish", PQerrorMessage(pg->conn));
        p->waiting++;
    }
}

static bool on_results(struct publisher *p)
{
    struct pg *pg = (struct pg *)(void *)p;
    bool good = PQconsumeInput(pg->conn), pipeline = PQpipelineStatus(pg->conn) != PQ_PIPELINE_OFF;

    while (good && p->waiting > 0 && !PQisBusy(pg->conn)) {
        PGresult *result = PQgetResult(pg->conn);
        ExecStatusType status = PQresultStatus(result);
        if (!result) /* one query has no more results */
            p->waiting -= !pipeline;
        else if (status == PGRES_PIPELINE_SYNC)
            p->waiting--;
        else
            good = status == PGRES_TUPLES_OK;
        PQclear(result);
    }
    if (!good)
        fprintf(stderr, "bench: publish: %s\n", PQerrorMessage(pg->conn));
    return good;
}

static void free_pg(struct publisher *p)
{
    struct pg *pg = (struct pg *)(void *)p;
    PQfinish(pg->conn);
    free(pg->topic);
    free(pg);
}

static void prepare(PGconn *conn, const char *name, const char *sql)
{
    PGresult *result = PQprepare(conn, name, sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        give_up(sql, PQerrorMessage(conn));
    PQclear(result);
}

struct publisher *publisher_pg(const char *dsn, const char *topic, size_t bytes, bool each)
{
    struct pg *pg = calloc(1, sizeof *pg);

    if (!pg || !(pg->topic = strdup(topic)))
        abort();
    pg->conn = PQconnectdb(dsn);
    if (PQstatus(pg->conn) != CONNECTION_OK)
        give_up("cannot connect", PQerrorMessage(pg->conn));
    prepare(pg->conn, "one", "SELECT bellpush.publish($1::text, $2::text)");
    prepare(
        pg->conn, "many",
        "SELECT bellpush.publish_many(array_fill($1::text, ARRAY[cardinality($2::text[])]), $2)");
    if (each && !PQenterPipelineMode(pg->conn))
        give_up("pipeline", PQerrorMessage(pg->conn));
    pg->base = (struct publisher){ .fd = PQsocket(pg->conn),
                                   .bytes = bytes,
                                   .one_at_a_time = true,
                                   .publish = each ? publish_each : publish_in_one,
                                   .ready = on_results,
                                   .free = free_pg };
    return &pg->base;
}

/* --- HTTP ---------------------------------------------------------------------------------- */

struct http {
    struct publisher base;
    char *head;               /* of every request */
    size_t length, body_left; /* of the answer being read */
    size_t line_len;
    char line[128];
};

static void publish_by_post(struct publisher *p, int64_t first, unsigned n)
{
    struct http *h = (struct http *)(void *)p;
    struct buf out = BUF_EMPTY;
    char data[EVENT_DATA_MAX + 1];

    for (unsigned i = 0; i < n; i++) {
        publisher_data(first + i, p->bytes, data);
        buf_puts(&out, h->head);
        buf_puts(&out, data);
    }
    if (buf_rc(&out) != RC_OK || send(p->fd, out.at, out.len, MSG_NOSIGNAL) != (ssize_t)out.len)
        give_up("publish", strerror(errno));
    buf_fini(&out);
    p->waiting += n;
}

/* A line of an answer's head.  False: it says no. */
static bool read_answer_line(struct http *h)
{
    static const char field[] = "content-length: ";
    enum { FIELD = sizeof field - 1 };
    struct slice name = { h->line, h->line_len < FIELD ? h->line_len : FIELD };

    if (strncmp(h->line, "HTTP/1.1 ", 9) == 0)
        return h->line[9] == '2';
    if (slice_is_nocase(name, slice_of(field)))
        h->length = strtoul(h->line + FIELD, NULL, 10);
    if (h->line_len == 0) {
        h->body_left = h->length;
        h->length = 0;
        h->base.waiting--;
    }
    return true;
}

static bool on_answers(struct publisher *p)
{
    struct http *h = (struct http *)(void *)p;
    char bytes[16384];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    bool good = n > 0 || (n < 0 && errno == EAGAIN);

    for (ssize_t i = 0; good && i < n; i++)
        if (h->body_left > 0)
            h->body_left--;
        else if (bytes[i] == '\n') {
            h->line[h->line_len] = '\0';
            good = read_answer_line(h);
            h->line_len = 0;
        } else if (bytes[i] != '\r' && h->line_len + 1 < sizeof h->line)
            h->line[h->line_len++] = bytes[i];
    if (!good)
        fprintf(stderr, "bench: publish: %s\n", n > 0 ? h->line : "connection closed");
    return good;
}

static void free_http(struct publisher *p)
{
    struct http *h = (struct http *)(void *)p;
    close(p->fd);
    free(h->head);
    free(h);
}

struct publisher *publisher_http(const char *to, const char *target, size_t bytes)
{
    struct http *h = calloc(1, sizeof *h);
    struct address a;

    if (!h || !address_parse(to, &a) ||
        asprintf(&h->head,
                 "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 target, bytes) < 0)
        abort();
    h->base = (struct publisher){ .fd = address_connect(&a),
                                  .bytes = bytes,
                                  .publish = publish_by_post,
                                  .ready = on_answers,
                                  .free = free_http };
    if (h->base.fd < 0)
        give_up("cannot connect for publishing", strerror(errno));
    return &h->base;
}
