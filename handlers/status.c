/*
 * status.c - GET /status, /ready, /metrics: how this process is, for people, balancers, monitors.
 *
 * Anybody may ask, so nothing here is a secret: counts, no topics, no addresses.  Why the database
 * is away is told in full to whoever has the key; others get it without the quoted names and the
 * addresses that libpq puts there.
 */
#include <inttypes.h>

#include "core/details.h"
#include "core/text.h"
#include "handlers/encode.h"
#include "handlers/problem.h"
#include "handlers/serve.h"

static const char *const state_names[] = {
    [SOURCE_AWAY] = "away",
    [SOURCE_POLLING] = "polling",
    [SOURCE_LISTENING] = "listening",
};

/* Everything that is counted, once: its name in /status and /metrics, and what it means. */
static const struct counter {
    const char *name, *help;
    size_t offset; /* in struct stats; uint64_t */
} counters[] = {
    { "requests", "Requests answered or being answered", offsetof(struct stats, requests) },
    { "published", "Events published over HTTP", offsetof(struct stats, published) },
    { "events", "Events read from the log", offsetof(struct stats, events) },
    { "deliveries", "Events handed to subscribers", offsetof(struct stats, deliveries) },
    { "gaps", "Gaps told to readers", offsetof(struct stats, gaps) },
    { "slow_closed", "Readers closed because they took nothing",
      offsetof(struct stats, slow_closed) },
    { "refused", "Requests refused because the process was full", offsetof(struct stats, refused) },
    { "bells", "Notifications heard", offsetof(struct stats, bells) },
    { "reads", "Reads of the log", offsetof(struct stats, reads) },
    { "journal_replays", "Readers brought forward from memory",
      offsetof(struct stats, journal_replays) },
    { "database_replays", "Pages of the past asked of the database",
      offsetof(struct stats, database_replays) },
    { "reconnects", "Connections to the database after the first",
      offsetof(struct stats, reconnects) },
    { "recorded", "Plain NOTIFYs recorded into the log", offsetof(struct stats, recorded) },
    { "relayed", "Events numbered in relay mode", offsetof(struct stats, relayed) },
};

static uint64_t count_of(const struct server *s, const struct counter *c)
{
    uint64_t n;
    memcpy(&n, (const char *)&s->stats + c->offset, sizeof(n));
    return n;
}

static double uptime_s(const struct server *s)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return (double)(now.tv_sec * 1000000 + now.tv_usec - s->started_us) / 1e6;
}

static void put_cursor(const struct server *s, struct buf *out)
{
    char cursor[CURSOR_TEXT_MAX + 1];

    if (!s->epoch[0]) {
        buf_puts(out, "null");
        return;
    }
    cursor_text(s->epoch, s->head, cursor);
    buf_printf(out, "\"%s\"", cursor);
}

/* What stands in quotes or in brackets becomes "…". */
static void put_masked(struct buf *out, struct slice text)
{
    char until = '\0';

    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (until) {
            if (c == until) {
                buf_printf(out, "…%c", c);
                until = '\0';
            }
            continue;
        }
        buf_putc(out, c);
        until = c == '"' ? '"' : c == '(' ? ')' : '\0';
    }
}

static void put_why(const struct visit *v, struct buf *out)
{
    struct buf why = BUF_EMPTY, clean = BUF_EMPTY;

    if (gate_shows_key(v->server->gate, request_header(v->request, "authorization")))
        buf_puts(&why, v->server->source_why);
    else
        put_masked(&why, slice_of(v->server->source_why));
    details_put_clean(&clean, buf_slice(&why));
    json_put_string(out, buf_slice(&clean));
    buf_fini(&why);
    buf_fini(&clean);
}

static void answer(const struct visit *v, int status, const char *content_type, struct buf *body)
{
    struct buf head = BUF_EMPTY;

    buf_printf(&head, "Content-Type: %s\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n",
               content_type, body->len);
    buf_put(&head, v->common);
    if (buf_rc(body) != RC_OK || buf_rc(&head) != RC_OK) {
        problem_retry(v->request, v->common, 503, v->server->conf->retry_ms, "Out of memory.");
    } else {
        reply_begin(v->request, status, buf_slice(&head));
        reply_write(v->request, buf_slice(body));
        reply_end(v->request);
    }
    buf_fini(&head);
    buf_fini(body);
}

void status_serve(const struct visit *v)
{
    const struct server *s = v->server;
    struct buf out = BUF_EMPTY;
    char when[ENCODE_TIME_MAX + 1];

    buf_printf(&out, "{\"version\":\"%s\",\"uptime_s\":%.3f,\"draining\":%s,", BELLPUSH_VERSION,
               uptime_s(s), s->draining ? "true" : "false");
    buf_printf(&out, "\"database\":{\"state\":\"%s\",\"why\":", state_names[s->source_state]);
    put_why(v, &out);
    buf_printf(&out, ",\"mode\":\"%s\",\"housekeeper\":%s},", s->mode,
               s->housekeeper ? "true" : "false");
    buf_puts(&out, "\"log\":{\"head\":");
    put_cursor(s, &out);
    if (s->head_time_us) {
        encode_time(s->head_time_us, when);
        buf_printf(&out, ",\"head_time\":\"%s\"", when);
    }
    buf_printf(&out, ",\"journal_events\":%zu,\"journal_floor\":%" PRId64 "},",
               journal_count(s->journal), journal_floor(s->journal));
    buf_printf(&out,
               "\"open\":%zu,\"max_open\":%zu,\"one_request\":%s,\"subscribers\":%zu,"
               "\"filters\":%zu,\"counts\":{",
               s->open_count, s->max_open, s->one_slot ? "true" : "false", hub_subscribers(s->hub),
               hub_filters(s->hub));
    for (size_t i = 0; i < LENGTH(counters); i++)
        buf_printf(&out, "%s\"%s\":%" PRIu64, i ? "," : "", counters[i].name,
                   count_of(s, &counters[i]));
    buf_puts(&out, "}}\n");
    answer(v, 200, "application/json", &out);
}

void status_ready(const struct visit *v)
{
    const struct server *s = v->server;
    struct buf out = BUF_EMPTY;

    if (s->draining)
        problem_retry(v->request, v->common, 503, s->conf->retry_ms, "This process is stopping.");
    else if (s->source_state == SOURCE_AWAY || !s->epoch[0])
        problem_retry(v->request, v->common, 503, s->conf->retry_ms, "The database is away.");
    else if (s->max_open > 0 && s->open_count >= s->max_open)
        problem_retry(v->request, v->common, 503, s->conf->retry_ms,
                      "As many requests are open here as may be.");
    else {
        buf_puts(&out, "{\"ready\":true}\n");
        answer(v, 200, "application/json", &out);
    }
}

static void put_gauge(struct buf *out, const char *name, const char *help, double value)
{
    buf_printf(out,
               "# TYPE bellpush_%s gauge\n# HELP bellpush_%s %s.\n"
               "bellpush_%s %.15g\n",
               name, name, help, name, value);
}

void status_metrics(const struct visit *v)
{
    const struct server *s = v->server;
    struct buf out = BUF_EMPTY;

    put_gauge(&out, "up", "Is the database there, listening or polling",
              s->source_state != SOURCE_AWAY);
    put_gauge(&out, "listening", "Does LISTEN work", s->source_state == SOURCE_LISTENING);
    put_gauge(&out, "housekeeper", "Does this process record, relay and prune", s->housekeeper);
    put_gauge(&out, "open_requests", "Requests held open", (double)s->open_count);
    put_gauge(&out, "max_open_requests", "As many may be held; 0 is no limit", (double)s->max_open);
    put_gauge(&out, "subscribers", "Readers subscribed", (double)hub_subscribers(s->hub));
    put_gauge(&out, "filters", "Distinct filters subscribed to", (double)hub_filters(s->hub));
    put_gauge(&out, "journal_events", "Events kept in memory", (double)journal_count(s->journal));
    put_gauge(&out, "head", "Number of the newest event told", (double)s->head);
    put_gauge(&out, "start_time_seconds", "When this process started, since 1970",
              (double)s->started_us / 1e6);
    for (size_t i = 0; i < LENGTH(counters); i++) {
        const struct counter *c = &counters[i];
        buf_printf(&out,
                   "# TYPE bellpush_%s counter\n# HELP bellpush_%s %s.\n"
                   "bellpush_%s_total %" PRIu64 "\n",
                   c->name, c->name, c->help, c->name, count_of(s, c));
    }
    buf_puts(&out, "# EOF\n");
    answer(v, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", &out);
}
