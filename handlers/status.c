/*
 * status.c - GET /status, /ready, /metrics: how this process is, for people, balancers, monitors.
 *
 * Anybody may ask, so nothing here is a secret: counts, no topics, no addresses.  Why the database
 * is away is told in full to whoever has the key; others get it without the quoted names and the
 * addresses that libpq puts there, and processes without the names of their machines.
 */
#include <inttypes.h>

#include "core/details.h"
#include "core/presence.h"
#include "core/text.h"
#include "handlers/counts.h"
#include "handlers/encode.h"
#include "handlers/meter.h"
#include "handlers/metrics.h"
#include "handlers/problem.h"
#include "handlers/serve.h"
#include "handlers/whole.h"

static const char *const state_names[] = {
    [SOURCE_AWAY] = "away",
    [SOURCE_POLLING] = "polling",
    [SOURCE_LISTENING] = "listening",
};

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

static bool has_key(const struct visit *v)
{
    struct slice authorization = request_header(v->request, "authorization");
    struct slice scheme = { authorization.at, authorization.len < 6 ? 0 : 6 };
    bool shows = gate_shows_key(v->server->gate, authorization);

    if (slice_is_nocase(scheme, SLICE("Bearer")) && !shows)
        meter_failure(v); /* no place to guess the key at leisure */
    return shows;
}

static void put_why(struct buf *out, bool in_full, const char *text)
{
    struct buf why = BUF_EMPTY, clean = BUF_EMPTY;

    if (in_full)
        buf_puts(&why, text);
    else
        put_masked(&why, slice_of(text));
    details_put_clean(&clean, buf_slice(&why));
    json_put_string(out, buf_slice(&clean));
    buf_fini(&why);
    buf_fini(&clean);
}

/* "HOST:PID", "…:PID", or null. */
static void put_process(struct buf *out, bool in_full, const char *process)
{
    const char *colon = strrchr(process, ':');
    struct buf masked = BUF_EMPTY;

    if (!colon) {
        buf_puts(out, "null");
        return;
    }
    buf_printf(&masked, "…%s", colon);
    json_put_string(out, in_full ? slice_of(process) : buf_slice(&masked));
    buf_fini(&masked);
}

static void put_seconds(struct buf *out, int64_t ms)
{
    if (ms < 0)
        buf_puts(out, "null");
    else
        buf_printf(out, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

static void put_since(struct buf *out, const struct server *s, uint64_t then_ms)
{
    uint64_t now = uv_now(s->loop);

    put_seconds(out, now > then_ms ? (int64_t)(now - then_ms) : 0);
}

static void put_database(const struct server *s, bool in_full, const struct source_view *view,
                         struct buf *out)
{
    const struct health *h = &s->health;
    char when[ENCODE_TIME_MAX + 1];

    encode_time(h->state_us, when);
    buf_printf(out, "\"database\":{\"state\":\"%s\",\"since\":\"%s\",\"for_s\":",
               state_names[s->source_state], when);
    put_since(out, s, h->state_ms);
    buf_puts(out, ",\"why\":");
    put_why(out, in_full, s->source_why);
    buf_printf(out, ",\"attempts\":%u,\"last_contact_s\":", h->attempts);
    put_seconds(out, view->contact_ms);
    buf_printf(out, ",\"mode\":\"%s\",\"housekeeper\":%s,\"recorder\":", s->mode,
               s->housekeeper ? "true" : "false");
    put_process(out, in_full, h->recorder);
    buf_printf(out, ",\"queries\":{\"state\":\"%s\",\"open\":%zu,\"busy\":%zu,\"max\":%zu,\"why\":",
               view->away   ? "away"
               : view->open ? "up"
                            : "idle",
               view->open, view->busy, view->max);
    put_why(out, in_full, view->why);
    buf_puts(out, "}}");
}

static void put_log(const struct server *s, struct buf *out)
{
    const struct health *h = &s->health;
    char when[ENCODE_TIME_MAX + 1];
    int64_t lag_ms = health_lag_ms(s);

    buf_puts(out, "\"log\":{\"head\":");
    put_cursor(s, out);
    if (s->head_time_us) {
        encode_time(s->head_time_us, when);
        buf_printf(out, ",\"head_time\":\"%s\"", when);
    }
    buf_puts(out, ",\"lag_ms\":");
    if (lag_ms < 0)
        buf_puts(out, "null");
    else
        buf_printf(out, "%" PRId64, lag_ms);
    if (h->told_ms) {
        buf_printf(out, ",\"delay_ms\":%.3f,\"last_event_s\":", (double)h->delay_us / 1e3);
        put_since(out, s, h->told_ms);
    } else {
        buf_puts(out, ",\"delay_ms\":null,\"last_event_s\":null");
    }
    buf_printf(out, ",\"journal_events\":%zu,\"journal_floor\":%" PRId64 "}",
               journal_count(s->journal), journal_floor(s->journal));
}

static void put_requests(struct server *s, const struct source_view *view, struct buf *out)
{
    const struct health *h = &s->health;
    size_t descriptors = health_descriptors(s), resident;
    struct limits_view limits;

    limits_look(s->limits, &limits);
    buf_printf(out,
               "\"open\":%zu,\"max_open\":%zu,\"one_request\":%s,\"subscribers\":%zu,"
               "\"filters\":%zu,\"members\":%zu,\"slow\":%zu,\"connections\":%zu,\"accepting\":%s,"
               "\"descriptors\":{\"used\":",
               s->open_count, s->max_open, s->one_slot ? "true" : "false", hub_subscribers(s->hub),
               hub_filters(s->hub), presence_count(s->presence), h->slow, h->connections,
               h->not_accepting ? "false" : "true");
    if (descriptors)
        buf_printf(out, "%zu", descriptors);
    else
        buf_puts(out, "null");
    buf_printf(out, ",\"limit\":%zu},\"memory\":{\"resident\":", h->descriptors_max);
    if (uv_resident_set_memory(&resident) == 0)
        buf_printf(out, "%zu", resident);
    else
        buf_puts(out, "null");
    buf_printf(out, ",\"short\":%s},\"publishing\":{\"waiting\":%zu,\"oldest_s\":",
               h->short_ms ? "true" : "false", view->publishes);
    put_seconds(out, view->publish_ms);
    buf_printf(out,
               "},\"questions\":%zu,\"limits\":{\"buckets\":%zu,\"max_buckets\":%zu,"
               "\"open_parties\":%zu,\"bytes\":%zu}",
               view->questions, limits.buckets, limits.buckets_max, limits.seated, limits.bytes);
}

void status_serve(const struct visit *v)
{
    struct server *s = v->server;
    struct buf out = BUF_EMPTY;
    struct source_view view;
    bool in_full = has_key(v);

    source_look(s->source, &view);
    buf_printf(&out, "{\"version\":\"%s\",\"process\":", BELLPUSH_VERSION);
    put_process(&out, in_full, s->health.process);
    buf_puts(&out, ",\"uptime_s\":");
    put_since(&out, s, s->health.started_ms);
    buf_printf(&out, ",\"draining\":%s,", s->draining ? "true" : "false");
    put_database(s, in_full, &view, &out);
    buf_putc(&out, ',');
    put_log(s, &out);
    buf_putc(&out, ',');
    put_requests(s, &view, &out);
    buf_puts(&out, ",\"counts\":");
    counts_put_json(s, &out);
    buf_puts(&out, "}\n");
    whole_reply(v->request, v->common, 200, "application/json", &out);
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
        whole_reply(v->request, v->common, 200, "application/json", &out);
    }
}

void status_metrics(const struct visit *v)
{
    struct buf out = BUF_EMPTY;

    metrics_put(v->server, &out);
    whole_reply(v->request, v->common, 200,
                "application/openmetrics-text; version=1.0.0; charset=utf-8", &out);
}
