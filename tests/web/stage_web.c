/*
 * stage_web.c - the stage of stone: sockets, a real web server, real workers, a real PostgreSQL.
 */
#include <libpq-fe.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/web/web.h"

enum { SHOWN = 1500 };

struct answer {
    struct http *http;
    size_t mark;
    char *target;
};

const struct stage_traits *stage_traits(void)
{
    return &web.way->traits;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

struct answer *stage_ask(const struct ask *ask)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    a->http = web_ask(ask);
    a->target = text_of("%s", ask->target);
    return a;
}

struct answer *stage_get(const char *target)
{
    return stage_ask(&(struct ask){ .target = target });
}

static _Noreturn void disappointed(const struct answer *a, const char *what, const char *text)
{
    struct slice body = http_body(a->http);
    size_t from = body.len > a->mark + SHOWN ? body.len - SHOWN : a->mark;

    front_show_logs(web.front);
    ck_abort_msg("%s: %s: waited for %s \"%s\"; status %d%s, after the mark: \"%.*s\"",
                 web.way->traits.name, a->target, what, text, http_status(a->http),
                 http_ended(a->http) ? ", ended" : "", (int)(body.len - from), body.at + from);
    abort();
}

int answer_status(struct answer *a)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (http_status(a->http) == 0 && http_wait(a->http, end - now_ms()))
        ;
    if (http_status(a->http) == 0)
        disappointed(a, "the head", "");
    return http_status(a->http);
}

const char *answer_header(struct answer *a, const char *name)
{
    (void)answer_status(a);
    return http_header(a->http, name);
}

static bool find(struct answer *a, const char *text)
{
    struct slice body = http_body(a->http);
    char *at = body.len > a->mark
                   ? memmem(body.at + a->mark, body.len - a->mark, text, strlen(text))
                   : NULL;
    if (at)
        a->mark = (size_t)(at - body.at) + strlen(text);
    return at != NULL;
}

void answer_expect(struct answer *a, const char *text)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (!find(a, text))
        if (!http_wait(a->http, end - now_ms()) && !find(a, text))
            disappointed(a, "text", text);
}

struct slice answer_body(struct answer *a)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;

    while (!http_ended(a->http) && http_wait(a->http, end - now_ms()))
        ;
    if (!http_ended(a->http))
        disappointed(a, "the end", "");
    return http_body(a->http);
}

struct slice answer_so_far(const struct answer *a)
{
    return http_body(a->http);
}

bool answer_more(struct answer *a)
{
    int64_t end = now_ms() + WEB_PATIENCE_MS;
    size_t had = http_body(a->http).len;

    while (http_body(a->http).len == had && http_wait(a->http, end - now_ms()))
        ;
    if (http_body(a->http).len == had && !http_ended(a->http))
        disappointed(a, "more", "");
    return http_body(a->http).len > had;
}

bool answer_ended(struct answer *a)
{
    http_step(a->http);
    return http_ended(a->http);
}

void answer_close(struct answer *a)
{
    http_free(a->http);
    free(a->target);
    free(a);
}

/* ---- committing -------------------------------------------------------------------------------
 */

/* One connection per test (they are forked). */
static PGconn *connection;

static PGconn *database(void)
{
    if (!connection)
        connection = PQconnectdb(web.dsn);
    if (PQstatus(connection) != CONNECTION_OK)
        ck_abort_msg("the database: %s", PQerrorMessage(connection));
    return connection;
}

void web_forget_database(void)
{
    PQfinish(connection);
    connection = NULL;
}

PGresult *web_query(const char *sql, int n, const char *const *values)
{
    PGconn *conn = database();
    PGresult *r = PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        ck_abort_msg("%s: %s", sql, PQresultErrorMessage(r));
    return r;
}

static void run(const char *sql, int n, const char *const *values)
{
    PQclear(web_query(sql, n, values));
}

void stage_publish(const char *topic, const char *type, const char *data)
{
    const char *const values[] = { topic, data, type };
    run("SELECT bellpush.publish($1::text, $2::text, type => $3::text)", 3, values);
}

void stage_publish_many(size_t n, const char *topic, const char *const *data)
{
    run("BEGIN", 0, NULL);
    for (size_t i = 0; i < n; i++)
        stage_publish(topic, NULL, data[i]);
    run("COMMIT", 0, NULL);
}

void stage_define_hook(const struct stage_hook *h)
{
    const char *const values[] = { h->name,   h->scheme,     h->topic,  h->type,
                                   h->secret, h->old_secret, h->options };

    run("SELECT bellpush.define_hook($1, $2, $3, ARRAY[$6, $5], $4, coalesce($7, '{}')::jsonb)", 7,
        values);
}

void web_publish_numbers(const char *topic, int first, int last)
{
    for (int i = first; i <= last; i++) {
        char data[16];
        snprintf(data, sizeof data, "%d", i);
        stage_publish(topic, NULL, data);
    }
}

const char *stage_topic(const char *name)
{
    static unsigned made;
    static char topic[8][160]; /* a test has few */
    char *out = topic[made % LENGTH(topic)];

    snprintf(out, sizeof topic[0], "t%d-%lld-%u/%s", (int)getpid(), (long long)now_ms(), made++,
             name);
    return out;
}

/* ---- looking behind ---------------------------------------------------------------------------
 */

/* In one-request mode a held reply is a locked byte of the slots file (core/slots.h). */
static size_t locked_slots(void)
{
    char *path = text_of("%s/run/slots", front_folder(web.front));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    size_t n = 0;

    for (int i = 0; fd >= 0 && i < WEB_PROCESSES; i++) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };
        if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
            n++;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return n;
}

size_t web_held(void)
{
    int open = web.way->traits.one_slot ? (int)locked_slots() : front_open_requests(web.front);
    return open < 0 ? (size_t)-1 : (size_t)open;
}

struct wish {
    size_t want, seen;
};

static bool granted(void *arg)
{
    struct wish *w = arg;
    w->seen = web_held();
    return w->seen == w->want;
}

void stage_expect_open(size_t n)
{
    struct wish w = { .want = n };
    if (!wait_until(granted, &w, WEB_PATIENCE_MS)) {
        front_show_logs(web.front);
        ck_abort_msg("%s: %zu requests should be open, %zu are", web.way->traits.name, n, w.seen);
    }
}
