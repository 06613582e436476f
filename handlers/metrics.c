/*
 * metrics.c - the facts of /status, for monitors.
 *
 * What is not known (no event yet, never connected) is left out: no number would be true.
 */
#include "handlers/metrics.h"

#include "core/presence.h"
#include "handlers/counts.h"

static void put_gauge(struct buf *out, const char *name, const char *help, double value)
{
    buf_printf(out,
               "# TYPE bellpush_%s gauge\n# HELP bellpush_%s %s.\n"
               "bellpush_%s %.15g\n",
               name, name, help, name, value);
}

static void put_database(const struct server *s, const struct source_view *view, struct buf *out)
{
    const struct health *h = &s->health;
    uint64_t now = uv_now(s->loop);

    put_gauge(out, "up", "Is the database there, listening or polling",
              s->source_state != SOURCE_AWAY);
    put_gauge(out, "listening", "Does LISTEN work", s->source_state == SOURCE_LISTENING);
    put_gauge(out, "state_seconds", "For how long it has been so",
              seconds_between(h->state_ms, now));
    put_gauge(out, "connect_attempts", "Attempts to reach the database since it is away",
              h->attempts);
    if (view->contact_ms >= 0)
        put_gauge(out, "last_contact_seconds", "Since the database last said anything",
                  (double)view->contact_ms / 1e3);
    put_gauge(out, "housekeeper", "Does this process record, relay and prune", s->housekeeper);
    put_gauge(out, "housekeeper_known", "Is it known which process does", h->recorder[0] != '\0');
    put_gauge(out, "query_connections", "Connections for publishes and questions",
              (double)view->open);
    put_gauge(out, "query_connections_busy", "Those with a statement under way",
              (double)view->busy);
    put_gauge(out, "query_connections_away", "Can no such connection be had", view->away);
    put_gauge(out, "publishes_waiting", "Publishes not yet answered", (double)view->publishes);
    put_gauge(out, "publish_oldest_seconds", "Since when the oldest of them waits",
              (double)view->publish_ms / 1e3);
    put_gauge(out, "questions_waiting", "Questions to the database not yet answered",
              (double)view->questions);
}

static void put_log(const struct server *s, struct buf *out)
{
    const struct health *h = &s->health;
    int64_t lag_ms = health_lag_ms(s);

    put_gauge(out, "head", "Number of the newest event told", (double)s->head);
    put_gauge(out, "journal_events", "Events kept in memory", (double)journal_count(s->journal));
    if (lag_ms >= 0)
        put_gauge(out, "lag_seconds", "For how long the log may have held something not told",
                  (double)lag_ms / 1e3);
    if (!h->told_ms)
        return;
    put_gauge(out, "last_event_seconds", "Since the newest event was told",
              seconds_between(h->told_ms, uv_now(s->loop)));
    put_gauge(out, "delay_seconds", "From the newest event's publication until it was told",
              (double)h->delay_us / 1e6);
}

static void put_requests(struct server *s, struct buf *out)
{
    const struct health *h = &s->health;
    size_t descriptors = health_descriptors(s), resident;
    struct limits_view limits;

    limits_look(s->limits, &limits);
    put_gauge(out, "limit_buckets", "Places taken in the table of limits", (double)limits.buckets);
    put_gauge(out, "max_limit_buckets", "Places there are", (double)limits.buckets_max);
    put_gauge(out, "limit_open_parties", "Addresses and subjects counted for what they have open",
              (double)limits.seated);
    put_gauge(out, "limit_bytes", "Memory of the limits", (double)limits.bytes);

    put_gauge(out, "open_requests", "Requests held open", (double)s->open_count);
    put_gauge(out, "max_open_requests", "As many may be held; 0 is no limit", (double)s->max_open);
    put_gauge(out, "subscribers", "Readers subscribed", (double)hub_subscribers(s->hub));
    put_gauge(out, "filters", "Distinct filters subscribed to", (double)hub_filters(s->hub));
    put_gauge(out, "members", "Members present on topics", (double)presence_count(s->presence));
    put_gauge(out, "slow_readers", "Readers paused because their queue is full", (double)h->slow);
    put_gauge(out, "connections", "Connections of web servers", (double)h->connections);
    put_gauge(out, "accepting", "Are connections accepted", !h->not_accepting);
    put_gauge(out, "memory_short", "Has memory been refused in the last seconds", h->short_ms != 0);
    if (uv_resident_set_memory(&resident) == 0)
        put_gauge(out, "resident_bytes", "Memory in use", (double)resident);
    if (descriptors)
        put_gauge(out, "descriptors", "Open descriptors", (double)descriptors);
    if (h->descriptors_max)
        put_gauge(out, "max_descriptors", "As many may be open", (double)h->descriptors_max);
}

void metrics_put(struct server *s, struct buf *out)
{
    struct source_view view;

    source_look(s->source, &view);
    put_database(s, &view, out);
    put_log(s, out);
    put_requests(s, out);
    put_gauge(out, "start_time_seconds", "When this process started, since 1970",
              (double)s->started_us / 1e6);
    counts_put_metrics(s, out);
    buf_puts(out, "# EOF\n");
}
